//! Programs that execute cases under QEMU.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::frame::{BLOCK, Frame};

/// Where the program is, the tables, and the memory of the cases: above the frame's origin.
pub(crate) const CODE: u64 = 0x4000_0000;
pub(crate) const TABLE: u64 = 0x3000_0000;
pub(crate) const DATA: u64 = 0x2000_0000;
/// Bytes of the memory of the cases.
pub(crate) const DATA_LEN: usize = 4096;
/// Bytes of instructions of a case; and from one to the next.
pub(crate) const ROOM: usize = 48;
const STEP: usize = 64;
/// Most cases of a program.
pub(crate) const MOST: usize = 4096;
/// What ends the program, and the first case, relative to its start.
const FINISH: usize = 0x800;
const SLOTS: usize = 0x1000;

impl Frame {
    /// Address of a slot for code.
    pub(crate) fn code_at(&self, slot: usize) -> u64 {
        self.origin + CODE + (SLOTS + slot * STEP) as u64
    }

    /// The slot with an address.
    pub(crate) fn slot_of(&self, pc: u64) -> usize {
        (pc - self.code_at(0)) as usize / STEP
    }

    /// Address of a table.
    pub(crate) fn table_at(&self, table: usize) -> u64 {
        self.origin + TABLE + (table * BLOCK) as u64
    }
}

/// A program with room for cases.
pub(crate) struct Program<'a> {
    frame: &'a Frame,
    code: Vec<u8>,
    path: PathBuf,
}

/// The cases of a program: the slots of their code, the code and the tables; and the memory.
pub(crate) struct Input<'a> {
    pub(crate) cases: Vec<(usize, &'a [u8], &'a [u8])>,
    pub(crate) memory: &'a [u8],
}

impl Program<'_> {
    /// Assembles it; `None` without an assembler or an emulator.
    pub(crate) fn new(frame: &Frame) -> Option<Program<'_>> {
        let exists = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
        let assembler = ["llvm-mc-16", "llvm-mc"].into_iter().find(|tool| exists(tool));
        let (Some(assembler), true) = (assembler, exists(frame.qemu[0])) else {
            eprintln!("no {} or no LLVM: {} is not compared", frame.qemu[0], frame.guest.name);
            return None;
        };
        let folder = std::env::temp_dir().join(format!("isamorph-frame-{}-{:p}", std::process::id(), frame));
        std::fs::create_dir_all(&folder).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/frames").join(frame.program[0]);
        let (object, text) = (folder.join("program.o"), folder.join("program.bin"));
        let symbols = [
            ("HIGH", (frame.origin >> 32) as usize),
            ("TABLE", TABLE as usize),
            ("DATA", DATA as usize),
            ("DATA_LEN", DATA_LEN),
            ("BLOCK", BLOCK),
            ("FINISH", FINISH),
            ("SLOTS", SLOTS),
            ("CASES", MOST),
            ("ROOM", ROOM),
        ];
        let mut command = Command::new(assembler);
        command.args(["-filetype=obj", "-o"]).arg(&object).arg(source).args(&frame.program[1..]);
        run(command.args(symbols.map(|(name, value)| format!("--defsym={name}={value}"))));
        let copier = assembler.replace("llvm-mc", "llvm-objcopy");
        run(Command::new(copier).args(["-O", "binary", "-j", ".text"]).args([&object, &text]));
        let code = std::fs::read(&text).unwrap();
        assert_eq!(code.len(), SLOTS + MOST * STEP);
        Some(Program { frame, code, path: folder.join("program") })
    }

    /// Runs cases one after the other: their tables afterwards, then the memory; or how it died.
    pub(crate) fn execute(&self, input: &Input<'_>) -> Result<Vec<u8>, String> {
        let count = input.cases.len();
        let mut code = self.code.clone();
        let mut tables = Vec::with_capacity((count + 1) * BLOCK);
        for (slot, case, table) in &input.cases {
            let at = SLOTS + slot * STEP;
            code[at..at + case.len()].copy_from_slice(case);
            tables.extend_from_slice(table);
        }
        let mut last = vec![0; BLOCK];
        self.frame.put_slot(&mut last, self.frame.link.0, self.frame.origin + CODE + FINISH as u64);
        tables.extend(last);
        let slots = input.cases.iter().map(|case| case.0 + 1).max().unwrap_or(0);
        code.truncate(SLOTS + slots * STEP);
        let at = |place: u64| self.frame.origin + place;
        let segments = [(6, at(DATA), input.memory), (6, at(TABLE), &*tables), (5, at(CODE), &*code)];
        std::fs::write(&self.path, elf(self.frame, &segments)).unwrap();
        std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut qemu = Command::new(self.frame.qemu[0]);
        qemu.args(&self.frame.qemu[1..]).arg(&self.path).stdin(Stdio::null());
        // SAFETY: a system call. Cores of the guest's whole address space take seconds to write.
        unsafe {
            qemu.pre_exec(|| {
                let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                if libc::setrlimit(libc::RLIMIT_CORE, &raw const none) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let output = qemu.output().unwrap();
        if !output.status.success() || output.stdout.len() != count * BLOCK + DATA_LEN {
            return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
        Ok(output.stdout)
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        if std::env::var_os("QEMU_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(self.path.parent().unwrap());
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An executable of segments: flags, address, content.
fn elf(frame: &Frame, segments: &[(u32, u64, &[u8])]) -> Vec<u8> {
    const PAGE: usize = 4096;
    let elf = &frame.guest.elf;
    let wide = elf.class == 64;
    let order = |mut bytes: Vec<u8>| {
        if elf.big_endian {
            bytes.reverse();
        }
        bytes
    };
    let half = |v: u16| order(v.to_le_bytes().to_vec());
    let word = |v: u32| order(v.to_le_bytes().to_vec());
    let address = |v: u64| if wide { order(v.to_le_bytes().to_vec()) } else { word(v as u32) };
    let (header, entry) = if wide { (64, 56) } else { (52, 32) };
    let mut file = vec![0x7f, b'E', b'L', b'F', elf.class / 32, if elf.big_endian { 2 } else { 1 }, 1, 0];
    file.resize(16, 0);
    let ident = [
        half(2),
        half(elf.machine),
        word(1),
        address(frame.origin + CODE),
        address(header),
        address(0),
        word(frame.elf_flags),
    ];
    file.extend(ident.concat());
    file.extend([header as u16, entry, segments.len() as u16, 40, 0, 0].map(half).concat());
    let mut offset = PAGE;
    for (flags, at, content) in segments {
        let len = address(content.len() as u64);
        let (offset_now, at) = (address(offset as u64), address(*at));
        let place = [offset_now, at.clone(), at, len.clone(), len];
        let flags = word(*flags);
        let kind = word(1);
        let page = address(PAGE as u64);
        if wide {
            file.extend([kind, flags].concat());
            file.extend([place.concat(), page].concat());
        } else {
            file.extend([kind, place.concat(), flags, page].concat());
        }
        offset = (offset + content.len()).next_multiple_of(PAGE);
    }
    for (_, _, content) in segments {
        file.resize(file.len().next_multiple_of(PAGE), 0);
        file.extend_from_slice(content);
    }
    file
}
