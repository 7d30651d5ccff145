//! The `isa` tool as its users see it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs")
}

fn isa(specs: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isa")).arg("--specs").arg(specs).args(arguments).output().unwrap()
}

/// Standard output of a run that must succeed.
fn succeeds(arguments: &[&str]) -> String {
    let output = isa(&specs(), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An empty folder of this name.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder of specifications with a copy of one guest's.
fn copy_of(guest: &str, name: &str) -> PathBuf {
    let folder = scratch(name);
    add_copy(&folder, guest);
    folder
}

fn add_copy(folder: &Path, guest: &str) {
    std::fs::create_dir(folder.join(guest)).unwrap();
    for file in std::fs::read_dir(specs().join(guest)).unwrap().map(|e| e.unwrap().path()) {
        std::fs::copy(&file, folder.join(guest).join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_message_is_explained_by_its_code_or_name() {
    let text = succeeds(&["explain", "e033"]);
    assert!(text.starts_with("E033 overlap: ") && text.contains("overrides"), "{text}");
    assert_eq!(text, succeeds(&["explain", "overlap"]));
    assert!(succeeds(&["explain"]).lines().count() > 30);
    assert!(!isa(&specs(), &["explain", "E999"]).status.success());
}

#[test]
fn messages_come_as_json_too() {
    let folder = copy_of("riscv64", "json");
    let file = folder.join("riscv64/m.isa");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "insn wrong { enc 0; exec { } }\n").unwrap();
    let output = isa(&folder, &["check", "--json"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.starts_with("{\"level\":\"error\",\"code\":\"E022\",\"kind\":\"width\",\"message\":\"pattern is 1 bits")
    );
    assert!(text.contains("m.isa\",\"line\":") && text.trim_end().ends_with("]}"), "{text}");
}

#[test]
fn specifications_are_formatted() {
    let folder = copy_of("riscv64", "fmt");
    let file = folder.join("riscv64/m.isa");
    let good = std::fs::read_to_string(&file).unwrap();
    assert!(isa(&folder, &["fmt", "--check"]).status.success());
    let line = good.lines().position(|l| l.contains("    exec")).unwrap() + 1;
    std::fs::write(&file, good.replacen("    exec", "  exec", 1)).unwrap();
    let output = isa(&folder, &["fmt", "--check", "riscv64"]);
    assert!(!output.status.success());
    let message = String::from_utf8(output.stdout).unwrap();
    assert!(message.ends_with(&format!("m.isa:{line}: not formatted\n")), "{message}");
    assert!(isa(&folder, &["fmt", file.to_str().unwrap()]).status.success());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), good);
    let broken = good + "insn a {\n";
    std::fs::write(&file, &broken).unwrap();
    let output = isa(&folder, &["fmt"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("is not closed"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), broken);
}

#[test]
fn words_and_files_are_disassembled() {
    assert_eq!(succeeds(&["disasm", "riscv64", "00730293"]), "0x0: addi t0, t1, 7    // alu_imm\n");
    let file = scratch("disasm").join("code");
    std::fs::write(&file, [0x93, 0x02, 0x73, 0x00, 0x01]).unwrap();
    let text = succeeds(&["disasm", "riscv64", file.to_str().unwrap(), "--pc", "0x1000"]);
    assert_eq!(text, "0x1000: addi t0, t1, 7    // alu_imm\n0x1004: 01    // incomplete\n");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/prebuilt/wordfreq-aarch64");
    let text = succeeds(&["disasm", "aarch64", program.to_str().unwrap()]);
    assert!(text.contains(": ret    // ") && text.contains(": svc #0"), "{}", &text[..1000]);
}

#[test]
fn every_kind_of_guest_is_disassembled() {
    assert_eq!(succeeds(&["disasm", "arm", "e2800001"]), "0x0: add r0, r0, #1    // dp_immediate\n");
    let thumb = succeeds(&["disasm", "arm", "--mode", "thumb=1", "3001", "f2400005"]);
    assert!(thumb.starts_with("0x0: adds r0, r0, #1") && thumb.contains("0x2: movw r0, #5 "), "{thumb}");
    // Bytes in the order of memory, in any groups.
    let x86 = |guest: &str| succeeds(&["disasm", guest, "48", "8b45", "08c3"]);
    assert_eq!(x86("x86_64"), "0x0: mov rax, qword ptr [rbp+0x8]    // mov\n0x4: ret    // ret\n");
    assert_eq!(
        x86("x86"),
        "0x0: dec eax    // inc_dec_short\n0x1: mov eax, dword ptr [ebp+0x8]    // mov\n0x4: ret    // ret\n"
    );
    assert_eq!(succeeds(&["disasm", "mips64el", "24840001"]), succeeds(&["disasm", "mips", "24840001"]));
    let why = succeeds(&["disasm", "x86_64", "--why", "90"]);
    assert!(why.contains("byte 0, 90, in space m0") && why.contains(": taken"), "{why}");
    for wrong in [["--mode", "thumb=2"], ["--mode", "thum=1"], ["--mode", "thumb"]] {
        let output = isa(&specs(), &["disasm", "arm", "3001", wrong[0], wrong[1]]);
        assert!(!output.status.success() && !output.stderr.is_empty());
    }
}

#[test]
fn the_way_through_the_decoder_is_shown() {
    let text = succeeds(&["disasm", "aarch64", "8b020020", "0b02c020", "--why"]);
    assert!(text.contains("in space a64, bucket "), "{text}");
    assert!(text.contains("addsub_shifted (dp_reg.isa:") && text.contains("): taken"), "{text}");
    assert!(text.contains("no: "), "{text}");
}

/// A folder like each of those there are, checked, formatted, and compiled to Rust with its system interface.
#[test]
fn a_new_guest_passes_the_check() {
    let all: Vec<String> = std::fs::read_dir(specs())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("arch.isa").exists())
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(all.len() >= 5, "{all:?}");
    for like in all {
        let folder = copy_of(&like, &format!("new_like_{like}"));
        ["linux", "x86_64"].iter().for_each(|common| add_copy(&folder, common));
        let output = isa(&folder, &["new-arch", "vax", "--like", &like]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("cargo isa check vax"));
        let output = isa(&folder, &["check", "vax"]);
        let messages = String::from_utf8_lossy(&output.stderr);
        assert_eq!(messages, "vax: 5 instructions, 5 encodings, 5 tests\n", "like {like}");
        assert!(isa(&folder, &["fmt", "--check", "vax"]).status.success(), "like {like}");
        assert!(!isa(&folder, &["new-arch", "vax", "--like", &like]).status.success(), "it exists");
        let compiled = codegen::compile(&folder.join("vax")).unwrap();
        let module = codegen::emit::emit(&compiled.models[0]).unwrap();
        assert!(module.name == "vax" && module.text.contains("native_call"), "like {like}: {}", module.text);
        let mut sources = codegen::diag::SourceMap::default();
        let files = codegen::abi::read(&folder, &mut sources).unwrap();
        let abis = codegen::abi::resolve(&sources, &files).unwrap();
        let named = |name: &str| abis.iter().find(|a| a.name == name).unwrap();
        assert!(named("vax").frame.is_some() && named("vax").number("write") == Some(64), "like {like}");
        let tables = codegen::abi::emit(&abis[..], named("x86_64"), &sources).unwrap();
        assert!(tables.contains("Abi {\n        name: \"vax\""), "like {like}");
    }
}

#[test]
fn the_system_interface_is_checked_with_the_specification() {
    let folder = copy_of("riscv64", "interface");
    ["linux", "x86_64"].iter().for_each(|common| add_copy(&folder, common));
    let file = folder.join("riscv64/linux.abi");
    let good = std::fs::read_to_string(&file).unwrap();
    for (right, wrong, message) in [
        ("gpr[1..31]", "gpr[2..32]", "of `gpr` riscv64 has registers 0 to 31"),
        ("fpr[0..31]", "fqr[0..31]", "did you mean `fpr`?"),
        ("context frm", "context from", "riscv64 has no context `from`"),
        ("pc: u64; regs", "pc: u64 regs", "error[E070]"),
    ] {
        assert!(good.contains(right));
        std::fs::write(&file, good.replace(right, wrong)).unwrap();
        let output = isa(&folder, &["check", "riscv64"]);
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && messages.contains(message), "{wrong}: {messages}");
    }
    std::fs::write(&file, good).unwrap();
    assert!(isa(&folder, &["check", "riscv64"]).status.success());
}

/// The code of an instruction is that of the generated guests, which another program has; cargo builds it if need be.
#[test]
fn what_an_instruction_becomes_is_asked_of_the_generated_guests() {
    let text = succeeds(&["disasm", "riscv64", "00730293", "00000013", "--ir", "--host"]);
    assert!(text.starts_with("0x0: addi t0, t1, 7    // alu_imm\n"), "{text}");
    assert!(text.contains("\n0x4: nop    // alu_imm\n"), "{text}");
    assert_eq!(text.matches("host, ").count(), 2, "{text}");
    assert!(text.contains(" = add.i64 ") && text.contains("  exit\n") && !text.contains("  requests\n"), "{text}");
    let text = succeeds(&["disasm", "riscv64", "ffffffff", "--host"]);
    assert!(text.contains("SIGILL"), "{text}");
}

#[test]
fn the_manual_has_every_instruction() {
    let folder = scratch("doc");
    succeeds(&["doc", "riscv64", "-o", folder.to_str().unwrap()]);
    let page = std::fs::read_to_string(folder.join("riscv64.html")).unwrap();
    assert!(page.matches("<section").count() > 60, "{}", page.len());
    let manual = page.split("<section id=\"alu_imm\">").nth(1).unwrap().split("</section>").next().unwrap();
    insta::assert_snapshot!("manual_alu_imm", manual);
}

#[test]
fn coverage_is_a_list_and_a_page() {
    let file = scratch("coverage").join("page.html");
    let text = succeeds(&["coverage", "--html", file.to_str().unwrap()]);
    assert!(text.contains("riscv64: ") && text.contains("aarch64: "), "{text}");
    assert!(!text.contains("has no test"), "{text}");
    assert!(std::fs::read_to_string(file).unwrap().contains("<b>alu_imm</b>"));
}

#[test]
fn completions_name_commands_options_and_guests() {
    for shell in ["bash", "fish", "zsh"] {
        let text = succeeds(&["completions", shell]);
        for word in ["disasm", "why", "riscv64", "new-arch"] {
            assert!(text.contains(word), "{shell}: no {word}");
        }
    }
    let script = succeeds(&["completions", "bash"]);
    assert!(Command::new("bash").args(["-n", "-c", &script]).status().unwrap().success());
}
