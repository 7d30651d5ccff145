//! `--native-report`: what ran as host code, what that saved, and what was seen but not bypassed.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use jit::NativeCounts;
use native_lib::Function;

use super::elf_file::ElfFile;
use super::symbols;
use crate::Process;

/// How the report is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportFormat {
    /// A table.
    Text,
    /// One JSON object.
    Json,
}

impl ReportFormat {
    /// Reads a name; empty means text.
    ///
    /// # Errors
    /// If there is no format of this name.
    pub fn parse(name: &str) -> Result<ReportFormat, String> {
        match name {
            "" | "text" => Ok(ReportFormat::Text),
            "json" => Ok(ReportFormat::Json),
            _ => Err(format!("`{name}` is no format; there are text and json")),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ReportFormat::Text => "text",
            ReportFormat::Json => "json",
        }
    }
}

/// How the saved time is known, in the report's own words.
const METHOD: &str = "Saved time is an estimate: every 512th call of a function that can be made twice is made both as host code and \
                      in the guest's own code, translated, and the difference of the two processor times stands for the others. \
                      Calls that are measured find processor caches cold, the guest's code more so: take it for an upper bound.";

/// A function that was called.
struct Row {
    function: &'static Function,
    counts: NativeCounts,
}

impl Row {
    /// Mean nanoseconds of a measured call: as host code, and translated.
    fn means(&self) -> Option<(u64, u64)> {
        let n = self.counts.measured;
        (n > 0).then(|| (self.counts.native_ns / n, self.counts.translated_ns / n))
    }

    /// Nanoseconds saved by all calls; negative if host code was slower.
    fn saved(&self) -> Option<i64> {
        let difference = self.counts.translated_ns as i128 - self.counts.native_ns as i128;
        let n = i128::from(self.counts.measured);
        (n > 0).then(|| (difference * i128::from(self.counts.calls) / n) as i64)
    }

    /// Bytes, where they are known.
    fn bytes(&self) -> Option<u64> {
        (self.function.bytes != native_lib::Bytes::Unknown).then_some(self.counts.bytes)
    }
}

/// Prints the report on stderr.
pub(super) fn print(process: &Process, format: ReportFormat) {
    let functions = native_lib::functions(process.guest.name);
    let rows = functions.map(|function| Row { function, counts: process.jit().native_calls(super::number(function)) });
    let mut rows: Vec<Row> = rows.filter(|row| row.counts.calls + row.counts.faulted > 0).collect();
    rows.sort_by(|a, b| b.counts.calls.cmp(&a.counts.calls).then(a.function.name.cmp(b.function.name)));
    let others = not_bypassed(process);
    match format {
        ReportFormat::Text => eprint!("{}", text(&rows, &others)),
        ReportFormat::Json => eprintln!("{}", json(&rows, &others)),
    }
}

fn text(rows: &[Row], others: &BTreeMap<String, Vec<String>>) -> String {
    let total: u64 = rows.iter().map(|row| row.counts.calls).sum();
    let mut text = format!("isamorph: native bypass: {total} calls ran as host code");
    if rows.iter().any(|row| row.counts.measured > 0) {
        let saved: i64 = rows.iter().filter_map(Row::saved).sum();
        let _ = write!(text, ", which saved about {:.3} s", saved as f64 / 1e9);
    }
    text += "\n";
    let cell = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    if !rows.is_empty() {
        text += "  library  function       calls         bytes   faulted  saved ms   ns as host code, translated (measured)\n";
    }
    for row in rows {
        let (name, counts) = (row.function, &row.counts);
        let _ = writeln!(
            text,
            "  {:<8} {:<10} {:>9} {:>13} {:>9} {:>9}   {}",
            name.library.name,
            name.name,
            counts.calls,
            cell(row.bytes().map(|n| n.to_string())),
            counts.faulted,
            cell(row.saved().map(|ns| format!("{:.2}", ns as f64 / 1e6))),
            cell(row.means().map(|(native, guest)| format!("{native}, {guest} ({})", counts.measured))),
        );
    }
    if rows.iter().any(|row| row.counts.faulted > 0) {
        text += "  Faulted: host code met an address it could not access; the guest's own code ran instead.\n";
    }
    if !rows.is_empty() {
        let _ = writeln!(text, "  {METHOD}");
    }
    for (why, names) in others {
        let _ = writeln!(text, "  Not bypassed, {why}: {}", names.join(" "));
    }
    text
}

