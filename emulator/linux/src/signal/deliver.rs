//! Delivery: from a queued signal or a fault to the guest's handler, or to the end of the process.

use super::frame::{Context, Pushed};
use super::{Action, Info, SigSet, bit, fault_signals, host, unblockable};
use crate::crash;
use crate::errno::Errno;
use crate::strace;
use crate::thread::ThreadCtx;

/// `SIG_DFL`.
const DEFAULT: u64 = 0;
/// `SIG_IGN`.
const IGNORE: u64 = 1;

/// What the default disposition does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Default {
    Nothing,
    Stop,
    Die,
}

fn default_of(signal: i32) -> Default {
    match signal {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => Default::Nothing,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Default::Stop,
        _ => Default::Die,
    }
}

impl ThreadCtx {
    /// Delivers what is queued, then unblocks on the host what the guest does not block.
    pub(crate) fn deliver_pending(&mut self) {
        if !self.queue.is_pending() {
            return;
        }
        // The handler that queued it left everything blocked.
        self.signals.on_host = None;
        loop {
            while let Some(info) = self.queue.pop().or_else(|| self.take_held()) {
                let signal = info.signal();
                // The kernel knows nothing of the guest's mask for these.
                if fault_signals() & self.waiting_mask() & bit(signal) != 0 {
                    self.hold(info);
                } else {
                    self.deliver(&info);
                }
            }
            // May queue the next at once.
            self.block_on_host();
            if !self.queue.is_pending() {
                break;
            }
            self.signals.on_host = None;
        }
        self.signals.interrupted_call = None;
        self.queue.suspend(None);
    }

    /// The mask that decides what gets through now.
    fn waiting_mask(&self) -> SigSet {
        self.queue.suspended().unwrap_or(self.signals.mask)
    }

    /// A held signal that is no longer blocked.
    fn take_held(&mut self) -> Option<Info> {
        self.take_held_of(!self.waiting_mask())
    }

    /// A held signal of a set.
    pub(super) fn take_held_of(&mut self, set: SigSet) -> Option<Info> {
        let at = self.signals.held.iter().position(|info| set & bit(info.signal()) != 0)?;
        let info = self.signals.held.remove(at);
        self.tell_held();
        Some(info)
    }

    fn hold(&mut self, info: Info) {
        self.signals.held.push(info);
        self.tell_held();
    }

    /// Forgets what is held: it was sent to another process.
    pub(crate) fn drop_held(&mut self) {
        self.signals.held.clear();
        self.tell_held();
    }

    fn tell_held(&self) {
        self.queue.set_held(self.signals.held.iter().fold(0, |held, info| held | bit(info.signal())));
    }

    /// Delivers a signal that the current instruction raised: neither blocking nor ignoring it helps.
    pub(crate) fn raise_fault(&mut self, info: &Info) {
        let signal = info.signal();
        strace::signal(self, &info.0);
        let action = self.actions.get(signal);
        if action.handler == IGNORE || action.handler == DEFAULT || self.signals.mask & bit(signal) != 0 {
            crash::report(self, info);
            die_by_signal(signal);
        }
        self.enter_handler(info, action);
        if !self.queue.is_pending() {
            self.block_on_host();
        }
    }

    /// Blocks on the host what the guest blocks, if the host does not know it yet.
    fn block_on_host(&mut self) {
        let mask = self.signals.mask;
        if self.signals.on_host != Some(mask) {
            host::block_as_guest(mask);
            self.signals.on_host = Some(mask);
        }
    }

    fn deliver(&mut self, info: &Info) {
        let signal = info.signal();
        let action = self.actions.get(signal);
        if action.handler != IGNORE {
            strace::signal(self, &info.0);
        }
        match action.handler {
            IGNORE => {}
            DEFAULT => match default_of(signal) {
                Default::Nothing => {}
                // SAFETY: stops this process, as the guest's disposition says.
                Default::Stop => unsafe {
                    libc::raise(libc::SIGSTOP);
                },
                Default::Die => {
                    if fault_signals() & bit(signal) != 0 {
                        crash::report(self, info);
                    }
                    die_by_signal(signal)
                }
            },
            _ => self.enter_handler(info, action),
        }
    }

