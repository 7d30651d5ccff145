//! System calls that generated code makes by itself.

use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::thread::JoinHandleExt;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ir::guest::Slot;
use ir::unit::Trap;

use crate::fault::tests::install_handler;
use crate::toy::*;
use crate::{DirectCall, Event, Hooks, Jit, JitOptions, NativeFn, Performer, Thread};

/// Makes a call, then `r7` = result and an undefined instruction.
const PROGRAM: &[[u8; 4]] = &[SYSCALL, addi(7, 0, 0), BAD];

/// The toy's numbers of calls.
const READ: u64 = 7;
const WRITE: u64 = 3;
const SEEK: u64 = 5;
const SUM: u64 = 4;
const TWICE: u64 = 6;

/// The toy's stack pointer, which functions get.
const STACK: u64 = 0x7000;

/// And who performs them.
const CALLS: [(u64, Performer); 5] = [
    (READ, Performer::Sleeping(libc::SYS_read as u16)),
    (WRITE, Performer::Sleeping(libc::SYS_write as u16)),
    (SEEK, Performer::Kernel(libc::SYS_lseek as u16)),
    (SUM, Performer::Function(sum)),
    (TWICE, Performer::Converting(twice)),
];

#[allow(clippy::too_many_arguments)] // those of a `CallFn`
unsafe extern "sysv64" fn sum(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, number: u64, sp: u64) -> i64 {
    assert_eq!(sp, STACK);
    assert_eq!(number, SUM);
    if a == u64::MAX { i64::from(-libc::EFAULT) } else { (a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f) as i64 }
}

#[allow(clippy::too_many_arguments)] // those of a `CallFn`
unsafe extern "sysv64" fn twice(what: u64, _: u64, _: u64, _: u64, _: u64, _: u64, number: u64, _: u64) -> i64 {
    match what {
        0 => crate::INTERRUPTED,
        1 => crate::DECLINED,
        what => (what * 2 + number) as i64,
    }
}

/// The toy's code, with direct calls.
struct Direct(&'static Code);

impl Hooks for Direct {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        self.0.fetch(pc, buf)
    }

    fn intercept(&self, pc: u64) -> Option<NativeFn> {
        Hooks::intercept(&self.0, pc)
    }

    fn direct_calls(&self) -> Vec<DirectCall> {
        CALLS.map(|(number, by)| DirectCall { number: number as u32, by }).to_vec()
    }
}

fn start(options: JitOptions, registers: [u64; 4]) -> Box<Thread> {
    install_handler();
    let mut thread = Thread::new(Jit::new(&TOY, Box::new(Direct(Code::new(PROGRAM))), options));
    thread.state().pc = BASE;
    for (i, value) in registers.into_iter().enumerate() {
        thread.state().set(&TOY, Slot(i as u16), value.into());
    }
    thread.state().set(&TOY, TOY.sp, STACK.into());
    thread
}

fn registers(thread: &mut Thread) -> [u64; 8] {
    std::array::from_fn(|r| thread.state().get(&TOY, Slot(r as u16)) as u64)
}

fn pipe() -> (PipeReader, PipeWriter, u64, u64) {
    let (reader, writer) = std::io::pipe().unwrap();
    let (from, to) = (reader.as_raw_fd() as u64, writer.as_raw_fd() as u64);
    (reader, writer, from, to)
}

#[test]
fn the_host_answers_and_the_guest_goes_on() {
    let (_reader, _writer, from, to) = pipe();
    let text = b"abc";
    let mut back = [0u8; 8];
    let [text, buffer] = [text.as_ptr() as u64, back.as_mut_ptr() as u64];
    let calls = [
        ([SUM, 100, 20, 3], 100 + 40 + 9 + 6 * STACK as i64),
        ([TWICE, 100, 20, 3], 200 + TWICE as i64),
        ([WRITE, to, text, 3], 3),
        ([READ, from, buffer, 8], 3),
        ([SEEK, to, 0, 0], -i64::from(libc::ESPIPE)),
        ([WRITE, u64::MAX, text, 3], -i64::from(libc::EBADF)),
    ];
    for (given, result) in calls {
        let mut thread = start(JitOptions::default(), given);
        thread.state().excl_addr = 0x40;
        assert_eq!(thread.run(), Event::Trap(Trap::Undefined));
        let expected = [result as u64, given[1], given[2], given[3], 0, 0, STACK, result as u64];
        assert_eq!(registers(&mut thread), expected);
        assert_eq!(thread.state().excl_addr, u64::MAX, "the kernel clears the monitor");
    }
    assert_eq!(&back[..4], b"abc\0");
}

