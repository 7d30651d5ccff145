//! `clone` and `clone3`: a guest thread is a host thread; a guest process is a host process.

use std::sync::mpsc;
use std::sync::{Arc, Once};

use crate::errno::{Errno, SysResult};
use crate::guest_memory::Words;
use crate::signal::host::HostStack;
use crate::signal::{Action, SIGNALS, SigSet, host};
use crate::thread::{ThreadCtx, set_current_queue};

/// Bytes of host stack of a guest thread: the translator and the system calls run on it.
const HOST_STACK: usize = 1 << 20;
/// Bytes of host stack of a child that borrows its parent's host thread.
const BORROWED_STACK: usize = 256 * 1024;

/// What is asked of `clone`.
#[derive(Clone, Copy, Default, Debug)]
struct Request {
    flags: u64,
    exit_signal: i32,
    /// Stack pointer of the child, 0 for the parent's.
    sp: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
    pidfd: u64,
}

impl Request {
    fn has(&self, flag: i32) -> bool {
        self.flags & flag as u32 as u64 != 0
    }
}

/// `clone(flags, sp, parent_tid, tls, child_tid)`
pub(crate) fn clone(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [flags, sp, parent_tid, tls, child_tid, _] = args;
    let exit_signal = (flags & 0xff) as i32;
    let flags = flags & 0xffff_ff00;
    // Old-style: the descriptor goes where the parent's copy of the id would.
    let request = Request { flags, exit_signal, sp, parent_tid, child_tid, tls, pidfd: parent_tid };
    start(ctx, &request)
}

/// `fork()`
pub(crate) fn fork(ctx: &mut ThreadCtx, _args: [u64; 6]) -> SysResult {
    clone(ctx, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0])
}

/// `vfork()`
pub(crate) fn vfork(ctx: &mut ThreadCtx, _: [u64; 6]) -> SysResult {
    clone(ctx, [(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as u64, 0, 0, 0, 0, 0])
}

/// `clone3(args, size)`
pub(crate) fn clone3(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [addr, size, ..] = args;
    if size < 64 {
        return Err(Errno::EINVAL);
    }
    let words = ctx.process.abi.words();
    let word = |i: u64| if 8 * i < size { words.read_sized(addr.wrapping_add(8 * i), 8) } else { Ok(0) };
    let (stack, stack_size) = (word(5)?, word(6)?);
    if (stack == 0) != (stack_size == 0) || word(9)? != 0 {
        return Err(Errno::EINVAL);
    }
    let request = Request {
        flags: word(0)?,
        pidfd: word(1)?,
        child_tid: word(2)?,
        parent_tid: word(3)?,
        exit_signal: word(4)? as i32,
        sp: stack.wrapping_add(stack_size),
        tls: word(7)?,
    };
    start(ctx, &request)
}

fn start(ctx: &mut ThreadCtx, request: &Request) -> SysResult {
    let thread_flags = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND;
    if request.has(libc::CLONE_THREAD) {
        return if request.flags & thread_flags as u64 == thread_flags as u64 {
            new_thread(ctx, request)
        } else {
            Err(Errno::EINVAL)
        };
    }
    let sharing = libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND;
    if request.flags & sharing as u64 != 0 || request.has(libc::CLONE_VM) && !request.has(libc::CLONE_VFORK) {
        eprintln!("isamorph: not supported: clone of a process with flags {:#x}", request.flags);
        return Err(Errno::EINVAL);
    }
    if request.has(libc::CLONE_VM) { borrowed_process(ctx, request) } else { forked_process(ctx, request) }
}

/// The child's context: a copy of the processor state that returns 0 from the call.
fn child_of(ctx: &mut ThreadCtx, request: &Request, actions: Arc<crate::signal::Actions>) -> ThreadCtx {
    let new = if request.has(libc::CLONE_THREAD) { ThreadCtx::new } else { ThreadCtx::in_turn };
    let mut child = new(ctx.process, actions);
    copy_state(ctx.jit.state(), child.jit.state());
    child.signals.mask = ctx.signals.mask;
    child.adopt(request);
    child
}

/// The child starts with its parent's registers and no exclusive reservation.
fn copy_state(from: &ir::GuestState, to: &mut ir::GuestState) {
    to.slots = from.slots;
    to.pc = from.pc;
    to.mode = from.mode;
    to.fflags = from.fflags;
}

impl ThreadCtx {
    /// Registers and thread state as the child of `request` finds them.
    fn adopt(&mut self, request: &Request) {
        let guest = self.process.guest;
        self.set_result(Ok(0));
        if request.sp != 0 {
            self.set_slot(guest.sp, request.sp);
        }
        if request.has(libc::CLONE_SETTLS) {
            // A bad address is found by who uses the thread pointer.
            if crate::syscall::thread_area::adopt(self, request.tls).is_none() {
                self.set_slot(guest.process.tls, request.tls);
            }
        }
        self.clear_child_tid = if request.has(libc::CLONE_CHILD_CLEARTID) { request.child_tid } else { 0 };
    }
}

/// Identifier of the calling host thread.
fn own_tid() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() as u32 }
}

