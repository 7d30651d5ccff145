//! The decoder of a checked model: entries, their order, tables.

use super::flat::Constraint;
use super::words::Random;
use super::{Analysis, Entry, Guards, Relation, Table, analyse, holes, ones};
use crate::diag::{Diagnostic, Diagnostics};
use crate::hir::{Block, Domain, Expr, ExprKind, Locals, StaticFn, StmtKind, VarId};
use crate::model::{Enc, Insn, Model, Prefix};
use crate::sema::{Env, Value, eval};
use crate::syntax::ast::Span;
use std::collections::HashSet;
use std::fmt::Write as _;

/// All encodings of a model, numbered in the order of instructions and their clauses.
pub struct Decoding<'a> {
    model: &'a Model,
    /// By encoding number; then the prefixes.
    pub entries: Vec<Entry>,
    /// Instruction and clause of an encoding number.
    pub sources: Vec<(&'a Insn, &'a Enc)>,
    /// Overlaps and order.
    pub analysis: Analysis,
    /// By space.
    pub tables: Vec<Table>,
}

impl<'a> Decoding<'a> {
    /// Analyse the encodings of `model` and build their tables.
    pub fn of(model: &'a Model, diagnostics: &mut Diagnostics) -> Decoding<'a> {
        let (mut entries, mut sources) = (Vec::new(), Vec::new());
        for insn in &model.insns {
            for (position, enc) in insn.encs.iter().enumerate() {
                entries.push(entry(model, insn, enc, position, diagnostics));
                sources.push((insn, enc));
            }
        }
        entries.extend(model.prefixes.iter().map(|p| prefix_entry(model, p)));
        let guards = ModelGuards { model, sources: &sources };
        let analysis = analyse(&model.spaces, &entries, &guards, diagnostics);
        let tables = (0..model.spaces.len()).map(|s| table(model, &entries, &analysis, s)).collect();
        Decoding { model, entries, sources, analysis, tables }
    }

    /// What was analysed.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// The number of the encoding that a word of `space` has under a mode, by trying all: the definition of decoding.
    pub fn linear(&self, space: usize, word: u128, mode: u32) -> Option<usize> {
        let mut order: Vec<usize> = (0..self.entries.len()).filter(|&i| self.entries[i].space == space).collect();
        order.sort_by_key(|&i| self.analysis.rank[i]);
        order.into_iter().find(|&i| self.matches(i, word, mode))
    }

    /// The same, by table.
    pub fn decode(&self, space: usize, word: u32, mode: u32) -> Option<usize> {
        self.tables[space].candidates(word).map(usize::from).find(|&i| self.matches(i, word.into(), mode))
    }

    /// Whether an encoding matches a word, guards included. A guard that depends on the address does not exclude.
    pub fn matches(&self, entry: usize, word: u128, mode: u32) -> bool {
        let guards = ModelGuards { model: self.model, sources: &self.sources };
        self.entries[entry].matches(word)
            && (self.entries[entry].guard_bits.is_none() || guards.eval(entry, word, Some(mode)) != Some(false))
    }

    /// The guard of an encoding that fails for a word.
    pub(super) fn failing_guard(&self, entry: usize, word: u128, mode: u32) -> Option<Span> {
        let guards = ModelGuards { model: self.model, sources: &self.sources };
        guards.failing(entry, word, Some(mode)).err()
    }

    /// The decode report.
    pub fn report(&self) -> String {
        let mut text = format!("guest {}\n", self.model.name);
        for (index, space) in self.model.spaces.iter().enumerate() {
            let count = self.entries.iter().filter(|e| e.space == index).count();
            let (mean, most) = self.tables[index].load();
            let _ = writeln!(text, "space {}: {} bits, {count} encodings", space.name, space.width());
            if space.unit > 8 {
                let _ = writeln!(text, "  allocated: {:.1} % of words", 100.0 * self.allocated(index));
            }
            let (buckets, bytes) = (self.tables[index].buckets.len(), self.tables[index].bytes());
            let _ = writeln!(
                text,
                "  table: {buckets} buckets, {bytes} bytes, {mean:.2} candidates on average, {most} at most"
            );
            for (relation, title) in [
                (Relation::Nested, "more specific wins"),
                (Relation::Overrides, "overrides"),
                (Relation::GuardProven, "disjoint by guard, proven"),
                (Relation::GuardAssumed, "disjoint by guard, assumed"),
            ] {
                self.pairs(&mut text, index, relation, title);
            }
            if space.unit > 8 {
                self.holes(&mut text, index);
            }
        }
        text
    }

    fn pairs(&self, text: &mut String, space: usize, relation: Relation, title: &str) {
        let of_space = |entry: usize| self.entries[entry].space == space;
        let pairs = self.analysis.pairs.iter().filter(|p| p.relation == relation && of_space(p.first));
        let label = |entry: usize| &self.entries[entry].label;
        let mut lines: Vec<String> =
            pairs.map(|p| format!("    {} before {}\n", label(p.first), label(p.second))).collect();
        lines.sort();
        if !lines.is_empty() {
            let _ = writeln!(text, "  {title}: {}", lines.len());
            text.extend(lines);
        }
    }

    /// Warnings about words without an encoding in spaces that are said to be complete.
    pub(crate) fn warn_of_holes(&self, diagnostics: &mut Diagnostics) {
        for (index, space) in self.model.spaces.iter().enumerate().filter(|(_, s)| s.complete && s.unit > 8) {
            let holes = self.find_holes(index);
            let of_space = space.fixed().map_or(1.0, |(mask, _)| 0.5_f64.powi(mask.count_ones() as i32));
            let share: f64 = holes.iter().map(|h| 100.0 * h.share() / of_space).sum();
            if holes.is_empty() {
                continue;
            }
            let message = format!("{share:.1} % of space `{}` is unallocated", space.name);
            let mut d = Diagnostic::warning("hole", space.span, message);
            for hole in holes.iter().take(4) {
                d = d.note(format!("no encoding has {}", hole.pattern(space.width())));
            }
            diagnostics.push(d.note("`isa report` lists all holes"));
        }
    }

    /// Ranges of words that no encoding has.
    fn holes(&self, text: &mut String, space: usize) {
        let desc = &self.model.spaces[space];
        let holes = self.find_holes(space);
        let _ = writeln!(text, "  holes of 1/256 or more of the space: {}", holes.len());
        for hole in &holes {
            let _ = writeln!(text, "    {} {:.2} %", hole.pattern(desc.width()), 100.0 * hole.share());
        }
    }

    fn find_holes(&self, space: usize) -> Vec<holes::Hole> {
        let desc = &self.model.spaces[space];
        let mut taken: Vec<(u128, u128)> =
            self.entries.iter().filter(|e| e.space == space).map(|e| (e.mask, e.value)).collect();
        let fixed = desc.fixed().unwrap_or_else(|| {
            taken.extend(desc.excluded()); // words of other spaces are no holes
            (0, 0)
        });
        holes::find(&taken, fixed, desc.width())
    }

    /// A mode word in which a space is active.
    pub fn mode_of(&self, space: usize) -> u32 {
        self.model.mode_of(&self.model.spaces[space])
    }

    /// The fraction of a space's words that match an encoding: exact for 16 bits, else by sampling.
    fn allocated(&self, space: usize) -> f64 {
        let desc = &self.model.spaces[space];
        let (mut random, mut total, mut hits) = (Random(1), 0_u32, 0_u32);
        for sample in 0..1_u128 << 16 {
            let mut word = if desc.width() == 16 { sample } else { u128::from(random.next()) & ones(desc.width()) };
            // Choose among the words that the space selects.
            for _ in 0..64 {
                if desc.width() == 16 || desc.selects(word) {
                    break;
                }
                word = u128::from(random.next()) & ones(desc.width());
            }
            if desc.selects(word) {
                total += 1;
                hits += u32::from(self.decode(space, word as u32, self.mode_of(space)).is_some());
            }
        }
        f64::from(hits) / f64::from(total.max(1))
    }
}

/// A prefix, as far as matching is concerned.
fn prefix_entry(model: &Model, p: &Prefix) -> Entry {
    let guard_bits = (!p.enc.guards.is_empty()).then(|| {
        let mut seen = Reach::new(model, &p.enc, &p.locals);
        p.enc.guards.iter().for_each(|g| seen.expr(g));
        seen.bits()
    });
    Entry {
        insn: p.name.clone(),
        label: format!("prefix {}", p.name),
        space: p.enc.flat.space,
        mask: p.enc.flat.mask,
        value: p.enc.flat.value,
        constraints: p.enc.flat.constraints.clone(),
        guard_bits,
        overrides: Vec::new(),
        span: p.enc.flat.span,
    }
}

fn entry(model: &Model, insn: &Insn, enc: &Enc, position: usize, diagnostics: &mut Diagnostics) -> Entry {
    let label = if insn.encs.len() == 1 { insn.name.clone() } else { format!("{}#{position}", insn.name) };
    let mut guards = insn.guards.iter().chain(&enc.guards).peekable();
    let guard_bits = guards.peek().is_some().then(|| {
        let mut seen = Reach::new(model, enc, &insn.locals);
        guards.for_each(|g| seen.expr(g));
        if let Some(span) = seen.address {
            let message = "what an instruction is cannot depend on its address";
            diagnostics.push(Diagnostic::error("guard", span, message).also(enc.span, "in the guard of this encoding"));
        }
        seen.bits()
    });
    Entry {
        insn: insn.name.clone(),
        label,
        space: enc.flat.space,
        mask: enc.flat.mask,
        value: enc.flat.value,
        constraints: enc.flat.constraints.clone(),
        guard_bits,
        overrides: insn.overrides.clone(),
        span: enc.flat.span,
    }
}

fn table(model: &Model, entries: &[Entry], analysis: &Analysis, space: usize) -> Table {
    let mut numbers: Vec<usize> = (0..entries.len()).filter(|&i| entries[i].space == space).collect();
    numbers.sort_by_key(|&i| analysis.rank[i]);
    let width = model.spaces[space].width();
    let each = numbers.iter().flat_map(|&i| alternatives(&entries[i], width).into_iter().map(move |p| (p, i as u16)));
    let (patterns, numbers): (Vec<_>, Vec<_>) = each.unzip();
    Table::build(&patterns, &numbers, width)
}

/// What the bits that choose a bucket can be. Of a sequence of bytes only the first is sure to be there when the encoding's
/// condition is evaluated: the values that its fields must have choose, too.
fn alternatives(entry: &Entry, width: u32) -> Vec<(u32, u32)> {
    let whole = (entry.mask as u32, entry.value as u32);
    let first = |c: &&Constraint| width == 8 && !c.negated && c.bits >> 8 == 0;
    match entry.constraints.iter().find(first) {
        Some(c) => c.values.iter().map(|&(mask, value)| (whole.0 | mask as u32, whole.1 | value as u32)).collect(),
        None => vec![whole],
    }
}

/// Evaluates the guards of a model's encodings.
struct ModelGuards<'a> {
    model: &'a Model,
    sources: &'a [(&'a Insn, &'a Enc)],
}

