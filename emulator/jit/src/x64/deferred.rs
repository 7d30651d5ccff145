//! Condition flags left behind as the comparison they are of.
//!
//! Where a unit ends, the guest's flags ([`ir::Guest::flags`]) have to be somewhere. Setting and storing each costs two host
//! operations a flag, and next to nobody looks: the next unit compares again. So if all of them are of one comparison (or
//! constant), the exit stores its operands and, in one word, which condition gives which flag: the flags are *deferred*.
//! That is an alternative to their homes in `GuestState`, in force for the flags that have a code in [`Deferred::what`]. Whoever
//! reads the homes settles it first: Rust code when generated code has left, a fault before it takes the state apart, and units
//! that read flags before they write them, which look for it at their start ([`super::analysis::Analysis::needs_settled`]). A unit
//! that writes all flags ignores it and leaves its own; one that writes some takes their codes out.

use ir::Ty;

use super::Convention;
use super::analysis::CondKind;
use super::snapshot::{Compared, Kind, Loc};
use crate::thread_state::{Deferred, ThreadState};

/// Most flags that can be deferred.
pub(super) const MAX_FLAGS: usize = 4;

// `Deferred::what`, from bit 0: for each flag five bits, a condition code, one of the constants, or 0 if the flag is at home; the
// kind of the comparison (3 bits), the type of its operands (3 bits), and one more than the second operand if that is a small
// constant (5 bits).
pub(super) const CONDITION: u32 = 1;
pub(super) const CONSTANT: u32 = CONDITION + 16;
pub(super) const FLAG_BITS: u32 = 5;
pub(super) const FLAG_MASK: u32 = (1 << FLAG_BITS) - 1;
pub(super) const KIND_AT: u32 = FLAG_BITS * MAX_FLAGS as u32;
pub(super) const TYPE_AT: u32 = KIND_AT + 3;
pub(super) const SMALL_AT: u32 = TYPE_AT + 4;
const LARGEST_SMALL: u128 = 30;

/// Whether a constant of the type has a place in [`Deferred::what`].
pub(super) fn is_small(ty: Ty, bits: u128) -> bool {
    bits & ty.mask() <= LARGEST_SMALL
}

/// What an exit stores for all flags together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deferral {
    /// [`Deferred::what`].
    pub(super) what: u32,
    /// The comparison's operands, unless every flag is constant; the second one unless it is a small constant.
    pub(super) operands: Option<(Loc, Option<Loc>)>,
}

/// The flags among `moves` as a deferral, if every flag is there and they are of one comparison.
pub(super) fn deferral(conv: &Convention, consts: &[u128], moves: &[(u16, Loc)]) -> Option<Deferral> {
    if conv.flags.is_empty() {
        return None;
    }
    let (mut what, mut comparison) = (0, None);
    for (i, flag) in conv.flags.iter().enumerate() {
        let &(_, loc) = moves.iter().find(|(slot, _)| *slot == flag.0)?;
        let code = match loc.as_recipe() {
            Some(r) if r.kind != CondKind::Bit && comparison.is_none_or(|c| c == r.key()) => {
                comparison = Some(r.key());
                CONDITION + u32::from(r.cc)
            }
            Some(_) => return None,
            None => match loc.parts() {
                (Kind::Const, n) => CONSTANT + (consts[n as usize] & 1) as u32,
                (Kind::Bit, n) => CONSTANT + n,
                _ => return None,
            },
        };
        what |= code << (FLAG_BITS * i as u32);
    }
    let comparison = comparison.and_then(Loc::as_recipe);
    let operands = comparison.map(|r| {
        what |= (r.kind as u32) << KIND_AT | (r.ty as u32) << TYPE_AT;
        match r.b.parts() {
            (Kind::Const, n) if is_small(r.ty, consts[n as usize]) => {
                what |= ((consts[n as usize] & r.ty.mask()) as u32 + 1) << SMALL_AT;
                (r.a, None)
            }
            _ => (r.a, Some(r.b)),
        }
    });
    Some(Deferral { what, operands })
}

/// The bits of [`Deferred::what`] that stay when the flags among `moves` go home.
pub(super) fn remaining(conv: &Convention, moves: &[(u16, Loc)]) -> u32 {
    let written = moves.iter().filter_map(|(slot, _)| conv.flag(*slot));
    let codes = written.fold(0, |codes, flag| codes | FLAG_MASK << (FLAG_BITS * flag as u32));
    let all = conv.flags.len() as u32 * FLAG_BITS;
    if codes == (1 << all) - 1 { 0 } else { !codes }
}

/// Brings deferred flags home. Does nothing if there are none.
#[inline]
pub(crate) fn settle(conv: &Convention, thread: &mut ThreadState) {
    if thread.deferred.what != 0 {
        settle_now(conv, thread);
    }
}

#[cold]
fn settle_now(conv: &Convention, thread: &mut ThreadState) {
    const TYPES: [Ty; 8] = [Ty::I1, Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128, Ty::I128, Ty::I128];
    let Deferred { what, a, b } = std::mem::take(&mut thread.deferred);
    let kind = CondKind::ALL[(what >> KIND_AT & 7) as usize];
    let ty = TYPES[(what >> TYPE_AT & 7) as usize];
    let b = (what >> SMALL_AT).checked_sub(1).map_or(b, u64::from);
    let compared = Compared::new(kind, ty, a, b);
    for (i, flag) in conv.flag_offsets.iter().enumerate() {
        let value = match what >> (FLAG_BITS * i as u32) & FLAG_MASK {
            0 => continue,
            code if code >= CONSTANT => code != CONSTANT,
            code => compared.holds((code - CONDITION) as u8),
        };
        thread.guest.slots[*flag as usize] = value.into();
    }
}

