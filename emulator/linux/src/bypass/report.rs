//! `--native-report`: what ran as host code.

use std::fmt::Write;

use crate::Process;

/// One line for each function that was called, on stderr.
pub(super) fn print(process: &Process) {
    let mut rows = Vec::new();
    for function in native_lib::functions(process.guest.name) {
        let (calls, faulted) = process.jit().native_calls(super::number(function));
        if calls + faulted > 0 {
            rows.push((calls, faulted, function));
        }
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.2.name.cmp(b.2.name)));
    let total: u64 = rows.iter().map(|r| r.0).sum();
    let mut text = format!("isamorph: native bypass: {total} calls ran as host code\n");
    if !rows.is_empty() {
        text += "  library  function       calls  faulted, ran translated\n";
    }
    for (calls, faulted, function) in rows {
        let _ = writeln!(text, "  {:<8} {:<10} {calls:>9}  {faulted:>8}", function.library.name, function.name);
    }
    eprint!("{text}");
}
