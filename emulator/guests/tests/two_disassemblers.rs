//! The disassembler of the `isa` tool, which interprets the specification, and the generated one give the same texts.

use codegen::diag::Diagnostics;
use codegen::pattern::Decoding;
use codegen::text;
use std::path::Path;

/// A fixed sequence of random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 31
    }
}

/// Random bytes, of which the first few are often those of a `test` line.
fn code(guest: &ir::Guest, random: &mut Random) -> Vec<u8> {
    let mut code: Vec<u8> = (0..16).map(|_| random.next() as u8).collect();
    let test = &guests::tests(guest)[random.next() as usize % guests::tests(guest).len()];
    if !random.next().is_multiple_of(4) {
        let kept = test.code.len().min(1 + random.next() as usize % 8);
        code[..kept].copy_from_slice(&test.code[..kept]);
    }
    code
}

#[test]
fn they_agree() {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
    let mut compared = 0;
    for dir in std::fs::read_dir(specs).unwrap().map(|e| e.unwrap().path()).filter(|p| p.join("arch.isa").exists()) {
        for model in &codegen::compile(&dir).unwrap().models {
            let guest = guests::ALL.by_name(&model.name).unwrap();
            let decoding = Decoding::of(model, &mut Diagnostics::default());
            let mut random = Random(1);
            for _ in 0..4000 {
                let code = code(guest, &mut random);
                let modes: u32 = guest.contexts.iter().fold(0, |m, c| m | (((1_u64 << c.width) - 1) as u32) << c.lo);
                let mode =
                    if random.next().is_multiple_of(2) { guest.reset_mode() } else { random.next() as u32 & modes };
                let interpreted = text::disassemble(model, &decoding, 0x1000, mode, &code).unwrap();
                let generated = (guest.disassemble)(0x1000, mode, &code);
                let shown = (interpreted.text, interpreted.len);
                assert_eq!(shown, generated, "{}: {code:02x?} in mode {mode:#x}", model.name);
                assert_eq!(interpreted.insn.as_deref(), (guest.identify)(mode, &code), "{}: {code:02x?}", model.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 20_000, "only {compared}");
}
