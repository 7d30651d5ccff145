//! `isa new-arch`: a specification to start from.

use super::{check, print};
use anyhow::{Context as _, Result, ensure};
use codegen::model::{Model, Sections};
use codegen::pattern::Space;
use std::fmt::Write as _;
use std::path::Path;

/// Write `specs/<name>/arch.isa`.
pub(crate) fn run(specs: &Path, name: &str, like: &str) -> Result<bool> {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    ensure!(is_name, "`{name}` cannot be the name of a guest: lower-case letters, digits and `_`");
    let folder = specs.join(name);
    ensure!(!folder.exists(), "{} exists already", folder.display());
    let model = check::load(&specs.join(like))?.model;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file = folder.join("arch.isa");
    std::fs::write(&file, skeleton(name, like, &model)).with_context(|| format!("cannot write {}", file.display()))?;
    print(&format!(
        "{} is a guest with one instruction. Next:
  fill in what the comments ask for, with the processor's manual at hand
  cargo isa check {name}
  cargo isa doc {name}                    # how it reads
  cargo test --release -p guests         # its tests; the build has found the folder by itself
  write {}, after isa-specs/{like}/linux.abi, for programs
",
        file.display(),
        folder.join("linux.abi").display()
    ))
}

fn skeleton(name: &str, like: &str, model: &Model) -> String {
    let Sections { elf_class, elf_big, big_code, max_length, .. } = &model.sections;
    let word = |big: bool| if big { "big" } else { "little" };
    let (data, code) = (word(*elf_big), word(*big_code));
    let longest = if model.bytewise() {
        format!("    max_length = {max_length};                    // bytes\n")
    } else {
        String::new()
    };
    let mut spaces = contexts(model);
    for space in &model.spaces {
        let _ = writeln!(spaces, "{}", declaration(space));
    }
    let example = example(&model.spaces[0]);
    let Example { pattern, asm, exec, hex, text, sum } = &example;
    format!(
        r#"/// {name}: state, register names and everything about the processor that is not an instruction. Begun like {like}.
/// ref: the manual, its version, and how its sections are cited.

instance {name} {{ }}

const xlen = {elf_class};

arch {name} {{
    pc = PC;
    sp = gpr[2];                        // the stack pointer
    code_endian = {code};
    data_endian = {data};
    icache = explicit;                  // coherent: stores to code are seen without any instruction
{longest}    pins = [gpr[2], gpr[4], gpr[5], gpr[6], gpr[7]];    // the registers that programs use most, first
}}
memory  {{ model = weak; unaligned = allowed; page = 4096; }}
elf     {{ machine = 65535; class = {elf_class}; data = {data}; }}    // e_machine
process {{
    entry_sp_align = 16;
    tls = gpr[3];                       // thread pointer
    hwcap = 0;
    hwcap2 = 0;
    platform = "";
    machine = "{name}";                  // what uname prints
}}
syscall linux {{ number = gpr[7]; args = [gpr[4..6]]; ret = gpr[4]; }}
abi standard {{
    int_args = [gpr[4..6]];
    fp_args = [];
    int_ret = [gpr[4]];
    fp_ret = [];
    return_address = gpr[1];
}}
fp {{
    nan = canonical;
    default_nan_sign = 0;
    tininess = after_rounding;
    nan_to_int = max;
    mode {{ round = even; flush_inputs = 0; flush_results = 0; default_nan = 0; }}
}}

// ------------------------------------------------------------------ encodings
{spaces}
// ------------------------------------------------------------------ state
reg gpr[32]: bits(xlen);
reg PC: bits(xlen);

/// Integer register.
view X[n: int]: bits(xlen) {{
    get => gpr[n];
    set(v) => gpr[n] = v;
    show => "r{{n}}";
}}

// ------------------------------------------------------------------ instructions
/// ADD.  The name and the section of the manual. An example: replace its encoding.
insn add {{
    enc {pattern};
    asm "{asm}";
    exec {exec};
    test "{hex}" "{text}" {{ r1 = 5, r2 = 7 }} => {{ {sum} = 12 }};
}}
"#
    )
}

