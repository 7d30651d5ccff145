//! Developer tasks: `cargo x bench [--guest G] [--only NAME] [--rounds N]` prints the speed table.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, bail};
use tests::{bench, programs};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("bench") => print_speed_table(&arguments[1..]),
        _ => bail!("usage: cargo x bench [--guest aarch64|riscv64] [--only NAME] [--rounds N]"),
    }
}

fn print_speed_table(options: &[String]) -> Result<()> {
    let (mut guests, mut only, mut rounds) = (programs::GUESTS.to_vec(), "", 5);
    for pair in options.chunks(2) {
        let [name, value] = pair else { bail!("{} needs a value", pair[0]) };
        match name.as_str() {
            "--guest" => guests.retain(|g| g == value),
            "--only" => only = value,
            "--rounds" => rounds = value.parse().context("--rounds takes a number")?,
            _ => bail!("unknown option {name}"),
        }
    }
    for guest in guests {
        println!("{}", bench::table(guest, &bench::measure(guest, only, rounds)?));
    }
    Ok(())
}
