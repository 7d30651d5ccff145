//! What is said on stderr when a guest dies of a fault, and when the emulator does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::signal::Info;
use crate::thread::ThreadCtx;

/// No reports (`-q`).
static QUIET: AtomicBool = AtomicBool::new(false);

/// Turns reports off.
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Name of a fault signal.
fn name_of(signal: i32) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".into(),
        libc::SIGBUS => "SIGBUS".into(),
        libc::SIGFPE => "SIGFPE".into(),
        libc::SIGILL => "SIGILL".into(),
        libc::SIGTRAP => "SIGTRAP".into(),
        other => format!("signal {other}"),
    }
}

/// Reports the fault the guest is about to die of, with the instruction and the registers.
pub(crate) fn report(ctx: &mut ThreadCtx, info: &Info) {
    // A signal that was sent is not a fault.
    if QUIET.load(Ordering::Relaxed) || info.code() <= 0 {
        return;
    }
    let mut text = String::new();
    let (guest, process) = (ctx.process.guest, ctx.process);
    let pc = ctx.jit.state().pc;
    let mode = ctx.jit.state().mode;
    let mut code = [0; 16];
    let len = process.space.fetch(pc, &mut code);
    let unknown = info.signal() == libc::SIGILL && info.code() > 0 && (guest.identify)(mode, &code[..len]).is_none();
    let heading = if unknown { "not supported" } else { "guest signal" };
    let pid = std::process::id();
    let _ = writeln!(
        text,
        "isamorph: {heading}: {} in {} ({}, pid {pid})",
        name_of(info.signal()),
        process.exe.display(),
        guest.name
    );
    let _ = writeln!(text, "  {}", cause(ctx, info));
    let _ = writeln!(text, "  pc {pc:#x}{}", place(ctx, pc));
    if len > 0 {
        let (asm, size) = (guest.disassemble)(pc, mode, &code[..len]);
        let bytes: Vec<String> = code[..(size as usize).min(len)].iter().rev().map(|b| format!("{b:02x}")).collect();
        let _ = writeln!(text, "  -> {pc:#x}  {}  {asm}", bytes.concat());
    }
    registers(ctx, &mut text);
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// In words: what was wrong.
fn cause(ctx: &ThreadCtx, info: &Info) -> String {
    let addr = info.addr();
    match info.signal() {
        libc::SIGSEGV | libc::SIGBUS => match ctx.process.space.map().find(addr) {
            None => format!("access to {addr:#x}, which is not mapped"),
            Some((range, vma)) => {
                let has = |bit, letter| if vma.prot & bit != 0 { letter } else { '-' };
                let prot = [has(libc::PROT_READ, 'r'), has(libc::PROT_WRITE, 'w'), has(libc::PROT_EXEC, 'x')];
                let prot: String = prot.iter().collect();
                format!("access to {addr:#x}, mapped {:#x}-{:#x} {prot}", range.start, range.end)
            }
        },
        _ => format!("code {} at {addr:#x}", info.code()),
    }
}

/// File and offset of a code address.
fn place(ctx: &ThreadCtx, pc: u64) -> String {
    let map = ctx.process.space.map();
    let file = map.find(pc).and_then(|(_, vma)| vma.file.clone());
    file.map_or_else(String::new, |file| {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("  {name}+{:#x}", pc.wrapping_sub(file.base))
    })
}

/// The stack pointer and the registers of the array that arguments are passed in, four to a row.
fn registers(ctx: &mut ThreadCtx, text: &mut String) {
    let guest = ctx.process.guest;
    let family = |name: &'static str| name.split('[').next().unwrap_or(name);
    let general = guest.abi.int_args.first().map(|slot| family(guest.slots[slot.0 as usize].name));
    let shown =
        |(i, slot): &(usize, &ir::guest::SlotDesc)| *i == guest.sp.0.into() || Some(family(slot.name)) == general;
    for (shown, (i, desc)) in guest.slots.iter().enumerate().filter(shown).enumerate() {
        let value = ctx.jit.state().get(guest, ir::guest::Slot(i as u16)) as u64;
        let start = if shown % 4 == 0 { "\n  " } else { "  " };
        let start = if shown == 0 { "  " } else { start };
        let _ = write!(text, "{start}{:>8} {value:016x}", desc.name);
    }
    text.push('\n');
}

/// Reports a fault that no guest instruction caused, and dies of it. Async-signal-safe: allocates nothing.
pub(crate) fn emulator_bug(info: &Info, context: &libc::ucontext_t) -> ! {
    let mut buffer = [0u8; 512];
    let mut cursor = std::io::Cursor::new(&mut buffer[..]);
    let _ = writeln!(
        cursor,
        "isamorph: emulator bug: signal {} (code {}) at host pc {:#x}, address {:#x}\n  please report this with the program and \
         its arguments",
        info.signal(),
        info.code(),
        crate::host::program_counter(context),
        info.addr()
    );
    let len = cursor.position() as usize;
    // SAFETY: writes initialised bytes to stderr.
    unsafe { libc::write(2, buffer.as_ptr().cast(), len) };
    crate::signal::host::reset_and_raise(info.signal());
    // SAFETY: ends the process.
    unsafe { libc::_exit(128 + info.signal()) }
}