impl Guards for ModelGuards<'_> {
    fn hold(&self, entry: usize, word: u128) -> Option<bool> {
        self.eval(entry, word, None)
    }
}

impl ModelGuards<'_> {
    /// Whether all guards hold; `None` if that is not known and none is known to fail.
    fn eval(&self, entry: usize, word: u128, mode: Option<u32>) -> Option<bool> {
        self.failing(entry, word, mode).unwrap_or(Some(false))
    }

    /// The same, with the guard that is known to fail as the error.
    fn failing(&self, entry: usize, word: u128, mode: Option<u32>) -> Result<Option<bool>, Span> {
        let mut env = Env { mode, ..Env::default() };
        if self.model.bytewise() {
            env.decoded = Some(word);
        }
        let Some(&(insn, enc)) = self.sources.get(entry) else {
            let p = &self.model.prefixes[entry - self.sources.len()];
            for (field, flat) in p.enc.fields.iter().zip(&p.enc.flat.fields) {
                env.vars.insert(field.var, Value::Int(p.enc.flat.field_value(flat, word)));
            }
            return self.all(&p.locals, &env, p.enc.guards.iter());
        };
        for (field, flat) in enc.fields.iter().zip(&enc.flat.fields) {
            let value = enc.flat.field_value(flat, word);
            env.vars.insert(field.var, Value::Int(value));
            for c in enc.sets.iter().filter(|s| s.1 == field.var).map(|s| &self.model.contexts[s.0]) {
                let mask = ones(c.width) << c.lo;
                env.decoded = env.decoded.map(|all| all & !mask | (value as u128) << c.lo & mask);
            }
        }
        for (var, value) in &enc.binds {
            if let Some(value) = eval(self.model, &insn.locals, &env, value) {
                env.vars.insert(*var, value);
            }
        }
        self.all(&insn.locals, &env, insn.guards.iter().chain(&enc.guards))
    }

    fn all<'g>(
        &self,
        locals: &Locals,
        env: &Env,
        guards: impl Iterator<Item = &'g Expr>,
    ) -> Result<Option<bool>, Span> {
        let mut result = Some(true);
        for guard in guards {
            match eval(self.model, locals, env, guard).and_then(|v| v.bool()) {
                Some(false) => return Err(guard.span),
                Some(true) => {}
                None => result = None,
            }
        }
        Ok(result)
    }
}

