//! `tests/traps.md` is complete, and what it names exists.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::programs::{Link, build};
use tests::run::isamorph;

/// How many mistakes the table is about.
const TRAPS: usize = 114;

/// Number, mistake and what notices it, by row.
fn rows(table: &str) -> Vec<(usize, String, String)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, mistake, noticed] = cells[..] else { return None };
        Some((number.parse().ok()?, mistake.to_owned(), noticed.to_owned()))
    };
    table.lines().filter_map(row).collect()
}

/// Why a reference leads nowhere, if it does.
fn missing(reference: &str) -> Option<String> {
    let (file, name) = reference.split_once("::").unwrap_or((reference, ""));
    let Ok(text) = fs::read_to_string(tests::root().join(file)) else { return Some(format!("{file} does not exist")) };
    let found = match Path::new(file).extension().and_then(|e| e.to_str()) {
        // Run by the end-to-end tests, by its name.
        Some("c") => return (!is_run(file)).then(|| format!("{file} is run by no test")),
        Some("isa") => text.lines().any(|line| line.trim_start().starts_with("test") && line.contains(name)),
        _ => {
            // By name in the list of a macro that makes tests.
            let named = |line: &str| line.trim_start().starts_with(&format!("{name}: "));
            let listed = text.lines().any(|line| line.starts_with("hot!(") && line.contains(name))
                || text.contains("$(#[test]") && text.lines().any(named);
            listed || text.split("#[test]").skip(1).any(|test| test.contains(&format!("fn {name}()")))
        }
    };
    (name.is_empty() || !found).then(|| format!("{file} has no test {name}"))
}

/// Whether some end-to-end test names the program.
fn is_run(file: &str) -> bool {
    let stem = Path::new(file).file_stem().unwrap().to_string_lossy().into_owned();
    let sources = ["tests/cases", "tests/src"].map(|folder| fs::read_dir(tests::root().join(folder)).unwrap());
    let texts = sources.into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let in_folder = file.trim_start_matches("tests/");
    let in_folder_of = in_folder.split('/').next().unwrap_or_default();
    texts.map(|path| fs::read_to_string(path).unwrap()).any(|text| {
        let listed = text.split("guest_programs!(").nth(1).is_some_and(|list| {
            file.starts_with("tests/guest/") && list.split(')').next().unwrap().split(", ").any(|name| name == stem)
        });
        listed
            || text.contains(&format!("{in_folder}\""))
            || text.contains(&format!("\"{stem}.c\""))
            || text.contains(&format!("{in_folder_of}(\"{stem}\""))
            || { file.starts_with("tests/torture/") && text.contains(&format!("\"{stem}\"")) }
    })
}

#[test]
fn every_trap_is_noticed_by_a_test_that_exists() {
    let table = fs::read_to_string(tests::root().join("tests/traps.md")).unwrap();
    let rows = rows(&table);
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), (1..=TRAPS).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (number, mistake, noticed) in rows {
        let reason = noticed.strip_prefix("does not apply: ");
        if mistake.len() < 20 || reason.is_some_and(|reason| reason.len() < 20) {
            wrong.push(format!("{number} says too little"));
        }
        if reason.is_none() {
            let references = noticed.split(", ").collect::<Vec<_>>();
            // A comma may be a part of an instruction's text.
            let whole = references.iter().fold(Vec::<String>::new(), |mut all, part| {
                match all.last_mut() {
                    Some(last) if last.matches('"').count() == 1 => *last = format!("{last}, {part}"),
                    _ => all.push((*part).to_owned()),
                }
                all
            });
            wrong.extend(whole.iter().filter_map(|r| missing(r)).map(|why| format!("{number}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Kilobytes of physical memory of a process that has come to rest.
fn resident(threads: u32) -> u64 {
    let program = build("torture/waiting.c", "aarch64", Link::Static);
    let mut child = Command::new(isamorph())
        .args(["--cache", "none"])
        .arg(program)
        .arg(threads.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It says when all threads wait, and waits for its input to end.
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn threads_take_little_memory() {
    let (few, many) = (resident(2), resident(102));
    let each = many.saturating_sub(few) / 100;
    assert!((4..120).contains(&each), "{each} KiB for each thread: {few} KiB with 2, {many} KiB with 102");
}
