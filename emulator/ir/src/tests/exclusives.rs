//! Which exclusive accesses are as good as compare-and-swap.

use super::support::{builder, finish, slot};
use crate::exclusives::{first_sensitive, is_sensitive};
use crate::inst::{MemAttr, Order};
use crate::{Builder, Unit};

/// Instructions at 0x1000 and so on, by letter: exclusive load and store, another load, clearing, a conditional exit.
fn unit(letters: &str) -> Unit {
    let mut b: Builder<'_> = builder();
    for (i, letter) in letters.chars().enumerate() {
        if i > 0 {
            b.begin_insn(0x1000 + 4 * i as u64);
            b.set_len(4);
        }
        let addr = b.get(slot("a"));
        match letter {
            'l' => drop(b.load_exclusive(64, addr, Order::Relaxed)),
            's' => drop(b.store_exclusive(64, addr, addr, Order::Relaxed)),
            'r' => drop(b.load(64, addr, MemAttr::PLAIN)),
            'c' => b.clear_exclusive(),
            'x' => {
                let odd = b.extract(64, addr, 0, 1);
                b.branch(odd, 0x5000);
            }
            _ => unreachable!("{letter}"),
        }
        if i + 1 < letters.len() {
            b.end_insn();
        }
    }
    finish(b)
}

#[test]
fn only_pairs_with_other_accesses_between_and_halves_of_pairs_are_sensitive() {
    // What depends on loads, too, starts with the first half of the pair.
    let cases = [
        ("r", None, false),
        ("rlsr", None, false),
        ("lxsrlxxs", None, false),
        ("lrs", Some(0), true),
        ("lslxrs", Some(2), true),
        ("s", Some(0), true),
        ("rs", Some(1), true),
        ("lss", None, false),
        ("cs", None, false),
        ("l", Some(0), false),
        ("lc", Some(0), false),
        ("lls", Some(0), false),
        ("rlxr", Some(1), false),
    ];
    for (letters, first, sensitive) in cases {
        let unit = unit(letters);
        let at = first.map(|n| 0x1000 + 4 * n);
        assert_eq!((first_sensitive(&unit), is_sensitive(&unit)), (at, sensitive), "{letters}");
    }
}
