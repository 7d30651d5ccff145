//! Both engines on programs for the toy guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ir::convention::{Signature, Type};
use ir::guest::Slot;
use ir::unit::Trap;

use crate::fault::tests::{Pages, install_handler};
use crate::thread_state::TURNS;
use crate::toy::*;
use crate::{Bytes, Engine, Event, Hooks, Host, Jit, JitOptions, NativeFn, Thread};

const ENGINES: [Engine; 2] = [Engine::Interp, Engine::T1];

fn jit(engine: Engine, code: &'static Code) -> Arc<Jit> {
    let hooks: Box<dyn Hooks> = Box::new(code);
    Jit::new(&TOY, hooks, JitOptions { engine, ..JitOptions::default() })
}

/// Runs to the next event that is about the guest: that other threads begin interrupts.
fn run_on(thread: &mut Thread) -> Event {
    std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap()
}

fn start(jit: &Arc<Jit>) -> Box<Thread> {
    install_handler();
    let mut thread = Thread::new(jit.clone());
    thread.state().pc = BASE;
    thread
}

fn get(thread: &mut Thread, register: u8) -> u64 {
    thread.state().get(&TOY, Slot(register.into())) as u64
}

fn set(thread: &mut Thread, register: u8, value: u64) {
    thread.state().set(&TOY, Slot(register.into()), value.into());
}

/// Runs `code` from the start on both engines, and on both together, with the registers given; the event and the registers must agree.
fn run(code: &[[u8; 4]], registers: &[(u8, u64)]) -> (Event, [u64; 8], u64) {
    let results =
        [(Engine::Interp, false), (Engine::T1, false), (Engine::T1, true)].map(|(engine, interpret_first)| {
            let options = JitOptions { engine, interpret_first, ..JitOptions::default() };
            let mut thread = start(&Jit::new(&TOY, Box::new(Code::new(code)), options));
            registers.iter().for_each(|&(r, value)| set(&mut thread, r, value));
            let event = thread.run();
            let pc = thread.state().pc;
            assert!(
                interpret_first
                    || (thread.jit().stats().code_bytes > 0)
                        == (engine == Engine::T1 && event != Event::FetchFault { addr: BASE })
            );
            (event, std::array::from_fn(|r| get(&mut thread, r as u8)), pc)
        });
    assert_eq!(results[0], results[1], "interpreter and translator differ");
    assert_eq!(results[0], results[2], "the interpreter and both together differ");
    results[0]
}

/// Runs `code` with `r0` given, what is executed first being interpreted.
fn run_interpreting_first(code: &[[u8; 4]], r0: u64, saved: Option<crate::Saved>) -> (Event, Box<Thread>) {
    let options = JitOptions { interpret_first: true, saved, ..JitOptions::default() };
    let mut thread = start(&Jit::new(&TOY, Box::new(Code::new(code)), options));
    set(&mut thread, 0, r0);
    (thread.run(), thread)
}

#[test]
fn what_is_executed_a_few_times_is_interpreted_and_the_rest_translated() {
    const TIMES: u64 = 8;
    let code = [addi(1, 1, 3), addi(0, 0, -1), bne(0, 2, -2), addi(3, 3, 1), jump(1), SYSCALL];
    let (event, mut thread) = run_interpreting_first(&code, 1, None);
    assert_eq!((event, get(&mut thread, 1), get(&mut thread, 3)), (Event::Syscall, 3, 1));
    let once = thread.jit().stats();
    assert_eq!((once.units, once.interpreted, once.code_bytes), (0, 3, 0));
    // The loop is translated, with what is behind it up to the jump. The system call is not.
    let (event, mut thread) = run_interpreting_first(&code, 1000, None);
    assert_eq!((event, get(&mut thread, 1), get(&mut thread, 3)), (Event::Syscall, 3000, 1));
    let often = thread.jit().stats();
    assert_eq!((often.units, often.interpreted), (1, TIMES + 1));
    for _ in 0..TIMES {
        thread.state().pc = BASE;
        set(&mut thread, 0, 1);
        assert_eq!(thread.run(), Event::Syscall);
    }
    let all = thread.jit().stats();
    assert_eq!((all.units, all.interpreted), (2, 2 * TIMES));
}

