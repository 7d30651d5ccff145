//! The life of a guest thread: run, handle what stopped it, deliver signals, run again.

use ir::unit::Trap;

use crate::errno::Errno;
use crate::signal::Info;
use crate::thread::ThreadCtx;

/// `si_code` values of faults, as in `asm-generic/siginfo.h`.
mod code {
    pub(super) const ILL_ILLOPC: i32 = 1;
    pub(super) const FPE_INTDIV: i32 = 1;
    pub(super) const FPE_INTOVF: i32 = 2;
    pub(super) const SEGV_MAPERR: i32 = 1;
    pub(super) const SEGV_ACCERR: i32 = 2;
    pub(super) const BUS_ADRALN: i32 = 1;
    pub(super) const TRAP_BRKPT: i32 = 1;
}

impl ThreadCtx {
    /// Runs guest code until the thread ends; returns its exit code.
    pub(crate) fn run(&mut self) -> i32 {
        loop {
            let event = self.jit.run();
            self.handle(event);
            if let Some(code) = self.ended {
                return code;
            }
            self.deliver_pending();
        }
    }

    fn handle(&mut self, event: jit::Event) {
        match event {
            jit::Event::Syscall => self.system_call(),
            jit::Event::Interrupted => {}
            jit::Event::Trap(trap) => {
                let info = self.trap_info(trap);
                self.raise_fault(&info);
            }
            jit::Event::Fault(fault) => {
                let info = self.fault_info(&fault);
                self.raise_fault(&info);
            }
            jit::Event::FetchFault { addr } => {
                let mapped = self.process.space.map().find(addr).is_some();
                let code = if mapped { code::SEGV_ACCERR } else { code::SEGV_MAPERR };
                self.raise_fault(&Info::fault(libc::SIGSEGV, code, addr));
            }
            jit::Event::NativeCall { name } => self.native_call(name),
        }
    }

    /// The reserved instruction. A name the host does not know leaves it what it is otherwise: an illegal instruction.
    fn native_call(&mut self, name: u64) {
        let pc = self.jit.state().pc;
        let illegal = Info::fault(libc::SIGILL, code::ILL_ILLOPC, pc);
        let Some((function, chosen)) = crate::bypass::by_name(self.process, name) else {
            return self.raise_fault(&illegal);
        };
        if chosen && self.jit.call_host(&crate::bypass::native_fn(function)) {
            return;
        }
        match crate::bypass::translated(self.process, function) {
            Some(own) => {
                self.jit.state().pc = own;
                self.jit.run_plain();
            }
            // There is nothing to run: a program without a C library calls with addresses that cannot be accessed.
            None => self.raise_fault(&illegal),
        }
    }

    /// One system call: read the arguments, dispatch, store the result.
    fn system_call(&mut self) {
        let desc = &self.process.guest.syscall;
        let next = self.jit.state().pc;
        if self.queue.is_pending() {
            // The signal came first: its handler returns to the call.
            self.jit.state().pc = next.wrapping_sub(self.process.frame.layout.syscall_len);
            return;
        }
        let number = self.slot(desc.number);
        let mut args = [0; 6];
        for (arg, slot) in args.iter_mut().zip(desc.args) {
            *arg = self.slot(*slot);
        }
        let ret = desc.ret;
        match crate::syscall::dispatch(self, number, args) {
            Ok(value) => self.set_slot(ret, value),
            Err(Errno::NO_RESULT) => {}
            Err(Errno::RESTART) => {
                self.jit.state().pc = next.wrapping_sub(self.process.frame.layout.syscall_len);
                self.signals.interrupted_call = Some(next);
            }
            Err(Errno(error)) => self.set_slot(ret, (-i64::from(error)) as u64),
        }
    }

    /// The signal a trap raises.
    fn trap_info(&mut self, trap: Trap) -> Info {
        let pc = self.jit.state().pc;
        match trap {
            Trap::Undefined => Info::fault(libc::SIGILL, code::ILL_ILLOPC, pc),
            Trap::Breakpoint(_) | Trap::Trap(_) => Info::fault(libc::SIGTRAP, code::TRAP_BRKPT, pc),
            Trap::IntegerOverflow => Info::fault(libc::SIGFPE, code::FPE_INTOVF, pc),
            Trap::DivideByZero => Info::fault(libc::SIGFPE, code::FPE_INTDIV, pc),
            Trap::Alignment => Info::fault(libc::SIGBUS, code::BUS_ADRALN, pc),
        }
    }

    /// The signal a failed memory access raises. Whether the address is mapped is read from the guest's map: the host may
    /// see a protection where the guest sees none.
    fn fault_info(&self, fault: &jit::MemFault) -> Info {
        if fault.signal == libc::SIGBUS {
            return Info::fault(libc::SIGBUS, fault.code, fault.addr);
        }
        let mapped = self.process.space.map().find(fault.addr).is_some();
        let code = if mapped { code::SEGV_ACCERR } else { code::SEGV_MAPERR };
        Info::fault(libc::SIGSEGV, code, fault.addr)
    }
}
