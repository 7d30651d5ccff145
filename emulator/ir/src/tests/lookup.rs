//! Elements of lists by run-time indices, of every length and width, at and beyond the ends.

use super::support::{GUEST, builder, expose, exposed, finish, run, slot};
use crate::inst::Op;
use crate::{Builder, GuestState};

/// The element by an index of `iw` bits that `index` gives a value.
fn looked_up(w: u32, list: &[i128], iw: u32, value: u128, known: bool) -> u128 {
    let mut b = builder();
    let index = if known {
        b.konst(iw, value as i128)
    } else {
        let wide = b.get(slot("a"));
        b.low(64, iw, wide)
    };
    let element = b.lookup(w, list, iw, index);
    expose(&mut b, w, element);
    let unit = finish(b);
    let mut state = GuestState::new(&GUEST);
    state.set(&GUEST, slot("a"), value | 0xabc0 << iw & u128::from(u64::MAX));
    run(&unit, &mut state);
    state.get(&GUEST, exposed(w))
}

#[test]
fn every_element_is_found_and_nothing_beyond() {
    for w in [1, 2, 5, 8, 16, 32, 33, 64, 80, 128] {
        for len in 0..20 {
            let list: Vec<i128> = (0..len).map(|i| (i * 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978) ^ -i).collect();
            for iw in [1, 3, 8, 32, 64] {
                let top = u128::MAX >> (128 - iw);
                for index in (0..24).chain([top - 1, top]).filter(|i| *i <= top) {
                    let element = list.get(index as usize).map_or(0, |e| *e as u128 & (u128::MAX >> (128 - w)));
                    for known in [false, true] {
                        let found = looked_up(w, &list, iw, index, known);
                        assert_eq!(found, element, "{w} bits, {len} elements, [{index}] of {iw} bits, {known}");
                    }
                }
            }
        }
    }
}

#[test]
fn equal_elements_need_no_choice() {
    let choices = |list: &[i128], iw: u32| {
        let mut b: Builder<'static> = builder();
        let index = b.get(slot("a"));
        let index = b.low(64, iw, index);
        let element = b.lookup(64, list, iw, index);
        expose(&mut b, 64, element);
        finish(b).insts.iter().filter(|i| i.op == Op::Select).count()
    };
    assert_eq!(choices(&[7; 8], 3), 0);
    assert_eq!(choices(&[7, 7, 7, 7, 9, 9, 9, 9], 3), 1);
    assert_eq!(choices(&[1, 2, 3, 4], 2), 3);
    assert_eq!(choices(&[1, 2, 3, 4], 8), 4, "and one for what is beyond");
}
