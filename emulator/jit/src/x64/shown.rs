//! Values that only faults show: most condition flags of x86, written anew before the unit is left.
//!
//! There is no code for them. What they are made of stays where it is until the last access that may fault, and the fault table
//! has the operations: whoever completes the guest state does them then. Bytes of an expression, as numbers
//! ([`crate::numbers`]): the [`Form`] of its node in the lowest bits, the type it is wanted as, and what the form says.

use ir::inst::{Attr, Inst, Op, TypeRule};
use ir::{Ty, Unit, eval};

use super::analysis::{Analysis, Cond, CondKind, Mode, NO, operands, result_ty};
use super::generator::Gen;
use super::snapshot::{Loc, holds};
use crate::numbers::{read_number, write_number};

/// Marks in [`super::analysis::Value::uses`]: some exit shows the value, or something made of it that must exist.
const EXPOSED: u8 = 16;
/// How many operations are on the way from what a slot shows to the value, in two bits.
const DEPTH_AT: u32 = 5;
const DEEPEST: u8 = 3;

/// What a node of an expression is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// A place, which follows.
    Place,
    /// An operation; its type, its attribute and its operands follow.
    Operation,
    /// A comparison by kind, condition code and type of the operands, which follow.
    Comparison,
}

const FORM_BITS: u32 = 2;
const TYPE_BITS: u32 = 3;
/// Bits of what a form says begin here.
const MORE_AT: u32 = FORM_BITS + TYPE_BITS;

/// A part of an expression that has been read.
#[derive(Clone, Copy, Debug)]
enum Node {
    Place(Loc),
    Operation { op: Op, ty: Ty, attr: Attr, args: [u32; 3], from: Ty },
    Comparison { kind: CondKind, code: u8, ty: Ty, a: u32, b: u32 },
}

/// Expressions of a fault table.
#[derive(Default)]
pub(super) struct Expressions {
    /// Nodes, and the types they are wanted as.
    nodes: Vec<(Node, Ty)>,
}

/// Whether an operation can be left to faults.
fn is_simple(op: Op) -> bool {
    use Op::*;
    let sums = matches!(op, Add | Sub | Adc | Sbb | Carry | Borrow | Ovadd | Ovsub | Mul | Mulhs | Mulhu | Neg);
    let logic = matches!(op, And | Or | Xor | Andn | Not | Shl | Shr | Sar | Rotr | Bfx | Bfxs | Bfi | Select);
    sums || logic || matches!(op, Zext | Sext | Trunc | Eq | Ne | Ltu | Leu | Lts | Les)
}

impl Analysis {
    fn depth(&self, v: u32) -> u8 {
        self.values[v as usize].uses >> DEPTH_AT & DEEPEST
    }

    fn deepen(&mut self, v: u32, depth: u8) {
        if depth > self.depth(v) {
            let uses = &mut self.values[v as usize].uses;
            *uses = *uses & !(DEEPEST << DEPTH_AT) | depth << DEPTH_AT;
        }
    }

    /// The value must exist, or what it is a comparison of.
    pub(super) fn expose(&mut self, v: u32) {
        let value = &mut self.values[v as usize];
        value.uses |= EXPOSED;
        if value.mode == Mode::Cond {
            let c = self.conds[value.cond_of as usize];
            // A choice that is compared must exist.
            self.expose(c.a);
            self.deepen(c.a, 1);
            if c.kind != CondKind::Bit {
                self.expose(c.b);
                self.deepen(c.b, 1);
            }
        }
    }

    /// Whether nothing but faults shows instruction `i`, all of whose uses are known.
    pub(super) fn only_shown(&self, unit: &Unit, i: usize, inst: &Inst) -> bool {
        let value = &self.values[i];
        let unused = value.mode == Mode::Emit && value.head == NO && value.end != 0 && value.uses & EXPOSED == 0;
        unused
            && is_simple(inst.op)
            && !(value.signs || value.boxed || value.widened)
            && result_ty(inst) != Ty::I128
            && (0..operands(unit, inst).len()).all(|k| self.operand_ty(unit, inst, k) != Ty::I128)
    }

