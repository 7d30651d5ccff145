//! Formation of units: which guest instructions are translated together.

use ir::builder::Conversion;
use ir::guest::{Flow, Step};
use ir::unit::{Trap, Unit, UnitKey};
use ir::{Builder, Guest};

use crate::options::Hooks;

/// Most guest instructions in a unit.
pub(crate) const MAX_INSNS: u32 = 96;

/// Guest instructions after which a unit ends at the next conditional exit. What follows it is likely to be reached from
/// elsewhere, too; a cut anywhere else could be in the middle of a loop, whose halves would meet at a boundary in each turn.
const ENOUGH_INSNS: u32 = 64;

/// IR instructions after which a unit takes no further guest instruction.
const MAX_IR: usize = 1500;

/// Granule of guest memory protection and of invalidation.
pub(crate) const PAGE: u64 = 4096;

/// What is at an address.
pub(crate) enum Formed {
    /// Code.
    Unit {
        /// The unit.
        unit: Unit,
        /// Guest instructions in it.
        insns: u32,
    },
    /// No executable memory at `addr`, which is the pc or, for an instruction that lies across two pages, the second.
    FetchFault {
        /// Address.
        addr: u64,
    },
}

/// Most guest instructions of a loop that is unrolled, most of its turns in a unit, and most instructions of these.
pub(crate) const LOOP_INSNS: u32 = 24;
pub(crate) const TURNS: u32 = 4;
const UNROLLED_INSNS: u32 = 64;

/// Turns of a loop from which vectors are made, most first, and most instructions of these.
pub(crate) const VECTOR_TURNS: [u32; 4] = [16, 8, 4, 2];
pub(crate) const VECTOR_INSNS: u32 = 256;

/// How to form a unit.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Most guest instructions.
    pub(crate) limit: u32,
    /// Accesses of guests that ignore the top byte of pointers leave it out themselves ([`Builder::mask_pointers`]).
    pub(crate) masks: bool,
    /// A short loop that is the start of the unit has this many turns in it, so that what is between one turn and the next, polls
    /// among it, is done once for them.
    pub(crate) turns: u32,
    /// Values have the names that the specification gives them, for printing.
    pub(crate) names: bool,
    /// Stores are noticed ([`Builder::notice_stores`]), with the table at this address.
    pub(crate) notices: Option<u64>,
    /// The instruction at this address is to be interpreted.
    pub(crate) step_at: Option<u64>,
    /// The unit ends at its first exit: it is executed once, and what is behind the exit perhaps not at all.
    pub(crate) brief: bool,
}

impl Manner {
    /// The plain manner, with at most `limit` instructions.
    pub(crate) fn of(limit: u32) -> Manner {
        Manner { limit, masks: false, turns: 1, names: false, notices: None, step_at: None, brief: false }
    }
}

/// Forms the unit at `key`: the straight line from there to the first unconditional exit, undecodable or unreadable
/// bytes, the end of the page, the start of another unit (`is_entry`), a change of the floating-point mode (which the host's
/// control register has to follow), a conditional exit when the unit is long enough, or `manner.limit` instructions. Between an exclusive
/// load and its store it does not end because of its length or where it is: only together they can be seen to be harmless
/// ([`ir::exclusives`]).
///
/// An instruction and its delay slot are one step. An instruction that lies across two pages, alone or with its slot, is alone in
/// its unit, so that a fault in fetching its second half is its own.
pub(crate) fn form(
    guest: &'static Guest,
    hooks: &dyn Hooks,
    key: UnitKey,
    manner: Manner,
    is_entry: impl Fn(UnitKey) -> bool,
) -> Formed {
    let mut builder = builder(guest, key, manner);
    let mut window = Window::new(hooks);
    let mut pc = key.pc;
    let mut insns = 0;
    let (mut turns, mut turned_at, mut furthest) = (1, 0, pc);
    let (most_insns, enough_insns) =
        if manner.limit > MAX_INSNS { (VECTOR_INSNS, VECTOR_INSNS) } else { (UNROLLED_INSNS, ENOUGH_INSNS) };
    loop {
        let exits = builder.exits();
        let code = window.at(pc);
        let holds = manner.limit == MAX_INSNS && builder.holds_reservation();
        let in_page = (PAGE - pc % PAGE).min(LOOK_AHEAD as u64) as usize;
        let visible = if insns == 0 || holds { code.len() } else { code.len().min(in_page) };
        // An instruction whose delay slot may lie on the next page, or nowhere, goes with it into a unit of its own.
        let parted = guest.delay_slots && insns > 0 && visible < 2 * guest.insn_align as usize;
        if visible == 0 || parted {
            if insns == 0 {
                return Formed::FetchFault { addr: pc };
            }
            break;
        }
        let turn = insns + 1 - turned_at;
        let short = turn <= LOOP_INSNS && insns + 1 + turn <= most_insns;
        builder.allow_turn(short && turns < manner.turns && !guest.delay_slots);
        builder.begin_insn(pc);
        if manner.step_at == Some(pc) {
            builder.interpret();
            builder.end_insn();
            break;
        }
        let mut len = match translate(guest, &mut builder, pc, &code[..visible], insns == 0) {
            Ok(Some(len)) => len,
            Ok(None) => break,
            Err(addr) => return Formed::FetchFault { addr },
        };
        builder.end_insn();
        if builder.wants_slot() {
            match fill_slot(guest, &mut builder, &mut window, pc.wrapping_add(len.into())) {
                Ok(slot) => len += slot,
                Err(addr) => return Formed::FetchFault { addr },
            }
        }
        insns += 1;
        pc = pc.wrapping_add(len.into());
        furthest = furthest.max(pc);
        let again = builder.turns();
        if again {
            (turns, turned_at, pc) = (turns + 1, insns, key.pc);
        }
        let mode_ends = builder.mode() != key.mode && (guest.fp_mode)(builder.mode()) != (guest.fp_mode)(key.mode);
        if builder.ended() || mode_ends {
            break;
        }
        if manner.limit == MAX_INSNS && builder.holds_reservation() {
            continue;
        }
        let enough = (insns >= enough_insns || manner.brief) && builder.exits() > exits;
        let elsewhere = len as usize >= in_page || pc / PAGE != key.pc / PAGE;
        let full = enough || insns >= manner.limit || builder.len() >= MAX_IR || elsewhere;
        if full || !again && is_entry(UnitKey { pc, mode: builder.mode() }) {
            break;
        }
    }
    let mut unit = builder.finish(pc);
    unit.guest_len = (furthest.wrapping_sub(key.pc) as u32).max(u32::from(insns == 0));
    Formed::Unit { unit, insns }
}

