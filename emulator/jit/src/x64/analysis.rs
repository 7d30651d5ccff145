//! What the emitter wants to know about a unit before it emits: which values are needed and until when, which comparisons
//! and address sums are folded into their users, and where values would best live.
//!
//! Two sweeps. The forward one ([`Analysis::prepare`]) finds values that need no code of their own: constants, copies
//! (truncations, extensions of values known to be zero above), and comparisons, which become [`Cond`]s that their users
//! turn into `cmp` + `jcc`/`setcc`/`cmov`. The backward one ([`Analysis::liveness`]) records uses.

use ir::guest::{FpMode, Guest};
use ir::inst::{Effect, Inst, Op, TypeRule, Val};
use ir::{Ty, Unit};

use smallvec::SmallVec;

use super::choices::Choice;
use super::emit_fp::host_environments;
use super::extensions::{LOADED_SIGNED, READ, use_of};
use super::numbers::Number;
use super::restored_flags::Restored;
use super::{Convention, Features};

/// How a value comes to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Mode {
    /// By code at its definition.
    Emit,
    /// A constant, materialised where needed.
    Const,
    /// A comparison or extension, evaluated where needed; index into [`Analysis::conds`].
    Cond,
    /// Same bits as another value ([`Analysis::rep`]).
    Alias,
    /// Made when a fault shows it; see [`super::shown`].
    Shown,
}

/// Instruction that sets the flags of a [`Cond`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum CondKind {
    /// `cmp a, b`.
    Cmp = 0,
    /// `test a, b`.
    Test = 1,
    /// `add a, b` on a copy.
    Add = 2,
    /// `bt a, b` where `b` is the bit number itself.
    Bit = 3,
    /// `ucomis a, b`; see [`super::float_conditions`] for its condition codes.
    Float = 4,
    /// None: the sign extension of `a`, of type `ty`, to 64 bits; see [`super::extensions`].
    Extend = 5,
}

impl CondKind {
    /// By number; the last ones stand for none.
    pub(super) const ALL: [CondKind; 8] = {
        use CondKind::{Add, Bit, Cmp, Extend, Float, Test};
        [Cmp, Test, Add, Bit, Float, Extend, Extend, Extend]
    };
}

/// A comparison to be made where its result is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cond {
    pub(super) kind: CondKind,
    /// Host condition code.
    pub(super) cc: u8,
    /// Type of the operands.
    pub(super) ty: Ty,
    pub(super) a: u32,
    pub(super) b: u32,
}

impl Cond {
    pub(super) fn same_operands(&self, o: &Cond) -> bool {
        self.kind == o.kind && self.ty == o.ty && self.a == o.a && self.b == o.b
    }
}

/// No value.
pub(super) const NO: u32 = u32::MAX;

/// Hint: no register preferred.
pub(super) const NO_HINT: u8 = 0xff;

/// Uses of one value, as a list by ascending position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) at: u32,
    pub(super) next: u32,
}

/// What is known of one value. Of a power of two in size, so that finding one is a shift.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Value {
    /// The value whose bits this one shares; itself unless an alias.
    pub(super) rep: u32,
    /// One more than the last position where the value is needed; 0 if never.
    pub(super) end: u32,
    /// Index into [`Analysis::conds`].
    pub(super) cond_of: u32,
    /// First of its uses.
    pub(super) head: u32,
    /// Operands and puts that name the value, and those that are addresses or, of a 128-bit value, truncations.
    pub(super) total: u16,
    pub(super) address: u16,
    pub(super) mode: Mode,
    /// Bits above this number are zero in a general register.
    pub(super) clean: u8,
    /// Register the value should be computed in.
    pub(super) hint: u8,
    /// The same for a vector register.
    pub(super) vector_hint: u8,
    /// Wanted in a vector register by its first user.
    pub(super) vector: bool,
    /// Bits above this number are zero in a vector register.
    pub(super) vector_clean: u8,
    /// Defined as what it is zero-extended to: 128 bits in a vector register.
    pub(super) widened: bool,
    /// In vector registers: a number of 32 bits in its box ([`super::boxes`]).
    pub(super) boxed: bool,
    /// Bits of numbers, put together in a vector register ([`super::signs`]).
    pub(super) signs: bool,
    /// Of a 128-bit value: bytes of the widest truncation.
    truncated: u8,
    /// Of a slot's entry value of which only a low part is wanted: its bytes; else 0.
    pub(super) narrow: u8,
    /// Who uses it, and how it is loaded therefore: see [`super::extensions`].
    pub(super) uses: u8,
}

