//! How long compilation takes. `cargo test --release -p jit -- --ignored --nocapture speed`

use std::time::Instant;

use crate::x64::{Compiler, Convention, Features};

use super::harness::GUEST;
use super::random::make;

#[test]
#[ignore = "measures"]
fn speed_of_compilation() {
    let units: Vec<_> = (1..200u64).map(|seed| make(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)).collect();
    let values: usize = units.iter().map(|u| u.insts.len()).sum();
    let mut compiler = Compiler::new(&GUEST, Convention::new(&GUEST), Features::host());
    let mut bytes = 0;
    let mut best = f64::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        bytes = units.iter().map(|u| compiler.compile(u).map_or(0, |c| c.code.len())).sum();
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    eprintln!(
        "{:.1} ns, {:.1} bytes per IR instruction ({values} in {} units)",
        best / values as f64,
        bytes as f64 / values as f64,
        units.len()
    );
}