    /// Leaves an instruction to faults: what it is made of is needed as long.
    pub(super) fn leave_to_faults(&mut self, unit: &Unit, i: usize, inst: &Inst) {
        self.values[i].mode = Mode::Shown;
        let (end, depth) = (self.values[i].end, self.depth(i as u32));
        for v in operands(unit, inst) {
            let v = self.val(*v);
            self.deepen_all(v, depth + 1);
            self.needed(v, end);
        }
    }

    /// So many operations down, the value must exist if these are too many.
    fn deepen_all(&mut self, v: u32, depth: u8) {
        if depth > DEEPEST {
            return self.expose(v);
        }
        self.deepen(v, depth);
        if self.values[v as usize].mode == Mode::Cond {
            let c = self.conds[self.values[v as usize].cond_of as usize];
            self.deepen_all(c.a, depth + 1);
            if c.kind != CondKind::Bit {
                self.deepen_all(c.b, depth + 1);
            }
        }
    }

    /// Whether some exit shows the value, of whose uses all are known.
    pub(super) fn is_exposed(&self, v: u32) -> bool {
        let value = &self.values[v as usize];
        value.end != 0 && value.uses & EXPOSED != 0
    }

    /// Whether an instruction reads the value, of whose uses all are known.
    pub(super) fn is_read(&self, v: u32) -> bool {
        self.values[v as usize].head != NO
    }

    /// Whether the value is a part of something that is shown.
    pub(super) fn is_part(&self, v: u32) -> bool {
        self.depth(v) != 0
    }

    /// The value is a part of something that exits show: it, or what it is a comparison of, must exist.
    pub(super) fn keep_part(&mut self, v: u32) {
        self.expose(v);
        self.deepen_all(v, 1);
    }

    /// Whether the value is left to faults, or a comparison of one that is.
    pub(super) fn is_left(&self, v: u32) -> bool {
        match self.cond(v) {
            Some(c) => self.is_left(c.a) || c.kind != CondKind::Bit && self.is_left(c.b),
            None => self.values[v as usize].mode == Mode::Shown,
        }
    }

    /// Calls `f` with the values that must be somewhere for `v` to be shown, from left to right, and the type each is wanted as.
    pub(super) fn places(&self, unit: &Unit, v: u32, ty: Ty, f: &mut impl FnMut(u32, Ty)) {
        if let Some(c) = self.cond(v) {
            self.places(unit, c.a, c.ty, f);
            if c.kind != CondKind::Bit {
                self.places(unit, c.b, c.ty, f);
            }
        } else if self.values[v as usize].mode == Mode::Shown {
            let inst = &unit.insts[v as usize];
            for (k, operand) in operands(unit, inst).iter().enumerate() {
                self.places(unit, self.val(*operand), self.operand_ty(unit, inst, k), f);
            }
        } else {
            f(v, ty);
        }
    }
}

impl Gen<'_> {
    /// Writes the value, wanted as `ty`, as an expression. Places are those for a slot's table entry.
    pub(super) fn write_expression(&self, out: &mut Vec<u8>, slot: u16, v: u32, ty: Ty) {
        let head = |form: Form, more: u64| form as u64 | (ty as u64) << FORM_BITS | more << MORE_AT;
        if let Some(c) = self.an.cond(v) {
            let Cond { kind, cc, ty: compared, a, b } = c;
            let more = kind as u64 | u64::from(cc) << 3 | (compared as u64) << 7;
            write_number(out, head(Form::Comparison, more));
            self.write_expression(out, slot, a, compared);
            match kind {
                CondKind::Bit => write_number(out, b.into()),
                _ => self.write_expression(out, slot, b, compared),
            }
        } else if self.an.values[v as usize].mode == Mode::Shown {
            let inst = &self.unit.insts[v as usize];
            write_number(out, head(Form::Operation, inst.op as u64));
            write_number(out, u64::from(inst.attr.0) << TYPE_BITS | inst.ty as u64);
            for (k, operand) in operands(self.unit, inst).iter().enumerate() {
                let ty = self.an.operand_ty(self.unit, inst, k);
                self.write_expression(out, slot, self.an.val(*operand), ty);
            }
        } else {
            write_number(out, head(Form::Place, 0));
            super::fault_table::write_simple(out, self.unit, slot, self.loc(v));
        }
    }
}

