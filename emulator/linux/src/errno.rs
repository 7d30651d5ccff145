//! Results of system calls.

/// A kernel error number (positive), or one of the internal outcomes below, which never reach the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

/// What a system call returns: a value for the result register, or an error.
pub type SysResult = Result<u64, Errno>;

impl Errno {
    /// A signal arrived before or during a restartable call: restart it, or fail with `EINTR`, as the handler's
    /// `SA_RESTART` says. The kernel's `ERESTARTSYS`.
    pub const RESTART: Errno = Errno(512);
    /// The call replaced or ended the thread's state (`rt_sigreturn`, `exit`): no result is stored.
    pub const NO_RESULT: Errno = Errno(4096);
    /// The call cannot be made from generated code: it had no effect, and is made again from outside.
    pub const DECLINED: Errno = Errno(4097);

    /// Operation not permitted.
    pub const EPERM: Errno = Errno(libc::EPERM);
    /// No such file.
    pub const ENOENT: Errno = Errno(libc::ENOENT);
    /// No such process.
    pub const ESRCH: Errno = Errno(libc::ESRCH);
    /// Interrupted.
    pub const EINTR: Errno = Errno(libc::EINTR);
    /// Exec format error.
    pub const ENOEXEC: Errno = Errno(libc::ENOEXEC);
    /// Bad descriptor.
    pub const EBADF: Errno = Errno(libc::EBADF);
    /// Try again.
    pub const EAGAIN: Errno = Errno(libc::EAGAIN);
    /// Out of memory, or address range not mapped.
    pub const ENOMEM: Errno = Errno(libc::ENOMEM);
    /// Bad address.
    pub const EFAULT: Errno = Errno(libc::EFAULT);
    /// Exists.
    pub const EEXIST: Errno = Errno(libc::EEXIST);
    /// Invalid argument.
    pub const EINVAL: Errno = Errno(libc::EINVAL);
    /// Result out of range.
    pub const ERANGE: Errno = Errno(libc::ERANGE);
    /// Name too long.
    pub const ENAMETOOLONG: Errno = Errno(libc::ENAMETOOLONG);
    /// Not implemented.
    pub const ENOSYS: Errno = Errno(libc::ENOSYS);
    /// Argument list too long.
    pub const E2BIG: Errno = Errno(libc::E2BIG);

    /// The host libc's `errno`.
    #[must_use]
    pub fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Splits the kernel's return convention: -4095..=-1 is an error.
pub fn from_kernel(value: i64) -> SysResult {
    if (-4095..0).contains(&value) { Err(Errno(-value as i32)) } else { Ok(value as u64) }
}
