//! `isa new-arch`: a specification to start from, and its Linux interface.

mod instructions;
mod linux;

use super::{check, print};
use anyhow::{Context as _, Result, ensure};
use codegen::model::{Model, Sections};
use codegen::pattern::Space;
use instructions::{Instructions, NUMBER};
use std::fmt::Write as _;
use std::path::Path;

/// Write `specs/<name>/arch.isa` and `linux.abi`.
pub(crate) fn run(specs: &Path, name: &str, like: &str) -> Result<bool> {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    ensure!(is_name, "`{name}` cannot be the name of a guest: lower-case letters, digits and `_`");
    let folder = specs.join(name);
    ensure!(!folder.exists(), "{} exists already", folder.display());
    let model = check::load(&specs.join(like))?.model;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let code = instructions::instructions(&model);
    for (file, text) in
        [("arch.isa", skeleton(name, like, &model, &code)), ("linux.abi", linux::interface(name, like, &model, &code))]
    {
        let path = folder.join(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(&format!(
        "{} is a guest with five instructions. Next:
  fill in what the comments ask for, in arch.isa with the processor's manual at hand, in linux.abi with the kernel's headers
  cargo isa check {name}
  cargo isa doc {name}                    # how it reads
  cargo test --release -p guests         # its tests; the build has found the folder by itself
",
        folder.display()
    ))
}

fn skeleton(name: &str, like: &str, model: &Model, code: &Instructions) -> String {
    let Sections { elf_class, elf_big, big_code, max_length, .. } = &model.sections;
    let word = |big: bool| if big { "big" } else { "little" };
    let (data, code_order) = (word(*elf_big), word(*big_code));
    let address = if *elf_class == 32 { "    address = 32;\n" } else { "" };
    let longest = if model.bytewise() {
        format!("    max_length = {max_length};                    // bytes\n")
    } else {
        String::new()
    };
    let mut spaces = contexts(model);
    for space in &model.spaces {
        let _ = writeln!(spaces, "{}", declaration(space));
    }
    let Instructions { text: insns, native, ret, name_from, .. } = code;
    let [native, ret] = [native, ret].map(|code| bytes(code));
    format!(
        r#"/// {name}: state, register names and everything about the processor that is not an instruction. Begun like {like}.
/// ref: the manual, its version, and how its sections are cited.

instance {name} {{ }}

const xlen = {elf_class};

arch {name} {{
    pc = PC;
    sp = gpr[2];                        // the stack pointer
{address}    code_endian = {code_order};
    data_endian = {data};
    icache = explicit;                  // coherent: stores to code are seen without any instruction
{longest}    pins = [gpr[2], gpr[4], gpr[5], gpr[6], gpr[7]];    // the registers that programs use most, first
}}
memory  {{ model = weak; }}            // tso: others see stores in order
elf     {{ machine = 65535; class = {elf_class}; data = {data}; }}    // e_machine
process {{
    entry_sp_align = 16;
    tls = gpr[3];                       // thread pointer
    hwcap = 0;
    hwcap2 = 0;
    platform = "";
    machine = "{name}";                  // what uname prints
}}
syscall linux {{ number = gpr[{NUMBER}]; args = [gpr[4..9]]; ret = gpr[4]; }}
abi standard {{
    int_args = [gpr[4..9]];
    fp_args = [];
    int_ret = [gpr[4]];
    fp_ret = [];
    return_address = gpr[1];
    stack {{ align = 16; }}
    arg_rules = [any(join)];
    ret_rules = [aggregate(hidden_pointer), any(join)];
}}
native_call {{
    code = {native};    // the `native` instruction
    ret = {ret};        // `ret`
    name_from = {name_from};
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

// ------------------------------------------------------------------ instructions{insns}"#
    )
}

/// `[0x0f, 0xff]`
fn bytes(code: &[u8]) -> String {
    let bytes: Vec<String> = code.iter().map(|byte| format!("0x{byte:02x}")).collect();
    format!("[{}]", bytes.join(", "))
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