impl Value {
    const NEW: Value = Value {
        rep: NO,
        end: 0,
        cond_of: NO,
        head: NO,
        total: 0,
        address: 0,
        mode: Mode::Emit,
        clean: 64,
        hint: NO_HINT,
        vector_hint: NO_HINT,
        vector: false,
        vector_clean: 128,
        widened: false,
        boxed: false,
        signs: false,
        truncated: 0,
        narrow: 0,
        uses: 0,
    };
}

/// Tables of a unit. Values are instructions, then one entry pseudo-value per pinned slot, in the order of
/// [`Convention::pinned_slots`].
#[derive(Default, Debug)]
pub(super) struct Analysis {
    pub(super) values: Vec<Value>,
    pub(super) conds: Vec<Cond>,
    /// Values that are choices between conditions.
    pub(super) choices: Vec<Choice>,
    pub(super) uses: Vec<Use>,
    /// Slot → its entry value, or [`NO`].
    pub(super) entry: Vec<u32>,
    /// Slots that are not pinned and have an entry value.
    pub(super) gets: Vec<u16>,
    /// By position: one more than the last fault or exit before it; 0 if none.
    pub(super) last_snap: Vec<u32>,
    /// The same of exits alone.
    pub(super) last_exit: Vec<u32>,
    /// By slot: position of the next put, in the backward sweep.
    pub(super) next_put: Vec<u32>,
    /// Some carry goes from one sum into another.
    pub(super) keeps_carries: bool,
    /// The host has fused multiply-add.
    pub(super) fuses: bool,
    /// Floating-point environments that the host's operations have, by number.
    pub(super) environments: SmallVec<[Option<FpMode>; 4]>,
    /// Those that flush although the host is not set to, as a mask.
    pub(super) flushing: u32,
    /// Nothing that evaluates the value at this position comes after the sticky flags are cleared: comparisons of floats may be made
    /// again.
    pub(super) flags_stay: bool,
    /// Positions of comparisons of floats that nothing evaluates once the sticky flags are cleared.
    pub(super) evaluated_early: Vec<u32>,
    /// Writes of sticky flags that bring back what was read.
    pub(super) restored: Vec<Restored>,
    /// Assume nothing about the entry.
    pub(super) careful: bool,
    /// See [`super::Compiler`].
    pub(super) exact_underflow: bool,
    /// Some value is a box.
    pub(super) has_boxes: bool,
    /// Slots that are assumed to have boxes at the entry.
    pub(super) assumed: SmallVec<[u16; 8]>,
    /// Slots put anywhere.
    pub(super) put_slots: Vec<u16>,
    /// The homes of the condition flags are read: deferred ones have to come home first.
    pub(super) needs_settled: bool,
    /// A helper of the unit works on the state.
    pub(super) helps_state: bool,
    /// Numbers of 80 bits that are apart from their status, by position; see [`super::numbers`].
    pub(super) numbers: Vec<Number>,
    /// Positions of helpers that make the host forget exceptions.
    pub(super) forgetful: Vec<u32>,
}

impl Analysis {
    /// Clears, and sizes for a unit.
    fn reset(&mut self, unit: &Unit, guest: &Guest, conv: &Convention) {
        let n = unit.insts.len() + conv.pin_count();
        self.values.clear();
        self.values.extend((0..n as u32).map(|rep| Value { rep, ..Value::NEW }));
        self.conds.clear();
        self.choices.clear();
        self.uses.clear();
        self.entry.clear();
        self.entry.resize(guest.slots.len(), NO);
        for (k, slot) in conv.pinned_slots().enumerate() {
            self.entry[slot as usize] = (unit.insts.len() + k) as u32;
        }
        self.gets.clear();
        self.last_snap.clear();
        self.last_exit.clear();
        self.next_put.clear();
        self.next_put.resize(guest.slots.len(), u32::MAX);
        self.put_slots.clear();
        self.assumed.clear();
        self.has_boxes = false;
        self.needs_settled = false;
        self.helps_state = false;
        self.keeps_carries = false;
    }