#[test]
fn other_numbers_and_lock_step_come_to_rust() {
    for number in [0, READ + 1, 1 << 40, u64::MAX] {
        let mut thread = start(JitOptions::default(), [number, 1, 2, 3]);
        assert_eq!((thread.run(), thread.state().pc), (Event::Syscall, BASE + 4));
        assert_eq!(registers(&mut thread)[..4], [number, 1, 2, 3]);
    }
    for number in [READ, SEEK] {
        let mut thread = start(JitOptions { check: true, ..JitOptions::default() }, [number, 1, 2, 3]);
        assert_eq!((thread.run(), thread.state().pc), (Event::Syscall, BASE + 4));
    }
}

#[test]
fn what_a_function_does_not_do_comes_to_rust_with_the_call_as_it_was() {
    for (what, event) in [(0, Event::CallInterrupted), (1, Event::Syscall)] {
        let call = [TWICE, what, 2, 3];
        let mut thread = start(JitOptions::default(), call);
        assert_eq!((thread.run(), thread.state().pc), (event, BASE + 4));
        assert_eq!(registers(&mut thread)[..4], call);
    }
}

#[test]
fn bad_addresses_come_to_rust_with_the_call_as_it_was() {
    let (_reader, _writer, _, to) = pipe();
    for call in [[WRITE, to, 8, 3], [SUM, u64::MAX, 2, 3]] {
        let mut thread = start(JitOptions::default(), call);
        assert_eq!((thread.run(), thread.state().pc), (Event::CallFailed { error: libc::EFAULT }, BASE + 4));
        assert_eq!(registers(&mut thread)[..4], call);
    }
}

/// What embedders do on an asynchronous signal.
extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let thread = crate::thread::current();
    if thread.is_null() {
        return;
    }
    // SAFETY: the thread that runs here; a handler's context.
    unsafe {
        (*(*thread).poll_flag()).store(1, Ordering::Release);
        crate::rewind_call(&mut *context.cast());
    }
}

fn install_on_signal() {
    static ONCE: Once = Once::new();
    // SAFETY: the handler has the type its flags ask for.
    ONCE.call_once(|| unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut());
    });
}

#[test]
fn a_signal_ends_a_call_that_waits_and_none_is_lost() {
    install_on_signal();
    let (_reader, mut writer, from, _) = pipe();
    let mut byte = [0u8; 1];
    let buffer = byte.as_mut_ptr() as u64;
    let done = Arc::new(AtomicBool::new(false));
    let ended = done.clone();
    let waiting = std::thread::spawn(move || {
        let mut thread = start(JitOptions::default(), [READ, from, buffer, 1]);
        // Interrupted before it came to the call, perhaps; then while it waits.
        while matches!(thread.run(), Event::Interrupted | Event::Syscall) {}
        let first = (thread.state().pc, registers(&mut thread)[0]);
        ended.store(true, Ordering::Release);
        thread.state().pc = BASE;
        let event = loop {
            match thread.run() {
                Event::Interrupted | Event::Syscall | Event::CallInterrupted if thread.state().pc == BASE + 4 => {
                    // The call has been made if its result is there.
                    if registers(&mut thread)[0] == READ {
                        thread.state().pc = BASE;
                    }
                }
                Event::Interrupted => {}
                event => break event,
            }
        };
        (first, event, registers(&mut thread)[7])
    });
    for _ in 0..2000 {
        if done.load(Ordering::Acquire) {
            break;
        }
        // SAFETY: a thread that has not been joined.
        unsafe { libc::pthread_kill(waiting.as_pthread_t(), libc::SIGUSR2) };
        std::thread::sleep(Duration::from_millis(2));
    }
    writer.write_all(b"x").unwrap();
    assert_eq!(waiting.join().unwrap(), ((BASE + 4, READ), Event::Trap(Trap::Undefined), 1));
    assert_eq!(byte, *b"x");
}

#[test]
fn translations_are_dropped_while_a_call_waits() {
    let (_reader, mut writer, from, _) = pipe();
    let mut byte = [0u8; 1];
    let mut thread = start(JitOptions::default(), [READ, from, byte.as_mut_ptr() as u64, 1]);
    let jit = thread.jit().clone();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let first = (thread.run(), thread.state().pc, registers(&mut thread)[0]);
            (first, thread.run(), registers(&mut thread)[7])
        });
        while jit.stats().units == 0 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(20));
        jit.t1.as_ref().unwrap().flush(&jit);
        writer.write_all(b"x").unwrap();
        // The code it would have returned to is gone.
        let end = (Event::Interrupted, BASE + 4, 1);
        assert_eq!(waiting.join().unwrap(), (end, Event::Trap(Trap::Undefined), 1));
    });
}
