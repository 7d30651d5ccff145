//! A guest thread's execution.

use std::cell::Cell;
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ir::unit::UnitKey;
use ir::{Guest, GuestState};

use crate::event::Event;
use crate::interp::{self, Code, Lookup, Next, NoticedMemory, PLAIN};
use crate::jit::Jit;
use crate::native::{self, NativeFn};
use crate::native_counters::Block;
use crate::t1;
use crate::thread_state::ThreadState;

/// Executes one guest thread. It may move between host threads, but runs on one at a time.
pub struct Thread {
    pub(crate) block: ThreadState,
    pub(crate) jit: Arc<Jit>,
    pub(crate) t1: Option<t1::Engine>,
    units: interp::ThreadCache,
    /// Frame of the native call under way, 0 if none; see [`native::call`].
    native_frame: AtomicU64,
    /// The native function at this address faulted: the guest's own code is executed once.
    plain_at: Option<u64>,
    /// What is at this address is to be executed with no vectors, or others, because the translation with them could not be: the
    /// bit of its key ([`interp::RETREATED`]).
    pub(crate) retreated: Option<(u64, u32)>,
    /// Counters of native calls, of `jit`.
    counters: *const Block,
    /// A native call is being measured.
    pub(crate) measuring: bool,
    /// What [`Event::Differs`] is about.
    pub(crate) difference: Option<String>,
}

thread_local! {
    /// The guest thread this host thread runs.
    static CURRENT: Cell<*mut Thread> = const { Cell::new(std::ptr::null_mut()) };
}

/// The guest thread that the calling host thread runs; null outside of [`Thread::run`]. Async-signal-safe.
pub(crate) fn current() -> *mut Thread {
    CURRENT.get()
}

impl Thread {
    /// A thread with fresh state, which may run while others do.
    #[must_use]
    pub fn new(jit: Arc<Jit>) -> Box<Thread> {
        if jit.threads.fetch_add(1, Ordering::AcqRel) > 0 {
            jit.share_memory();
        }
        Thread::executing(jit)
    }

    /// A thread with fresh state, which runs only while all others of its translator wait.
    #[must_use]
    pub fn in_turn(jit: Arc<Jit>) -> Box<Thread> {
        jit.threads.fetch_add(1, Ordering::AcqRel);
        Thread::executing(jit)
    }

    fn executing(jit: Arc<Jit>) -> Box<Thread> {
        let mut thread = Box::new(Thread {
            block: ThreadState::new(jit.guest, t1::ENTRIES),
            jit: jit.clone(),
            t1: None,
            units: interp::ThreadCache::default(),
            native_frame: AtomicU64::new(0),
            plain_at: None,
            retreated: None,
            counters: jit.natives.block(),
            measuring: false,
            difference: None,
        });
        thread.block.owner = (&raw mut *thread).cast();
        thread.block.native_counts = thread.counters.cast();
        thread.t1 = jit.t1.as_ref().map(|runtime| t1::Engine::new(&jit, runtime, &mut thread.block));
        thread
    }

    /// Architectural state: complete whenever [`Thread::run`] is not executing.
    pub fn state(&mut self) -> &mut GuestState {
        &mut self.block.guest
    }

    /// What [`Event::Differs`] is about: the difference, and the unit as guest code, intermediate code and host code.
    #[must_use]
    pub fn difference(&self) -> &str {
        self.difference.as_deref().unwrap_or_default()
    }

    /// The translator it belongs to.
    #[must_use]
    pub fn jit(&self) -> &Arc<Jit> {
        &self.jit
    }

