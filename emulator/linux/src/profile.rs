//! What `--profile` prints when the process ends: the units in which most guest instructions were executed.

use std::fmt::Write;

use crate::process::Process;

/// Rows.
const SHOWN: usize = 30;

/// Prints the hottest units on stderr.
pub(crate) fn print(process: &Process) {
    let units = process.jit().profile();
    let executed: u64 = units.iter().map(jit::UnitProfile::executed).sum();
    let mut text = format!("isamorph: {} units entered, at most {executed} guest instructions executed\n", units.len());
    text.push_str("  share      entered  guest insns  host bytes             address  function\n");
    for unit in units.iter().take(SHOWN) {
        let share = unit.executed() as f64 * 100.0 / executed.max(1) as f64;
        let place = crate::bypass::place(process, unit.pc);
        let _ = writeln!(
            text,
            "{share:>5.1} % {:>12} {:>12} {:>11}  {:>#18x}  {place}",
            unit.entered, unit.guest_insns, unit.host_bytes, unit.pc
        );
    }
    eprint!("{text}");
}
