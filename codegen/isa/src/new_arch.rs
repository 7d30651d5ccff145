//! `isa new-arch`: a specification to start from.

use super::check;
use anyhow::{Context as _, Result, ensure};
use codegen::model::{Model, Sections};
use codegen::pattern::Space;
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
    println!("{} is a guest with one instruction. Next:", file.display());
    println!("  fill in what the comments ask for, with the processor's manual at hand");
    println!("  cargo isa check {name}");
    println!("  cargo isa doc {name}                    # how it reads");
    println!("  cargo test --release -p guests         # its tests; the build has found the folder by itself");
    println!("  write {}, after isa-specs/{like}/linux.abi, for programs", folder.join("linux.abi").display());
    Ok(true)
}

fn skeleton(name: &str, like: &str, model: &Model) -> String {
    let Sections { elf_class, elf_big, .. } = &model.sections;
    let data = if *elf_big { "big" } else { "little" };
    let unit = model.spaces[0].unit;
    let example = example(&model.spaces[0]);
    let (bits, hex) = (&example.pattern, &example.hex);
    format!(
        r#"/// {name}: state, register names and everything about the processor that is not an instruction. Begun like {like}.
/// ref: the manual, its version, and how its sections are cited.

instance {name} {{ }}

const xlen = {elf_class};

arch {name} {{
    pc = PC;
    sp = gpr[2];                        // the stack pointer
    code_endian = {data};
    data_endian = {data};
    icache = explicit;                  // coherent: stores to code are seen without any instruction
    pins = [gpr[2], gpr[4], gpr[5], gpr[6], gpr[7]];    // the registers that programs use most, first
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
// disassembler {{ triple = "{name}"; attributes = ""; }}     LLVM's name of it, if it has one: the tests compare the two
fp {{
    nan = canonical;
    default_nan_sign = 0;
    tininess = after_rounding;
    nan_to_int = max;
    mode {{ round = even; flush_inputs = 0; flush_results = 0; default_nan = 0; }}
}}

// ------------------------------------------------------------------ encodings
space words {{ unit = {unit}; }}         // more of them, for other lengths and modes: see Spaces in the reference

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
    enc {bits};
    asm "add {{X[rd]}}, {{X[rs]}}, {{X[rt]}}";
    exec X[rd] = X[rs] + X[rt];
    test "{hex}" "add r3, r1, r2" {{ r1 = 5, r2 = 7 }} => {{ r3 = 12 }};
}}
"#
    )
}

struct Example {
    pattern: String,
    /// The word of `add r3, r1, r2`.
    hex: String,
}

/// An encoding with three register fields in the lowest bits.
fn example(space: &Space) -> Example {
    let field = if space.unit == 32 { 5 } else { 3 };
    let zeros = space.unit - 3 * field;
    let pattern = format!("{} rd:{field} rs:{field} rt:{field}", "0".repeat(zeros as usize));
    let word = 3 << (2 * field) | 1 << field | 2_u128;
    Example { pattern, hex: format!("{word:0width$x}", width = space.unit as usize / 4) }
}
