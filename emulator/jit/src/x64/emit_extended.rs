//! Operations on numbers of 80 bits, by the host's x87 ([`Extended`]).
//!
//! Between them the x87 is empty, and between units it has the control word that every process starts with: all exceptions masked, 64
//! bits of precision, rounding to nearest. Within a unit that of the last operation stays. Its exception flags add up, and those that an
//! operation reports are of all before it: the guest's flags add up, too, and where it clears them, the host's are cleared, as they are
//! before generated code runs ([`forget_exceptions`]).

use ir::guest::Extended;
use ir::inst::{Inst, Op, Val};
use ir::{Ty, Unit};
use smallvec::SmallVec;

use super::analysis::NO;
use super::asm::{Alu, Mem, RAX, RDX, Shift, cc};
use super::claims::{Cell, Claim};
use super::generator::{Gen, NONE, NOWHERE};
use super::numbers::Number;
use super::{Features, Xmm};

/// Forgets the exceptions of operations that were not the guest's, or not since it has cleared its flags. Needed where Rust code has run.
pub(crate) fn forget_exceptions() {
    // SAFETY: reads the status word and clears flags of it that nobody needs.
    unsafe {
        std::arch::asm!(
            "fnstsw ax", "test al, 0x3f", "jz 2f", "fnclex", "2:",
            out("ax") _, options(nomem, nostack)
        );
    }
}

/// What of a control word decides about results, and the control word at the start of a process.
const PRECISION_AND_ROUNDING: u16 = 0xf00;
pub(crate) const USUAL: u16 = 0x37f;
/// What of it decides about results.
pub(super) const USUAL_CONTROL: u16 = USUAL & PRECISION_AND_ROUNDING;
/// Rounding towards zero.
const TRUNCATING: u16 = 0xc00;
/// Bytes of a number.
const NUMBER: u32 = 10;

/// Scratch memory for the status word.
const STATUS: usize = 3;

/// Exchanges of the x87 with memory: opcode, and the field `reg` of the operand.
const LOAD_NUMBER: (u32, u8) = (0xdb, 5);
const STORE_NUMBER: (u32, u8) = (0xdb, 7);

/// Instructions of the host for an operation.
#[derive(Clone, Copy)]
pub(super) struct Code {
    /// How many of the operands they take: the first in ST(0), the second in ST(1).
    operands: usize,
    bytes: &'static [u8],
    /// They leave another number behind the result.
    leaves: bool,
    /// They do not set all condition codes.
    keeps: bool,
    /// They leave a number above the result, unless they say that the operand is too large.
    covers: bool,
}

/// The instructions for the operation with a number of [`Extended::Operate`].
fn code(operation: u128) -> Option<Code> {
    let plain = Code { operands: 1, bytes: &[], leaves: false, keeps: false, covers: false };
    let code = |operands, bytes| Some(Code { operands, bytes, ..plain });
    let leaves = |operands, bytes| Some(Code { operands, bytes, leaves: true, ..plain });
    let remainder = |bytes| Some(Code { operands: 2, bytes, leaves: true, keeps: true, ..plain });
    let angle = |bytes| Some(Code { bytes, keeps: true, ..plain });
    match operation {
        0 => code(2, &[0xde, 0xc1]),                                                     // faddp
        1 => code(2, &[0xde, 0xc9]),                                                     // fmulp
        2 => leaves(2, &[0xd8, 0xd1]),                                                   // fcom
        3 => leaves(2, &[0xdd, 0xe1]),                                                   // fucom
        4 => code(2, &[0xde, 0xe1]),                                                     // fsubrp
        5 => code(1, &[0xd9, 0xf4, 0xdd, 0xd8]),                                         // fxtract, fstp st(0)
        6 => code(2, &[0xde, 0xf1]),                                                     // fdivrp
        7 => leaves(1, &[0xd9, 0xf4]),                                                   // fxtract
        8 => code(1, &[0xd9, 0xe4]),                                                     // ftst
        9 => code(1, &[0xd9, 0xe5]),                                                     // fxam
        10 => code(0, &[0xd9, 0xe9]),                                                    // fldl2t
        11 => code(0, &[0xd9, 0xea]),                                                    // fldl2e
        12 => code(0, &[0xd9, 0xeb]),                                                    // fldpi
        13 => code(0, &[0xd9, 0xec]),                                                    // fldlg2
        14 => code(0, &[0xd9, 0xed]),                                                    // fldln2
        0x20 => code(1, &[0xd9, 0xf0]),                                                  // f2xm1
        0x21 => code(2, &[0xd9, 0xf1]),                                                  // fyl2x
        0x23 => code(2, &[0xd9, 0xf3]),                                                  // fpatan
        0x22 => Some(Code { bytes: &[0xd9, 0xf2], keeps: true, covers: true, ..plain }), // fptan
        0x25 => remainder(&[0xd9, 0xf5]),                                                // fprem1
        0x28 => remainder(&[0xd9, 0xf8]),                                                // fprem
        0x29 => code(2, &[0xd9, 0xf9]),                                                  // fyl2xp1
        0x2a => code(1, &[0xd9, 0xfa]),                                                  // fsqrt
        0x2c => code(1, &[0xd9, 0xfc]),                                                  // frndint
        0x2d => leaves(2, &[0xd9, 0xfd]),                                                // fscale
        0x2e => angle(&[0xd9, 0xfe]),                                                    // fsin
        0x2f => angle(&[0xd9, 0xff]),                                                    // fcos
        _ => None,
    }
}