#[test]
fn a_loop_with_an_exit_in_the_middle_becomes_one_unit() {
    // Come to from before it: what is behind the exit is interpreted once more often than its start.
    let code = [addi(3, 3, 1), addi(1, 1, 3), bne(5, 2, 4), addi(0, 0, -1), bne(0, 2, -3), addi(3, 3, 1), SYSCALL];
    let (event, mut thread) = run_interpreting_first(&code, 1000, None);
    assert_eq!((event, get(&mut thread, 1), get(&mut thread, 3)), (Event::Syscall, 3000, 2));
    let stats = thread.jit().stats();
    assert_eq!((stats.units, stats.interpreted), (1, 1 + 8 + 9));
}

#[test]
fn a_loop_that_is_come_to_in_its_middle_becomes_one_unit() {
    let code = [jump(2), addi(1, 1, 3), addi(0, 0, -1), bne(0, 2, -2), SYSCALL];
    let turns = 2 * TURNS as u64;
    let options = JitOptions { engine: Engine::T1, ..JitOptions::default() };
    let mut thread = start(&Jit::new(&TOY, Box::new(Code::new(&code)), options));
    set(&mut thread, 0, turns);
    assert_eq!((thread.run(), get(&mut thread, 1)), (Event::Syscall, 3 * (turns - 1)));
    // What is before it, its middle, and all of it; and, because that is seen to turn, what has several turns.
    assert!(thread.jit().stats().units > 3);
}

#[test]
fn a_loop_whose_end_is_translated_before_its_start_becomes_one_unit() {
    // What is behind its exit is come to first, and translated before its start.
    let start = [addi(1, 1, 3), addi(4, 4, 1), addi(6, 6, 1), bne(5, 2, 4)];
    let rest = [addi(0, 0, -1), addi(4, 4, 1), bne(0, 2, -6), addi(3, 3, 1), SYSCALL];
    let code = [&[bne(0, 2, 5)], &start[..], &rest].concat();
    let (event, mut thread) = run_interpreting_first(&code, 1000, None);
    assert_eq!((event, get(&mut thread, 1), get(&mut thread, 3)), (Event::Syscall, 999 * 3, 1));
    let stats = thread.jit().stats();
    // From the middle on, and from the start on to the same end.
    assert_eq!((stats.units, stats.guest_insns), (2, 5 + 9));
}

#[test]
fn where_most_code_is_executed_often_the_rest_is_translated_at_once() {
    // Loops, each of which is translated.
    let each = [addi(0, 0, 10), addi(1, 1, 1), addi(0, 0, -1), bne(0, 2, -2), jump(1)];
    let count = |loops: usize| {
        let code: Vec<_> = std::iter::repeat_n(each, loops).flatten().chain([SYSCALL]).collect();
        let (event, mut thread) = run_interpreting_first(&code, 0, None);
        assert_eq!((event, get(&mut thread, 1)), (Event::Syscall, 10 * loops as u64));
        thread.jit().stats().interpreted
    };
    let (few, many) = (count(100), count(4000));
    assert!(few > 100 * 8 && many > few && many < 2000 * 8, "{few} {many}");
}

#[test]
fn code_that_changes_while_it_is_interpreted_is_interpreted_as_it_is_then() {
    let code = Code::new(&[addi(1, 1, 3), SYSCALL]);
    let options = JitOptions { interpret_first: true, ..JitOptions::default() };
    let jit = Jit::new(&TOY, Box::new(code), options);
    let mut thread = start(&jit);
    for (step, sum) in [(3, 3), (5, 8), (5, 13), (7, 20)] {
        code.set(0, addi(1, 1, step));
        jit.invalidate(BASE, 4);
        thread.state().pc = BASE;
        assert_eq!((thread.run(), get(&mut thread, 1)), (Event::Syscall, sum));
    }
    assert_eq!((jit.stats().units, jit.stats().interpreted), (0, 4));
}