    /// Representative of an operand.
    #[inline]
    pub(super) fn val(&self, v: Val) -> u32 {
        self.values[v.index()].rep
    }

    /// Representative of operand `k`.
    #[inline]
    pub(super) fn arg(&self, inst: &Inst, k: usize) -> u32 {
        self.val(inst.args[k])
    }

    /// The condition behind a value, if it is a deferred comparison.
    pub(super) fn cond(&self, v: u32) -> Option<Cond> {
        (self.values[v as usize].mode == Mode::Cond).then(|| self.conds[self.values[v as usize].cond_of as usize])
    }

    /// Replaces the condition behind a value by one that says the same.
    pub(super) fn set_condition(&mut self, v: u32, cond: Cond) {
        self.conds[self.values[v as usize].cond_of as usize] = cond;
    }

    /// Bits of a constant value.
    pub(super) fn constant(&self, unit: &Unit, v: u32) -> Option<u128> {
        (self.values[v as usize].mode == Mode::Const).then(|| unit.consts[unit.insts[v as usize].attr.index()])
    }

    /// A constant of type `ty` as a sign-extended 32-bit immediate, if it is one.
    pub(super) fn imm32(&self, unit: &Unit, v: u32, ty: Ty) -> Option<i32> {
        let bits = self.constant(unit, v)? as u64;
        let shift = 64 - ty.bits().min(64);
        let value = if ty == Ty::I1 { (bits & 1) as i64 } else { ((bits << shift) as i64) >> shift };
        i32::try_from(value).ok()
    }

    // ------------------------------------------------------------------ forward sweep
    /// Finds what needs no code of its own.
    pub(super) fn prepare(&mut self, unit: &Unit, guest: &Guest, conv: &Convention, features: Features) {
        self.reset(unit, guest, conv);
        self.fuses = features.fma;
        self.find_numbers(unit, guest, features);
        (self.environments, self.flushing) = host_environments(guest, features, unit.key.mode, self.exact_underflow);
        let (mut last_snap, mut last_exit) = (0, 0);
        let mut last_clear = None;
        for (i, inst) in unit.insts.iter().enumerate() {
            self.count_operands(unit, inst);
            self.last_snap.push(last_snap);
            self.last_exit.push(last_exit);
            // Host instructions that show nothing.
            let shows = inst.op != Op::Helper || self.number(i as u32).is_none();
            if shows && may_leave(inst) {
                last_exit = i as u32 + 1;
            }
            match inst.op {
                Op::Get => self.first_get(i, inst),
                Op::Setfflags => last_clear = Some(i),
                Op::Helper => {
                    last_clear = Some(i);
                    last_snap = if shows { i as u32 + 1 } else { last_snap };
                    self.helps_state |= guest.helpers.get(inst.attr.index()).is_some_and(|h| h.state);
                }
                op if is_snapshot(op) => last_snap = i as u32 + 1,
                _ => {}
            }
        }
        self.last_snap.push(last_snap);
        self.last_exit.push(last_exit);
        for p in &unit.puts {
            let v = self.val(p.val) as usize;
            self.values[v].total += 1;
            if conv.vector(p.slot.0).is_some() {
                self.values[v].uses |= READ;
                self.values[v].vector |= unit.insts.get(v).is_some_and(|inst| inst.op == Op::Vget);
            }
        }
        self.evaluated_early.clear();
        if last_clear.is_some() {
            self.find_evaluated_early(unit, guest);
        }
        for (i, inst) in unit.insts.iter().enumerate() {
            self.flags_stay = last_clear.is_none_or(|last| i > last) || self.evaluated_early.contains(&(i as u32));
            self.prepare_inst(unit, conv, i, inst);
        }
        self.unify_flags(unit, conv);
        self.restored.clear();
        if last_clear.is_some() {
            self.find_restored(unit);
        }
    }

