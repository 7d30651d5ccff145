//! The decode report: what the tables look like and how overlapping encodings are told apart.

use super::{Analysis, Entry, Relation, Space, Table};
use std::fmt::Write as _;

/// Text of the report; `tables` are by space.
pub fn report(spaces: &[Space], entries: &[Entry], analysis: &Analysis, tables: &[Table]) -> String {
    let mut text = String::new();
    for (index, space) in spaces.iter().enumerate() {
        let count = entries.iter().filter(|e| e.space == index).count();
        let (mean, most) = tables[index].load();
        let _ = writeln!(text, "space {}: {} bits, {count} encodings", space.name, space.unit);
        let _ = writeln!(text, "  allocated: {:.1} % of words", 100.0 * analysis.allocated[index]);
        let buckets = tables[index].buckets.len();
        let _ = writeln!(text, "  table: {buckets} buckets, {mean:.2} candidates on average, {most} at most");
        for (relation, title) in [
            (Relation::Nested, "more specific wins"),
            (Relation::Overrides, "overrides"),
            (Relation::GuardProven, "disjoint by guard, proven"),
            (Relation::GuardAssumed, "disjoint by guard, assumed"),
        ] {
            let pairs = analysis.pairs.iter().filter(|p| p.relation == relation && entries[p.first].space == index);
            let mut lines: Vec<String> = pairs
                .map(|p| format!("    {} before {}\n", entries[p.first].label, entries[p.second].label))
                .collect();
            lines.sort();
            if !lines.is_empty() {
                let _ = writeln!(text, "  {title}: {}", lines.len());
                text.extend(lines);
            }
        }
    }
    text
}
