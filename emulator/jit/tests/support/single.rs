//! Single instructions, and which of them can be in the middle of a sequence.

use ir::inst::Op;
use ir::unit::{Exit, ExitKind, Unit, UnitKey};
use ir::{Builder, Guest};

/// An instruction.
pub(crate) struct Single {
    /// What it does.
    pub(crate) unit: Unit,
    /// Its length.
    pub(crate) len: u32,
    /// The mode after it; `None` if only the state tells.
    pub(crate) mode: Option<u32>,
}

impl Single {
    /// Whether it does the same at any time of day.
    pub(crate) fn timeless(&self, guest: &Guest) -> bool {
        self.unit.insts.iter().all(|inst| inst.op != Op::Helper || guest.helpers[inst.attr.index()].pure)
    }
}

/// The instruction at the start of code, if there is one.
pub(crate) fn unit_at(guest: &'static Guest, mode: u32, code: &[u8], pc: u64) -> Option<Single> {
    let mut padded = [0; 16];
    padded[..code.len()].copy_from_slice(code);
    let mut builder = Builder::new(guest, UnitKey { pc, mode });
    builder.begin_insn(pc);
    let ir::guest::Step::Done { len, .. } = (guest.translate)(&mut builder, pc, &padded) else { return None };
    builder.end_insn();
    let mode = builder.mode();
    let unit = builder.finish(pc + u64::from(len));
    let known = |exit: &Exit| !exit.mode_in_state && (exit.mode == mode || exit.kind != ExitKind::Jump);
    let mode = unit.exits.iter().all(known).then_some(mode);
    (len as usize <= code.len()).then_some(Single { unit, len, mode })
}

/// The same, if it does nothing but fall through or trap, and nothing that depends on the time of day.
pub(crate) fn straight(guest: &'static Guest, mode: u32, code: &[u8], pc: u64) -> Option<Single> {
    let insn = unit_at(guest, mode, code, pc)?;
    let falls = |exit: &Exit| exit.kind == ExitKind::Jump && exit.target == pc + u64::from(insn.len);
    let stays = |exit: &Exit| falls(exit) || matches!(exit.kind, ExitKind::Trap(_));
    if insn.unit.exits.iter().all(stays) && insn.timeless(guest) {
        return Some(insn);
    }
    insn.unit.recycle();
    None
}
