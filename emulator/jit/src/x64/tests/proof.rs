//! The proof of the allocation of registers finds what it is to find: moves lost, to other registers, from other cells.

use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::harness::GUEST;
use super::random::make;
use crate::x64::claims::{Claim, Claims};
use crate::x64::exit::FIELD_WHAT;
use crate::x64::generator::{Buffers, Gen};
use crate::x64::{Convention, Features, proof};

/// A plain move of a value between a register and a spill slot or a home, or of an argument to where Rust code finds it. Those
/// between registers are mostly not of the allocator: two-address instructions work on copies.
fn moves(insn: &Instruction) -> bool {
    use Mnemonic as M;
    let is_move = matches!(insn.mnemonic(), M::Mov | M::Movzx | M::Movd | M::Movq | M::Movdqu);
    let [arguments, others, spills] = [Gen::scratch(0), Gen::scratch(3), Gen::spill_mem(0)].map(|m| m.disp);
    let cell = |k| match insn.op_kind(k) {
        OpKind::Register => insn.op_register(k).size() >= 4,
        OpKind::Memory if insn.memory_base() == Register::RBP => {
            let at = insn.memory_displacement64() as i32;
            at < 256 || at >= spills || k == 0 && (arguments..others).contains(&at)
        }
        _ => false,
    };
    let memory = (0..2).any(|k| insn.op_kind(k) == OpKind::Memory);
    // What the flags are of is no value.
    let what = memory && insn.memory_displacement64() as i32 == Gen::field(FIELD_WHAT).disp;
    is_move && !what && insn.op_count() == 2 && memory && cell(0) && cell(1)
}

/// Where helpers that change the slots are called. Code keeps values for afterwards that are of no slot any more.
fn calls(claims: &Claims) -> Vec<Range<u64>> {
    let starts = |claim: &Claim| matches!(claim, Claim::Starts(_));
    let insns = claims.all.chunk_by(|_, (_, claim)| !starts(claim));
    let ends = claims.all.iter().filter(|(_, claim)| starts(claim)).map(|c| c.0).skip(1).chain([u32::MAX]);
    let calls = insns.filter(|c| starts(&c[0].1)).zip(ends).filter(|(c, _)| c.iter().any(|c| c.1 == Claim::Forgets));
    calls.map(|(c, end)| c[0].0.into()..end.into()).collect()
}

/// A store at the home of a slot.
fn goes_home(insn: &Instruction) -> bool {
    insn.op0_kind() == OpKind::Memory && (insn.memory_displacement64() as i32) < 256
}

/// The code with one move left out, and with one that has another register or cell.
fn mutants(code: &[u8], insn: &Instruction) -> Vec<Vec<u8>> {
    let (at, len) = (insn.ip() as usize, insn.len());
    let mut lost = code.to_vec();
    lost[at..at + len].fill(0x90);
    let mut other = code.to_vec();
    // A displacement of one or four bytes is last.
    let byte = if insn.memory_displ_size() > 1 { at + len - 4 } else { at + len - 1 };
    other[byte] ^= 16;
    vec![lost, other]
}

#[test]
fn a_changed_move_is_found() {
    let conv = Convention::new(&GUEST);
    let (mut all, mut found, mut missed) = (0, 0, Vec::new());
    for seed in 1..150u64 {
        let unit = make(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut g = Gen::new(&unit, &GUEST, &conv, Features::ALL, Buffers::default());
        g.claims = Some(Claims::default());
        g.run();
        if g.error.is_some() {
            continue;
        }
        let code = g.asm.code.clone();
        assert_eq!(proof::prove(&g, &code), Ok(()));
        let calls = calls(g.claims.as_ref().unwrap());
        for insn in &mut Decoder::with_ip(64, &code, 0, DecoderOptions::NONE) {
            let keeps = !goes_home(&insn) && calls.iter().any(|call| call.contains(&insn.ip()));
            if !moves(&insn) || keeps {
                continue;
            }
            for mutant in mutants(&code, &insn) {
                all += 1;
                if proof::prove(&g, &mutant).is_err() {
                    found += 1;
                } else {
                    let around = insn.ip() as usize..code.len().min(insn.next_ip() as usize + 30);
                    missed.push(format!("seed {seed}: {}", super::listing(&code[around]).replace('\n', ";")));
                }
            }
        }
    }
    assert!(all > 1000 && found * 100 > all * 98, "{found} of {all} found, not\n{}", missed.join("\n"));
}