#[test]
fn code_that_changes_as_often_as_it_is_executed_is_not_translated() {
    let code = Code::new(&[addi(1, 1, 3), SYSCALL]);
    let options = JitOptions { interpret_first: true, ..JitOptions::default() };
    let jit = Jit::new(&TOY, Box::new(code), options);
    let mut thread = start(&jit);
    let mut run = |times: u64| {
        for _ in 0..times {
            set(&mut thread, 1, 0);
            thread.state().pc = BASE;
            assert_eq!(thread.run(), Event::Syscall);
        }
        (get(&mut thread, 1), jit.stats().units, jit.stats().interpreted)
    };
    for step in 1..=100 {
        code.set(0, addi(1, 1, step));
        jit.invalidate(BASE, 4);
        assert_eq!(run(5), (step as u64, 0, 5 * step as u64));
    }
    // What stays is translated, and when it changes then, that is executed a few times first, too.
    assert_eq!(run(5), (100, 1, 503));
    code.set(0, addi(1, 1, 7));
    jit.invalidate(BASE, 4);
    assert_eq!(run(8), (7, 1, 511));
    assert_eq!(run(2), (7, 2, 511));
    // What is beside it changes: it is brought back, not interpreted.
    jit.invalidate(BASE, 4);
    assert_eq!(run(2), (7, 2, 511));
}

#[test]
fn code_that_is_as_it_was_is_not_translated_again_and_code_that_is_not_is() {
    // The changing instruction is reached by a link, and by an indirect jump.
    let code = Code::new(&[addi(1, 1, 1), jump(2), BAD, addi(1, 1, 3), jr(0), SYSCALL]);
    let jit = jit(Engine::T1, code);
    let mut thread = start(&jit);
    set(&mut thread, 0, BASE + 20);
    let mut run = |pc: u64| {
        set(&mut thread, 1, 0);
        thread.state().pc = pc;
        assert_eq!(thread.run(), Event::Syscall);
        (get(&mut thread, 1), jit.stats().units)
    };
    let first = run(BASE).1;
    let changed = |step: Option<i8>| {
        if let Some(step) = step {
            code.set(3, addi(1, 1, step));
        }
        jit.invalidate(BASE + 12, 4);
    };
    // What was dropped the first time is not known yet.
    changed(None);
    let known = run(BASE).1;
    assert!(known > first);
    changed(None);
    assert_eq!((run(BASE), run(BASE)), ((4, known), (4, known)));
    changed(Some(9));
    changed(Some(3));
    assert_eq!(run(BASE), (4, known), "it was changed back before it was executed");
    changed(Some(5));
    let (sum, other) = run(BASE);
    assert!(sum == 6 && other > known);
    code.set(3, addi(1, 1, 7));
    jit.invalidate_all();
    let (sum, another) = run(BASE);
    assert!(sum == 8 && another > other);
    jit.invalidate_all();
    let (sum, all) = run(BASE + 12);
    assert_eq!((sum, run(BASE), run(BASE + 12)), (7, (8, all), (7, all)));
}

/// Runs `code` with `r0` given, each unit compared with the interpreter.
fn run_checked(code: &[[u8; 4]], r0: u64) -> (Event, Box<Thread>) {
    let options = JitOptions { check: true, ..JitOptions::default() };
    let jit = Jit::new(&TOY, Box::new(Code::new(code)), options);
    let mut thread = start(&jit);
    set(&mut thread, 0, r0);
    set(&mut thread, 5, 0);
    set(&mut thread, 4, 1);
    (thread.run(), thread)
}

#[test]
fn engines_in_lock_step_agree() {
    let code = [addi(1, 1, 3), addi(0, 0, -1), bne(0, 2, -2), SYSCALL, BAD];
    let (event, mut thread) = run_checked(&code, 1000);
    assert_eq!((event, get(&mut thread, 1), thread.difference()), (Event::Syscall, 3000, ""));
    let (event, _) = run_checked(&[load(1, 0, 0), SYSCALL], 8);
    assert!(matches!(event, Event::Fault(fault) if fault.addr == 8));
}