/// What a helper is as host instructions.
#[derive(Clone, Copy)]
pub(super) enum Plan {
    /// An operation under a control word.
    Operate(Code, u16),
    /// By a load.
    Load((u32, u8)),
    /// By a store of so many bytes, under a control word if it is of account.
    Store {
        to: (u32, u8),
        len: u32,
        control: Option<u16>,
    },
    Clear,
    Ticks,
}

/// The host instructions for a helper; `None` if there are none for its arguments.
pub(super) fn plan(kind: Extended, unit: &Unit, features: Features, inst: &Inst) -> Option<Plan> {
    let args = super::analysis::operands(unit, inst);
    let constant = |k: usize| {
        let inst = unit.insts.get(args.get(k)?.index()).filter(|inst| inst.op == Op::Const)?;
        Some(unit.consts[inst.attr.index()])
    };
    let control = |k: usize| constant(k).map(|word| word as u16);
    match kind {
        Extended::Clear => Some(Plan::Clear),
        Extended::Ticks => Some(Plan::Ticks),
        Extended::Operate => Some(Plan::Operate(code(constant(0)?)?, control(3)?)),
        Extended::Load => match constant(0)? {
            32 => Some(Plan::Load((0xd9, 0))),
            64 => Some(Plan::Load((0xdd, 0))),
            0 => Some(Plan::Load((0xdf, 5))),
            _ => None,
        },
        Extended::Store => match constant(0)? {
            32 => Some(Plan::Store { to: (0xd9, 3), len: 4, control: Some(control(2)?) }),
            64 => Some(Plan::Store { to: (0xdd, 3), len: 8, control: Some(control(2)?) }),
            _ => None,
        },
        Extended::StoreInt => {
            let (width, control) = (constant(0)?, control(2)?);
            // `fisttp` came with SSE3.
            let truncates = control & TRUNCATING == TRUNCATING && features.sse41;
            let to = match (width, truncates) {
                (16, false) => (0xdf, 3),
                (32, false) => (0xdb, 3),
                (64, false) => (0xdf, 7),
                (16, true) => (0xdf, 1),
                (32, true) => (0xdb, 1),
                (64, true) => (0xdd, 1),
                _ => return None,
            };
            Some(Plan::Store { to, len: width as u32 / 8, control: (!truncates).then_some(control) })
        }
    }
}