/// The variables an expression depends on, through definitions.
struct Reach<'a> {
    model: &'a Model,
    enc: &'a Enc,
    locals: &'a Locals,
    vars: HashSet<VarId>,
    /// Something was met that is not followed: it may depend on any field.
    all: bool,
    /// Where the address of the instruction is mentioned.
    address: Option<Span>,
    /// Bits of decode variables.
    decoded: u128,
}

impl<'a> Reach<'a> {
    fn new(model: &'a Model, enc: &'a Enc, locals: &'a Locals) -> Reach<'a> {
        Reach { model, enc, locals, vars: HashSet::new(), all: false, address: None, decoded: 0 }
    }
}

impl Reach<'_> {
    /// Bits of the word that the variables come from.
    fn bits(&self) -> u128 {
        let fields = self.enc.fields.iter().filter(|f| self.all || self.vars.contains(&f.var));
        fields.flat_map(|f| &f.pieces).fold(self.decoded, |bits, p| bits | ones(p.width) << p.at)
    }

    fn var(&mut self, var: VarId) {
        if !self.vars.insert(var) {
            return;
        }
        if let Some((_, value)) = self.enc.binds.iter().find(|(v, _)| *v == var) {
            self.expr(value);
        } else if let Domain::Let(value, _) = &self.locals.get(var).domain {
            self.expr(value);
        }
    }