    fn count_operand(&mut self, v: Val, how: u8) {
        let v = self.val(v) as usize;
        let value = &mut self.values[v];
        value.total += 1;
        value.uses |= how;
    }

    fn count_operands(&mut self, unit: &Unit, inst: &Inst) {
        let how = READ | use_of(inst);
        if inst.op == Op::Helper {
            for v in operands(unit, inst) {
                self.count_operand(*v, how);
            }
        } else {
            for v in inst.args {
                if v == Val::NONE {
                    break;
                }
                self.count_operand(v, how);
            }
        }
        if is_memory(inst.op) {
            let base = self.arg(inst, 0) as usize;
            self.values[base].address += 1;
        } else if inst.op == Op::Trunc && self.operand_ty(unit, inst, 0) == Ty::I128 {
            let whole = self.arg(inst, 0) as usize;
            let whole = &mut self.values[whole];
            whole.address += 1;
            whole.truncated = whole.truncated.max(inst.ty.bytes() as u8);
        }
    }

    /// All reads of a slot's entry value are one value.
    fn first_get(&mut self, i: usize, inst: &Inst) {
        let entry = &mut self.entry[inst.attr.index()];
        if *entry == NO {
            *entry = i as u32;
            self.gets.push(inst.attr.index() as u16);
        } else {
            self.values[i].rep = *entry;
            self.values[i].mode = Mode::Alias;
        }
    }

    fn prepare_inst(&mut self, unit: &Unit, conv: &Convention, i: usize, inst: &Inst) {
        match inst.op {
            Op::Const => {
                self.values[i].mode = Mode::Const;
                let bits = unit.consts[inst.attr.index()] as u64;
                self.values[i].clean = (64 - bits.leading_zeros()) as u8;
                self.values[i].vector_clean = inst.ty.bits() as u8;
            }
            Op::Get if self.values[i].mode == Mode::Alias => {}
            Op::Get => {
                let value = &mut self.values[i];
                if inst.ty == Ty::I128 && value.total == value.address && value.total != 0 {
                    value.narrow = value.truncated.max(4);
                }
                value.vector_clean = if value.narrow == 0 { inst.ty.bits() as u8 } else { value.narrow * 8 };
                value.clean = inst.ty.bits().min(64) as u8;
            }
            Op::Trunc if inst.ty == Ty::I1 => {
                let a = self.arg(inst, 0);
                if self.values[a as usize].mode == Mode::Emit && self.operand_ty(unit, inst, 0) != Ty::I128 {
                    let cond = self.bit_cond(unit, a, self.operand_ty(unit, inst, 0));
                    self.set_cond(i, cond);
                }
                self.values[i].clean = 1;
            }
            Op::Trunc => {
                let a = self.arg(inst, 0);
                if self.values[a as usize].mode != Mode::Cond {
                    self.alias(i, a);
                }
            }
            Op::And if let Some(number) = self.masked_number(unit, i as u32) => self.alias(i, number),
            Op::Load if self.loads_signed(inst, i) => {
                self.values[i].uses |= LOADED_SIGNED;
            }
            Op::Sext if self.is_loaded_extended(unit, inst) => {
                let a = self.arg(inst, 0);
                self.alias(i, a);
            }
            Op::Zext => {
                let a = self.arg(inst, 0);
                let from = self.operand_ty(unit, inst, 0).bits() as u8;
                if inst.ty == Ty::I128
                    && from >= 32
                    && (self.values[a as usize].vector_clean <= from || self.clears_above(unit, a, from))
                    && self.made_in_xmm(unit, a)
                    && !self.values[a as usize].boxed
                {
                    self.alias(i, a);
                    let value = &mut self.values[a as usize];
                    (value.widened, value.vector_clean) = (true, from);
                } else if inst.ty != Ty::I128
                    && self.values[a as usize].mode == Mode::Emit
                    && self.values[a as usize].clean <= from
                {
                    self.alias(i, a);
                }
                self.values[i].clean = self.values[a as usize].clean.min(from);
            }
            Op::Select if let Some((v, slot)) = self.unboxed(unit, conv, inst) => {
                self.alias(i, v);
                self.assume_boxed(v, slot);
            }
            Op::Concat if let Some(v) = self.made_boxed(unit, i, inst) => {
                self.alias(i, v);
                let value = &mut self.values[v as usize];
                (value.boxed, value.clean, value.vector_clean) = (true, 64, 128);
                self.has_boxes = true;
            }
            Op::Load => {
                let bits = inst.ty.bits() as u8;
                (self.values[i].clean, self.values[i].vector_clean) = (bits.min(64), bits);
            }
            Op::Store | Op::ExitIf | Op::Exit | Op::ExitInd => {}
            _ => {
                self.keep_carry(unit, inst);
                if inst.op == Op::Or && !self.numbers.is_empty() {
                    self.leave_exceptions_to_later(unit, inst);
                }
                if let Some(cond) = self.find_cond(unit, inst).or_else(|| self.shown_extension(unit, i, inst)) {
                    self.set_cond(i, cond);
                }
                self.values[i].signs = self.is_of_signs(unit, conv, inst);
                let clean = !self.values[i].signs || self.masks_signs(unit, inst);
                self.values[i].clean = if clean { self.known_clean(unit, inst) } else { 64 };
                self.values[i].vector_clean = self.known_vector_clean(unit, inst);
                self.values[i].boxed = self.boxes(unit, inst);
                self.has_boxes |= self.values[i].boxed;
            }
        }
    }