fn new_thread(ctx: &mut ThreadCtx, request: &Request) -> SysResult {
    let child = child_of(ctx, request, ctx.actions.clone());
    let (tell, told) = mpsc::sync_channel(1);
    let request = *request;
    // Counted before it exists, or the parent could end as the last one.
    ctx.process.thread_started();
    // The thread must not take signals before it has a queue and a stack for them.
    let mask = host::block_all();
    let spawned = std::thread::Builder::new().stack_size(HOST_STACK).spawn(move || {
        LIBC_STARTED.call_once(|| restore_libc_signals(&child.actions));
        let (tid, words) = (own_tid(), child.process.abi.words());
        if request.has(libc::CLONE_CHILD_SETTID) {
            let _ = words.write_u32(request.child_tid, tid);
        }
        if request.has(libc::CLONE_PARENT_SETTID) {
            let _ = words.write_u32(request.parent_tid, tid);
        }
        let _ = tell.send(tid);
        run_thread(child);
    });
    let result = match spawned {
        Ok(_) => told.recv().map(u64::from).map_err(|_| Errno::EAGAIN),
        Err(_) => {
            ctx.process.thread_ended();
            Err(Errno::EAGAIN)
        }
    };
    restore_mask(mask);
    result
}

/// The host's libc has created its first thread.
static LIBC_STARTED: Once = Once::new();

/// Signals that libc uses between the threads of a process: for cancelling, and for changing the user of all of them.
const LIBC_SIGNALS: [i32; 2] = [32, 33];

/// Creating its first thread, the host's libc handles signals that the guest's libc uses as well, and has set up just before:
/// the guest's dispositions are put back. The emulator neither cancels threads nor changes users by the host's libc.
fn restore_libc_signals(actions: &crate::signal::Actions) {
    for signal in LIBC_SIGNALS {
        host::set_disposition(signal, &actions.get(signal));
    }
}

fn restore_mask(mask: SigSet) {
    host::block_as_guest(mask);
}

/// The body of a host thread that is a guest thread other than the first.
fn run_thread(mut child: ThreadCtx) {
    let Ok(stack) = HostStack::install() else { super::end_process(125) };
    child.make_current();
    host::block_as_guest(child.signals.mask);
    let code = child.run();
    host::block_all();
    set_current_queue(std::ptr::null());
    drop(stack);
    super::release_robust(&child);
    // Freed before the thread counts as ended: who joins it finds next to nothing left of it.
    let (process, clear_child_tid) = (child.process, child.clear_child_tid);
    drop(child);
    super::clear_tid(clear_child_tid);
    if process.thread_ended() {
        super::end_process(code);
    }
}

/// `fork`: the host's, with the emulator's locks held across it.
fn forked_process(ctx: &mut ThreadCtx, request: &Request) -> SysResult {
    let namespaces = request.flags & !KNOWN_FORK_FLAGS;
    if namespaces != 0 || request.exit_signal != libc::SIGCHLD {
        eprintln!(
            "isamorph: not supported: clone of a process with flags {:#x}, exit signal {}",
            request.flags, request.exit_signal
        );
        return Err(Errno::EINVAL);
    }
    let mask = host::block_all();
    let (actions, process) = (ctx.actions.clone(), ctx.process);
    let words = process.abi.words();
    let turn = process.jit().take_turn();
    let pid = process.space.quiesced(|| actions.quiesced(|| fork_translator(process)));
    drop(turn);
    let result = match pid {
        -1 => Err(Errno::last()),
        0 => {
            process.after_fork();
            ctx.adopt(request);
            ctx.drop_held();
            if request.has(libc::CLONE_CHILD_SETTID) {
                let _ = words.write_u32(request.child_tid, own_tid());
            }
            Ok(0)
        }
        pid => {
            if request.has(libc::CLONE_PARENT_SETTID) {
                let _ = words.write_u32(request.parent_tid, pid as u32);
            }
            finish_pidfd(words, request, pid)
        }
    };
    restore_mask(mask);
    result
}

