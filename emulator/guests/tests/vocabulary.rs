//! What generated code calls, and how guests are found.

use guests::rt;

#[test]
fn guests_are_found_by_elf_header_and_name() {
    for guest in guests::ALL {
        let elf = guest.elf;
        let found = guests::ALL.for_elf(elf.machine, elf.class, elf.big_endian);
        assert_eq!(found.map(|g| g.name), Some(guest.name));
        assert_eq!(guests::ALL.by_name(guest.name).map(|g| g.name), Some(guest.name));
    }
    assert!(guests::ALL.for_elf(0, 64, false).is_none());
    assert!(guests::ALL.by_name("vax").is_none());
}

#[test]
fn slots_lie_in_the_state_without_overlap() {
    for guest in guests::ALL {
        let mut used = vec![None; ir::state::SLOT_BYTES];
        for slot in guest.slots {
            let (at, bytes) = (slot.offset as usize, slot.ty.bytes() as usize);
            assert_eq!(at % bytes, 0, "{} {} is not aligned", guest.name, slot.name);
            for byte in &mut used[at..at + bytes] {
                assert_eq!(byte.replace(slot.name), None, "{} {}", guest.name, slot.name);
            }
        }
    }
}

#[test]
fn integer_functions_are_total() {
    assert_eq!(rt::replicate(0b10, 2, 8), 0b1010_1010);
    assert_eq!(rt::replicate(1, 64, 128), 1 | 1 << 64);
    assert_eq!(rt::replicate(1, 0, 64), 0);
    assert_eq!(rt::rotate_right(0b0011, 1, 4), 0b1001);
    assert_eq!(rt::rotate_right(0b0011, 5, 4), 0b1001);
    assert_eq!((rt::ones(0), rt::ones(64), rt::ones(128)), (0, u64::MAX.into(), -1));
    assert_eq!((rt::highest_bit(0), rt::highest_bit(64)), (-1, 6));
    assert_eq!((rt::div(-7, 2), rt::rem(-7, 2), rt::div(1, 0), rt::rem(1, 0)), (-4, 1, 0, 0));
    assert_eq!((rt::shl(1, 128), rt::shl(1, -1), rt::shr(-8, 200)), (0, 0, -1));
    assert_eq!((rt::log2(0), rt::log2(1), rt::log2(255)), (0, 0, 7));
    assert_eq!((rt::popcount(0b1011), rt::bit(0b100, 2), rt::bit(4, -1)), (3, 1, 0));
    assert_eq!((rt::abs(-5), rt::abs(i128::MIN), rt::min(-1, 3), rt::max(-1, 3)), (5, i128::MIN, -1, 3));
    assert_eq!((rt::sign(0xfff, 12), rt::sign(0x7ff, 12)), (-1, 0x7ff));
    assert_eq!(rt::field(0xdead_beef_u32, 16, 8), 0xad);
}

#[test]
fn code_beyond_what_was_fetched_reads_as_zero() {
    let at = rt::At { pc: 0x1000, pc_next: 0x1004, code: &[0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff], imms: [0; 2] };
    assert_eq!(rt::code_word(&at, 0x1004, false), -2);
    assert_eq!(rt::code_word(&at, 0x1004, true), 0xfeff_ffff_u32 as i32 as i128);
    assert_eq!(rt::code_word(&at, 0x1005, false), 0);
    assert_eq!(rt::code_word(&at, 0xfff, false), 0);
}