    pub(crate) fn guest(&self) -> &'static Guest {
        self.jit.guest
    }

    /// Non-zero makes [`Thread::run`] return [`Event::Interrupted`] soon, which clears it. May be set by any thread and by
    /// signal handlers; valid as long as the thread.
    #[must_use]
    pub fn poll_flag(&self) -> *const AtomicU32 {
        &raw const self.block.poll
    }

    /// Runs guest code from `state().pc` until something is to be done for it.
    pub fn run(&mut self) -> Event {
        // SAFETY: the thread keeps its translator and never changes it. A count of its own would cost two atomic operations for each
        // system call.
        let jit = unsafe { &*Arc::as_ptr(&self.jit) };
        let outer = CURRENT.replace(self);
        let event = match &jit.t1 {
            Some(runtime) => self.run_translated(runtime),
            None => self.run_interpreted(jit),
        };
        CURRENT.set(outer);
        event
    }

    /// Interprets the one instruction at `state().pc`, whose bytes are given; what is to be done for it, if anything.
    pub fn step(&mut self, code: &[u8]) -> Option<Event> {
        let key = UnitKey { pc: self.block.guest.pc, mode: self.block.guest.mode };
        let mut builder = ir::Builder::new(self.jit.guest, key);
        builder.begin_insn(key.pc);
        let ir::guest::Step::Done { len, .. } = (self.jit.guest.translate)(&mut builder, key.pc, code) else {
            return Some(Event::FetchFault { addr: key.pc });
        };
        builder.end_insn();
        let unit = builder.finish(key.pc.wrapping_add(len.into()));
        let next = interp::execute(self.jit.guest, &unit, &mut self.block.guest);
        self.follow(next)
    }

    fn run_interpreted(&mut self, jit: &Jit) -> Event {
        loop {
            if let Some(event) = self.interrupted() {
                return event;
            }
            let key = self.take_key();
            let code = match self.units.lookup(jit, key) {
                Lookup::Found(code) => code,
                Lookup::FetchFault(addr) => match self.fetch_fault(addr) {
                    Some(event) => return event,
                    None => continue,
                },
            };
            let event = match &*code {
                Code::Native(function) => {
                    self.call_native(function);
                    None
                }
                Code::Unit(unit) => {
                    let state = &mut self.block.guest;
                    let next = if jit.notices_stores() {
                        interp::execute_in(jit.guest, unit, state, &mut NoticedMemory::new(&jit.watched, true))
                    } else {
                        interp::execute(jit.guest, unit, state)
                    };
                    self.follow(next)
                }
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// The event for a set poll flag, which is cleared.
    pub(crate) fn interrupted(&mut self) -> Option<Event> {
        if self.block.poll.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.block.poll.store(0, Ordering::SeqCst);
        Some(Event::Interrupted)
    }

    /// What to execute next, by the state.
    pub(crate) fn take_key(&mut self) -> UnitKey {
        let GuestState { pc, mode, .. } = self.block.guest;
        let plain = if self.plain_at.take() == Some(pc) { PLAIN } else { 0 };
        let retreated = self.retreated.take().filter(|(at, _)| *at == pc).map_or(0, |(_, bit)| bit);
        self.jit.options.trace.enter(UnitKey { pc, mode });
        UnitKey { pc, mode: mode | plain | retreated }
    }

    /// Nothing can be executed at `addr`, unless it was a pointer with a top byte that does not count.
    pub(crate) fn fetch_fault(&mut self, addr: u64) -> Option<Event> {
        let pc = self.guest().address(self.block.guest.pc);
        if pc == self.block.guest.pc {
            return Some(Event::FetchFault { addr });
        }
        self.block.guest.pc = pc;
        None
    }

    /// Acts on the end of an interpreted unit.
    pub(crate) fn follow(&mut self, next: Next) -> Option<Event> {
        match next {
            Next::Continue => None,
            Next::Event(event) => Some(event),
            Next::Step => self.interpret_one(),
            Next::Flush { len: 0, .. } => {
                self.jit.code_changed();
                None
            }
            Next::Flush { addr, len } => {
                self.jit.invalidate(addr, len.into());
                None
            }
        }
    }

    /// Calls the host function at `state.pc` and returns from it, or arranges for the guest's own code to run.
    pub(crate) fn call_native(&mut self, function: &NativeFn) -> bool {
        // SAFETY: valid as long as the translator, which the thread keeps.
        let counters = unsafe { &*self.counters };
        let ready = self.jit.natives.ready(self.jit.guest, function);
        let state = &mut self.block.guest;
        let done = ready.is_some_and(|ready| native::call(ready, self.jit.guest, state, &self.native_frame, counters));
        if !done {
            self.jit.natives.count_fault(function.id);
            self.plain_at = Some(self.block.guest.pc);
        }
        self.jit.stored();
        done
    }

    /// Calls `function` for the guest function that was entered just now, whose reserved instruction is at `state.pc`, and
    /// returns from it. False if it faulted: the guest state has not changed then.
    pub fn call_host(&mut self, function: &NativeFn) -> bool {
        let outer = CURRENT.replace(self);
        let done = self.call_native(function);
        CURRENT.set(outer);
        done
    }

    /// What is at `state.pc` is executed once as the guest's own code, whatever [`crate::Hooks::intercept`] says of it.
    pub fn run_plain(&mut self) {
        self.plain_at = Some(self.block.guest.pc);
    }

    /// Takes [`Thread::run_plain`] back.
    pub(crate) fn run_native(&mut self) {
        self.plain_at = None;
    }

    /// An [`Event::Interrupted`] was not handled: it is to come again.
    pub(crate) fn interrupt_again(&self) {
        self.block.poll.store(1, Ordering::SeqCst);
    }

    /// Makes the native call under way, if any, return as faulted. Async-signal-safe.
    pub(crate) fn abandon_native(&mut self, context: &mut libc::ucontext_t) -> bool {
        let frame = self.native_frame.load(Ordering::Relaxed);
        if frame != 0 {
            native::abandon(frame, context);
            return true;
        }
        let under_way = std::mem::take(&mut self.block.native_under_way);
        let (Some(id), Some(runtime)) = (under_way.checked_sub(1), &self.jit.t1) else { return false };
        self.jit.natives.count_fault(id);
        self.plain_at = Some(self.block.guest.pc);
        t1::leave_native(&mut self.block, runtime, context);
        true
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let (Some(t1), Some(runtime)) = (&self.t1, &self.jit.t1) {
            t1.detach(runtime);
        }
        // SAFETY: valid as long as the translator.
        unsafe { (*self.counters).release() };
    }
}

// SAFETY: nothing in it is tied to the host thread that made it; raw pointers refer to memory the thread owns.
unsafe impl Send for Thread {}

const _: () = assert!(offset_of!(Thread, block) % 64 == 0);
