//! The dispatcher: enters generated code and acts on why it came back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ir::unit::{Trap, Unit, UnitKey};

use super::jump_cache::JumpCache;
use super::return_stack::ReturnStack;
use super::world::Shared;
use super::{Body, Miss, Runtime, Translation, entries, first, float};
use crate::check;
use crate::event::{Event, MemFault};
use crate::form::{self, Formed, Manner};
use crate::interp::{self, Next, NoticedMemory};
use crate::jit::Jit;
use crate::thread::Thread;
use crate::thread_state::{Leave, TURNS, ThreadState};
use crate::x64::{Compiler, deferred, forget_exceptions};

/// What a thread needs to run generated code.
pub(crate) struct Engine {
    pub(super) compiler: Compiler,
    pub(super) shared: Arc<Shared>,
    pub(super) returns: ReturnStack,
    /// Set by the fault handler when it makes generated code leave.
    pub(super) fault: Option<Fault>,
    /// An instruction is executed alone, with invalid operations masked.
    pub(super) stepping: bool,
    /// How the control registers of modes were found.
    policies: Option<float::Policies>,
    /// Code that is interpreted.
    pub(super) pieces: first::Pieces,
    /// An exclusive access waits for the granule of this address to be watched.
    wanted: Option<u64>,
}

/// A fault of generated code, the state being that before the guest instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// As the host reported it.
    Known(MemFault),
    /// The host did not say the address: the interpreter has to find it. The unit is named by its key.
    Unknown(UnitKey),
}

impl Engine {
    /// Registers the thread whose state is `block`; it must not move until [`Engine::detach`].
    pub(crate) fn new(jit: &Jit, runtime: &Runtime, block: &mut ThreadState) -> Engine {
        let returns = ReturnStack::new();
        let mut jump = JumpCache::new(jit.guest.insn_align, runtime.stubs.lookup);
        jump.attach(block);
        block.entries = entries::ENTRIES;
        block.jit_sp = returns.reset();
        let shared = runtime.world.add(&raw const block.poll, jump);
        (block.direct_calls, block.direct_len) = (runtime.direct_calls.as_ptr(), runtime.direct_calls.len() as u64);
        block.inside = shared.inside();
        block.changeable = runtime.counter.place();
        runtime.thread_added(jit);
        let (compiler, pieces) = (runtime.compiler(jit.guest), first::Pieces::default());
        Engine { compiler, shared, returns, fault: None, stepping: false, policies: None, pieces, wanted: None }
    }

    /// Unregisters.
    pub(crate) fn detach(&self, runtime: &Runtime) {
        runtime.world.remove(&self.shared);
    }
}

impl Thread {
    /// Runs translated code until there is an event.
    pub(crate) fn run_translated(&mut self, runtime: &Runtime) -> Event {
        if self.jit.options.check {
            return self.run_in_lock_step(runtime);
        }
        self.step_in(runtime);
        let event = loop {
            if let Some(event) = self.dispatch(runtime) {
                break event;
            }
        };
        self.step_out(runtime);
        event
    }

