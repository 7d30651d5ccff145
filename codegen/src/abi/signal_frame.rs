//! `signal_frame`: paths into structures become offsets, register ranges become slots.

use super::ast;
use super::model::{Abi, Enter, Len, Place, Save, SignalFrame, Slot, Ty};
use super::report::Report;

/// The frame that `decl` describes.
pub(crate) fn resolve(decl: &ast::SignalFrame, abi: &Abi, report: &mut Report) -> Option<SignalFrame> {
    let Some(frame) = abi.structs.get(&decl.frame.text) else {
        report.error(decl.frame.span, format!("there is no structure called `{}`", decl.frame.text));
        return None;
    };
    let size = frame.size;
    let mut roles = Vec::new();
    for (role, path) in &decl.roles {
        roles.push((role.text.clone(), place(path, &decl.frame.text, abi, report)?.0));
    }
    let save = saves(&decl.save, &decl.frame.text, abi, report);
    let store = saves(&decl.store, &decl.frame.text, abi, report);
    let mut enter = Vec::new();
    for (register, value) in &decl.enter {
        let value = match value {
            ast::Enter::Word(word) => match word.text.as_str() {
                "signal" => Enter::Signal,
                "handler" => Enter::Handler,
                "restorer" => Enter::Restorer,
                "frame" => Enter::Frame(0),
                other => {
                    let message = format!("`{other}` is not known at handler entry");
                    report.error(word.span, message).help("values: signal, handler, restorer, frame, &field");
                    continue;
                }
            },
            ast::Enter::AddressOf(path) => match place(path, &decl.frame.text, abi, report) {
                Some((place, _)) => Enter::Frame(place.offset),
                None => continue,
            },
        };
        enter.extend(slots(register).into_iter().map(|slot| (slot, value)));
    }
    let mut trampoline = Vec::new();
    for word in &decl.trampoline {
        match u32::try_from(*word) {
            Ok(word) => trampoline.push(word),
            Err(_) => {
                report.error(decl.span, "an instruction word of `trampoline` has more than 32 bits");
            }
        }
    }
    Some(SignalFrame { size, align: decl.align, roles, save, store, enter, trampoline })
}

fn saves(lines: &[ast::Save], frame: &str, abi: &Abi, report: &mut Report) -> Vec<(Place, Save)> {
    let mut out = Vec::new();
    for line in lines {
        match line {
            ast::Save::Const(path, value) => {
                out.extend(place(path, frame, abi, report).map(|(p, _)| (p, Save::Const(*value))));
            }
            ast::Save::Bits(path, bits) => {
                let bits = bits.iter().flat_map(|(range, bit)| slots(range).into_iter().zip(*bit..)).collect();
                out.extend(place(path, frame, abi, report).map(|(p, _)| (p, Save::Bits(bits))));
            }
            ast::Save::Slots(path, range) => {
                let Some((whole, count)) = place(path, frame, abi, report) else { continue };
                let names = slots(range);
                if names.len() as u64 != count {
                    let message = format!("{} registers for {count} elements", names.len());
                    report.error(range.name.span, message);
                    continue;
                }
                let size = whole.size / count;
                let places = (0..).map(|i| Place { offset: whole.offset + i * size, size });
                out.extend(places.zip(names.into_iter().map(Save::Slot)));
            }
        }
    }
    out
}

/// Place of a field, and how many elements it has.
fn place(path: &[ast::Name], frame: &str, abi: &Abi, report: &mut Report) -> Option<(Place, u64)> {
    let (mut owner, mut offset, mut found) = (frame.to_owned(), 0, None);
    for name in path {
        let field = abi.structs.get(&owner).and_then(|s| s.fields.iter().find(|f| f.name == name.text));
        let Some(field) = field else {
            report.error(name.span, format!("`{owner}` has no field `{}`", name.text));
            return None;
        };
        offset += field.offset;
        let count = match &field.ty {
            Ty::Array(_, Len::Fixed(n)) => *n,
            _ => 1,
        };
        found = Some((Place { offset, size: field.size }, count));
        owner = match &field.ty {
            Ty::Struct(inner) => inner.clone(),
            _ => String::new(),
        };
    }
    found
}

fn slots(range: &ast::SlotRange) -> Vec<Slot> {
    match range.index {
        None => vec![range.name.text.clone()],
        Some((first, last)) => (first..=last).map(|i| format!("{}[{i}]", range.name.text)).collect(),
    }
}