fn json(rows: &[Row], others: &BTreeMap<String, Vec<String>>) -> String {
    let number = |value: Option<i64>| value.map_or("null".to_owned(), |n| n.to_string());
    let functions: Vec<String> = rows
        .iter()
        .map(|row| {
            let (counts, means) = (&row.counts, row.means());
            format!(
                "{{\"library\":{},\"function\":{},\"calls\":{},\"bytes\":{},\"faulted\":{},\"saved_ns\":{},\"measured\":{},\
                 \"native_ns\":{},\"translated_ns\":{}}}",
                quoted(row.function.library.name),
                quoted(row.function.name),
                counts.calls,
                number(row.bytes().map(|n| n as i64)),
                counts.faulted,
                number(row.saved()),
                counts.measured,
                number(means.map(|m| m.0 as i64)),
                number(means.map(|m| m.1 as i64)),
            )
        })
        .collect();
    let reason = |(why, names): (&String, &Vec<String>)| {
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        format!("{{\"reason\":{},\"functions\":[{}]}}", quoted(why), names.join(","))
    };
    let others: Vec<String> = others.iter().map(reason).collect();
    format!(
        "{{\"method\":{},\"functions\":[{}],\"not_bypassed\":[{}]}}",
        quoted(METHOD),
        functions.join(","),
        others.join(",")
    )
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Functions of known names in the guest's files that are not bypassed, by the reason.
fn not_bypassed(process: &Process) -> BTreeMap<String, Vec<String>> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if !process.bypass.choice.any() {
        reasons.insert("--native-bypass was not given".into(), Vec::new());
        return reasons;
    }
    let mut seen = HashSet::new();
    let files: Vec<_> = process.space.map().iter().filter_map(|(_, vma)| vma.file.clone()).collect();
    for file in files.iter().filter(|file| seen.insert(file.path.clone())) {
        let Some(elf) = ElfFile::open(&file.path) else { continue };
        let home = symbols::Home::of(&elf, file.path == process.exe);
        elf.each_symbol(|symbol, name| {
            let Some(function) = native_lib::function(process.guest.name, name) else { return };
            if symbols::code_of(symbol).is_none() {
                return;
            }
            let why = if !home.holds(function.library) {
                format!("as {} defines its own", file.path.display())
            } else if !process.bypass.choice.includes(function) {
                "as the list leaves it out".to_owned()
            } else {
                return;
            };
            let names = reasons.entry(why).or_default();
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        });
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_time_is_that_of_all_calls() {
        let counts = NativeCounts {
            calls: 1000,
            bytes: 5,
            measured: 2,
            native_ns: 200,
            translated_ns: 1200,
            ..NativeCounts::default()
        };
        let row = Row { function: native_lib::function("riscv64", "strcpy").unwrap(), counts };
        assert_eq!((row.means(), row.saved(), row.bytes()), (Some((100, 600)), Some(500_000), None));
        let others = BTreeMap::from([("as \"x\" says".to_owned(), vec!["memcpy".to_owned()])]);
        let text = text(&[row], &others);
        assert!(text.contains("1000 calls ran as host code, which saved about 0.001 s"), "{text}");
        assert!(text.contains("Not bypassed, as \"x\" says: memcpy"), "{text}");
    }

    #[test]
    fn json_is_quoted() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
        let others = BTreeMap::from([("why".to_owned(), vec!["f".to_owned()])]);
        assert!(json(&[], &others).ends_with("\"not_bypassed\":[{\"reason\":\"why\",\"functions\":[\"f\"]}]}"));
    }
}