/// Forks with the translator's structures at rest.
fn fork_translator(process: &crate::Process) -> libc::pid_t {
    let guard = process.jit().fork_prepare();
    // SAFETY: no other thread is inside the emulator's locked sections; libc's own locks are libc's concern.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        guard.in_child();
    }
    pid
}

/// Flags of a forking `clone` that are handled.
const KNOWN_FORK_FLAGS: u64 = (libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_SETTLS
    | libc::CLONE_VFORK
    | libc::CLONE_VM
    | libc::CLONE_PIDFD
    | libc::CLONE_SYSVSEM) as u64
    | CLONE_CLEAR_SIGHAND;
/// `CLONE_CLEAR_SIGHAND`
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// Stores a descriptor of the child, if asked for.
fn finish_pidfd(words: Words, request: &Request, pid: i32) -> SysResult {
    if request.has(libc::CLONE_PIDFD) {
        // SAFETY: plain arguments.
        let fd = unsafe { crate::host::syscall(libc::SYS_pidfd_open, [pid as u64, 0, 0, 0, 0, 0])? };
        words.write_u32(request.pidfd, fd as u32)?;
    }
    Ok(pid as u64)
}

/// What a borrowing child starts with.
struct Borrowed {
    child: ThreadCtx,
    mask: SigSet,
    request: Request,
}

/// `vfork`: the child shares memory and the suspended parent's host thread state, on a host stack of its own, until it
/// executes a program or exits. It has its own processor state and dispositions.
fn borrowed_process(ctx: &mut ThreadCtx, request: &Request) -> SysResult {
    if request.flags & !KNOWN_FORK_FLAGS != 0 {
        eprintln!("isamorph: not supported: clone of a process with flags {:#x}", request.flags);
        return Err(Errno::EINVAL);
    }
    let actions = Arc::new(ctx.actions.duplicate());
    let words = ctx.process.abi.words();
    let mut child = child_of(ctx, request, actions);
    child.signals.alt_stack = ctx.signals.alt_stack;
    child.borrowed = true;
    let stack = BorrowedStack::new()?;
    let mask = host::block_all();
    let mut start = Borrowed { child, mask, request: *request };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | request.exit_signal;
    // SAFETY: the parent is suspended until the child has left this address space or the process, so that the stack, `start`
    // and the thread-local state are the child's alone.
    let pid = unsafe { libc::clone(run_borrowed, stack.top(), flags, (&raw mut start).cast()) };
    ctx.make_current();
    let result = if pid < 0 { Err(Errno::last()) } else { finish_pidfd(words, request, pid) };
    if let Ok(pid) = result
        && request.has(libc::CLONE_PARENT_SETTID)
    {
        let _ = words.write_u32(request.parent_tid, pid as u32);
    }
    restore_mask(mask);
    result
}

extern "C" fn run_borrowed(start: *mut libc::c_void) -> i32 {
    // SAFETY: passed by `borrowed_process`, which waits.
    let start = unsafe { &mut *start.cast::<Borrowed>() };
    start.child.make_current();
    if start.request.flags & CLONE_CLEAR_SIGHAND != 0 {
        start.child.reset_handlers();
    }
    if start.request.has(libc::CLONE_CHILD_SETTID) {
        let _ = start.child.process.abi.words().write_u32(start.request.child_tid, own_tid());
    }
    host::block_as_guest(start.mask);
    let code = start.child.run();
    super::leave(code)
}

impl ThreadCtx {
    /// Handled signals get their default disposition, in this process.
    fn reset_handlers(&mut self) {
        for signal in 1..=SIGNALS {
            let action = self.actions.get(signal);
            if action.handler > 1 {
                let reset = Action { handler: 0, ..action };
                self.actions.set(signal, reset);
                host::set_disposition(signal, &reset);
            }
        }
    }
}

/// A host stack for the time of a `vfork`.
struct BorrowedStack(*mut libc::c_void);

impl BorrowedStack {
    fn new() -> Result<BorrowedStack, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a fresh mapping.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), BORROWED_STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED { Err(Errno::ENOMEM) } else { Ok(BorrowedStack(base)) }
    }

    fn top(&self) -> *mut libc::c_void {
        // SAFETY: one past the mapping's end.
        unsafe { self.0.byte_add(BORROWED_STACK) }
    }
}

impl Drop for BorrowedStack {
    fn drop(&mut self) {
        // SAFETY: the child that used it is gone.
        unsafe { libc::munmap(self.0, BORROWED_STACK) };
    }
}