#[test]
fn engines_in_lock_step_stop_where_they_differ() {
    let (event, thread) = run_checked(&[addi(1, 1, 3), addi(0, 0, -1), moody(2), SYSCALL], 5);
    assert_eq!(event, Event::Differs);
    let report = thread.difference();
    assert!(
        report.starts_with("generated code differs from the interpreter in the unit at 0x100000\n  r2: "),
        "{report}"
    );
    assert!(report.contains("helper") && report.contains("host, "), "{report}");
}

#[test]
fn a_loop_ends_in_a_system_call() {
    let code = [addi(1, 1, 3), addi(0, 0, -1), bne(0, 2, -2), SYSCALL, BAD];
    let (event, r, pc) = run(&code, &[(0, 1000)]);
    assert_eq!((event, r[1], r[0], pc), (Event::Syscall, 3000, 0, BASE + 16));
}

/// `fib(r0)` in `r0`, with a stack at `r6`; ends at the instruction before it.
const FIB: [[u8; 4]; 16] = [
    call(2),
    SYSCALL,
    bne(0, 5, 2), // fib: n == 0?
    RET,
    bne(0, 4, 2), // n == 1?
    RET,
    addi(6, 6, -24),
    store(LR, 6, 0),
    store(0, 6, 1),
    addi(0, 0, -1),
    call(-8),
    load(1, 6, 1),
    store(0, 6, 2),
    addi(0, 1, -2),
    call(-12),
    jump(1),
];
const FIB_END: [[u8; 4]; 5] = [load(1, 6, 2), add(0, 0, 1), load(LR, 6, 0), addi(6, 6, 24), RET];

#[test]
fn calls_and_returns_nest() {
    let stack = Pages::new(4);
    let code: Vec<_> = FIB.into_iter().chain(FIB_END).collect();
    let (event, r, _) = run(&code, &[(0, 20), (4, 1), (6, stack.addr() + 4 * 4096)]);
    assert_eq!((event, r[0], r[6]), (Event::Syscall, 6765, stack.addr() + 4 * 4096));
}

#[test]
fn recursion_deeper_than_the_return_stack_comes_back() {
    // count(r0): r0 == 0 ? return : push lr; count(r0 - 1); pop lr; r1 += 1; return
    let code = [
        call(2),
        SYSCALL,
        bne(0, 5, 2),
        RET,
        addi(6, 6, -8),
        store(LR, 6, 0),
        addi(0, 0, -1),
        call(-5),
        load(LR, 6, 0),
        addi(6, 6, 8),
        addi(1, 1, 1),
        RET,
    ];
    let stack = Pages::new(64);
    let depth = 20_000;
    let (event, r, _) = run(&code, &[(0, depth), (6, stack.addr() + 64 * 4096)]);
    assert_eq!((event, r[1]), (Event::Syscall, depth));
}

#[test]
fn faults_report_the_address_and_change_no_register() {
    let pages = Pages::new(1);
    let end = pages.addr() + 4096;
    let code = [addi(3, 3, 5), add(2, 3, 3), move_load(1, 0, 4), SYSCALL];
    let (event, r, pc) = run(&code, &[(0, end), (1, 77), (4, 78)]);
    let Event::Fault(fault) = event else { panic!("{event:?}") };
    assert_eq!((fault.addr, fault.write, fault.signal), (end, Some(false), libc::SIGSEGV));
    assert_eq!((pc, r), (BASE + 8, [end, 77, 10, 5, 78, 0, 0, 0]));

    let (event, _, pc) = run(&[store(0, 1, 0)], &[(1, end + 8)]);
    assert!(matches!(event, Event::Fault(f) if f.addr == end + 8 && f.write == Some(true)), "{event:?}");
    assert_eq!(pc, BASE);

    let tagged = 0xab00_0000_0000_1000;
    let (event, ..) = run(&[addi(1, 1, 0), store(0, 1, 0)], &[(1, tagged)]);
    assert!(matches!(event, Event::Fault(f) if f.addr == tagged), "{event:?}");
}

