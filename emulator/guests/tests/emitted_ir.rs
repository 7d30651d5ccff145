//! The IR of one instruction word per encoding, a snapshot per spec file: what a change of a specification, of the
//! generator or of the builder's simplifications does to every instruction.

use codegen::model::{Enc, Insn, Model};
use codegen::pattern::Space;
use ir::guest::Step;
use ir::unit::UnitKey;
use ir::{Builder, Guest};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Words tried per encoding until one passes its guards.
const TRIES: u64 = 20_000;

/// Numbers that look random and are always the same.
fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    x ^= x >> 31;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 29
}

/// The bytes of a word of a space, in memory order: units are little-endian, the first has the highest bits.
fn bytes(guest: &Guest, space: &Space, word: u32) -> Vec<u8> {
    let unit = |i: u32| {
        let mut bytes =
            (word >> (space.unit * (space.units - 1 - i))).to_le_bytes()[..space.unit as usize / 8].to_vec();
        if guest.big_endian_code {
            bytes.reverse();
        }
        bytes
    };
    (0..space.units).flat_map(unit).collect()
}

/// A word that decodes as this encoding: distinct small numbers in the fields if possible, others otherwise.
fn word(guest: &Guest, insn: &Insn, enc: &Enc, space: &Space, mode: u32) -> Option<u32> {
    let flat = &enc.flat;
    let free = !(flat.mask as u32) & (u32::MAX >> (32 - flat.width));
    let mut plain = 0_u32;
    for (i, field) in flat.fields.iter().enumerate() {
        let value = if field.width >= 4 { i as u32 + 1 } else { 0 };
        for p in &field.pieces {
            plain |= (value >> p.lo & ((1_u64 << p.width) - 1) as u32) << p.at;
        }
    }
    let fits = |w: u32| flat.matches(w.into()) && (guest.identify)(mode, &bytes(guest, space, w)) == Some(&*insn.name);
    let fixed = flat.value as u32 | flat.should_be as u32;
    let mut tried = (0..TRIES).map(|n| match n {
        0 => fixed | plain & free,
        n => fixed & !free | flat.value as u32 | mix(n) as u32 & free,
    });
    tried.find(|&w| fits(w))
}

/// The folder of the specification that has an instance of this name.
fn folder(specs: &Path, guest: &str) -> PathBuf {
    let instance = format!("instance {guest} ");
    let has = |dir: &PathBuf| {
        let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
        files.filter_map(|f| std::fs::read_to_string(f.path()).ok()).any(|text| text.contains(&instance))
    };
    let dirs = std::fs::read_dir(specs).expect("the specifications").flatten().map(|d| d.path());
    dirs.filter(|d| d.is_dir()).find(has).unwrap_or_else(|| panic!("no instance {guest}"))
}

/// IR of one instruction word at a fixed address.
fn emitted(guest: &Guest, mode: u32, code: &[u8]) -> String {
    let pc = 0x1000;
    let mut b = Builder::new(guest, UnitKey { pc, mode });
    b.begin_insn(pc);
    match (guest.translate)(&mut b, pc, code) {
        Step::Done { len, .. } => {
            b.end_insn();
            ir::print::print(&b.finish(pc + u64::from(len)), guest)
        }
        other => format!("{other:?}\n"),
    }
}

/// Of instructions that are sequences of bytes, those of the `test` lines.
fn test_lines(guest: &Guest, insn: &str, text: &mut String) {
    for test in guests::tests(guest).iter().filter(|t| t.insn == insn) {
        let hex: String = test.code.iter().map(|b| format!("{b:02x}")).collect();
        let _ = writeln!(text, "## {insn}: {hex} {}", test.text);
        emitted(guest, guest.reset_mode(), test.code).lines().filter(|l| l.starts_with("  ")).for_each(|l| {
            let _ = writeln!(text, "{l}");
        });
    }
}

/// The model of a guest, from whichever folder describes it.
fn model(guest: &str) -> Model {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
    let compiled = codegen::compile(&folder(&specs, guest)).unwrap_or_else(|e| panic!("{guest}: {e:#}"));
    let model = compiled.models.into_iter().find(|m| m.name == guest);
    model.unwrap_or_else(|| panic!("{guest} has no instance of that name"))
}

/// Text per spec file.
fn guest_text(guest: &Guest, model: &Model) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for insn in &model.insns {
        let file = insn.at.split('.').next().unwrap_or_default().to_string();
        let text = files.entry(file).or_default();
        if model.bytewise() {
            test_lines(guest, &insn.name, text);
            continue;
        }
        for (n, enc) in insn.encs.iter().enumerate() {
            let _ = write!(text, "## {}", insn.name);
            if insn.encs.len() > 1 {
                let _ = write!(text, " {n}");
            }
            let space = &model.spaces[enc.flat.space];
            let mode = model.mode_of(space);
            let Some(w) = word(guest, insn, enc, space, mode) else {
                let _ = writeln!(text, ": no word found");
                continue;
            };
            let code = bytes(guest, space, w);
            let (disassembly, _) = (guest.disassemble)(0x1000, mode, &code);
            let _ = writeln!(text, ": {w:08x} {disassembly}");
            let body = emitted(guest, mode, &code);
            // the unit's header and the address are the same everywhere
            body.lines().filter(|l| l.starts_with("  ")).for_each(|l| {
                let _ = writeln!(text, "{l}");
            });
        }
    }
    files
}

#[test]
fn ir_of_every_encoding() {
    for guest in guests::ALL {
        for (file, text) in guest_text(guest, &model(guest.name)) {
            insta::assert_snapshot!(format!("{}_{file}", guest.name), text);
        }
    }
}