    pub(super) fn alias(&mut self, i: usize, of: u32) {
        self.values[i].rep = of;
        self.values[i].mode = Mode::Alias;
        self.values[of as usize].total += self.values[i].total.saturating_sub(1);
        self.values[of as usize].address += self.values[i].address;
    }

    fn set_cond(&mut self, i: usize, cond: Cond) {
        let cond = self.like_earlier(cond);
        self.values[i].mode = Mode::Cond;
        self.values[i].cond_of = self.conds.len() as u32;
        self.conds.push(cond);
    }

    /// Type of operand `k` as its definition says.
    pub(super) fn operand_ty(&self, unit: &Unit, inst: &Inst, k: usize) -> Ty {
        result_ty(&unit.insts[inst.args[k].index()])
    }

    /// Whether a value is 32 or 64 bits wide and its definition can leave it in a vector register.
    fn made_in_xmm(&self, unit: &Unit, v: u32) -> bool {
        unit.insts.get(v as usize).is_some_and(|def| match def.op {
            Op::Load => !def.attr.as_mem().big_endian,
            op => is_float(op) && def.ty.bits() == def.attr.lane() || self.values[v as usize].signs,
        })
    }

    /// Whether a value is scalar arithmetic of `bits`, or bits of such numbers: their definitions make zeros above their results in
    /// vector registers if they are wanted.
    fn clears_above(&self, unit: &Unit, v: u32, bits: u8) -> bool {
        unit.insts.get(v as usize).is_some_and(|def| {
            let arithmetic =
                matches!(def.op, Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::Fround | Op::Fma);
            def.ty.bits() == bits.into()
                && (arithmetic && def.ty.bits() == def.attr.lane() || self.values[v as usize].signs)
        })
    }

    /// What the emitters of definitions in vector registers leave above.
    fn known_vector_clean(&self, unit: &Unit, inst: &Inst) -> u8 {
        let bits = result_ty(inst).bits() as u8;
        match inst.op {
            Op::Stof | Op::Utof if inst.ty.bits() == inst.attr.lane() => bits,
            Op::Xor | Op::And | Op::Or if bits <= 64 => {
                let above = |k: usize| self.values[self.arg(inst, k) as usize].vector_clean;
                let same = self.operand_ty(unit, inst, 0) == result_ty(inst);
                if same && above(0) <= bits && above(1) <= bits { bits } else { 128 }
            }
            _ => 128,
        }
    }