impl Expressions {
    /// Takes an expression from the stream; `place` takes places. Gives its number.
    pub(super) fn read(&mut self, stream: &mut &[u8], place: &mut impl FnMut(&mut &[u8]) -> Loc) -> u32 {
        let head = read_number(stream);
        let (wanted, more) = (type_of(head >> FORM_BITS), (head >> MORE_AT) as usize);
        let node = match head & ((1 << FORM_BITS) - 1) {
            form if form == Form::Operation as u64 => {
                let op = Op::ALL[more % Op::ALL.len()];
                let both = read_number(stream);
                let rules = op.desc().operands;
                let mut args = [0; 3];
                for arg in args.iter_mut().take(rules.len()) {
                    *arg = self.read(stream, place);
                }
                let own = rules.iter().position(|rule| *rule == TypeRule::From);
                let ty = type_of(both);
                let from = own.map_or(ty, |k| self.nodes[args[k] as usize].1);
                Node::Operation { op, ty, attr: Attr((both >> TYPE_BITS) as u32), args, from }
            }
            form if form == Form::Comparison as u64 => {
                let kind = CondKind::ALL[more & 7];
                let a = self.read(stream, place);
                let b = match kind {
                    CondKind::Bit => self.add(Node::Place(Loc::bit(read_number(stream) as u32)), Ty::I64),
                    _ => self.read(stream, place),
                };
                Node::Comparison { kind, code: (more >> 3 & 15) as u8, ty: type_of(more as u64 >> 7), a, b }
            }
            _ => Node::Place(place(stream)),
        };
        self.add(node, wanted)
    }

    fn add(&mut self, node: Node, ty: Ty) -> u32 {
        self.nodes.push((node, ty));
        self.nodes.len() as u32 - 1
    }

    /// The value of an expression; `read` says what is at a place.
    pub(super) fn value(&self, number: u32, read: &impl Fn(Loc) -> u128) -> u128 {
        let Some(&(node, ty)) = self.nodes.get(number as usize) else { return 0 };
        let value = match node {
            Node::Place(loc) => read(loc),
            Node::Operation { op, ty, attr, args, from } => {
                let used = op.desc().operands.len();
                let args = std::array::from_fn(|k| if k < used { self.value(args[k], read) } else { 0 });
                eval::pure(op, ty, from, attr, args)
            }
            Node::Comparison { kind, code, ty, a, b } => {
                holds(kind, code, ty, self.value(a, read) as u64, self.value(b, read) as u64).into()
            }
        };
        value & ty.mask()
    }

    /// The places in an expression, from left to right.
    pub(super) fn places(&self, number: u32, out: &mut Vec<Loc>) {
        match self.nodes[number as usize].0 {
            Node::Place(loc) => out.push(loc),
            Node::Operation { op, args, .. } => {
                args[..op.desc().operands.len()].iter().for_each(|&arg| self.places(arg, out));
            }
            Node::Comparison { kind, a, b, .. } => {
                self.places(a, out);
                if kind != CondKind::Bit {
                    self.places(b, out);
                }
            }
        }
    }
}

fn type_of(number: u64) -> Ty {
    Loc::TYPES[(number & 7) as usize % Loc::TYPES.len()]
}