#[test]
fn undecodable_and_missing_code_is_reported_where_it_is() {
    let (event, r, pc) = run(&[addi(1, 1, 1), BAD], &[]);
    assert_eq!((event, r[1], pc), (Event::Trap(Trap::Undefined), 1, BASE + 4));
    let (event, _, pc) = run(&[addi(1, 1, 1)], &[]);
    assert_eq!((event, pc), (Event::FetchFault { addr: BASE + 4 }, BASE + 4));
    let (event, _, pc) = run(&[jr(0)], &[(0, 0x666)]);
    assert_eq!((event, pc), (Event::FetchFault { addr: 0x666 }, 0x666));
}

#[test]
fn a_set_poll_flag_interrupts_a_loop() {
    for engine in ENGINES {
        let code = Code::new(&[addi(1, 1, 1), jump(-1)]);
        let mut thread = start(&jit(engine, code));
        let poll = thread.poll_flag() as usize;
        let waker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            // SAFETY: the thread object outlives this one, which is joined.
            unsafe { (*(poll as *const std::sync::atomic::AtomicU32)).store(1, Ordering::Release) };
        });
        assert_eq!(thread.run(), Event::Interrupted);
        waker.join().unwrap();
        assert!(get(&mut thread, 1) > 0);
        assert!((BASE..BASE + 8).contains(&thread.state().pc));
    }
}

#[test]
fn changed_code_runs_after_a_flush() {
    let interpreting_first = JitOptions { interpret_first: true, ..JitOptions::default() };
    let ways = ENGINES.map(|engine| JitOptions { engine, ..JitOptions::default() }).into_iter();
    for (options, announce) in ways.chain([interpreting_first]).flat_map(|o| [(o, flush(0)), (o, FLUSH_ALL)]) {
        // The system call lets the test change instruction 4, which the program then announces.
        let code = Code::changeable(&[call(4), SYSCALL, announce, jump(-3), addi(1, 1, 1), RET]);
        let mut thread = start(&Jit::new(&TOY, Box::new(code), options));
        set(&mut thread, 0, BASE + 16);
        let mut sum = 0;
        for round in 1..=40 {
            // Where it stays as it was, it is known again.
            let step = [1, 10, 10, 7][round % 4];
            code.set(4, addi(1, 1, step));
            sum += step as u64;
            assert_eq!((thread.run(), get(&mut thread, 1)), (Event::Syscall, sum), "{round} {announce:?}");
        }
    }
}

#[test]
fn of_code_that_cannot_change_nothing_is_dropped_when_a_program_says_that_it_has() {
    for announce in [flush(0), FLUSH_ALL] {
        let code = [announce, addi(1, 1, 1), bne(1, 2, -2), SYSCALL];
        let dropped = |code| {
            let mut thread = start(&jit(Engine::T1, code));
            set(&mut thread, 0, BASE);
            set(&mut thread, 2, 20);
            assert_eq!((thread.run(), get(&mut thread, 1)), (Event::Syscall, 20));
            thread.jit().stats().invalidated
        };
        assert_eq!((dropped(Code::new(&code)), dropped(Code::changeable(&code)) >= 20), (0, true));
    }
}

#[test]
fn indirect_jumps_find_their_targets() {
    // r0 walks through the addresses of eight one-instruction blocks that add to r1 and come back.
    let mut code = vec![jr(0), addi(0, 0, 8), bne(0, 2, -2), SYSCALL];
    for i in 0..60 {
        code.extend([addi(1, 1, 1), jump(-(4 + 2 * i) as i8)]);
    }
    let first = BASE + 16;
    let (event, r, _) = run(&code, &[(0, first), (2, first + 8 * 60)]);
    assert_eq!((event, r[1]), (Event::Syscall, 60));
}

