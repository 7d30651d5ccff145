//! The interpreter: executes units one operation at a time. It is what the IR means; the translator is judged by it.

use std::cell::Cell;

use crate::eval;
use crate::guest::Guest;
use crate::inst::{AtomicOp, Effect, Inst, MemAttr, Op, TypeRule, Val};
use crate::softfloat::FpEnv;
use crate::state::GuestState;
use crate::ty::Ty;
use crate::unit::{ExitId, ExitKind, Unit};

/// Guest memory. Addresses and values are the guest's; `mem` tells ordering and byte order, which the implementation
/// applies.
pub trait Env {
    /// Why an access failed.
    type Fault;

    /// Loads a value, zero-extended.
    ///
    /// # Errors
    /// A guest fault; so for the others.
    fn load(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<u128, Self::Fault>;

    /// Stores the low bits of `value`.
    ///
    /// # Errors
    /// A guest fault.
    fn store(&mut self, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<(), Self::Fault>;

    /// Atomic read-modify-write; the old value.
    ///
    /// # Errors
    /// A guest fault.
    fn rmw(&mut self, op: AtomicOp, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<u128, Self::Fault>;

    /// Stores `new` if the value is `expected`; the old value.
    ///
    /// # Errors
    /// A guest fault.
    fn cas(&mut self, addr: u64, ty: Ty, expected: u128, new: u128, mem: MemAttr) -> Result<u128, Self::Fault>;

    /// Load that a later [`Env::store_exclusive`] refers to: the value, and a stamp for it to hand back.
    ///
    /// # Errors
    /// A guest fault.
    fn load_exclusive(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<(u128, u64), Self::Fault> {
        self.load(addr, ty, mem).map(|value| (value, 0))
    }

    /// Stores `new` if nothing has been stored since the load that gave the value `expected` and `stamp`; whether it did. This one
    /// stores if the value is still the same, which is all that many programs depend on.
    ///
    /// # Errors
    /// A guest fault.
    fn store_exclusive(
        &mut self,
        addr: u64,
        ty: Ty,
        (expected, _stamp): (u128, u64),
        new: u128,
        mem: MemAttr,
    ) -> Result<bool, Self::Fault> {
        self.cas(addr, ty, expected, new, mem).map(|found| found == expected)
    }

    /// Memory barrier, see the `fence` operation.
    fn fence(&mut self, bits: u32);
}

/// How a unit was left. The state is complete: every register write before this point and none after, `pc` and `mode` set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<F> {
    /// Through an exit; `pc` is where to go on (for traps, the instruction itself).
    Exit {
        /// Which.
        exit: ExitId,
        /// Operand of `exit_ind`: target address, address to flush, address of a name; else 0.
        operand: u64,
    },
    /// An access failed; `pc` is that of its instruction.
    Fault(F),
}

thread_local! {
    /// Memory for values, from one unit to the next.
    static VALUES: Cell<Vec<u128>> = const { Cell::new(Vec::new()) };
}

/// Executes a unit from its start.
///
/// # Panics
/// If the unit does not verify.
pub fn run<E: Env>(guest: &Guest, unit: &Unit, state: &mut GuestState, env: &mut E) -> Outcome<E::Fault> {
    state.mode = unit.key.mode;
    let mut values = VALUES.take();
    values.clear();
    values.reserve(unit.insts.len());
    let mut machine = Machine { guest, unit, state, env, values, puts_done: 0, fp: None, kept: None };
    let outcome = machine.run();
    VALUES.set(machine.values);
    if let Some(fp) = machine.fp {
        machine.state.fflags = fp.flags;
    }
    outcome
}

struct Machine<'a, E> {
    guest: &'a Guest,
    unit: &'a Unit,
    state: &'a mut GuestState,
    env: &'a mut E,
    /// Values by instruction; 0 where there is none.
    values: Vec<u128>,
    /// Register writes already in the state.
    puts_done: usize,
    /// Floating-point environment, once needed.
    fp: Option<FpEnv>,
    /// Flags of `keepfflags`.
    kept: Option<u32>,
}

/// What follows an instruction.
enum Next {
    Value(u128),
    Exit(u64),
}

impl<E: Env> Machine<'_, E> {
    fn run(&mut self) -> Outcome<E::Fault> {
        for (pos, inst) in self.unit.insts.iter().enumerate() {
            self.apply_puts(pos as u32);
            match self.step(inst) {
                Ok(Next::Value(value)) => self.values.push(value),
                Ok(Next::Exit(operand)) => return self.leave(inst, operand),
                Err(fault) => {
                    (self.state.pc, self.state.mode) = self.place_of(pos as u32);
                    if let Some(flags) = self.kept {
                        self.fp().flags = flags;
                    }
                    return Outcome::Fault(fault);
                }
            }
        }
        unreachable!("a unit ends with an exit")
    }

    /// Register writes that take effect before instruction `pos`.
    fn apply_puts(&mut self, pos: u32) {
        while let Some(put) = self.unit.puts.get(self.puts_done).filter(|put| put.pos <= pos) {
            self.state.set(self.guest, put.slot, self.values[put.val.index()]);
            self.puts_done += 1;
        }
    }

    /// Address and mode of the guest instruction that IR instruction `pos` belongs to.
    fn place_of(&self, pos: u32) -> (u64, u32) {
        let after = self.unit.bounds.partition_point(|b| b.pos <= pos);
        let bound = after.checked_sub(1).map(|i| self.unit.bounds[i]);
        bound.map_or((self.unit.key.pc, self.unit.key.mode), |b| (b.pc, b.mode))
    }

    fn leave(&mut self, inst: &Inst, operand: u64) -> Outcome<E::Fault> {
        let exit = &self.unit.exits[inst.attr.index()];
        let to_operand = inst.op == Op::ExitInd && !matches!(exit.kind, ExitKind::NativeCall | ExitKind::Flush { .. });
        self.state.pc = if to_operand { operand } else { exit.target };
        if exit.kind != ExitKind::Redispatch && !exit.mode_in_state {
            self.state.mode = exit.mode;
        }
        Outcome::Exit { exit: ExitId(inst.attr.0), operand }
    }

    fn value(&self, v: Val) -> u128 {
        self.values[v.index()]
    }

    fn operand(&self, inst: &Inst, k: usize) -> u128 {
        self.value(inst.args[k])
    }

    fn step(&mut self, inst: &Inst) -> Result<Next, E::Fault> {
        let value = match inst.op {
            // Half of all instructions.
            Op::Const => self.unit.consts[inst.attr.index()],
            Op::Get => self.state.get(self.guest, crate::guest::Slot(inst.attr.0 as u16)),
            op => match op.desc().effect {
                Effect::Pure => eval::pure(op, inst.ty, self.from(inst), inst.attr, self.operands(inst)),
                Effect::Exit if op == Op::ExitIf && self.operand(inst, 0) == 0 => 0,
                Effect::Exit if op == Op::ExitInd => return Ok(Next::Exit(self.operand(inst, 0) as u64)),
                Effect::Exit => return Ok(Next::Exit(0)),
                Effect::Fault => self.access(inst)?,
                Effect::Effect => self.effect(inst),
            },
        };
        Ok(Next::Value(value))
    }

    fn operands(&self, inst: &Inst) -> [u128; 3] {
        let mut values = inst.args.map(|v| if v == Val::NONE { 0 } else { self.value(v) });
        if inst.op == Op::Vshuf {
            values[2] = self.unit.consts[inst.attr.index()];
        }
        values
    }

    /// Type of the operand that has its own.
    fn from(&self, inst: &Inst) -> Ty {
        let from = inst.op.desc().operands.iter().position(|rule| matches!(rule, TypeRule::From));
        from.and_then(|k| self.unit.insts[inst.args[k].index()].result_ty()).unwrap_or(inst.ty)
    }

    fn access(&mut self, inst: &Inst) -> Result<u128, E::Fault> {
        let (ty, mem) = (inst.ty, inst.attr.as_mem());
        let [addr, b, c] = self.operands(inst);
        let addr = self.guest.address(addr as u64);
        match inst.op {
            Op::Load => self.env.load(addr, ty, mem),
            Op::Store => self.env.store(addr, ty, b, mem).map(|()| 0),
            Op::Ll => self.load_exclusive(addr, ty, mem),
            Op::Sc => self.store_exclusive(addr, ty, b, mem),
            Op::Rmw => self.env.rmw(AtomicOp::of_kind(inst.attr.kind()), addr, ty, b, mem),
            Op::Cas => self.env.cas(addr, ty, b, c, mem),
            op => unreachable!("{op:?} does not fault"),
        }
    }

    fn load_exclusive(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<u128, E::Fault> {
        let (value, stamp) = self.env.load_exclusive(addr, ty, mem)?;
        self.state.excl_stamp = stamp;
        self.state.excl_addr = addr;
        self.state.excl_size = ty.bytes().into();
        self.state.excl_value = [value as u64, (value >> 64) as u64];
        Ok(value)
    }

    /// The store happens if the address and the size are those of the load, and the memory agrees.
    fn store_exclusive(&mut self, addr: u64, ty: Ty, new: u128, mem: MemAttr) -> Result<u128, E::Fault> {
        let held = self.state.excl_addr == addr && self.state.excl_size == u64::from(ty.bytes());
        let [low, high] = self.state.excl_value;
        let expected = u128::from(low) | u128::from(high) << 64;
        let loaded = (expected, self.state.excl_stamp);
        let stored = held && self.env.store_exclusive(addr, ty, loaded, new, mem)?;
        self.state.excl_addr = u64::MAX;
        Ok(u128::from(!stored))
    }

    fn effect(&mut self, inst: &Inst) -> u128 {
        match inst.op {
            Op::Clrex => {
                self.state.excl_addr = u64::MAX;
                0
            }
            Op::Fence => {
                self.env.fence(inst.attr.imm());
                0
            }
            Op::Setmode => {
                let field = (u32::MAX >> (32 - inst.attr.imm2())) << inst.attr.imm();
                let value = (self.operand(inst, 0) as u32) << inst.attr.imm();
                self.state.mode = self.state.mode & !field | value & field;
                0
            }
            Op::Helper => self.helper(inst),
            Op::Keepfflags => {
                self.kept = Some(self.fp().flags);
                0
            }
            Op::Fflags => self.fp().flags.into(),
            Op::Setfflags => {
                self.fp().flags = self.operand(inst, 0) as u32;
                0
            }
            op => {
                let (from, operands) = (self.from(inst), self.operands(inst));
                let mode = self.guest.fp_environment(inst.attr.environment(), self.unit.key.mode);
                let fp = self.fp();
                let usual = std::mem::replace(&mut fp.mode, mode);
                let result = eval::eval(op, inst.ty, from, inst.attr, operands, fp);
                fp.mode = usual;
                result
            }
        }
    }

    fn helper(&mut self, inst: &Inst) -> u128 {
        let first = inst.args[0].index();
        let args: Vec<u128> =
            self.unit.helper_args[first..first + inst.args[1].index()].iter().map(|v| self.value(*v)).collect();
        let helper = &self.guest.helpers[inst.attr.index()];
        (helper.call)(self.state, &args) & inst.ty.mask()
    }

    fn fp(&mut self) -> &mut FpEnv {
        let (guest, mode, flags) = (self.guest, self.unit.key.mode, self.state.fflags);
        self.fp.get_or_insert_with(|| FpEnv { mode: (guest.fp_mode)(mode), policy: guest.fp, flags })
    }
}
