//! Invalid floating-point operations that trap: see [`crate::x64::invalid`].
//!
//! A trap costs microseconds. So after some of them the process checks its results from then on: all translations are dropped,
//! and control registers mask the exception.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::float::INVALID_MASKED;
use super::{Runtime, fault};
use crate::jit::Jit;
use crate::thread::Thread;
use crate::x64::invalid::{ARITHMETIC_LEN, Arithmetic};

/// `si_code`: invalid floating-point operation.
const FPE_FLTINV: i32 = 7;
/// `si_code`: an instruction was executed alone.
const TRAP_TRACE: i32 = 2;
/// Flag of the processor: trap after the next instruction.
const STEP: i64 = 1 << 8;

/// Whether invalid operations trap.
pub(super) struct Trapping {
    on: AtomicBool,
    /// How many have, and how many may.
    count: AtomicU32,
    most: u32,
}

impl Trapping {
    /// `most` may trap: see [`crate::JitOptions::trap_invalid`].
    pub(super) fn new(most: u32) -> Trapping {
        Trapping { on: AtomicBool::new(most != 0), count: AtomicU32::new(0), most }
    }
}

impl Runtime {
    /// Whether invalid operations trap. Does not change while any thread is inside.
    pub(super) fn traps_invalid(&self) -> bool {
        self.trapping.on.load(Ordering::Acquire)
    }

    /// Whether too many have trapped.
    pub(super) fn is_to_stop_trapping(&self) -> bool {
        self.trapping.count.load(Ordering::Relaxed) >= self.trapping.most && self.traps_invalid()
    }

    /// From here on results are checked. The caller holds no translation.
    pub(super) fn stop_trapping(&self, jit: &Jit) {
        self.flush_and(jit, || self.trapping.on.store(false, Ordering::Release));
    }
}

/// Handles the trap of an invalid operation of generated code, and that after an instruction executed alone.
pub(super) fn handle(
    thread: &mut Thread,
    runtime: &Runtime,
    signal: i32,
    info: &libc::siginfo_t,
    context: &mut libc::ucontext_t,
) -> bool {
    let guest = thread.jit.guest;
    let gregs = &mut context.uc_mcontext.gregs;
    // SAFETY: the kernel's signal frame has the legacy floating-point area.
    let Some(fp) = (unsafe { context.uc_mcontext.fpregs.as_mut() }) else { return false };
    let Some(t1) = &mut thread.t1 else { return false };
    match (signal, info.si_code) {
        (libc::SIGTRAP, TRAP_TRACE) if t1.stepping => {
            t1.stepping = false;
            fp.mxcsr &= !INVALID_MASKED;
            gregs[libc::REG_EFL as usize] &= !STEP;
        }
        (libc::SIGFPE, FPE_FLTINV) if fp.mxcsr & INVALID_MASKED == 0 => {
            let pc = &mut gregs[libc::REG_RIP as usize];
            // SAFETY: code is readable, and after an instruction of a unit come at least the bytes of its end.
            let code = unsafe { (*pc as *const [u8; ARITHMETIC_LEN]).read() };
            if let Some(arithmetic) = Arithmetic::read(code) {
                let mut xmm = fault::vector_registers(fp);
                fp.mxcsr |= arithmetic.evaluate(guest, thread.block.guest.mode, &mut xmm);
                fault::set_vector_registers(fp, &xmm);
                *pc += ARITHMETIC_LEN as i64;
            } else {
                // What handles its invalid operands itself is executed as if none trapped.
                t1.stepping = true;
                fp.mxcsr |= INVALID_MASKED;
                gregs[libc::REG_EFL as usize] |= STEP;
            }
            if runtime.trapping.count.fetch_add(1, Ordering::Relaxed) >= runtime.trapping.most - 1 {
                thread.block.poll.store(1, Ordering::Release);
            }
        }
        _ => return false,
    }
    true
}
