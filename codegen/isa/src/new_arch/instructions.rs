//! The instructions that a new guest starts with: enough for a program that calls the system, and for calls of host functions.

use codegen::model::Model;
use codegen::pattern::Space;
use std::fmt::Write as _;

/// Registers that the skeleton gives a meaning.
pub(super) const NUMBER: u32 = 10;

/// The instructions, and the code of those that other parts of the specification quote, as bytes in memory order.
pub(super) struct Instructions {
    /// `insn` items.
    pub(super) text: String,
    /// A call of a host function.
    pub(super) native: Vec<u8>,
    /// Where the name's address counts from.
    pub(super) name_from: &'static str,
    /// A return.
    pub(super) ret: Vec<u8>,
    /// Bytes of a system call.
    pub(super) syscall_len: usize,
    /// The system call `rt_sigreturn`.
    pub(super) sigreturn: Vec<u8>,
}

/// Operations, by the value of their opcode.
#[derive(Clone, Copy)]
enum Op {
    Add = 0,
    Li = 1,
    Ret = 2,
    Syscall = 3,
    Native = 4,
}

/// `rt_sigreturn` in the table of numbers that new architectures have.
const RT_SIGRETURN: u32 = 139;

/// Encodings in the first space of the model.
pub(super) fn instructions(model: &Model) -> Instructions {
    let form: &dyn Form = match model.spaces[0].unit {
        8 => &Sequences,
        _ => &Words::new(&model.spaces[0], model.sections.big_code),
    };
    let number = vec![("rd", NUMBER), ("imm", RT_SIGRETURN)];
    let li = form.code(Op::Li, &number);
    let syscall = form.code(Op::Syscall, &[]);
    let mut text = String::new();
    let mut insn = |title: &str, name: &str, op, fields: &[(&str, u32)], asm: &str, exec: &str, test: &str| {
        let (pattern, hex) = (form.pattern(op), form.hex(op, fields));
        let _ = write!(
            text,
            "\n/// {title}\ninsn {name} {{\n    enc {pattern};\n    asm \"{asm}\";\n    exec {exec};\n    test \"{hex}\" {test};\n}}\n"
        );
    };
    insn(
        "ADD.  The name and the section of the manual. An example: replace its encoding.",
        "add",
        Op::Add,
        form.add().0,
        form.add().1,
        form.add().2,
        form.add().3,
    );
    insn(
        "LI: a constant.  An example.",
        "li",
        Op::Li,
        &number,
        "li {X[rd]}, {imm}",
        "X[rd] = imm",
        "\"li r10, 139\" { } => { r10 = 139 }",
    );
    insn(
        "RET: a return.  An example.",
        "ret",
        Op::Ret,
        &[],
        "ret",
        "jump_indirect(X[1], hint = ret)",
        "\"ret\" { r1 = 0x1000 } => { pc = 0x1000 }",
    );
    insn("SYSCALL.  An example.", "syscall", Op::Syscall, &[], "syscall", "syscall()", "\"syscall\"");
    insn(
        form.about_native(),
        "native",
        Op::Native,
        &[("rel", 0)],
        form.native_asm(),
        form.native_exec(),
        form.native_test(),
    );
    Instructions {
        text,
        native: form.native_code(),
        name_from: form.name_from(),
        ret: form.code(Op::Ret, &[]),
        syscall_len: syscall.len(),
        sigreturn: [li, syscall].concat(),
    }
}