/// `space name { … }`: length, and which instructions are in it.
fn declaration(space: &Space) -> String {
    let mut text = format!("space {} {{ unit = {};", space.name, space.unit);
    if space.units > 1 {
        let _ = write!(text, " units = {};", space.units);
    }
    let active: Vec<String> = space.active.iter().map(|(name, value)| format!("{name} == {value}")).collect();
    if !active.is_empty() {
        let _ = write!(text, " active = {};", active.join(" && "));
    }
    if let Some(s) = &space.select {
        let shift = if s.shift == 0 { String::new() } else { format!(" >> {}", s.shift) };
        let mask = if s.mask >= (1 << space.unit) - 1 { String::new() } else { format!(" & {}", s.mask) };
        let relation = match (s.low == s.high, s.negated) {
            (true, false) => format!("== {}", s.low),
            (true, true) => format!("!= {}", s.low),
            (false, false) => format!("<= {}", s.high),
            (false, true) => format!("> {}", s.high),
        };
        let _ = write!(text, " select = first{shift}{mask} {relation};");
    }
    text + " }"
}

/// The contexts and decode variables that spaces depend on.
fn contexts(model: &Model) -> String {
    let wanted = |name: &str| model.spaces.iter().flat_map(|s| &s.active).any(|(n, _)| *n.name == *name);
    let mut text = String::new();
    for c in model.contexts.iter().filter(|c| wanted(&c.name)) {
        let kind = if c.decoded { "decode_var" } else { "context" };
        let _ = writeln!(text, "{kind} {}: {} = {};", c.name, c.width, c.reset);
    }
    text
}

/// An instruction to start from.
struct Example {
    pattern: String,
    /// Template of its text, what it does.
    asm: &'static str,
    exec: &'static str,
    /// The code and the text of an addition of r1 and r2.
    hex: String,
    text: &'static str,
    /// Where the sum is.
    sum: &'static str,
}

/// An encoding with register fields in the lowest bits that do not tell the space.
fn example(space: &Space) -> Example {
    if space.unit == 8 {
        return Example {
            pattern: "0x01 00 rd:3 rs:3".to_owned(),
            asm: "add {X[rd]}, {X[rs]}",
            exec: "X[rd] = X[rd] + X[rs]",
            hex: "010a".to_owned(),
            text: "add r1, r2",
            sum: "r1",
        };
    }
    let (width, select) = (space.width(), space.select_bits());
    // Bits that tell the space, by trying; nearly all of them are wanted as 1 or as 0.
    let fixed = [0, select].into_iter().chain((0..1 << 16).map(|n| spread(n, select)));
    let fixed = fixed.into_iter().find(|&word| space.selects(word)).unwrap_or(0);
    let field = if width == 32 { 5 } else { 3 };
    let (mut pattern, mut word, mut at) = (Vec::new(), fixed, 0);
    let mut fields = [("rt", 2), ("rs", 1), ("rd", 3)].into_iter().peekable();
    while at < width {
        let room = (at..(at + field).min(width)).all(|bit| select >> bit & 1 == 0) && at + field <= width;
        match fields.next_if(|_| room) {
            Some((name, register)) => {
                pattern.push(format!(" {name}:{field} "));
                word |= register << at;
                at += field;
            }
            None => {
                pattern.push((fixed >> at & 1).to_string());
                at += 1;
            }
        }
    }
    pattern.reverse();
    Example {
        pattern: pattern.concat().split_whitespace().collect::<Vec<_>>().join(" "),
        asm: "add {X[rd]}, {X[rs]}, {X[rt]}",
        exec: "X[rd] = X[rs] + X[rt]",
        hex: format!("{word:0digits$x}", digits = width as usize / 4),
        text: "add r3, r1, r2",
        sum: "r3",
    }
}

/// The bits of `number` in the places of the bits of `mask`.
fn spread(number: u128, mask: u128) -> u128 {
    let places = (0..128).filter(|bit| mask >> bit & 1 == 1);
    places.enumerate().fold(0, |word, (i, bit)| word | (number >> i & 1) << bit)
}
