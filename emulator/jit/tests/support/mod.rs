//! What tests of random instructions share.

mod code;
mod random;

pub(crate) use code::Code;
pub(crate) use random::Random;

use std::path::{Path, PathBuf};

use codegen::diag::Diagnostics;
use codegen::pattern::Decoding;
use ir::unit::{ExitKind, Unit, UnitKey};
use ir::{Builder, Guest};

/// A number from the environment.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// All encodings of a guest, to make words of.
pub(crate) struct Words {
    /// Fixed bits, their values, and bytes.
    encodings: Vec<(u64, u64, usize)>,
}

impl Words {
    /// Reads the guest's specification.
    pub(crate) fn of(guest: &Guest) -> Words {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
        let folders = std::fs::read_dir(specs).unwrap().map(|entry| entry.unwrap().path());
        let has_isa = |folder: &PathBuf| folder.join("arch.isa").exists();
        for folder in folders.filter(has_isa) {
            let compiled = codegen::compile(&folder).unwrap();
            if let Some(model) = compiled.models.iter().find(|model| *model.name == *guest.name) {
                let decoding = Decoding::of(model, &mut Diagnostics::default());
                let bytes = |space: usize| model.spaces[space].unit as usize / 8;
                let encodings = decoding.entries.iter().map(|e| (e.mask as u64, e.value as u64, bytes(e.space)));
                return Words { encodings: encodings.collect() };
            }
        }
        panic!("no specification of {}", guest.name)
    }

    /// Bytes of some encoding with random operands; not always an instruction.
    pub(crate) fn pick(&self, random: &mut Random) -> Vec<u8> {
        let (mask, value, bytes) = self.encodings[random.below(self.encodings.len() as u64) as usize];
        (random.next() & !mask | value).to_le_bytes()[..bytes].to_vec()
    }
}

/// The unit of one instruction at `pc`, and its length.
fn unit_of(guest: &'static Guest, mode: u32, code: &[u8], pc: u64) -> Option<(Unit, u32)> {
    let mut padded = [0; 16];
    padded[..code.len()].copy_from_slice(code);
    let mut builder = Builder::new(guest, UnitKey { pc, mode });
    builder.begin_insn(pc);
    let ir::guest::Step::Done { len, .. } = (guest.translate)(&mut builder, pc, &padded) else { return None };
    builder.end_insn();
    let same_mode = builder.mode() == mode;
    let unit = builder.finish(pc + u64::from(len));
    // Helpers may tell the time of day.
    let timeless = unit.insts.iter().all(|inst| inst.op != ir::inst::Op::Helper);
    (timeless && same_mode && len as usize <= code.len()).then_some((unit, len))
}

/// Length of an instruction that does nothing but fall through or trap, and nothing that depends on the time of day.
pub(crate) fn straight(guest: &'static Guest, mode: u32, code: &[u8], pc: u64) -> Option<u32> {
    let (unit, len) = unit_of(guest, mode, code, pc)?;
    let falls = |kind, target| matches!(kind, ExitKind::Jump) && target == pc + u64::from(len);
    let stays = unit.exits.iter().all(|exit| falls(exit.kind, exit.target) || matches!(exit.kind, ExitKind::Trap(_)));
    stays.then_some(len)
}
