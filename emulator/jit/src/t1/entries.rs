//! Rust functions that generated code calls, through the stubs: on the host stack, the guest state in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ir::unit::UnitKey;

use super::{Body, Runtime, Translation, float};
use crate::interp::RETREATED;
use crate::jit::Jit;
use crate::thread::Thread;
use crate::thread_state::{Entries, ThreadState};
use crate::x64::{LinkKind, deferred, generic};

pub(crate) const ENTRIES: Entries =
    Entries { link, lookup, generic: generic::evaluate, helper: generic::call_helper, settle };

/// See [`Entries::link`]. Where it cannot continue in host code it returns 0, and the dispatcher takes up from the state.
unsafe extern "sysv64" fn link(state: *mut ThreadState, site: u64) -> u64 {
    // SAFETY: called from generated code of the thread that owns the state, inside `Thread::run`.
    let (thread, runtime) = unsafe { owner(state) };
    let Some((from, link)) = runtime.link_at(site) else { return 0 };
    if link.kind != LinkKind::Call {
        thread.block.jit_sp += size_of::<u64>() as u64;
    }
    thread.block.guest.pc = link.target.pc;
    let (mode, retreated) = (thread.block.guest.mode, link.target.mode & RETREATED);
    let Some(target) = continue_at(thread, runtime, link.target.pc, retreated) else {
        thread.retreated = (retreated != 0).then_some((link.target.pc, retreated));
        return 0;
    };
    // A link is followed without a look at the mode: it must be the same for everyone.
    if mode | retreated == link.target.mode && link.kind != LinkKind::Poll {
        runtime.link(from, &link, target);
    }
    target.host()
}

/// See [`Entries::lookup`].
unsafe extern "sysv64" fn lookup(state: *mut ThreadState) -> u64 {
    // SAFETY: as above.
    let (thread, runtime) = unsafe { owner(state) };
    let (pc, mode) = (thread.block.guest.pc, thread.block.guest.mode);
    let Some(target) = continue_at(thread, runtime, pc, 0) else { return 0 };
    let Some(t1) = &thread.t1 else { return 0 };
    t1.shared.jump().insert(pc, mode, target.host(), &mut thread.block);
    // An invalidation either sees the entry or is seen here.
    if !target.is_valid() {
        t1.shared.jump().remove(pc, mode);
    }
    target.host()
}

/// See [`Entries::settle`].
unsafe extern "sysv64" fn settle(state: *mut ThreadState) {
    // SAFETY: as above.
    let (thread, runtime) = unsafe { owner(state) };
    deferred::settle(&runtime.conv, &mut thread.block);
}

/// The host code for `pc` in the state's mode, which a retreat may have led to ([`RETREATED`]), if generated code may go on there directly.
fn continue_at(thread: &mut Thread, runtime: &Runtime, pc: u64, retreated: u32) -> Option<Translation> {
    let mode = thread.block.guest.mode;
    if thread.block.poll.load(Ordering::Relaxed) != 0
        || !float::matches(thread.guest(), &thread.block, mode, runtime.float_policies())
    {
        return None;
    }
    let key = UnitKey { pc, mode: mode | retreated };
    if thread.interprets(runtime, key) {
        return None;
    }
    let found = thread.obtain(runtime, key).ok()?;
    matches!(found.body(), Body::Host | Body::Checked(_)).then_some(found)
}

/// The thread a state belongs to, and its runtime.
///
/// # Safety
/// `state` is that of the running thread, and nothing else uses the thread during the call.
pub(super) unsafe fn owner<'a>(state: *mut ThreadState) -> (&'a mut Thread, &'a Runtime) {
    // SAFETY: set by `Thread::new` to the box that contains the state; the translator outlives its threads.
    unsafe {
        let thread = (*state).owner.cast::<Thread>();
        let jit: *const Jit = Arc::as_ptr(&(*thread).jit);
        let runtime = (*jit).t1.as_ref().expect("generated code runs only with a runtime");
        (&mut *thread, runtime)
    }
}