/// Defers the flags as they are, as constants, and spoils their homes.
#[cfg(test)]
pub(super) fn hide(conv: &Convention, thread: &mut ThreadState) {
    thread.deferred.what = 0;
    for (i, flag) in conv.flag_offsets.iter().enumerate() {
        let home = &mut thread.guest.slots[*flag as usize];
        thread.deferred.what |= (CONSTANT + u32::from(*home)) << (FLAG_BITS * i as u32);
        *home ^= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::asm::cc;
    use crate::x64::tests::harness::GUEST;

    #[test]
    fn flags_of_a_comparison_and_constants_come_home() {
        let conv = Convention::new(&GUEST);
        let mut thread = ThreadState::new(&GUEST, crate::t1::ENTRIES);
        let compared = |code| Loc::recipe(CondKind::Cmp, code, Ty::I32, Loc::gpr(1), Loc::gpr(2));
        let locs = [compared(cc::S), compared(cc::E), compared(cc::AE), Loc::constant(0)];
        let moves: Vec<(u16, Loc)> = conv.flags.iter().map(|f| f.0).zip(locs).collect();
        let deferral = deferral(&conv, &[1], &moves).expect("they are of one comparison");
        assert_eq!(deferral.operands, Some((Loc::gpr(1), Some(Loc::gpr(2)))));
        // 3 - 7, of 32 bits: what is above does not count.
        thread.deferred = Deferred { what: deferral.what, a: 3, b: 7 | 1 << 40 };
        settle(&conv, &mut thread);
        let flags: Vec<u128> = conv.flags.iter().map(|f| thread.guest.get(&GUEST, *f)).collect();
        assert_eq!(flags, [1, 0, 0, 1]);
        assert_eq!(thread.deferred.what, 0);
    }

    #[test]
    fn flags_that_have_gone_home_stay_there() {
        let conv = Convention::new(&GUEST);
        let mut thread = ThreadState::new(&GUEST, crate::t1::ENTRIES);
        let slots: Vec<u16> = conv.flags.iter().map(|f| f.0).collect();
        for written in 0..1usize << slots.len() {
            let moves: Vec<(u16, Loc)> =
                (0..slots.len()).filter(|i| written >> i & 1 != 0).map(|i| (slots[i], Loc::gpr(1))).collect();
            for (i, flag) in conv.flags.iter().enumerate() {
                thread.guest.set(&GUEST, *flag, (i % 2) as u128);
            }
            hide(&conv, &mut thread);
            thread.deferred.what &= remaining(&conv, &moves);
            settle(&conv, &mut thread);
            for (i, flag) in conv.flags.iter().enumerate() {
                let deferred = (i % 2) as u128;
                let expected = if written >> i & 1 != 0 { deferred ^ 1 } else { deferred };
                assert_eq!(thread.guest.get(&GUEST, *flag), expected, "{written:#b}, flag {i}");
            }
        }
    }

    #[test]
    fn a_small_constant_is_part_of_the_word() {
        let conv = Convention::new(&GUEST);
        let mut thread = ThreadState::new(&GUEST, crate::t1::ENTRIES);
        for (small, bits) in [(true, 0), (true, 30), (false, 31), (true, 1 << 40 | 5), (false, 1 << 31)] {
            let b = Loc::constant(0);
            let moves: Vec<(u16, Loc)> =
                conv.flags.iter().map(|f| (f.0, Loc::recipe(CondKind::Cmp, cc::E, Ty::I32, Loc::gpr(1), b))).collect();
            let deferral = deferral(&conv, &[bits], &moves).expect("they are of one comparison");
            assert_eq!(deferral.operands, Some((Loc::gpr(1), (!small).then_some(b))));
            for (a, equal) in [(bits as u64, 1), (bits as u64 ^ 1, 0)] {
                thread.deferred = Deferred { what: deferral.what, a, b: if small { 77 } else { bits as u64 } };
                settle(&conv, &mut thread);
                assert!(conv.flags.iter().all(|f| thread.guest.get(&GUEST, *f) == equal), "{bits:#x}");
            }
        }
    }

    #[test]
    fn flags_of_two_comparisons_or_elsewhere_are_not_deferred() {
        let conv = Convention::new(&GUEST);
        let compared = |kind| Loc::recipe(kind, cc::E, Ty::I64, Loc::gpr(1), Loc::gpr(2));
        let all = |locs: [Loc; 4]| conv.flags.iter().map(|f| f.0).zip(locs).collect::<Vec<_>>();
        let same = compared(CondKind::Cmp);
        assert!(deferral(&conv, &[], &all([same; 4])).is_some());
        assert!(deferral(&conv, &[], &all([same; 4])[1..]).is_none());
        assert!(deferral(&conv, &[], &all([same, same, same, compared(CondKind::Test)])).is_none());
        assert!(deferral(&conv, &[], &all([same, same, same, Loc::gpr(3)])).is_none());
    }
}