#[test]
fn threads_share_memory_atomically() {
    for engine in ENGINES {
        let pages = Pages::new(1);
        let code = Code::new(&[fetch_add(1, 3, 1), addi(0, 0, -1), bne(0, 2, -2), SYSCALL]);
        let jit = jit(engine, code);
        let at = pages.addr();
        let add = || {
            let mut thread = start(&jit);
            set(&mut thread, 0, 20_000);
            set(&mut thread, 3, at);
            assert_eq!(run_on(&mut thread), Event::Syscall);
        };
        // What the first thread translates is for it alone.
        add();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(add);
            }
        });
        assert_eq!(crate::guarded::read_u64(at).unwrap(), 80_000);
    }
}

#[test]
fn invalidation_reaches_threads_in_their_loops() {
    // Each thread calls a function at instruction 5 for ever; the test changes what it adds to r1 and invalidates it.
    for engine in ENGINES {
        let code = Code::new(&[call(5), store(1, 3, 0), addi(0, 0, 1), jump(-3), BAD, addi(1, 5, 1), RET]);
        let jit = jit(engine, code);
        let pages = Pages::new(1);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for n in 0..2 {
                let (jit, stop) = (&jit, &stop);
                let at = pages.addr() + 8 * n;
                scope.spawn(move || {
                    let mut thread = start(jit);
                    set(&mut thread, 3, at);
                    // SAFETY: lives as long as the thread.
                    let poll = unsafe { &*thread.poll_flag() };
                    scope.spawn({
                        let poll = std::ptr::from_ref(poll) as usize;
                        move || {
                            while !stop.load(Ordering::Relaxed) {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            // SAFETY: the guest thread waits for this.
                            unsafe { (*(poll as *const std::sync::atomic::AtomicU32)).store(1, Ordering::Release) };
                        }
                    });
                    while !stop.load(Ordering::Relaxed) {
                        assert_eq!(thread.run(), Event::Interrupted);
                    }
                    std::thread::sleep(Duration::from_millis(10));
                });
            }
            for value in 2..100i8 {
                code.set(5, addi(1, 5, value));
                jit.invalidate(BASE + 20, 4);
                let deadline = std::time::Instant::now() + Duration::from_secs(10);
                for n in 0..2 {
                    // SAFETY: our page.
                    let seen = unsafe { AtomicU64::from_ptr((pages.addr() + 8 * n) as *mut u64) };
                    while seen.load(Ordering::Relaxed) != value as u64 {
                        assert!(std::time::Instant::now() < deadline, "stale code still runs");
                        std::thread::yield_now();
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn code_translated_by_a_thread_that_ended_is_dropped_too() {
    for engine in ENGINES {
        let code = Code::new(&[addi(1, 5, 1), SYSCALL]);
        let jit = jit(engine, code);
        let run = || {
            let mut thread = start(&jit);
            assert_eq!(thread.run(), Event::Syscall);
            get(&mut thread, 1)
        };
        assert_eq!(std::thread::scope(|scope| scope.spawn(run).join().unwrap()), 1);
        code.set(0, addi(1, 5, 2));
        jit.invalidate(BASE, 4);
        assert_eq!(run(), 2, "{engine:?}");
    }
}

#[test]
fn jump_caches_forget_what_changed() {
    for engine in ENGINES {
        // The changing instruction is reached by an indirect jump only: no link leads to it.
        let code = Code::new(&[jr(0), BAD, SYSCALL, BAD, addi(1, 1, 1), jump(-3)]);
        let mut thread = start(&jit(engine, code));
        set(&mut thread, 0, BASE + 16);
        let add = |thread: &mut Thread| {
            thread.state().pc = BASE;
            assert_eq!(thread.run(), Event::Syscall);
            get(thread, 1)
        };
        assert_eq!([1, 2, 3], [(); 3].map(|()| add(&mut thread)));
        code.set(4, addi(1, 1, 10));
        thread.jit().invalidate(BASE + 16, 4);
        assert_eq!([13, 23], [(); 2].map(|()| add(&mut thread)), "{engine:?}");
    }
}

#[test]
fn threads_that_translate_the_same_keep_one_translation() {
    let program: Vec<_> = FIB.into_iter().chain(FIB_END).collect();
    let translated = |threads: usize| {
        let jit = jit(Engine::T1, Code::new(&program));
        let together = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let stack = Pages::new(1);
                    let mut thread = start(&jit);
                    let _ = [(0, 12), (4, 1), (6, stack.addr() + 4096)].map(|(r, value)| set(&mut thread, r, value));
                    together.wait();
                    assert_eq!((run_on(&mut thread), get(&mut thread, 0)), (Event::Syscall, 144));
                });
            }
        });
        jit.stats().code_bytes
    };
    let alone = translated(1);
    assert!((0..20).all(|_| translated(4) == alone));
}

#[test]
fn all_translations_can_be_dropped_while_threads_run() {
    // fib(12) over and over, with a count of the rounds in memory.
    let code: Vec<_> = FIB.into_iter().chain(FIB_END).collect();
    let jit = jit(Engine::T1, Code::new(&code));
    let runtime = jit.t1.as_ref().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let stack = Pages::new(1);
                let mut thread = start(&jit);
                while !stop.load(Ordering::Relaxed) {
                    thread.state().pc = BASE;
                    let _ = [(0, 12), (4, 1), (6, stack.addr() + 4096)].map(|(r, value)| set(&mut thread, r, value));
                    // Stopping the world sets poll flags.
                    while thread.run() == Event::Interrupted {}
                    assert_eq!(get(&mut thread, 0), 144);
                }
            });
        }
        for _ in 0..200 {
            runtime.flush(&jit);
            std::thread::sleep(Duration::from_micros(300));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(jit.stats().flushes, 200);
    assert!(jit.stats().units > 100);
}

