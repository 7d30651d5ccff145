//! Decoding of sequences of bytes by interpretation of the model: what the generated decoder does, for the tool and for checking
//! `test` lines while generating.

use super::decoding::Decoding;
use super::ones;
use crate::hir::{Expr, Locals};
use crate::model::{Context, Enc, OperandAlt, Prefix, Tail};
use crate::sema::{Env, Value, eval};

/// Most bytes of an opcode with what belongs to it.
const HEAD: usize = 3;

/// An instruction, taken apart.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Number of the encoding.
    pub entry: usize,
    /// Its head and the decode variables as they were matched.
    pub word: u128,
    /// The decode variables in the end, in their places.
    pub decoded: u128,
    /// Immediates, in the order of the encoding.
    pub immediates: Vec<i128>,
    /// Bytes.
    pub len: u32,
}

/// What bytes are.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An instruction.
    Insn(Sequence),
    /// No encoding matches.
    Unallocated,
    /// More bytes are needed.
    Truncated,
}

/// A table that was asked.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Position of the byte.
    pub at: usize,
    /// Its space.
    pub space: usize,
    /// Head and decode variables.
    pub word: u128,
}

/// Bytes that are taken after the head.
struct Cursor<'a> {
    code: &'a [u8],
    at: usize,
    vars: u128,
    immediates: Vec<i128>,
}

impl Cursor<'_> {
    fn peek(&self, bytes: usize) -> u128 {
        let byte = |i: usize| self.code.get(self.at + i).copied().unwrap_or(0);
        (0..bytes).rev().fold(0, |word, i| word << 8 | u128::from(byte(i)))
    }

    fn take(&mut self, width: i128, signed: bool) -> i128 {
        let bytes = (width / 8).clamp(0, 8) as usize;
        let value = self.peek(bytes) as i128;
        self.at += bytes;
        let unused = 128 - 8 * bytes as u32;
        if signed && bytes != 0 { value << unused >> unused } else { value }
    }
}