/// A builder for the unit at `key`.
fn builder(guest: &'static Guest, key: UnitKey, manner: Manner) -> Builder<'static> {
    let mut builder = Builder::new(guest, key);
    if manner.masks {
        builder.mask_pointers();
    }
    if !manner.names {
        builder.leave_out_names();
    }
    if let Some(table) = manner.notices {
        builder.notice_stores(table);
    }
    builder.convert_short_branches(if manner.limit > MAX_INSNS { Conversion::LONG } else { Conversion::SHORT });
    builder
}

/// Translates the instruction at `pc`, the `first` of its unit or a later one: its length, nothing if it cannot be part of the unit,
/// or the address that cannot be fetched.
fn translate(
    guest: &'static Guest,
    builder: &mut Builder<'_>,
    pc: u64,
    code: &[u8],
    first: bool,
) -> Result<Option<u32>, u64> {
    match (guest.translate)(builder, pc, code) {
        Step::Done { len, flow } => {
            debug_assert_eq!(flow == Flow::End, builder.ended());
            Ok(Some(len))
        }
        Step::Unallocated { len } if first => {
            builder.trap(Trap::Undefined);
            Ok(Some(len.max(guest.insn_align)))
        }
        Step::Truncated if first => Err(pc.wrapping_add(code.len() as u64)),
        // Nothing was emitted for it.
        Step::Unallocated { .. } | Step::Truncated => Ok(None),
    }
}

/// Translates the instruction in a delay slot at `pc`; its length, or the address that cannot be fetched.
fn fill_slot(guest: &'static Guest, builder: &mut Builder<'_>, window: &mut Window<'_>, pc: u64) -> Result<u32, u64> {
    let code = window.at(pc);
    if code.is_empty() {
        return Err(pc);
    }
    builder.begin_slot(pc);
    let len = match (guest.translate)(builder, pc, code) {
        Step::Done { len, .. } => len,
        Step::Unallocated { len } => {
            builder.trap(Trap::Undefined);
            len.max(guest.insn_align)
        }
        Step::Truncated => return Err(pc.wrapping_add(code.len() as u64)),
    };
    builder.end_insn();
    Ok(len)
}

/// Bytes that a decoder is given, if there are as many.
const LOOK_AHEAD: usize = 16;

/// Guest code around the instruction being decoded: fetching it piece by piece costs more than decoding it.
struct Window<'h> {
    hooks: &'h dyn Hooks,
    start: u64,
    len: usize,
    bytes: [u8; 256],
}

impl<'h> Window<'h> {
    fn new(hooks: &'h dyn Hooks) -> Window<'h> {
        Window { hooks, start: 0, len: 0, bytes: [0; 256] }
    }

    /// The executable bytes at `pc`, at most [`LOOK_AHEAD`].
    fn at(&mut self, pc: u64) -> &[u8] {
        let inside = |w: &Window<'_>| {
            let from = usize::try_from(pc.wrapping_sub(w.start)).ok()?;
            let enough = from < w.len && (from + LOOK_AHEAD <= w.len || w.len < w.bytes.len());
            enough.then_some(from)
        };
        let from = inside(self).unwrap_or_else(|| {
            self.start = pc;
            self.len = self.hooks.fetch(pc, &mut self.bytes).min(self.bytes.len());
            0
        });
        &self.bytes[from..self.len.min(from + LOOK_AHEAD)]
    }
}