/// How instructions are written.
trait Form {
    /// The bit pattern.
    fn pattern(&self, op: Op) -> String;
    /// The instruction with these values of its fields, as bytes in memory order.
    fn code(&self, op: Op, fields: &[(&str, u32)]) -> Vec<u8>;
    /// The same as a `test` line has it.
    fn hex(&self, op: Op, fields: &[(&str, u32)]) -> String;
    /// Fields of an addition of r1 and r2, its text, what it does, and the rest of its test.
    fn add(&self) -> (&'static [(&'static str, u32)], &'static str, &'static str, &'static str);
    /// Description of the native call, its text, what it does, and the rest of its test.
    fn about_native(&self) -> &'static str;
    fn native_asm(&self) -> &'static str;
    fn native_exec(&self) -> &'static str;
    fn native_test(&self) -> &'static str;
    /// Its bytes up to the address of the name.
    fn native_code(&self) -> Vec<u8>;
    fn name_from(&self) -> &'static str;
}

// ---------------------------------------------------------------- words

/// Words of one length: the highest bits that do not tell the space are the opcode, the lowest the fields.
struct Words {
    /// Bits of a word.
    width: u32,
    /// Bytes of a unit.
    unit: usize,
    big_endian: bool,
    /// Bits that tell the space.
    fixed: u128,
    /// The bits of the opcode, from the lowest.
    opcode: [u32; 3],
    /// The lowest bit of the fields, and the bits of a register's number.
    fields: (u32, u32),
}

impl Words {
    fn new(space: &Space, big_endian: bool) -> Words {
        let (width, select) = (space.width(), space.select_bits());
        // Bits that tell the space, by trying; nearly all of them are wanted as 1 or as 0.
        let fixed = [0, select].into_iter().chain((0..1 << 16).map(|n| spread(n, select)));
        let fixed = fixed.into_iter().find(|&word| space.selects(word)).unwrap_or(0);
        let is_free = |bit: &u32| select >> bit & 1 == 0;
        let free: Vec<u32> = (0..width).filter(is_free).collect();
        let [.., a, b, c] = free[..] else { unreachable!("spaces leave most bits to instructions") };
        // The longest run of bits below the opcode.
        let run = |&at: &u32| (at..a).take_while(is_free).count() as u32;
        let start = (0..a).filter(is_free).max_by_key(run).unwrap_or(0);
        let register = (run(&start) / 3).min(5);
        Words { width, unit: space.unit as usize / 8, big_endian, fixed, opcode: [a, b, c], fields: (start, register) }
    }

    /// Name, lowest bit and width of the fields of an instruction.
    fn layout(&self, op: Op) -> Vec<(&'static str, u32, u32)> {
        let (at, register) = self.fields;
        match op {
            Op::Add => vec![("rt", at, register), ("rs", at + register, register), ("rd", at + 2 * register, register)],
            Op::Li => vec![("imm", at, 2 * register), ("rd", at + 2 * register, register)],
            Op::Ret | Op::Syscall | Op::Native => Vec::new(),
        }
    }

    fn word(&self, op: Op, fields: &[(&str, u32)]) -> u128 {
        let opcode = self.opcode.iter().enumerate().fold(0, |word, (i, bit)| word | (op as u128 >> i & 1) << bit);
        let value = |name: &str| fields.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| u128::from(*v));
        self.layout(op).iter().fold(self.fixed | opcode, |word, (name, at, _)| word | value(name) << at)
    }
}

impl Form for Words {
    fn pattern(&self, op: Op) -> String {
        let (word, layout) = (self.word(op, &[]), self.layout(op));
        let (mut text, mut bit) = (String::new(), self.width);
        while bit > 0 {
            bit -= 1;
            match layout.iter().find(|(_, at, width)| at + width == bit + 1) {
                Some((name, at, width)) => {
                    let _ = write!(text, " {name}:{width} ");
                    bit = *at;
                }
                None => text.push(if word >> bit & 1 == 1 { '1' } else { '0' }),
            }
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn code(&self, op: Op, fields: &[(&str, u32)]) -> Vec<u8> {
        let bytes = self.word(op, fields).to_be_bytes();
        let mut code = bytes[bytes.len() - self.width as usize / 8..].to_vec();
        if !self.big_endian {
            code.chunks_mut(self.unit).for_each(<[u8]>::reverse);
        }
        code
    }

    fn hex(&self, op: Op, fields: &[(&str, u32)]) -> String {
        format!("{:0digits$x}", self.word(op, fields), digits = self.width as usize / 4)
    }

    fn add(&self) -> (&'static [(&'static str, u32)], &'static str, &'static str, &'static str) {
        (
            &[("rd", 3), ("rs", 1), ("rt", 2)],
            "add {X[rd]}, {X[rs]}, {X[rt]}",
            "X[rd] = X[rs] + X[rt]",
            "\"add r3, r1, r2\" { r1 = 5, r2 = 7 } => { r3 = 12 }",
        )
    }

