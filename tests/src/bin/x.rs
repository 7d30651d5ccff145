//! Developer tasks: `cargo x bench [--guest G] [--only NAME] [--rounds N] [--save yes]` prints the speed tables, and saves what
//! they are made of; `cargo x plot` draws the plots of what was saved; `cargo x costs` tells what a changed specification costs;
//! `cargo x torture [--times N] [--only KIND] [--milliseconds N] [--seed N]` runs the torture suite;
//! `cargo x random [--guest G] [--against interpreter|reference] [--seconds N | --instructions N] [--seed N]` executes random
//! instructions, for ever if neither is given.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tests::torture::{Plan, torture};
use tests::{bench, programs, random, root};

/// What `cargo x bench --save yes` measured last, in the repository.
const RESULTS: &str = "tests/bench/results.json";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("bench") => run_benchmarks(&arguments[1..]),
        Some("plot") => draw_plots(),
        Some("torture") => run_torture(&arguments[1..]),
        Some("random") => run_random(&arguments[1..]),
        Some("costs") => {
            println!("{}", tests::costs::measure()?);
            Ok(())
        }
        _ => bail!(
            "usage: cargo x bench [--guest aarch64|riscv64] [--only NAME] [--rounds N] [--save yes] | cargo x plot | cargo x costs | \
             cargo x torture [--times N] [--only KIND] [--milliseconds N] [--seed N] | \
             cargo x random [--guest G] [--against interpreter|reference] [--seconds N | --instructions N] [--seed N]"
        ),
    }
}

fn run_benchmarks(options: &[String]) -> Result<()> {
    let (mut guests, mut only, mut rounds, mut save) = (programs::GUESTS.to_vec(), "", 5, false);
    for pair in options.chunks(2) {
        let [name, value] = pair else { bail!("{} needs a value", pair[0]) };
        match name.as_str() {
            "--guest" => guests.retain(|g| g == value),
            "--only" => only = value,
            "--rounds" => rounds = value.parse().context("--rounds takes a number")?,
            "--save" => save = value == "yes",
            _ => bail!("unknown option {name}"),
        }
    }
    let mut results = Vec::new();
    for guest in guests {
        let rows = bench::measure(guest, only, rounds)?;
        println!("{}", bench::table(guest, &rows));
        results.push(bench::json(guest, &rows));
    }
    if save {
        std::fs::write(root().join(RESULTS), format!("{:#}\n", Value::from(results)))?;
        draw_plots()?;
    }
    Ok(())
}

fn run_torture(options: &[String]) -> Result<()> {
    let mut plan = Plan { times: 1, only: String::new(), milliseconds: 300, seed: 1 };
    for pair in options.chunks(2) {
        let [name, value] = pair else { bail!("{} needs a value", pair[0]) };
        let number = || value.parse().with_context(|| format!("{name} takes a number"));
        match name.as_str() {
            "--times" => plan.times = number()?,
            "--only" => plan.only.clone_from(value),
            "--milliseconds" => plan.milliseconds = number()?,
            "--seed" => plan.seed = number()?,
            _ => bail!("unknown option {name}"),
        }
    }
    let runs = torture(&plan, |round, runs| println!("{round} of {} times: {runs} runs passed", plan.times));
    println!("{} runs passed", runs.map_err(anyhow::Error::msg)?);
    Ok(())
}

fn run_random(options: &[String]) -> Result<()> {
    let (guest, against) = (String::new(), String::new());
    let mut plan = random::Plan { guest, against, until: random::Until::Difference, seed: 1 };
    for pair in options.chunks(2) {
        let [name, value] = pair else { bail!("{} needs a value", pair[0]) };
        let number = || value.parse().with_context(|| format!("{name} takes a number"));
        match name.as_str() {
            "--guest" => plan.guest.clone_from(value),
            "--against" => plan.against.clone_from(value),
            "--seconds" => plan.until = random::Until::Seconds(number()?),
            "--instructions" => plan.until = random::Until::Instructions(number()?),
            "--seed" => plan.seed = number()?,
            _ => bail!("unknown option {name}"),
        }
    }
    random::random(&plan).map_err(anyhow::Error::msg)
}

fn draw_plots() -> Result<()> {
    let results: Value = serde_json::from_str(&std::fs::read_to_string(root().join(RESULTS))?)?;
    for guest in programs::GUESTS {
        std::fs::write(root().join(format!("tests/bench/{guest}.svg")), bench::plot(&results, guest)?)?;
    }
    Ok(())
}