impl Gen<'_> {
    /// Emits a helper as host instructions; false if there are none for these arguments.
    pub(super) fn emit_extended(&mut self, kind: Extended, inst: &Inst) -> bool {
        let Some(plan) = plan(kind, self.unit, self.features, inst) else { return false };
        let args: SmallVec<[Val; 4]> = super::analysis::operands(self.unit, inst).into();
        match plan {
            Plan::Operate(code, control) => self.operate(code, [args[1], args[2]], control),
            Plan::Load(from) => self.load_number(args[1], from),
            Plan::Store { to, len, control } => self.store_number(args[1], to, len, control),
            Plan::Clear => self.clear_exceptions(),
            Plan::Ticks => self.read_ticks(),
        }
        true
    }

    /// As [`forget_exceptions`].
    fn clear_exceptions(&mut self) {
        self.fix_gpr(RAX);
        self.flags = None;
        self.asm.bytes(&[0xdf, 0xe0, 0xa8, 0x3f]); // fnstsw ax; test al, 0x3f
        let none = self.asm.jcc_short(cc::E);
        self.asm.bytes(&[0xdb, 0xe2]); // fnclex
        self.asm.land(none);
    }

    fn read_ticks(&mut self) {
        self.fix_gprs(&[RAX, RDX]);
        self.flags = None;
        self.asm.bytes(&[0x0f, 0x31]); // rdtsc
        self.asm.shift_ri(Shift::Shl, 8, RDX, 32);
        self.asm.alu_rr(Alu::Or, 8, RAX, RDX);
        self.result_gpr(RAX);
    }

    /// From here on numbers are rounded as the control word says.
    fn enter_control(&mut self, control: u16) {
        let wanted = control & PRECISION_AND_ROUNDING;
        if wanted != self.control {
            self.control = wanted;
            self.load_control(wanted | USUAL & !PRECISION_AND_ROUNDING);
        }
    }

    /// The same as at the start of a process: before the unit is left, and before Rust code that works with the x87.
    pub(super) fn enter_usual_control(&mut self) {
        self.enter_control(USUAL);
    }

    fn load_control(&mut self, control: u16) {
        let m = Self::scratch(2);
        self.asm.store_imm(2, m, i32::from(control));
        self.asm.op_rm(4, 0xd9, 5, m); // fldcw
    }

    /// Memory that has the value: its own, or scratch memory that it is stored to.
    fn number_in_memory(&mut self, k: usize, v: Val) -> Mem {
        let v = self.an.val(v);
        let place = self.place[v as usize];
        let own = match (place.spill, place.home) {
            (NOWHERE, NOWHERE) => None,
            (NOWHERE, home) if self.guest.slots[home as usize].ty != Ty::I128 => None,
            (NOWHERE, home) => Some(self.home_mem(home)),
            (spill, _) => Some(Self::spill_mem(spill)),
        };
        let m = own.unwrap_or_else(|| {
            let x = self.use_xmm(v);
            self.asm.store_xmm(16, Self::scratch(k), x);
            Self::scratch(k)
        });
        self.claim_argument(v, Ty::I128, m.disp);
        m
    }

    fn exchange_number(&mut self, (opcode, reg): (u32, u8), m: Mem) {
        self.asm.op_rm(4, opcode, reg, m);
    }

    fn operate(&mut self, code: Code, operands: [Val; 2], control: u16) {
        let apart = self.an.number(self.pos);
        if apart.is_none() || code.covers {
            self.fix_gpr(RAX);
        }
        let first = (code.operands > 0).then(|| self.number_in_memory(0, operands[0]));
        let second = (code.operands > 1).then(|| self.number_in_memory(1, operands[1]));
        if code.keeps {
            self.asm.bytes(&[0xd9, 0xe8, 0xd9, 0xe4]); // fld1, ftst: all are 0
            self.drop_number();
        }
        self.enter_control(control);
        for m in [second, first].into_iter().flatten() {
            self.exchange_number(LOAD_NUMBER, m);
        }
        self.asm.bytes(code.bytes);
        if code.covers {
            self.asm.bytes(&[0xdf, 0xe0, 0xf6, 0xc4, 0x04]); // fnstsw ax; test ah, 4
            let alone = self.asm.jcc_short(cc::NE);
            self.drop_number();
            self.asm.land(alone);
        }
        self.read_status(apart);
        self.leave_number(apart);
        if code.leaves {
            self.drop_number();
        }
        self.take_number(apart, NUMBER);
    }

    /// From another representation, exactly.
    fn load_number(&mut self, v: Val, from: (u32, u8)) {
        let apart = self.an.number(self.pos);
        if apart.is_none() {
            self.fix_gpr(RAX);
        }
        let m = self.number_in_memory(0, v);
        self.exchange_number(from, m);
        self.read_status(apart);
        self.leave_number(apart);
        self.take_number(apart, NUMBER);
    }

    /// To another representation, of `len` bytes.
    fn store_number(&mut self, v: Val, to: (u32, u8), len: u32, control: Option<u16>) {
        let apart = self.an.number(self.pos);
        if apart.is_none() {
            self.fix_gpr(RAX);
        }
        let m = self.number_in_memory(0, v);
        self.exchange_number(LOAD_NUMBER, m);
        if let Some(control) = control {
            self.enter_control(control);
        }
        self.exchange_number(to, Self::scratch(0));
        self.read_status(apart);
        self.take_number(apart, len);
    }

    fn drop_number(&mut self) {
        self.asm.bytes(&[0xdd, 0xd8]); // fstp st(0)
    }

    /// `rax` = the status word above the sixteenth bit; that of a number apart goes to memory, if it is wanted.
    fn read_status(&mut self, apart: Option<Number>) {
        match apart {
            None => {
                self.asm.bytes(&[0xdf, 0xe0]); // fnstsw ax
                self.asm.shift_ri(Shift::Shl, 4, RAX, 16);
            }
            Some(number) if self.an.reads_status(number) => {
                self.asm.op_rm(4, 0xdd, 7, Self::scratch(STATUS)); // fnstsw
            }
            Some(_) => {}
        }
    }

    /// Takes the number from the x87, to where it stays if it is apart.
    fn leave_number(&mut self, apart: Option<Number>) {
        if apart.is_none() {
            return self.exchange_number(STORE_NUMBER, Self::scratch(0));
        }
        if !self.live_after(self.pos) {
            return self.drop_number();
        }
        let m = match self.home_to_be() {
            Some(slot) => {
                self.settle(slot, self.pos);
                self.home_mem(slot)
            }
            None => Self::spill_mem(self.alloc_spill(self.pos)),
        };
        self.asm.store_imm(8, m.offset(8), 0); // nothing above the number
        self.exchange_number(STORE_NUMBER, m);
        self.claim(Claim::Defines { cell: Cell::Mem(m.disp), bits: 128 });
    }

    /// The slot that gets the result next, if its memory is free and nothing shows its value before.
    fn home_to_be(&self) -> Option<u16> {
        let puts = &self.unit.puts[self.unit.puts.partition_point(|p| p.pos <= self.pos)..];
        let unseen = puts.iter().take_while(|p| self.an.last_snap[p.pos as usize] <= self.pos);
        let slots = unseen.filter(|p| self.an.val(p.val) == self.pos).map(|p| p.slot.0);
        let is_free = |slot: u16| {
            let holder = self.holder[slot as usize];
            holder == NO || !self.live_after(holder) || self.has_copy(holder)
        };
        slots.filter(|&slot| self.guest.slots[slot as usize].ty == Ty::I128).find(|&slot| is_free(slot))
    }

    /// Loads a number from memory as it was stored, so that it need not wait for the memory; false if it is no number there.
    pub(super) fn load_number_into_xmm(&mut self, x: Xmm, v: u32) -> bool {
        let p = self.place[v as usize];
        if p.gpr != NONE || !p.in_memory() || self.an.number(v).is_none() {
            return false;
        }
        let m = if p.spill != NOWHERE { Self::spill_mem(p.spill) } else { self.home_mem(p.home) };
        self.asm.load_xmm(8, x, m);
        self.asm.op_prefixed_rm(0x66, 4, 0x0fc4, x, m.offset(8)); // pinsrw
        self.asm.byte(4);
        self.claim(Claim::Remakes { value: v, cell: Cell::Xmm(x), bits: 128 });
        true
    }

    /// The upper half of a result: the status word, and below it what is above 64 bits of the number.
    pub(super) fn take_status(&mut self, number: Number) {
        let p = self.place[number.at as usize];
        let d = self.def_gpr(0);
        self.asm.load(2, d, Self::scratch(STATUS));
        self.asm.shift_ri(Shift::Shl, 4, d, 16);
        if !number.whole {
            return;
        }
        let m = match (p.spill, p.home) {
            // Narrower than 64 bits.
            (NOWHERE, NOWHERE) => return,
            (NOWHERE, home) => self.home_mem(home),
            (spill, _) => Self::spill_mem(spill),
        };
        let t = self.temp_gpr();
        self.asm.load(2, t, m.offset(8));
        self.asm.alu_rr(Alu::Or, 4, d, t);
    }

    /// The result: the `len` bytes in scratch memory, and the status word from bit 80 on. Each is read as it was stored, so that it
    /// need not wait for the memory.
    fn take_number(&mut self, apart: Option<Number>, len: u32) {
        let m = Self::scratch(0);
        if apart.is_some() {
            if len != NUMBER && self.live_after(self.pos) {
                self.take_bytes(len, m);
            }
            return;
        }
        self.flags = None;
        if len == NUMBER {
            let t = self.temp_gpr();
            self.asm.load(2, t, m.offset(8));
            self.asm.alu_rr(Alu::Or, 4, RAX, t);
        }
        if !self.wanted() {
            return;
        }
        let d = self.take_bytes(len, m);
        let s = super::generator::SCRATCH_XMM;
        self.asm.mov_xr(8, s, RAX);
        self.asm.op_prefixed_rr(0x66, 4, 0x0f6c, d, s); // punpcklqdq
    }

    /// The result in a vector register: the lowest of these bytes, nothing above.
    fn take_bytes(&mut self, len: u32, m: Mem) -> Xmm {
        let d = self.def_xmm(0);
        if len == 2 {
            let t = self.temp_gpr();
            self.asm.load(2, t, m);
            self.asm.mov_xr(4, d, t);
        } else {
            self.asm.load_xmm(len.min(8), d, m);
        }
        d
    }
}
