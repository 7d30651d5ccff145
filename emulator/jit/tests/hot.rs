//! The host code of the instructions that programs execute most, by guest: a change of the translator that makes one of them
//! longer is a visible difference. The lists are `tests/hot/GUEST.txt`; the host has every feature that is made use of.

use ir::guest::Step;
use ir::unit::{Unit, UnitKey};
use ir::{Builder, Guest};
use jit::x64::{Compiler, Convention, Features};

/// Where each sequence stands.
const PC: u64 = 0x1_0000;

/// A line of the list: the name, and the bytes of each instruction.
fn sequence(line: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let mut words = line.split_whitespace();
    let name = words.next().filter(|name| *name != "#")?;
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    Some((name, words.map(|digits| digits.as_bytes().chunks(2).map(byte).collect()).collect()))
}

fn unit(guest: &'static Guest, insns: &[Vec<u8>]) -> Unit {
    let mut b = Builder::new(guest, UnitKey { pc: PC, mode: guest.reset_mode() });
    let mut pc = PC;
    for code in insns {
        assert!(!b.ended(), "nothing follows a jump");
        let mut padded = [0; 16];
        padded[..code.len()].copy_from_slice(code);
        b.begin_insn(pc);
        let Step::Done { len, .. } = (guest.translate)(&mut b, pc, &padded) else {
            panic!("no instruction: {code:x?}")
        };
        assert_eq!(len as usize, code.len());
        b.end_insn();
        pc += u64::from(len);
    }
    b.finish(pc)
}

/// Name, guest code and host code of each sequence.
fn listing(guest: &'static Guest, list: &str) -> String {
    let mut text = String::new();
    for (name, insns) in list.lines().filter_map(sequence) {
        let unit = unit(guest, &insns);
        let compile = || {
            let mut compiler = Compiler::new(guest, Convention::new(guest), Features::ALL);
            compiler.compile(&unit).unwrap().clone()
        };
        let compiled = compile();
        assert_eq!(compiled.code, compile().code, "{name} is not translated into the same bytes again");
        text += &format!("{name}: ");
        jit::host_code(&mut text, &compiled, false, |pc| {
            let at = insns.iter().scan(PC, |at, code| Some(std::mem::replace(at, *at + code.len() as u64)));
            let code = &insns[at.into_iter().position(|at| at == pc).unwrap()];
            (guest.disassemble)(pc, guest.reset_mode(), code).0
        });
        text.push('\n');
    }
    text
}

macro_rules! hot {
    ($($guest:ident),*) => {$(
        #[test]
        fn $guest() {
            let guest = guests::ALL.by_name(stringify!($guest)).unwrap();
            let list = include_str!(concat!("hot/", stringify!($guest), ".txt"));
            insta::assert_snapshot!(stringify!($guest), listing(guest, list));
        }
    )*};
}

hot!(aarch64, riscv64, x86_64);