    /// Builds the frame and points the thread at the handler.
    fn enter_handler(&mut self, info: &Info, action: Action) {
        let signal = info.signal();
        self.settle_interrupted_call(action.flags);
        self.jit.state().clear_monitor();
        if action.flags & libc::SA_RESETHAND as u64 != 0 {
            let reset = Action { handler: DEFAULT, ..action };
            self.actions.set(signal, reset);
            host::set_disposition(signal, &reset);
        }
        if self.push_frame(info, action).is_err() {
            // No stack for the frame.
            let fault = Info::fault(libc::SIGSEGV, 128, 0);
            crash::report(self, &fault);
            die_by_signal(libc::SIGSEGV);
        }
        let base = self.waiting_mask();
        self.queue.suspend(None);
        let own = if action.flags & libc::SA_NODEFER as u64 == 0 { bit(signal) } else { 0 };
        self.signals.mask = (base | action.mask | own) & !unblockable();
    }

    /// An interrupted restartable call fails with `EINTR` unless the handler says restart.
    fn settle_interrupted_call(&mut self, flags: u64) {
        if let Some(next) = self.signals.interrupted_call.take()
            && flags & libc::SA_RESTART as u64 == 0
        {
            self.jit.state().pc = next;
            self.set_result(Err(Errno::EINTR));
        }
    }

    fn push_frame(&mut self, info: &Info, action: Action) -> Result<(), Errno> {
        let (guest, frames) = (self.process.guest, &self.process.frames);
        let own = frames.plain.as_ref().filter(|_| action.flags & libc::SA_SIGINFO as u64 == 0);
        let frame = own.unwrap_or(&frames.full);
        let layout = frame.layout;
        let mut alt_stack = self.signals.alt_stack;
        let sp = self.sp();
        let on_alt = alt_stack.contains(sp);
        let switch = action.flags & libc::SA_ONSTACK as u64 != 0 && alt_stack.flags & libc::SS_DISABLE == 0 && !on_alt;
        let top = if switch { alt_stack.base.wrapping_add(alt_stack.size) } else { sp.wrapping_sub(layout.red_zone) };
        if alt_stack.flags & libc::SS_DISABLE == 0 && on_alt {
            alt_stack.flags |= libc::SS_ONSTACK;
        }
        let context = Context { info: *info, mask: self.signals.mask, alt_stack };
        let abi = self.process.abi;
        let plain = layout.plain.filter(|_| action.flags & libc::SA_SIGINFO as u64 == 0);
        let from = plain.map_or(0, |plain| plain.at);
        let Pushed { frame, sp } = frame.write(guest, abi, self.jit.state(), top, &context, from)?;
        if self.signals.alt_stack.flags & SS_AUTODISARM != 0 {
            self.signals.alt_stack = super::AltStack::default();
        }
        let restorer = action.flags & super::SA_RESTORER != 0 && layout.has_restorer;
        let is_plain = plain.is_some() || own.is_some();
        let back = if restorer { action.restorer } else { self.process.sigreturn_code(is_plain) };
        self.enter(action.handler);
        match guest.abi.return_address {
            Some(slot) => {
                self.set_slot(guest.sp, sp);
                self.set_slot(slot, back);
            }
            None => self.push(sp, back)?,
        }
        if let Some(callee) = guest.abi.callee {
            self.set_slot(callee, action.handler);
        }
        let place = |offset: Option<u64>| offset.map_or(0, |offset| frame + offset);
        let arguments = [abi.signal(info.signal()) as u64, place(layout.siginfo), place(layout.ucontext)];
        let given = if plain.is_some() { 1 } else { arguments.len() };
        for (slot, value) in guest.abi.int_args.iter().zip(arguments).take(given) {
            self.set_slot(*slot, value);
        }
        Ok(())
    }

    /// Calls push their return address: so does the call of a handler.
    fn push(&mut self, sp: u64, back: u64) -> Result<(), Errno> {
        let words = self.process.abi.words();
        let sp = sp.wrapping_sub(words.size);
        crate::guest_memory::write(sp, &words.bytes(&[back]))?;
        self.set_slot(self.process.guest.sp, sp);
        Ok(())
    }

    /// Makes `mask` the guest's and tells the host. Held signals that it lets through are delivered after the call.
    pub(crate) fn set_mask(&mut self, mask: SigSet) {
        self.signals.mask = mask & !unblockable();
        if self.queue.held() & !mask != 0 {
            self.queue.notify();
        }
        // While something is queued the host stays blocked; delivery unblocks.
        if !self.queue.is_pending() {
            self.block_on_host();
        }
    }
}

/// `SS_AUTODISARM`.
const SS_AUTODISARM: i32 = 1 << 31;

/// Ends the process the way the signal does by default, so that the parent sees it.
pub fn die_by_signal(signal: i32) -> ! {
    crate::process::at_end();
    host::reset_and_raise(signal);
    // Not reached unless the signal's default is not fatal.
    // SAFETY: ends the process.
    unsafe { libc::_exit(128 + signal) }
}