    fn known_clean(&self, unit: &Unit, inst: &Inst) -> u8 {
        let arg = |k: usize| self.values[self.arg(inst, k) as usize].clean;
        // Narrow operations are done on 32-bit registers.
        let width = if inst.ty.bits() <= 32 { 32 } else { 64 };
        match inst.op {
            Op::Ll | Op::Rmw | Op::Cas => inst.ty.bits().min(64) as u8,
            Op::And => {
                let mask = |k: usize| if inst.ty.bits() > 64 { 64 } else { arg(k) };
                mask(0).min(mask(1)).min(width)
            }
            Op::Or | Op::Xor | Op::Select if inst.ty.bits() <= 64 => {
                let (x, y) = if inst.op == Op::Select { (1, 2) } else { (0, 1) };
                arg(x).max(arg(y)).min(width)
            }
            Op::Shl => match self.constant(unit, self.arg(inst, 1)) {
                Some(k) if inst.ty.bits() <= 64 => arg(0).saturating_add(k.min(64) as u8).min(width),
                _ => width,
            },
            Op::Shr => match self.constant(unit, self.arg(inst, 1)) {
                Some(k) if inst.ty.bits() <= 64 => (inst.ty.bits() as u8).saturating_sub(k.min(64) as u8),
                _ => width,
            },
            Op::Bfx => inst.attr.imm2() as u8,
            Op::Clz | Op::Ctz | Op::Popcnt => 8,
            _ if result_ty(inst) == Ty::I1 => 1,
            // Results in vector registers: what is above them is what was there.
            Op::Vget => 64,
            op if is_float(op) => 64,
            _ => width,
        }
    }
}

/// Operands of an instruction. Absent ones come last.
pub(super) fn operands<'a>(unit: &'a Unit, inst: &'a Inst) -> &'a [Val] {
    let [a, b, c] = inst.args;
    if inst.op == Op::Helper {
        &unit.helper_args[a.0 as usize..][..b.0 as usize]
    } else if a == Val::NONE {
        &[]
    } else if b == Val::NONE {
        &inst.args[..1]
    } else if c == Val::NONE {
        &inst.args[..2]
    } else {
        &inst.args
    }
}

/// Type of an instruction's result.
pub(super) fn result_ty(inst: &Inst) -> Ty {
    match inst.op.desc().result {
        Some(TypeRule::Fixed(ty)) => ty,
        _ => inst.ty,
    }
}

fn is_memory(op: Op) -> bool {
    matches!(op, Op::Load | Op::Store | Op::Ll | Op::Sc | Op::Rmw | Op::Cas)
}

/// May leave generated code here with guest state visible.
pub(super) fn is_snapshot(op: Op) -> bool {
    is_memory(op) || matches!(op, Op::ExitIf | Op::Exit | Op::ExitInd | Op::Helper)
}

/// May leave generated code here otherwise than by a fault, or needs every slot at home.
fn may_leave(inst: &Inst) -> bool {
    let only_faults = matches!(inst.op, Op::Load | Op::Store) && inst.attr.as_mem().align_log2 == 0;
    is_snapshot(inst.op) && !only_faults
}

/// Must be executed even if nobody wants the result.
pub(super) fn has_effect(op: Op) -> bool {
    op.desc().effect != Effect::Pure
}

/// Floating-point arithmetic, whose results live in vector registers with undefined upper parts.
pub(super) fn is_float(op: Op) -> bool {
    op.is_float() && !matches!(op, Op::Fcmp | Op::Vfcmp | Op::Ftos | Op::Ftou)
}

/// Lane operations, in the order of the table.
pub(super) fn is_lanes(op: Op) -> bool {
    (Op::Vadd as u8..=Op::Vmulls as u8).contains(&(op as u8))
}

/// Whether an instruction reads its operands from vector registers.
pub(super) fn wants_vector(inst: &Inst) -> bool {
    match inst.op {
        Op::Zext | Op::Concat | Op::Splat | Op::Vset => false,
        op => inst.ty == Ty::I128 || is_lanes(op) || op.is_float() && !matches!(op, Op::Stof | Op::Utof),
    }
}
