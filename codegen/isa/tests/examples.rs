//! `isa-specs/examples.md`: some instructions of each family, as `isa doc` prints them.

use std::path::Path;
use std::process::Command;

/// Guest, its manual, instructions.
const SHOWN: [(&str, &str, &str); 6] = [
    ("riscv64", "The RISC-V Instruction Set Manual, Volume I", "lui jal branch alu_imm amo"),
    ("aarch64", "Arm Architecture Reference Manual for A-profile", "addsub_shifted logic_imm madd csel b_cond"),
    ("arm", "ARM Architecture Reference Manual, ARMv7-A and ARMv7-R edition", "bl mul movw_movt clz bfi"),
    ("mips", "MIPS Architecture For Programmers, Volume II-A", "branch alu_imm mult movcond lwl_lwr"),
    (
        "loongarch64",
        "LoongArch Reference Manual, Volume 1: Basic Architecture",
        "add_sub ld lu12i_w bstrpick branch_zero",
    ),
    ("x86", "Intel 64 and IA-32 Architectures Software Developer's Manual, Volume 2", "lea bswap setcc xadd push"),
];

const INTRODUCTION: &str = "# Instructions beside their manuals

Five instructions of each family with the boxes of their encodings, to be compared with those of the manual. In a box are fixed bits, or a field; `x` is a bit
that is ignored, `(1)` one that should be 1. Of split fields, `imm[10:5]` are the bits of the value. What `@` names are bytes that follow, decoded by an
`operand`. `cargo isa doc GUEST INSTRUCTION…` prints any instruction like this, `cargo isa doc GUEST` writes all of them as a page; this file is made by
`ISA_UPDATE=1 cargo test -p isa --test examples`.
";

fn page() -> String {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
    let mut page = INTRODUCTION.to_owned();
    for (guest, manual, insns) in SHOWN {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isa"));
        let output = command.arg("--specs").arg(&specs).args(["doc", guest]).args(insns.split(' ')).output().unwrap();
        assert!(output.status.success(), "{guest}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.matches("\n### ").count() + 1, 5, "{guest}");
        page += &format!("\n## {guest}\n\n{manual}.\n\n{}", text.trim_end());
        page.push('\n');
    }
    page
}

#[test]
fn the_examples_are_those_of_the_specifications() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs/examples.md");
    let page = page();
    if std::env::var_os("ISA_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(a, b)| a != b);
    assert!(page == written, "ISA_UPDATE=1 brings isa-specs/examples.md up to date; first difference: {differs:?}");
}