#[test]
fn a_forked_child_goes_on_alone() {
    let code: Vec<_> = FIB.into_iter().chain(FIB_END).collect();
    let code = Code::new(&code);
    let jit = jit(Engine::T1, code);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut thread = start(&jit);
            while !stop.load(Ordering::Relaxed) {
                thread.state().pc = BASE;
                set(&mut thread, 0, 0);
                assert_eq!(run_on(&mut thread), Event::Syscall);
                jit.invalidate_all();
            }
        });
        let mut thread = start(&jit);
        for _ in 0..20 {
            // The embedder's own lock must not be held by the other thread either.
            let still = code.still();
            let guard = jit.fork_prepare();
            // SAFETY: the child uses only the translator, whose locks the guard holds, and memory, and leaves by `_exit`.
            let child = unsafe { libc::fork() };
            if child == 0 {
                guard.in_child();
                drop(still);
                thread.state().pc = BASE;
                set(&mut thread, 0, 0);
                let fine = run_on(&mut thread) == Event::Syscall;
                jit.invalidate_all();
                // SAFETY: ends the child.
                unsafe { libc::_exit(i32::from(!fine)) };
            }
            drop((guard, still));
            let mut status = -1;
            // SAFETY: waits for our child.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0);
        }
        stop.store(true, Ordering::Relaxed);
        busy.join().unwrap();
    });
}

unsafe extern "sysv64" fn peek_plus(addr: u64, n: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: a fault abandons the call.
    unsafe { (addr as *const u64).read_volatile() + n }
}

/// A function of two arguments, the second of which is its bytes.
fn native_fn(call: unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64) -> u64) -> NativeFn {
    const WORD: Type = Type::Word { signed: false };
    const SIGNATURE: Signature = Signature { args: &[WORD, WORD], named: None, result: Some(WORD) };
    NativeFn { id: 9, signature: &SIGNATURE, bytes: Bytes::Argument(1), repeatable: |_| true, call: Host::Words(call) }
}

