//! Exclusive pairs whose memory others change and change back.

mod support;

use std::sync::Arc;

use ir::Guest;
use jit::{Engine, Event, Jit, Thread};
use support::Code;
use support::engines::{CODE, DATA, aarch64, data, options, placed, set_by_name};
use support::process::catch_faults;

/// `svc #0`
const CALL: u32 = 0xd400_0001;
/// `ldxr x0, [x2]`
const LOAD: u32 = 0xc85f_7c40;
/// `ldr x1, [x3]`
const OTHER: u32 = 0xf940_0061;
/// `stxr w4, x5, [x2]`
const STORE: u32 = 0xc804_7c45;
/// `add x0, x0, #1`
const ADD: u32 = 0x9100_0400;
/// `cbnz w4, -12`
const AGAIN: u32 = 0x35ff_ffa4;
const NOP: u32 = 0xd503_201f;

/// The word that the pair is about: offset in the data, and its value.
const WORD: usize = 0x100;
const VALUE: u64 = 7;

/// A process whose code is `words`, at [`CODE`].
fn process(engine: Engine, words: &[u32]) -> Arc<Jit> {
    let code = placed(words.iter().flat_map(|w| w.to_le_bytes()).collect());
    Jit::new(aarch64(), Code::new(&code), options(engine))
}

/// A thread at the instruction with this number.
fn thread(jit: &Arc<Jit>, at: usize) -> Box<Thread> {
    let mut thread = Thread::new(jit.clone());
    let word = u128::from(DATA) + WORD as u128;
    for (name, value) in
        [("gpr[2]", word), ("gpr[3]", word + 0x80), ("gpr[5]", 9), ("gpr[6]", 9), ("gpr[7]", 7), ("gpr[8]", 8)]
    {
        set_by_name(aarch64(), thread.state(), name, value);
    }
    go_to(&mut thread, at);
    thread
}

fn go_to(thread: &mut Thread, at: usize) {
    thread.state().pc = CODE + 4 * at as u64;
}

/// Runs to the next system call, of which the processor's state does not notice anything.
fn run(thread: &mut Thread) {
    let event = std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap();
    assert_eq!(event, Event::Syscall);
}

fn register(guest: &Guest, thread: &mut Thread, name: &str) -> u128 {
    let slot = guest.slot(name).unwrap();
    thread.state().get(guest, slot)
}

fn set_word(value: u64) {
    data(aarch64())[WORD..WORD + 8].copy_from_slice(&value.to_le_bytes());
}

/// Whether the exclusive store is made when another thread executes `others` between the load and it, and the word has its value
/// again behind them.
fn stores_after(engine: Engine, others: &[u32]) -> bool {
    let mut code = vec![LOAD, OTHER, CALL, STORE, CALL];
    let start = code.len();
    code.extend(others.iter().chain([&CALL]));
    let jit = process(engine, &code);
    let (mut pair, mut other) = (thread(&jit, 0), thread(&jit, start));
    let mut attempt = |between: &mut dyn FnMut()| {
        data(aarch64()).fill(0);
        set_word(VALUE);
        go_to(&mut pair, 0);
        run(&mut pair);
        between();
        set_word(VALUE);
        run(&mut pair);
        register(aarch64(), &mut pair, "gpr[4]") == 0
    };
    // The first time it may fail for no reason that the program has given.
    assert!(attempt(&mut || {}) || attempt(&mut || {}), "it is never made");
    assert!(attempt(&mut || {}));
    let stored = attempt(&mut || run(&mut other));
    assert!(jit.notices_stores());
    stored
}

const ENGINES: [Engine; 2] = [Engine::Interp, Engine::T1];