    fn about_native(&self) -> &'static str {
        "Call of a host function, in encodings that the architecture leaves alone.  A 32-bit word follows: the address of the\n\
         /// function's name, relative to itself."
    }

    fn native_asm(&self) -> &'static str {
        "native.call"
    }

    fn native_exec(&self) -> &'static str {
        "native_call(name = pc_next + code_word(pc_next))"
    }

    fn native_test(&self) -> &'static str {
        "\"native.call\""
    }

    fn native_code(&self) -> Vec<u8> {
        self.code(Op::Native, &[])
    }

    fn name_from(&self) -> &'static str {
        "word"
    }
}

/// The bits of `number` in the places of the bits of `mask`.
fn spread(number: u128, mask: u128) -> u128 {
    let places = (0..128).filter(|bit| mask >> bit & 1 == 1);
    places.enumerate().fold(0, |word, (i, bit)| word | (number >> i & 1) << bit)
}

// ---------------------------------------------------------------- sequences of bytes

/// Sequences of bytes: the opcode is the first, 0x10 and more.
struct Sequences;

impl Sequences {
    fn opcode(op: Op) -> u8 {
        0x10 + op as u8
    }
}

impl Form for Sequences {
    fn pattern(&self, op: Op) -> String {
        let rest = match op {
            Op::Add => " 000 rd:5 000 rs:5",
            Op::Li => " 000 rd:5 imm:s32",
            Op::Ret | Op::Syscall => "",
            Op::Native => " rel:s32",
        };
        format!("0x{:02x}{rest}", Sequences::opcode(op))
    }

    fn code(&self, op: Op, fields: &[(&str, u32)]) -> Vec<u8> {
        let value = |name: &str| fields.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v);
        let rest = match op {
            Op::Add => vec![value("rd") as u8, value("rs") as u8],
            Op::Li => [&[value("rd") as u8], &value("imm").to_le_bytes()[..]].concat(),
            Op::Ret | Op::Syscall => Vec::new(),
            Op::Native => value("rel").to_le_bytes().to_vec(),
        };
        [vec![Sequences::opcode(op)], rest].concat()
    }

    fn hex(&self, op: Op, fields: &[(&str, u32)]) -> String {
        self.code(op, fields).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn add(&self) -> (&'static [(&'static str, u32)], &'static str, &'static str, &'static str) {
        (
            &[("rd", 1), ("rs", 2)],
            "add {X[rd]}, {X[rs]}",
            "X[rd] = X[rd] + X[rs]",
            "\"add r1, r2\" { r1 = 5, r2 = 7 } => { r1 = 12 }",
        )
    }

    fn about_native(&self) -> &'static str {
        "Call of a host function, in encodings that the architecture leaves alone, by the address of the function's name, relative to\n\
         /// the next instruction."
    }

    fn native_asm(&self) -> &'static str {
        "native.call {rel:+#x}"
    }

    fn native_exec(&self) -> &'static str {
        "native_call(name = pc_next + rel)"
    }

    fn native_test(&self) -> &'static str {
        "\"native.call +0x0\""
    }

    fn native_code(&self) -> Vec<u8> {
        vec![Sequences::opcode(Op::Native)]
    }

    fn name_from(&self) -> &'static str {
        "end"
    }
}