#[test]
fn a_native_function_replaces_a_guest_function_until_it_faults() {
    for engine in ENGINES {
        let pages = Pages::new(1);
        crate::guarded::write_u64(pages.addr(), 40).unwrap();
        let code = Code::new(&[call(3), SYSCALL, BAD, addi(2, 2, 1), load(0, 0, 0), RET]);
        code.intercept(3, native_fn(peek_plus));
        let jit = jit(engine, code);
        let mut thread = start(&jit);
        set(&mut thread, 0, pages.addr());
        set(&mut thread, 1, 2);
        assert_eq!(run_on(&mut thread), Event::Syscall);
        let counted = |jit: &Jit| (jit.native_calls(9).calls, jit.native_calls(9).bytes, jit.native_calls(9).faulted);
        assert_eq!((get(&mut thread, 0), get(&mut thread, 2), counted(&jit)), (42, 0, (1, 2, 0)));
        // Now it faults: the guest's own code runs, and faults where it would have.
        thread.state().pc = BASE;
        set(&mut thread, 0, pages.addr() + 4096);
        let Event::Fault(fault) = thread.run() else { panic!() };
        assert_eq!((fault.addr, thread.state().pc), (pages.addr() + 4096, BASE + 16));
        assert_eq!((get(&mut thread, 2), counted(&jit)), (1, (1, 2, 1)));
    }
}

/// Runs `code` to its first system call with translations from `image`; the event, `r1`, the counters, and a new image.
fn run_saved(code: &[[u8; 4]], image: Vec<u8>, exact: bool) -> (u64, crate::StatsReport, Option<Vec<u8>>) {
    let saved = crate::Saved { image: image.leak(), identity: 1 };
    let options = JitOptions { saved: Some(saved), exact_underflow: exact, ..JitOptions::default() };
    let jit = Jit::new(&TOY, Box::new(Code::new(code)), options);
    let mut thread = start(&jit);
    let _ = [(0, 1000), (1, 0), (2, 0)].map(|(r, value)| set(&mut thread, r, value));
    assert_eq!(run_on(&mut thread), Event::Syscall);
    (get(&mut thread, 1), jit.stats(), jit.image())
}

#[test]
fn what_an_earlier_run_translated_is_not_interpreted_first() {
    // Eight loops, each of which is translated.
    let each = [addi(0, 0, 100), addi(1, 1, 1), addi(0, 0, -1), bne(0, 2, -2), jump(1)];
    let code: Vec<_> = [each; 8].concat().into_iter().chain([SYSCALL]).collect();
    let saved = |image: Vec<u8>| Some(crate::Saved { image: image.leak(), identity: 1 });
    let (_, mut thread) = run_interpreting_first(&code, 0, saved(Vec::new()));
    assert_eq!(get(&mut thread, 1), 800);
    let first = thread.jit().stats();
    assert!(first.interpreted > 0 && first.units > 0, "{first:?}");
    let (_, mut thread) = run_interpreting_first(&code, 0, saved(thread.jit().image().unwrap()));
    assert_eq!(get(&mut thread, 1), 800);
    let second = thread.jit().stats();
    assert_eq!((second.interpreted, second.saved), (0, first.units));
}

#[test]
fn translations_of_an_earlier_run_are_used_if_the_code_is_the_same() {
    // Each loop adds another number, and ends its unit.
    let program = |last: i8| -> Vec<_> {
        let each = |k: i8| [addi(0, 0, 100), addi(1, 1, k), addi(0, 0, -1), bne(0, 2, -2), jump(1)];
        let ends = [addi(0, 2, 0), SYSCALL];
        [addi(0, 2, 0)].into_iter().chain((1..9).chain([last]).flat_map(each)).chain(ends).collect()
    };
    let (result, made, image) = run_saved(&program(9), Vec::new(), false);
    let image = image.unwrap();
    assert_eq!((result, made.saved), (100 * 45, 0));
    let (result, used, nothing_new) = run_saved(&program(9), image.clone(), false);
    assert_eq!((result, used.units, used.saved), (100 * 45, 0, made.units));
    assert_eq!(used.code_bytes, made.code_bytes);
    assert!(nothing_new.is_none());
    let (result, changed, _) = run_saved(&program(20), image.clone(), false);
    assert_eq!(result, 100 * 56);
    assert!(changed.units > 0 && changed.saved > 0 && changed.units + changed.saved == made.units, "{changed:?}");
    // Nothing of it depends on how floating-point operations are translated.
    let (_, exact, _) = run_saved(&program(9), image, true);
    assert_eq!((exact.units, exact.saved), (0, made.units));
}
