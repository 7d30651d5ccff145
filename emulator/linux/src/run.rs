//! The life of a guest thread: run, handle what stopped it, deliver signals, run again.

use ir::unit::Trap;

use crate::errno::{Errno, SysResult};
use crate::signal::Info;
use crate::thread::ThreadCtx;

/// Exit status of a failure of the emulator itself.
const OWN_FAILURE: i32 = 125;

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
            jit::Event::CallInterrupted => self.call_interrupted(),
            jit::Event::CallFailed { error } => self.call_failed(Errno(error)),
            jit::Event::Interrupted => {}
            jit::Event::Trap(trap) => {
                let info = self.trap_info(trap);
                self.raise_fault(&info);
            }
            jit::Event::Fault(fault) if self.is_store_to_code(&fault) => self.store_to_code(),
            jit::Event::Fault(fault) => {
                let info = self.fault_info(&fault);
                self.raise_fault(&info);
            }
            jit::Event::FetchFault { addr } => {
                let mapped = self.process.space.map().find(addr).is_some();
                let code = if mapped { "SEGV_ACCERR" } else { "SEGV_MAPERR" };
                self.raise_fault(&self.fault(libc::SIGSEGV, code, addr));
            }
            jit::Event::NativeCall { name } => self.native_call(name),
            jit::Event::Differs => self.differs(),
        }
    }

    /// Ends the process: what it would do from here on is not to be trusted.
    fn differs(&self) -> ! {
        eprintln!("isamorph: {}", self.jit.difference().trim_end());
        crate::task::end_process(OWN_FAILURE)
    }

    /// Whether the host refused a store that the guest may make, because it changes code. It will not refuse it again.
    fn is_store_to_code(&self, fault: &jit::MemFault) -> bool {
        fault.signal == libc::SIGSEGV && fault.write != Some(false) && self.process.space.store_to_code(fault.addr)
    }

    /// Executes the instruction that stores to code, which nothing keeps from it any more.
    fn store_to_code(&mut self) {
        let mut code = [0; 16];
        let pc = self.jit.state().pc;
        let got = self.process.space.peek_code(pc, &mut code);
        if let Some(event) = self.jit.step(&code[..got]) {
            self.handle(event);
        }
    }

    /// The reserved instruction. A name the host does not know leaves it what it is otherwise: an illegal instruction.
    fn native_call(&mut self, name: u64) {
        let pc = self.jit.state().pc;
        let illegal = self.fault(libc::SIGILL, "ILL_ILLOPC", pc);
        let Some((function, chosen)) = crate::bypass::by_name(self.process, name) else {
            return self.raise_fault(&illegal);
        };
        if chosen && self.jit.call_host(&crate::bypass::native_fn(function)) {
            return;
        }
        match crate::bypass::translated(self.process, function) {
            Some(own) => {
                self.enter(own);
                self.jit.run_plain();
            }
            // There is nothing to run: a program without a C library calls with addresses that cannot be accessed.
            None => self.raise_fault(&illegal),
        }
    }

    /// One system call: read the arguments, dispatch, store the result.
    fn system_call(&mut self) {
        let desc = &self.process.guest.syscall;
        let at = self.call_address();
        if self.queue.is_pending() {
            // The signal came first: its handler returns to the call.
            self.jit.state().pc = at;
            return;
        }
        self.jit.state().clear_monitor();
        let number = self.slot(desc.number);
        match crate::syscall::dispatch(self, number) {
            Ok(value) => self.set_result(Ok(value)),
            Err(Errno::NO_RESULT) => {}
            Err(Errno::RESTART) => self.call_interrupted(),
            Err(error) => self.set_result(Err(error)),
        }
    }

    /// Address of the system-call instruction before `pc`.
    fn call_address(&mut self) -> u64 {
        let state = self.jit.state();
        state.pc.wrapping_sub(self.process.frames.full.syscall_len(state.mode))
    }

    /// A signal came before the call had an effect: it is made again after the handler, or fails.
    fn call_interrupted(&mut self) {
        let at = self.call_address();
        self.signals.interrupted_call = Some(std::mem::replace(&mut self.jit.state().pc, at));
    }

    /// A call that the translator made failed. A bad address may be that of code, which the host protects.
    fn call_failed(&mut self, error: Errno) {
        if error == Errno::EFAULT && self.process.space.unwatch_all() {
            self.jit.state().pc = self.call_address();
        } else {
            self.set_result(Err(error));
        }
    }

    /// Stores the result of a system call as the guest expects it: an error as a negative number, or with a flag.
    pub(crate) fn set_result(&mut self, result: SysResult) {
        let desc = &self.process.guest.syscall;
        let error = |Errno(host)| self.process.abi.errno(host);
        let (value, failed) = match (result, desc.error) {
            (Ok(value), _) => (value, 0),
            (Err(host), Some(_)) => (error(host), 1),
            (Err(host), None) => (error(host).wrapping_neg(), 0),
        };
        self.set_slot(desc.ret, value);
        if let Some(flag) = desc.error {
            self.set_slot(flag, failed);
        }
    }

    /// A fault signal with the code called `code`.
    fn fault(&self, signal: i32, code: &str, addr: u64) -> Info {
        let value = self.process.abi.known.fault_code(code);
        Info::fault(signal, value.unwrap_or_else(|| unreachable!("{code} is described")) as i32, addr)
    }

    /// The signal a trap raises.
    fn trap_info(&mut self, trap: Trap) -> Info {
        let pc = self.jit.state().pc;
        match trap {
            Trap::Undefined => self.fault(libc::SIGILL, "ILL_ILLOPC", pc),
            Trap::Breakpoint(_) | Trap::Trap(_) => self.fault(libc::SIGTRAP, "TRAP_BRKPT", pc),
            Trap::IntegerOverflow => self.fault(libc::SIGFPE, "FPE_INTOVF", pc),
            Trap::DivideByZero => self.fault(libc::SIGFPE, "FPE_INTDIV", pc),
            Trap::Alignment => self.fault(libc::SIGBUS, "BUS_ADRALN", pc),
        }
    }

    /// The signal a failed memory access raises. Whether the address is mapped is read from the guest's map: the host may
    /// see a protection where the guest sees none.
    fn fault_info(&self, fault: &jit::MemFault) -> Info {
        if fault.signal == libc::SIGBUS {
            return Info::fault(libc::SIGBUS, fault.code, fault.addr);
        }
        let mapped = self.process.space.map().find(fault.addr).is_some();
        let code = if mapped { "SEGV_ACCERR" } else { "SEGV_MAPERR" };
        self.fault(libc::SIGSEGV, code, fault.addr)
    }
}