impl Decoding<'_> {
    /// Decode the instruction at the start of `code`; the tables asked on the way are added to `steps`.
    pub fn sequence(&self, code: &[u8], mode: u32, steps: &mut Vec<Step>) -> Outcome {
        let model = self.model();
        let longest = model.sections.max_length as usize;
        let code = &code[..code.len().min(longest)];
        let incomplete = if code.len() == longest { Outcome::Unallocated } else { Outcome::Truncated };
        let mut vars = model.decode_reset();
        let mut at = 0;
        loop {
            let Some(space) = self.active(vars) else { return Outcome::Unallocated };
            let Some(&first) = code.get(at) else { return incomplete };
            let rest = &code[at..];
            let head = rest.iter().take(HEAD).rev().fold(0, |word, &byte| word << 8 | u128::from(byte));
            let word = head | vars;
            steps.push(Step { at, space, word });
            let mut candidates = self.tables[space].candidates(u32::from(first)).map(usize::from);
            let Some(entry) = candidates.find(|&n| self.takes(n, word, mode, rest.len())) else {
                return Outcome::Unallocated;
            };
            let enc = self.sources.get(entry).map_or_else(|| &self.prefix(entry).enc, |s| s.1);
            let length = enc.flat.width as usize / 8;
            if length > rest.len() {
                return incomplete;
            }
            at += length;
            if entry >= self.sources.len() {
                vars = self.after_prefix(self.prefix(entry), word, mode);
                continue;
            }
            let mut cursor = Cursor { code, at, vars, immediates: Vec::new() };
            self.tail(&self.sources[entry].0.locals, enc, word, mode, &mut cursor);
            let Cursor { at, vars: decoded, immediates, .. } = cursor;
            let insn = Sequence { entry, word, decoded, immediates, len: at as u32 };
            return if at > code.len() { incomplete } else { Outcome::Insn(insn) };
        }
    }

    fn prefix(&self, entry: usize) -> &Prefix {
        &self.model().prefixes[entry - self.sources.len()]
    }

    /// The space whose variables have these values.
    fn active(&self, vars: u128) -> Option<usize> {
        let model = self.model();
        let value = |c: &Context| vars >> c.lo & ones(c.width);
        let is = |(name, wanted): &(crate::syntax::ast::Ident, u32)| {
            model.contexts.iter().find(|c| *c.name == *name.name).is_none_or(|c| value(c) == u128::from(*wanted))
        };
        model.spaces.iter().position(|s| s.active.iter().all(is))
    }

    /// Whether an entry matches the bytes that are there.
    fn takes(&self, entry: usize, word: u128, mode: u32, bytes: usize) -> bool {
        let e = &self.entries[entry];
        let length = self.sources.get(entry).map_or_else(|| &self.prefix(entry).enc, |s| s.1).flat.width as usize / 8;
        if length <= bytes {
            return self.matches(entry, word, mode);
        }
        let seen = !0 << 32 | ones(8 * bytes.min(HEAD) as u32);
        (word ^ e.value) & e.mask & seen == 0
    }

    fn after_prefix(&self, p: &Prefix, word: u128, mode: u32) -> u128 {
        let model = self.model();
        let mut env = Env { mode: Some(mode), decoded: Some(word >> 32 << 32), ..Env::default() };
        for (field, flat) in p.enc.fields.iter().zip(&p.enc.flat.fields) {
            env.vars.insert(field.var, Value::Int(p.enc.flat.field_value(flat, word)));
        }
        for (context, value) in &p.sets {
            let value = eval(model, &p.locals, &env, value).and_then(|v| v.int()).unwrap_or(0);
            env.decoded = env.decoded.map(|vars| with_field(vars, &model.contexts[*context], value));
        }
        env.decoded.unwrap_or(0)
    }

    /// Fields that are variables, operands and immediates.
    fn tail(&self, locals: &Locals, enc: &Enc, word: u128, mode: u32, cursor: &mut Cursor<'_>) {
        let model = self.model();
        for (context, var) in &enc.sets {
            if let Some(i) = enc.fields.iter().position(|f| f.var == *var) {
                let value = enc.flat.field_value(&enc.flat.fields[i], word);
                cursor.vars = with_field(cursor.vars, &model.contexts[*context], value);
            }
        }
        for item in &enc.tail {
            match item {
                Tail::Operand(number) => {
                    let fits = |alt: &&OperandAlt| self.alternative_fits(alt, mode, cursor);
                    if let Some(alt) = model.operands[*number].alts.iter().find(fits) {
                        self.take(alt, cursor);
                    }
                }
                Tail::Immediate { width, signed, .. } => {
                    let width = self.int(locals, width, mode, cursor.vars).unwrap_or(0);
                    let value = cursor.take(width, *signed);
                    cursor.immediates.push(value);
                }
            }
        }
    }

    fn alternative_fits(&self, alt: &OperandAlt, mode: u32, cursor: &Cursor<'_>) -> bool {
        let env = Env { mode: Some(mode), decoded: Some(cursor.vars), ..Env::default() };
        let holds =
            |when: &Expr| eval(self.model(), &Locals::default(), &env, when).and_then(|v| v.bool()) == Some(true);
        let word = cursor.peek(alt.flat.width as usize / 8);
        alt.when.as_ref().is_none_or(holds)
            && word & alt.flat.mask == alt.flat.value
            && alt.flat.constraints.iter().all(|c| c.holds(word))
    }

    fn take(&self, alt: &OperandAlt, cursor: &mut Cursor<'_>) {
        let contexts = &self.model().contexts;
        let word = cursor.take(alt.flat.width.into(), false) as u128;
        for (field, &context) in alt.flat.fields.iter().zip(&alt.sets) {
            cursor.vars = with_field(cursor.vars, &contexts[context], alt.flat.field_value(field, word));
        }
        for &(context, width, signed) in &alt.tail {
            let value = cursor.take(width.into(), signed);
            cursor.vars = with_field(cursor.vars, &contexts[context], value);
        }
    }

    fn int(&self, locals: &Locals, e: &Expr, mode: u32, vars: u128) -> Option<i128> {
        let env = Env { mode: Some(mode), decoded: Some(vars), ..Env::default() };
        eval(self.model(), locals, &env, e)?.int()
    }
}

/// `vars` with one of them replaced.
fn with_field(vars: u128, c: &Context, value: i128) -> u128 {
    let mask = ones(c.width) << c.lo;
    vars & !mask | (value as u128) << c.lo & mask
}