#[test]
fn a_word_that_changed_back_is_a_word_that_changed() {
    let _turn = catch_faults(None);
    let stores: [&[u32]; 9] = [
        &[0xf900_0046, 0xf900_0047], // str x6, [x2]; str x7, [x2]
        &[0xf900_0047],              // str x7, [x2]: what is there
        &[0xa93f_a046],              // stp x6, x8, [x2, #-8]
        &[0xad3f_8440],              // stp q0, q1, [x2, #-16]
        &[0xf8e6_8049],              // swpal x6, x9, [x2]
        &[0xaa07_03e6, 0xc8e6_fc46], // mov x6, x7; casal x6, x6, [x2]
        &[0xf81f_c046],              // stur x6, [x2, #-4]
        &[0x3900_1c46],              // strb w6, [x2, #7]
        &[0xc85f_fc49, 0xc80a_fc46], // ldaxr x9, [x2]; stlxr w10, x6, [x2]
    ];
    for engine in ENGINES {
        for others in stores {
            assert!(!stores_after(engine, others), "{engine:?} {others:x?}");
        }
    }
}

#[test]
fn what_is_beside_the_word_does_not_matter() {
    let _turn = catch_faults(None);
    let stores: [&[u32]; 5] = [
        &[NOP],
        &[0xf900_0846], // str x6, [x2, #16]
        &[0xf81f_8046], // stur x6, [x2, #-8]
        &[0xc8e6_fc47], // casal x6, x7, [x2], which fails
        &[0xf940_0049], // ldr x9, [x2]
    ];
    for engine in ENGINES {
        for others in stores {
            assert!(stores_after(engine, others), "{engine:?} {others:x?}");
        }
    }
}

#[test]
fn a_single_thread_stores_what_was_there_for_nothing() {
    let _turn = catch_faults(None);
    /// `str x0, [x2]`
    const SAME: u32 = 0xf900_0040;
    for engine in ENGINES {
        let jit = process(engine, &[LOAD, SAME, STORE, CALL]);
        let mut only = thread(&jit, 0);
        set_word(VALUE);
        run(&mut only);
        assert_eq!(register(aarch64(), &mut only, "gpr[4]"), 0, "{engine:?}");
    }
}

#[test]
fn what_the_embedder_stores_counts() {
    let _turn = catch_faults(None);
    for engine in ENGINES {
        let jit = process(engine, &[LOAD, OTHER, CALL, STORE, CALL]);
        let (mut pair, _other) = (thread(&jit, 0), thread(&jit, 0));
        set_word(VALUE);
        let mut stores = |between: fn(&Jit)| {
            go_to(&mut pair, 0);
            run(&mut pair);
            between(&jit);
            run(&mut pair);
            let stored = register(aarch64(), &mut pair, "gpr[4]") == 0;
            set_word(VALUE);
            stored
        };
        stores(|_| {});
        assert!(stores(|jit| jit.stored_at(DATA, WORD as u64)));
        assert!(!stores(|jit| jit.stored_at(DATA, WORD as u64 + 1)));
        assert!(!stores(Jit::stored));
        assert!(stores(|_| {}));
    }
}

#[test]
fn a_pair_with_nothing_between_costs_nothing_wherever_it_lies() {
    let _turn = catch_faults(None);
    let pair = [LOAD, ADD, 0xc804_7c40, AGAIN, CALL];
    for nops in 1019..1025 {
        let code: Vec<u32> = std::iter::repeat_n(NOP, nops).chain(pair).collect();
        let jit = process(Engine::T1, &code);
        let (mut one, mut other) = (thread(&jit, nops - 3), thread(&jit, nops));
        set_word(VALUE);
        run(&mut one);
        run(&mut other);
        assert_eq!(data(aarch64())[WORD], VALUE as u8 + 2);
        assert!(!jit.notices_stores(), "{nops} instructions before it");
    }
}

#[test]
fn a_thread_alone_needs_no_notice() {
    let _turn = catch_faults(None);
    let jit = process(Engine::T1, &[LOAD, OTHER, STORE, CALL]);
    let mut one = thread(&jit, 0);
    set_word(VALUE);
    run(&mut one);
    assert_eq!(register(aarch64(), &mut one, "gpr[4]"), 0);
    assert!(!jit.notices_stores());
    let _other = thread(&jit, 0);
    assert!(jit.notices_stores(), "it is not alone any more");
}
