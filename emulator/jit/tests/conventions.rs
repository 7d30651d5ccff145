//! The places that the classifier says arguments and results are in, against each guest's own C compiler: compiled calls are
//! interpreted up to their callee, and compiled functions from their entry to their return. Guests whose compiler is not
//! installed are left out, and named.

#[path = "conventions/c.rs"]
mod c;
mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, RwLock};

use ir::Guest;
use ir::convention::{Kind, Location, Place, Type, classify};
use ir::guest::Slot;
use jit::{Engine, Event, Jit, JitOptions, Thread};

use c::Case;
use support::process::{catch_faults, memory};
use support::{Code, Random, number};

/// Guests, their compilers, and options.
const COMPILERS: &[(&str, &str, &[&str])] = &[
    ("x86_64", "x86_64-linux-gnu-gcc", &[]),
    ("x86", "i686-linux-gnu-gcc", &[]),
    ("aarch64", "aarch64-linux-gnu-gcc", &[]),
    ("arm", "arm-linux-gnueabihf-gcc", &["-marm"]),
    ("riscv64", "riscv64-linux-gnu-gcc", &["-Wl,--no-relax"]),
    ("loongarch64", "loongarch64-linux-gnu-gcc", &["-msimd=none"]),
    ("mips", "mips-linux-gnu-gcc", &["-mno-abicalls", "-G0"]),
    ("mipsel", "mipsel-linux-gnu-gcc", &["-mno-abicalls", "-G0"]),
    ("mips64", "mips64-linux-gnuabi64-gcc", &["-mno-abicalls", "-G0"]),
    ("mips64el", "mips64el-linux-gnuabi64-gcc", &["-mno-abicalls", "-G0"]),
];

/// Memory of the program, its stack at the end.
const BASE: u64 = 0x2000_0000;
const LEN: usize = 16 << 20;
const STACK: u64 = BASE + LEN as u64 - 0x8000;
/// For a result in memory.
const RESULT: u64 = BASE + LEN as u64 - 0x1000;
/// Where calls go to, and where functions return to: nothing can be fetched there.
const CALLEE: u64 = 0x2800_0000;
const RETURN: u64 = 0x2900_0000;

/// Every register that a compiler has is used in it.
const BUSY: &str = "volatile long x[48]; volatile double y[40];\n\
    #define E(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15) m(16) m(17) m(18) m(19) \
    m(20) m(21) m(22) m(23) m(24) m(25) m(26) m(27) m(28) m(29) m(30) m(31)\n\
    #define LOAD(i) long a##i = x[i]; double b##i = y[i];\n#define STORE(i) x[i + 1] = a##i; y[i + 1] = b##i;\n\
    void busy(void) { E(LOAD) E(STORE) }\n\
    void *memcpy(void *d, const void *s, unsigned long n) { for (char *p = d; n--;) *p++ = *(char *)s++; return d; }\n";

fn compiler(name: &str) -> Option<PathBuf> {
    let arch = name.split('-').next()?;
    let later = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/tools/cross-{arch}/bin/{name}"));
    let works = |path: &PathBuf| Command::new(path).arg("--version").output().is_ok_and(|o| o.status.success());
    [PathBuf::from(name), later].into_iter().find(works)
}

/// A compiled program and a thread to run it.
struct Program {
    guest: &'static Guest,
    thread: Box<Thread>,
    symbols: HashMap<String, u64>,
}