    fn expr(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::EnumValue(_) | ExprKind::Const(_) => {}
            ExprKind::Undef => {}
            ExprKind::Context(id) => {
                let c = &self.model.contexts[id.0 as usize];
                if c.decoded {
                    self.decoded |= ones(c.width) << c.lo;
                }
            }
            ExprKind::Pc | ExprKind::PcNext | ExprKind::Static(StaticFn::CodeWord, _) => self.address = Some(e.span),
            ExprKind::Var(v) => self.var(*v),
            ExprKind::Unary(_, a) | ExprKind::Convert(a) => self.expr(a),
            ExprKind::Binary(_, a, b) | ExprKind::Element(a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::In(a, set) => {
                self.expr(a);
                for (lo, hi) in set {
                    self.expr(lo);
                    hi.iter().for_each(|h| self.expr(h));
                }
            }
            ExprKind::Call(id, args) => {
                let f = &self.model.fns[id.0 as usize];
                let mut inner = Reach::new(self.model, self.enc, &f.locals);
                inner.block(&f.body);
                self.decoded |= inner.decoded;
                args.iter().for_each(|a| self.expr(a));
            }
            ExprKind::Static(_, args) | ExprKind::List(args) => {
                args.iter().for_each(|a| self.expr(a));
            }
            ExprKind::If(c, a, b) => {
                self.expr(c);
                self.block(a);
                self.block(b);
            }
            ExprKind::Match(value, arms) => {
                self.expr(value);
                for arm in arms {
                    arm.values.iter().for_each(|v| self.expr(v));
                    self.block(&arm.body);
                }
            }
            ExprKind::Block(b) => self.block(b),
            _ => self.all = true,
        }
    }

    fn block(&mut self, b: &Block) {
        for stmt in &b.stmts {
            match &stmt.kind {
                StmtKind::Let(_, value) => self.expr(value),
                _ => self.all = true,
            }
        }
        b.tail.iter().for_each(|t| self.expr(t));
    }
}
