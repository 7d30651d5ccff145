//! Measurements as tables and as JSON.

use serde_json::{Value, json};

use super::{Class, Cost, Row, WORKLOADS, geomean};

/// Kinds in the order of the workloads.
fn classes() -> Vec<Class> {
    let mut classes: Vec<Class> = WORKLOADS.iter().map(|w| w.class).collect();
    classes.dedup();
    classes
}

fn number(x: Option<f64>) -> String {
    x.map_or_else(|| "-".into(), |x| format!("{x:.1}"))
}

fn ratio(x: Option<f64>) -> String {
    x.map_or_else(|| "-".into(), |x| format!("{x:.2}"))
}

/// Markdown: processor time of each workload, then the ratios of each kind and the noise of the machine.
#[must_use]
pub fn table(guest: &str, rows: &[Row]) -> String {
    let mut text = format!("| {guest} | native ms | isamorph ms | qemu ms | isamorph / native | qemu / isamorph |\n");
    text += "|---|---:|---:|---:|---:|---:|\n";
    for row in rows {
        text += &line(row.workload.what, row, "isamorph");
        for (runner, how) in [("first", "first run"), ("bypass", "`--native-bypass`")] {
            if row.cost(runner).is_some() {
                text += &line(&format!("{}, {how}", row.workload.what), row, runner);
            }
        }
    }
    text + "\n" + &summary(rows) + &version(guest)
}

/// What was compared with, as a sentence.
fn version(guest: &str) -> String {
    super::qemu_version(guest).map_or_else(String::new, |version| format!("Qemu: {version}.\n"))
}

fn line(label: &str, row: &Row, ours: &str) -> String {
    let time = |runner| number(row.cost(runner).map(|cost| cost.processor));
    let [native, emulated, qemu] = ["native", ours, "qemu"].map(time);
    let (slower, faster) = (ratio(row.ratio(ours, "native")), ratio(row.ratio("qemu", ours)));
    format!("| {label} | {native} | {emulated} | {qemu} | {slower} | {faster} |\n")
}

fn summary(rows: &[Row]) -> String {
    let mut text = String::from("Geometric means, in processor time of native: ");
    let means = classes().into_iter().filter_map(|class| {
        let of_class = || rows.iter().filter(|row| row.workload.class == class);
        let ours = geomean(of_class().filter_map(|row| row.ratio("isamorph", "native")))?;
        let theirs = geomean(of_class().filter_map(|row| row.ratio("qemu", "native")));
        Some(format!("{} {ours:.2} (qemu {})", class.name(), ratio(theirs)))
    });
    text += &means.collect::<Vec<_>>().join(", ");
    let noise = rows.iter().flat_map(|row| &row.costs).map(|(_, cost)| cost.noise).fold(0.0, f64::max);
    text + &format!(". Largest half quartile distance: {:.0} %.\n", noise * 100.0)
}

fn cost(cost: &Cost) -> Value {
    json!({
        "wall_ms": cost.wall, "processor_ms": cost.processor, "memory_kib": cost.memory, "noise": cost.noise,
    })
}

/// Everything measured for a guest.
#[must_use]
pub fn json(guest: &str, rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let costs: serde_json::Map<String, Value> =
            row.costs.iter().map(|(runner, c)| ((*runner).to_owned(), cost(c))).collect();
        json!({ "name": row.workload.name, "class": row.workload.class.name(), "what": row.workload.what, "costs": costs })
    };
    json!({ "guest": guest, "qemu": super::qemu_version(guest), "rows": rows.iter().map(row).collect::<Vec<_>>() })
}
