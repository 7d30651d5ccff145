//! Who makes a system call: a guest thread that has left generated code for it, or one that is still there.

use crate::abi::Call;
use crate::errno::{Errno, SysResult};
use crate::process::Process;
use crate::signal::Queue;
use crate::thread::ThreadCtx;

/// What a call that works on the process alone has.
pub struct Caller<'a> {
    /// The process.
    pub process: &'static Process,
    /// The call.
    pub(crate) call: &'static Call,
    from: From<'a>,
}

enum From<'a> {
    Thread(&'a mut ThreadCtx),
    /// Generated code, with the signals that have come for the thread.
    Code(&'a Queue),
}

impl<'a> Caller<'a> {
    /// A thread that is not in generated code.
    pub(crate) fn thread(ctx: &'a mut ThreadCtx, call: &'static Call) -> Caller<'a> {
        Caller { process: ctx.process, call, from: From::Thread(ctx) }
    }

    /// Generated code, of a thread with this queue.
    pub(crate) fn code(process: &'static Process, call: &'static Call, queue: &'a Queue) -> Caller<'a> {
        Caller { process, call, from: From::Code(queue) }
    }

    /// The thread, outside of generated code.
    ///
    /// # Errors
    /// [`Errno::DECLINED`] in generated code: the call is made again from outside.
    pub(crate) fn outside(&mut self) -> Result<&mut ThreadCtx, Errno> {
        match &mut self.from {
            From::Thread(ctx) => Ok(ctx),
            From::Code(_) => Err(Errno::DECLINED),
        }
    }

    /// Whether the thread is in generated code: it must not wait for others then, which may wait for it to leave.
    pub(crate) fn is_in_code(&self) -> bool {
        matches!(self.from, From::Code(_))
    }

    /// Passes a call that may block to the host kernel; see [`crate::host`].
    ///
    /// # Safety
    /// Pointers among the arguments must be guest addresses, or valid for what the call does with them.
    pub unsafe fn blocking(&self, number: i64, args: [u64; 6]) -> SysResult {
        // SAFETY: the caller's.
        unsafe { crate::host::blocking_syscall(self.queue().pending(), number, args) }
    }

    /// The signals that have come for the thread.
    pub(crate) fn queue(&self) -> &Queue {
        match &self.from {
            From::Thread(ctx) => &ctx.queue,
            From::Code(queue) => queue,
        }
    }
}
