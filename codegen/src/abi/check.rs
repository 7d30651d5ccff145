//! The interface of one specification's guests, for `isa check`: what the build would find, and whether what it says of the
//! processor's state is there.

use super::ast::{Item, Name, Part, Save, SignalFrame, SlotRange};
use super::report::Report;
use super::tables::Tables;
use super::{emit, parse, read, resolve};
use crate::diag::{Diagnostics, SourceMap, did_you_mean};
use crate::model::Model;
use crate::syntax::ast::FileId;
use std::path::Path;

/// The architecture against whose interface structures are converted, as the build does: this one.
const HOST: &str = std::env::consts::ARCH;

/// What is wrong with the interface of these guests, and the files it is described in. Nothing, if `specs` has no folder `linux`.
///
/// # Errors
/// If a directory or a file cannot be read.
pub fn check(specs: &Path, models: &[Model]) -> std::io::Result<(SourceMap, Diagnostics)> {
    let mut sources = SourceMap::default();
    if !specs.join("linux").is_dir() {
        return Ok((sources, Diagnostics::default()));
    }
    let files = read(specs, &mut sources)?;
    let mut report = Report::default();
    let mut items = |files: &[FileId]| -> Vec<Item> {
        files.iter().flat_map(|&f| parse::parse(f, &sources.file(f).text, &mut report)).collect()
    };
    let common = items(&files.common);
    let own: Vec<Vec<Item>> = files.own.iter().map(|group| items(group)).collect();
    let describes = |items: &[Item], name: &str| {
        items.iter().any(|item| matches!(item, Item::Arch { name: arch, .. } if arch.text == name))
    };
    let host = own.iter().find(|items| describes(items, HOST));
    let host =
        host.and_then(|items| resolve::resolve(&common, items, &mut report).into_iter().find(|a| a.name == HOST));
    for own in &own {
        let guests: Vec<&Model> = models.iter().filter(|m| describes(own, &m.name)).collect();
        if guests.is_empty() || !report.errors.is_empty() {
            continue;
        }
        let abis = resolve::resolve(&common, own, &mut report);
        if let Some(host) = &host {
            let common = emit::Common { host, file_of: &|_| String::new(), tables: Tables::default() };
            abis.iter().for_each(|abi| drop(emit::interface(abi, &common, &mut report)));
        }
        for model in guests {
            state(own, model, &mut report);
        }
    }
    Ok((sources, report.into_diagnostics()))
}

/// Registers and contexts that signal frames mention.
fn state(items: &[Item], model: &Model, report: &mut Report) {
    for item in items {
        match item {
            Item::SignalFrame(frame) => frame_state(frame, model, report),
            Item::Where { items, .. } => state(items, model, report),
            _ => {}
        }
    }
}

fn frame_state(frame: &SignalFrame, model: &Model, report: &mut Report) {
    for (_, save) in &frame.save {
        match save {
            Save::Slots(range) => {
                let word = range.index.is_none() && ["pc", "fault_address"].contains(&range.name.text.as_str());
                if !word {
                    register(range, model, report);
                }
            }
            Save::Parts(parts) => parts.iter().for_each(|part| match part {
                Part::Slot(range, ..) | Part::Inverted(range, ..) | Part::Parity(range, _) => {
                    register(range, model, report)
                }
                Part::Context(name, ..) => context(name, model, report),
                Part::Const(..) | Part::Flag(..) => {}
            }),
            Save::Rotated(range, first) | Save::While(range, first) => {
                register(range, model, report);
                context(first, model, report);
            }
            Save::Const(_) | Save::Address(_) | Save::Signal => {}
        }
    }
    if let Some((frame_pointer, back)) = &frame.record {
        register(frame_pointer, model, report);
        register(back, model, report);
    }
    frame.sizes.iter().filter_map(|(.., on)| on.as_ref()).for_each(|name| context(name, model, report));
}

fn register(range: &SlotRange, model: &Model, report: &mut Report) {
    let name = &range.name;
    let Some(reg) = model.regs.iter().find(|r| r.name == name.text) else {
        return unknown("register", name, model.regs.iter().map(|r| r.name.as_str()), model, report);
    };
    match (reg.count, range.index) {
        (None, None) => {}
        (Some(count), Some((_, last))) if last < count.into() => {}
        (Some(count), _) => {
            let message = format!("of `{}` {} has registers 0 to {}", name.text, model.name, count - 1);
            report.error(name.span, message);
        }
        (None, Some(_)) => {
            report.error(name.span, format!("`{}` of {} is one register", name.text, model.name));
        }
    }
}

fn context(name: &Name, model: &Model, report: &mut Report) {
    if !model.modes().any(|c| c.name == name.text) {
        unknown("context", name, model.modes().map(|c| c.name.as_str()), model, report);
    }
}

fn unknown<'a>(kind: &str, name: &Name, known: impl Iterator<Item = &'a str>, model: &Model, report: &mut Report) {
    let last = report.error(name.span, format!("{} has no {kind} `{}`", model.name, name.text));
    if let Some(near) = did_you_mean(&name.text, known) {
        last.help(format!("did you mean `{near}`?"));
    }
}
