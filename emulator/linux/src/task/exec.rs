//! `execve`: guest programs are run by a fresh instance of the emulator, host programs directly.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::errno::{Errno, SysResult};
use crate::guest_memory::read_cstr;
use crate::loader::{self, LoadError, Program};
use crate::syscall::path::to_host;
use crate::thread::ThreadCtx;

/// `execve(path, argv, envp)`
pub(crate) fn execve(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let path = read_cstr(args[0])?;
    execute(ctx, libc::AT_FDCWD, &path, args[1], args[2])
}

/// `execveat(dirfd, path, argv, envp, flags)`
pub(crate) fn execveat(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [dir, path, argv, envp, flags, _] = args;
    let path = read_cstr(path)?;
    if path.is_empty() && flags as i32 & libc::AT_EMPTY_PATH != 0 {
        let descriptor = format!("/proc/self/fd/{}", dir as i32);
        return execute(ctx, libc::AT_FDCWD, descriptor.as_bytes(), argv, envp);
    }
    execute(ctx, dir as i32, &path, argv, envp)
}

fn execute(ctx: &mut ThreadCtx, dir: i32, path: &[u8], argv: u64, envp: u64) -> SysResult {
    let words = ctx.process.abi.words();
    let argv: Vec<OsString> = words.read_cstr_array(argv)?.into_iter().map(OsString::from_vec).collect();
    let envp = words.read_cstr_array(envp)?;
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = to_host(ctx.process, dir, path);
    let program = loader::identify(&path, argv, ctx.process.sysroot.as_deref()).map_err(|e| errno_of(&e))?;
    let own_kind = program.guest(ctx.process.guests).is_some_and(|guest| std::ptr::eq(guest, ctx.process.guest));
    if program.is_host() && !own_kind { execute_host(&program, &envp) } else { execute_guest(ctx, &program, envp) }
}

fn errno_of(error: &LoadError) -> Errno {
    Errno(error.errno())
}

/// A program of the host's own architecture needs no emulator, unless it is the guest's own too.
fn execute_host(program: &Program, envp: &[Vec<u8>]) -> SysResult {
    let envp: Vec<&[u8]> = envp.iter().map(Vec::as_slice).collect();
    let argv: Vec<&OsStr> = program.argv.iter().map(OsString::as_os_str).collect();
    host_execve(program.path.as_os_str(), &argv, &envp)
}

/// Runs `isamorph FLAGS -0 ARGV0 -- PATH ARGS…`. Variables that would act on the host's dynamic linker are passed as flags.
fn execute_guest(ctx: &ThreadCtx, program: &Program, envp: Vec<Vec<u8>>) -> SysResult {
    let mut argv: Vec<OsString> = vec!["isamorph".into()];
    argv.extend(ctx.process.options.inherited_flags());
    let (loader_vars, envp): (Vec<_>, Vec<_>) = envp.into_iter().partition(|var| var.starts_with(b"LD_"));
    for var in loader_vars {
        argv.push("-E".into());
        argv.push(OsString::from_vec(var));
    }
    argv.push("-0".into());
    argv.push(program.argv.first().cloned().unwrap_or_default());
    argv.push("--".into());
    argv.push(program.path.clone().into());
    argv.extend(program.argv.iter().skip(1).cloned());
    let argv: Vec<&OsStr> = argv.iter().map(OsString::as_os_str).collect();
    let envp: Vec<&[u8]> = envp.iter().map(Vec::as_slice).collect();
    ctx.process.save_translations();
    host_execve(OsStr::new("/proc/self/exe"), &argv, &envp)
}

fn host_execve(path: &OsStr, argv: &[&OsStr], envp: &[&[u8]]) -> SysResult {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let path = c_string(path.as_bytes())?;
    let argv = argv.iter().map(|s| c_string(s.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let envp = envp.iter().map(|s| c_string(s)).collect::<Result<Vec<_>, _>>()?;
    let pointers = |strings: &[CString]| -> Vec<u64> {
        strings.iter().map(|s| s.as_ptr() as u64).chain(std::iter::once(0)).collect()
    };
    let (argv, envp) = (pointers(&argv), pointers(&envp));
    let args = [path.as_ptr() as u64, argv.as_ptr() as u64, envp.as_ptr() as u64, 0, 0, 0];
    // SAFETY: NUL-terminated strings and NULL-terminated arrays, alive during the call.
    unsafe { crate::host::syscall(libc::SYS_execve, args) }
}