    /// The same, one unit of one thread at a time. Who waits for its turn holds no translation: it may be waited for.
    fn run_in_lock_step(&mut self, runtime: &Runtime) -> Event {
        let jit = self.jit.clone();
        loop {
            let turn = jit.lock_step.enter();
            self.step_in(runtime);
            let event = self.dispatch(runtime);
            self.step_out(runtime);
            drop(turn);
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// From here on the thread may hold translations.
    fn step_in(&self, runtime: &Runtime) {
        if let Some(t1) = &self.t1 {
            runtime.world.enter(&t1.shared);
        }
    }

    fn step_out(&self, runtime: &Runtime) {
        if let Some(t1) = &self.t1 {
            runtime.world.leave(&t1.shared);
        }
    }

    /// Executes from `state.pc` until generated code leaves.
    pub(super) fn dispatch(&mut self, runtime: &Runtime) -> Option<Event> {
        if runtime.is_to_stop_trapping() {
            self.step_out(runtime);
            runtime.stop_trapping(&self.jit);
            self.step_in(runtime);
        }
        if let Some(event) = self.interrupted() {
            return Some(event);
        }
        if runtime.sees_all_calls() {
            self.before_noticed(runtime);
        }
        let key = self.take_key();
        if self.interprets(runtime, key)
            && let Some(next) = self.interpret_first(runtime, key)
        {
            return self.follow(next);
        }
        let translation = match self.obtain(runtime, key) {
            Ok(translation) => translation,
            Err(Miss::FetchFault(addr)) => return self.fetch_fault(addr),
            Err(Miss::Full) => {
                self.step_out(runtime);
                runtime.flush(&self.jit);
                self.step_in(runtime);
                return None;
            }
            Err(Miss::Inexact) => {
                self.step_out(runtime);
                runtime.become_exact(&self.jit);
                self.step_in(runtime);
                return None;
            }
        };
        match translation.body() {
            Body::Checked(unit) => self.enter_checked(runtime, translation.host(), unit),
            Body::Host => {
                self.enter(runtime, translation.host());
                self.left(runtime)
            }
            Body::Native(function) => {
                self.call_native(function);
                None
            }
            Body::Interp(unit) => {
                let next = interp::execute(self.guest(), unit, &mut self.block.guest);
                self.follow(next)
            }
        }
    }

    /// Generated code makes no system calls any more; the last may have stored something. Watches what the thread waits for.
    fn before_noticed(&mut self, runtime: &Runtime) {
        let Some(t1) = &mut self.t1 else { return };
        let wanted = t1.wanted.take();
        if std::mem::take(&mut self.block.direct_len) > 0 {
            self.jit.stored();
        }
        if let Some(addr) = wanted {
            self.step_out(runtime);
            runtime.watch(&self.jit, addr);
            self.step_in(runtime);
        }
    }

    /// The translation of `key`.
    pub(super) fn obtain(&mut self, runtime: &Runtime, key: UnitKey) -> Result<Translation, Miss> {
        match &mut self.t1 {
            Some(t1) => runtime.obtain(&self.jit, &mut t1.compiler, key),
            None => Err(Miss::Full),
        }
    }

    /// Executes one unit both ways; see [`crate::check`].
    fn enter_checked(&mut self, runtime: &Runtime, host: u64, unit: &Unit) -> Option<Event> {
        let jit = self.jit.clone();
        let rehearsal = check::rehearse(jit.guest, unit, &self.block.guest);
        self.block.poll.fetch_or(check::ONE_UNIT, Ordering::SeqCst);
        self.enter(runtime, host);
        self.block.poll.fetch_and(!check::ONE_UNIT, Ordering::SeqCst);
        // An access that generated code could not make is made by the interpreter, which stops after its instruction; a unit that
        // has assumed too much has done nothing.
        let assumed = self.block.exit_kind == Leave::Assumed as u32;
        let retried = assumed || self.retreated.is_some() || matches!(self.t1.as_ref()?.fault, Some(Fault::Unknown(_)));
        let left = self.block.guest.clone();
        let event = self.left(runtime);
        self.difference = rehearsal.filter(|_| !retried).and_then(|it| it.compare(&jit, &left, event));
        if self.difference.is_some() { Some(Event::Differs) } else { event }
    }

    /// Runs the host code at `host`.
    fn enter(&mut self, runtime: &Runtime, host: u64) {
        let Some(t1) = self.t1.as_mut() else { return };
        // Looked at before it is taken: an exchange costs as much as a short system call's marshalling.
        if t1.shared.stale.load(Ordering::Relaxed) && t1.shared.stale.swap(false, Ordering::Acquire) {
            self.block.jit_sp = t1.returns.clear();
        }
        float::prepare(self.jit.guest, &mut self.block, runtime.float_policies(), &mut t1.policies);
        if runtime.extended {
            forget_exceptions();
        }
        let state = &raw mut self.block;
        // SAFETY: the stub has this type; the state belongs to this thread and describes a boundary; the code was published
        // and is kept while the thread is inside.
        unsafe {
            let enter: unsafe extern "sysv64" fn(*mut ThreadState, u64) = std::mem::transmute(runtime.stubs.enter);
            enter(state, host);
        }
        deferred::settle(&runtime.conv, &mut self.block);
        float::collect_flags(&mut self.block);
    }

    /// Why generated code left.
    fn left(&mut self, runtime: &Runtime) -> Option<Event> {
        let operand = self.block.exit_operand;
        let code = operand as u32;
        let trap = |trap| Some(Event::Trap(trap));
        match self.block.exit_kind {
            k if k == Leave::Syscall as u32 => Some(Event::Syscall),
            k if k == Leave::CallInterrupted as u32 => Some(Event::CallInterrupted),
            k if k == Leave::CallFailed as u32 => Some(Event::CallFailed { error: code as i32 }),
            k if k == Leave::NativeCall as u32 => Some(Event::NativeCall { name: operand }),
            k if k == Leave::Flush as u32 => self.follow(Next::Flush { addr: operand, len: self.block.exit_len }),
            k if k == Leave::Undefined as u32 => trap(Trap::Undefined),
            k if k == Leave::Breakpoint as u32 => trap(Trap::Breakpoint(code)),
            k if k == Leave::IntegerOverflow as u32 => trap(Trap::IntegerOverflow),
            k if k == Leave::DivideByZero as u32 => trap(Trap::DivideByZero),
            k if k == Leave::Trap as u32 => trap(Trap::Trap(code)),
            k if k == Leave::Alignment as u32 => trap(Trap::Alignment),
            k if k == Leave::Assumed as u32 => {
                let state = &self.block.guest;
                runtime.be_careful(&self.jit, UnitKey { pc: state.pc, mode: state.mode });
                None
            }
            k if k == Leave::Step as u32 => self.interpret_one(),
            k if k == Leave::Poll as u32 && self.block.turns < 0 => {
                self.block.turns = TURNS;
                let state = &self.block.guest;
                runtime.unroll(&self.jit, UnitKey { pc: state.pc, mode: state.mode });
                None
            }
            _ if self.block.native_sample != 0 => {
                self.block.native_sample = 0;
                self.measure_native(runtime);
                None
            }
            _ if self.block.native_declined != 0 => {
                let id = std::mem::take(&mut self.block.native_declined) - 1;
                self.jit.natives.count_fault(id);
                self.run_plain();
                None
            }
            // Poll, redispatch, dispatcher: look at the state, unless the fault handler made it leave.
            _ => match self.t1.as_mut()?.fault.take()? {
                Fault::Known(fault) => Some(Event::Fault(fault)),
                Fault::Unknown(unit) => {
                    let event = self.interpret_one();
                    if self.guest().ignore_top_byte && !matches!(event, Some(Event::Fault(_))) {
                        runtime.mask_pointers(&self.jit, unit);
                    }
                    event
                }
            },
        }
    }

    /// Executes the guest instruction at `state.pc` in the interpreter.
    pub(crate) fn interpret_one(&mut self) -> Option<Event> {
        let state = &self.block.guest;
        let key = UnitKey { pc: state.pc, mode: state.mode };
        let unit = match form::form(self.jit.guest, &*self.jit.hooks, key, Manner::of(1), |_| false) {
            Formed::FetchFault { addr } => return self.fetch_fault(addr),
            Formed::Unit { unit, .. } => unit,
        };
        let jit = &*self.jit;
        let next = if jit.notices_stores() {
            let mut memory = NoticedMemory::new(&jit.watched, false);
            let next = interp::execute_in(jit.guest, &unit, &mut self.block.guest, &mut memory);
            if let (Some(addr), Some(t1)) = (memory.wanted, &mut self.t1) {
                t1.wanted = Some(addr);
                return None;
            }
            next
        } else {
            interp::execute(jit.guest, &unit, &mut self.block.guest)
        };
        unit.recycle();
        self.follow(next)
    }
}