impl Program {
    fn new(guest: &'static Guest, compiler: &Path, options: &[&str], source: &str) -> Program {
        let folder = std::env::temp_dir().join(format!("isamorph-conventions-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join(format!("{}.c", guest.name)), folder.join(guest.name));
        std::fs::write(&from, source).unwrap();
        let status = Command::new(compiler)
            .args([
                "-O1",
                "-w",
                "-ffreestanding",
                "-fno-pic",
                "-fno-stack-protector",
                "-fno-tree-loop-distribute-patterns",
                "-nostdlib",
                "-static",
                "-o",
            ])
            .arg(&to)
            .arg(&from)
            .args([format!("-Wl,-Ttext-segment={BASE:#x}"), "-Wl,-e,busy".into()])
            .args(options)
            .status()
            .unwrap();
        assert!(status.success(), "{}: {}", guest.name, from.display());
        let file = std::fs::read(&to).unwrap();
        let elf = goblin::elf::Elf::parse(&file).unwrap();
        let image = memory(BASE, LEN, 0, false);
        image.fill(0);
        for segment in elf.program_headers.iter().filter(|p| p.p_type == goblin::elf::program_header::PT_LOAD) {
            let at = (segment.p_vaddr - BASE) as usize;
            image[at..][..segment.p_filesz as usize].copy_from_slice(&file[segment.file_range()]);
        }
        let name = |symbol: &goblin::elf::sym::Sym| elf.strtab.get_at(symbol.st_name).unwrap_or_default().to_owned();
        let symbols = elf.syms.iter().map(|symbol| (name(&symbol), symbol.st_value)).collect();
        let code = Arc::new(RwLock::new((BASE, image.to_vec())));
        let options = JitOptions { engine: Engine::Interp, ..JitOptions::default() };
        std::fs::remove_dir_all(&folder).unwrap();
        Program { guest, thread: Thread::new(Jit::new(guest, Code::new(&code), options)), symbols }
    }

    fn get(&mut self, slot: Slot) -> u128 {
        self.thread.state().get(self.guest, slot)
    }

    fn word(&self) -> u64 {
        u64::from(self.guest.elf.class) / 8
    }

    fn sp(&mut self) -> u64 {
        self.get(self.guest.sp) as u64
    }

    /// The bytes of a number as the guest has it in memory.
    fn bytes(&self, value: u128, len: usize) -> Vec<u8> {
        let mut bytes = value.to_le_bytes()[..len].to_vec();
        if self.guest.big_endian {
            bytes.reverse();
        }
        bytes
    }

    /// A call of a function from outside, at its entry: other registers hold anything, `seed` says what.
    fn enter(&mut self, function: &str, seed: &mut Random) -> u64 {
        let guest = self.guest;
        let state = self.thread.state();
        *state = ir::GuestState::new(guest);
        for slot in 0..guest.slots.len() {
            if guest.slots[slot].ty.bytes() >= 4 {
                state.set(guest, Slot(slot as u16), u128::from(seed.next()) << 64 | u128::from(seed.next()));
            }
        }
        let mut sp = STACK;
        if let Some(slot) = guest.abi.return_address {
            state.set(guest, slot, RETURN.into());
        } else {
            sp -= u64::from(guest.elf.class) / 8;
        }
        state.set(guest, guest.sp, sp.into());
        (state.pc, state.mode) = guest.entered(self.symbols[function], guest.reset_mode());
        if guest.abi.return_address.is_none() {
            self.put(sp, RETURN.into(), self.word() as usize);
        }
        sp
    }

    fn put(&self, at: u64, value: u128, len: usize) {
        let bytes = self.bytes(value, len);
        memory(BASE, LEN, 0, false)[(at - BASE) as usize..][..len].copy_from_slice(&bytes);
    }

    fn run(&mut self, to: u64, what: &str) {
        let event = self.thread.run();
        let pc = self.thread.state().pc;
        assert_eq!(event, Event::FetchFault { addr: to }, "{} {what}: at {pc:#x}", self.guest.name);
    }

    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let data = memory(BASE, LEN, 0, false);
        data.get(at.wrapping_sub(BASE) as usize..).and_then(|rest| rest.get(..len)).unwrap_or_default().to_vec()
    }

    /// The value that is where the classifier says, `size` bytes; those in no piece are 0.
    fn value(&mut self, location: &Location, size: usize, sp: u64) -> Vec<u8> {
        let whole = if location.by_reference { self.word() as usize } else { size };
        let mut found = vec![0; whole];
        for piece in &location.pieces {
            let len = piece.bytes as usize;
            let bytes = match piece.place {
                Place::Register { slot, low } => {
                    let value = self.get(slot) >> (8 * low);
                    self.bytes(value, len)
                }
                Place::Extended(slot) => {
                    let value = narrowed(self.get(slot), len);
                    self.bytes(value, len)
                }
                Place::Stack(at) => self.read(sp + u64::from(at), len),
            };
            found[piece.at as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
        if !location.by_reference {
            return found;
        }
        let mut address = [0; 8];
        found.iter().rev().zip(address.iter_mut().rev()).for_each(|(from, to)| *to = *from);
        let address = if self.guest.big_endian {
            u64::from_be_bytes(address)
        } else {
            found.iter().rev().fold(0, |address, byte| address << 8 | u64::from(*byte))
        };
        self.read(address, size)
    }
}

/// A number in the format of 80 bits that is exact in one of `len` bytes, as its bits.
fn narrowed(extended: u128, len: usize) -> u128 {
    let (fraction, bits, bias) = if len == 4 { (23, 32, 127) } else { (52, 64, 1023) };
    let exponent = (extended >> 64 & 0x7fff) as i64 - 16383 + bias;
    let mantissa = (extended as u64) << 1 >> (64 - fraction);
    u128::from(mantissa | (exponent as u64) << fraction) | (extended >> 79 & 1) << (bits - 1)
}

/// Whether the scalars of two values are alike; padding is anything.
fn alike(guest: &Guest, ty: &Type, a: &[u8], b: &[u8]) -> bool {
    ty.leaves(guest).iter().all(|leaf| {
        let range = leaf.at as usize..(leaf.at + leaf.bytes) as usize;
        a.get(range.clone()).is_some_and(|a| Some(a) == b.get(range))
    })
}

fn describe(case: &Case) -> String {
    let list = |types: &[Type]| types.iter().map(|ty| c::declare(ty, "").trim().to_owned()).collect::<Vec<_>>();
    let mut args = list(case.signature.args);
    if let Some(named) = case.signature.named {
        args.insert(named.into(), "...".into());
    }
    format!("{:?} ({})", case.signature.result.map(|ty| c::declare(&ty, "")), args.join(", "))
}

/// What differs when the compiled call of a function reaches it.
fn check_call(program: &mut Program, k: usize, case: &Case, seed: &mut Random) -> Vec<String> {
    let guest = program.guest;
    let Some(places) = classify(guest, &case.signature) else { return vec![format!("{}: no place", describe(case))] };
    program.enter(&format!("call_{k}"), seed);
    program.run(CALLEE, &describe(case));
    let sp = program.sp();
    let mut wrong = Vec::new();
    for (j, (ty, location)) in case.signature.args.iter().zip(&places.args).enumerate() {
        let found = program.value(location, case.args[j].len(), sp);
        if !alike(guest, ty, &found, &case.args[j]) {
            wrong.push(format!("{}: argument {j} of {} is not in {location:x?}", guest.name, describe(case)));
        }
    }
    wrong
}

/// What differs when the compiled function returns.
fn check_return(program: &mut Program, k: usize, case: &Case, seed: &mut Random) -> Vec<String> {
    let guest = program.guest;
    let Some(places) = classify(guest, &case.signature) else { return Vec::new() };
    let entry = program.enter(&format!("give_{k}"), seed);
    let hidden = places.result.as_ref().filter(|result| result.by_reference);
    for piece in hidden.iter().flat_map(|result| &result.pieces) {
        match piece.place {
            Place::Register { slot, .. } => program.thread.state().set(guest, slot, RESULT.into()),
            Place::Stack(at) => program.put(entry + u64::from(at), RESULT.into(), piece.bytes as usize),
            Place::Extended(_) => unreachable!("a pointer"),
        }
    }
    let before = program.thread.state().clone();
    program.run(RETURN, &describe(case));
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{}: {what} of {}: {places:x?}", guest.name, describe(case)));
        }
    };
    let (word, sp) = (program.word(), program.sp());
    let popped = if guest.abi.return_address.is_none() { word } else { 0 } + u64::from(places.popped);
    check(sp == entry + popped, "the stack");
    for slot in guest.abi.callee_saved.iter().filter(|slot| **slot != guest.sp) {
        check(program.get(*slot) == before.get(guest, *slot), guest.slots[slot.0 as usize].name);
    }
    if let Some(slot) = places.returned {
        check(program.get(slot) == RESULT.into(), "the result's address");
    }
    if let (Some(ty), Some(location)) = (&case.signature.result, &places.result) {
        let found = match location.by_reference {
            true => program.read(RESULT, case.result.len()),
            false => program.value(location, case.result.len(), sp),
        };
        check(alike(guest, ty, &found, &case.result), "the result");
    }
    wrong
}

/// The registers that functions keep, in one that uses all.
fn check_saved(program: &mut Program, seed: &mut Random) {
    let guest = program.guest;
    program.enter("busy", seed);
    let before = program.thread.state().clone();
    program.run(RETURN, "busy");
    let saved = &guest.abi.callee_saved;
    // Of a vector register of 128 bits, conventions keep the lower half.
    let kept = |state: &ir::GuestState, slot: Slot| state.get(guest, slot) as u64;
    let after = program.thread.state().clone();
    for slot in saved.iter().filter(|slot| guest.abi.return_address.is_some() || **slot != guest.sp) {
        let name = guest.slots[slot.0 as usize].name;
        assert_eq!(kept(&after, *slot), kept(&before, *slot), "{}: {name} is not kept", guest.name);
    }
    let changed = (0..guest.slots.len() as u16).filter(|slot| kept(&after, Slot(*slot)) != kept(&before, Slot(*slot)));
    assert!(changed.count() > 4, "{}: not busy", guest.name);
}

#[test]
fn arguments_and_results_are_where_the_compilers_put_them() {
    let _turn = catch_faults(None);
    let cases = number("CONVENTION_CASES", 300) as usize;
    let mut wrong = Vec::new();
    for (name, compiler_name, options) in COMPILERS {
        let guest = guests::ALL.by_name(name).unwrap();
        let Some(compiler) = compiler(compiler_name) else {
            eprintln!("skipped {name}: no {compiler_name}");
            continue;
        };
        let mut random = Random(number("CONVENTION_SEED", 1) * 0x9e37_79b9 + 7);
        let cases: Vec<Case> = (0..cases).map(|_| Case::random(&mut random, guest)).collect();
        let sources: String = cases.iter().enumerate().map(|(k, case)| case.source(k, CALLEE)).collect();
        let mut program = Program::new(guest, &compiler, options, &(sources + BUSY));
        check_saved(&mut program, &mut random);
        let before = wrong.len();
        for (k, case) in cases.iter().enumerate() {
            wrong.extend(check_call(&mut program, k, case, &mut random));
            wrong.extend(check_return(&mut program, k, case, &mut random));
        }
        let floats = cases.iter().flat_map(|case| case.signature.args).flat_map(|ty| ty.leaves(guest));
        assert!(floats.filter(|leaf| leaf.kind == Kind::Float).count() > cases.len());
        eprintln!("{name}: {} functions, {} differences", cases.len(), wrong.len() - before);
        wrong.truncate(before + 12);
        wrong[before..].iter().for_each(|line| eprintln!("{line}"));
    }
    assert!(wrong.is_empty(), "see above");
}
