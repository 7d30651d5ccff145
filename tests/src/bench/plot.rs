//! The plot of the README: how much longer programs take than native, emulated by us and by qemu-user.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const WIDTH: f64 = 860.0;
const LABELS: f64 = 250.0;
const BAR: f64 = 7.0;
const ROW: f64 = 22.0;
const TOP: f64 = 58.0;
/// Ratios at the ends of the logarithmic axis.
const FROM: f64 = 0.8;
const TO: f64 = 100.0;
const TICKS: [f64; 6] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0];
const OURS: &str = "#2f6db3";
const THEIRS: &str = "#c9ccd1";

/// An SVG image of one guest's measurements in `results`, which `cargo x bench` wrote.
///
/// # Errors
/// If the guest is not among them, or they are not what `cargo x bench` writes.
pub fn plot(results: &Value, guest: &str) -> Result<String> {
    let of_guest = results.as_array().into_iter().flatten().find(|r| r["guest"] == guest);
    let rows = of_guest.and_then(|r| r["rows"].as_array()).with_context(|| format!("no results for {guest}"))?;
    let rows: Vec<&Value> = rows.iter().filter(|row| row["costs"]["native"].is_object()).collect();
    ensure!(!rows.is_empty(), "nothing of {guest} was compared with native");
    let height = TOP + ROW * rows.len() as f64 + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\">{guest}: processor time, native = 1 (logarithmic)</text>\n"
    );
    legend(&mut svg);
    axis(&mut svg, height);
    for (i, row) in rows.iter().enumerate() {
        bars(&mut svg, row, TOP + ROW * i as f64)?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn x(ratio: f64) -> f64 {
    let share = (ratio.clamp(FROM, TO) / FROM).ln() / (TO / FROM).ln();
    LABELS + share * (WIDTH - LABELS - 50.0)
}

fn legend(svg: &mut String) {
    for (k, (color, name)) in [(OURS, "isamorph"), (THEIRS, "qemu-user")].into_iter().enumerate() {
        let at = LABELS + 120.0 * k as f64 + 260.0;
        let _ = writeln!(svg, "<rect x=\"{at}\" y=\"11\" width=\"10\" height=\"10\" fill=\"{color}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"20\">{name}</text>", at + 15.0);
    }
}

fn axis(svg: &mut String, height: f64) {
    for tick in TICKS {
        let at = x(tick);
        let color = if tick == 1.0 { "#666" } else { "#ddd" };
        let bottom = height - 12.0;
        let _ = writeln!(svg, "<line x1=\"{at:.1}\" y1=\"46\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"{color}\"/>");
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"42\" text-anchor=\"middle\" fill=\"#555\">{tick}</text>");
    }
}

fn bars(svg: &mut String, row: &Value, y: f64) -> Result<()> {
    let what = row["what"].as_str().context("a row without `what`")?;
    let time = |runner: &str| row["costs"][runner]["processor_ms"].as_f64();
    let native = time("native").context("a row without native")?;
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{what}</text>", LABELS - 8.0, y + 13.0);
    for (k, (runner, color)) in [("isamorph", OURS), ("qemu", THEIRS)].into_iter().enumerate() {
        let Some(ratio) = time(runner).map(|time| time / native) else { continue };
        let (from, to, top) = (x(1.0), x(ratio), y + 2.0 + (BAR + 1.0) * k as f64);
        let (left, width) = (from.min(to), (to - from).abs().max(1.0));
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\" fill=\"#444\">{ratio:.1}</text>",
            from.max(to) + 3.0,
            top + BAR
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plot_has_a_bar_for_each_emulator() {
        let costs = json!({ "native": { "processor_ms": 10.0 }, "isamorph": { "processor_ms": 20.0 }, "qemu": { "processor_ms": 80.0 } });
        let results = json!([{ "guest": "g", "rows": [{ "what": "work", "costs": costs }] }]);
        let svg = plot(&results, "g").unwrap();
        assert!(svg.contains(">2.0</text>") && svg.contains(">8.0</text>") && svg.contains(">work</text>"), "{svg}");
        assert!(plot(&results, "h").is_err());
    }

    #[test]
    fn the_plots_are_those_of_the_results() {
        let read = |name: &str| std::fs::read_to_string(crate::root().join("tests/bench").join(name)).unwrap();
        let results: Value = serde_json::from_str(&read("results.json")).unwrap();
        for guest in crate::programs::GUESTS {
            assert_eq!(read(&format!("{guest}.svg")), plot(&results, guest).unwrap(), "cargo x plot draws it anew");
        }
    }
}
