//! `signal_frame`: paths into structures become offsets, register ranges become slots.

use super::ast::{self, FieldPath, Name, SlotRange};
use super::model::{Abi, Len, Part, PlainFrame, Save, SignalFrame, Ty};
use super::report::Report;

/// Sticky flags in the order of the IR's `fflags`.
const FLAGS: [&str; 6] = ["invalid", "denormal", "divide", "overflow", "underflow", "inexact"];

/// The frame that `decl` describes.
pub(crate) fn resolve(decl: &ast::SignalFrame, abi: &Abi, report: &mut Report) -> Option<SignalFrame> {
    let Some(frame) = abi.structs.get(&decl.frame.text) else {
        report.error(decl.frame.span, format!("there is no structure called `{}`", decl.frame.text));
        return None;
    };
    let (mut siginfo, mut ucontext, mut plain, mut mask) = (None, None, None, Vec::new());
    for (role, path) in &decl.roles {
        let place = place(path, &decl.frame.text, abi, report)?;
        match role.text.as_str() {
            "siginfo" => siginfo = Some(place.offset),
            "ucontext" => ucontext = Some(place.offset),
            "plain" => plain = Some(place.offset),
            "mask" => mask.push((place.offset, place.size)),
            _ => unknown(role, report),
        }
    }
    let (mut min_stack, mut syscall_len, mut red_zone, mut popped) = (None, None, 0, 0);
    let mut syscall_len_while = Vec::new();
    for (key, value, context) in &decl.sizes {
        match (key.text.as_str(), context) {
            ("min_stack", None) => min_stack = Some(*value),
            ("syscall_len", None) => syscall_len = Some(*value),
            ("syscall_len", Some(context)) => syscall_len_while.push((context.text.clone(), *value)),
            ("red_zone", None) => red_zone = *value,
            ("popped", None) => popped = *value,
            _ => unknown(key, report),
        }
    }
    let (mut sigreturn, mut plain_sigreturn) = (Vec::new(), Vec::new());
    for (key, words) in &decl.code {
        match key.text.as_str() {
            "sigreturn" => sigreturn = bytes_of(words, abi),
            "plain_sigreturn" if plain.is_some() => plain_sigreturn = bytes_of(words, abi),
            _ => unknown(key, report),
        }
    }
    let (Some(min_stack), Some(syscall_len), true) = (min_stack, syscall_len, siginfo.is_some() == ucontext.is_some())
    else {
        report.error(
            decl.frame.span,
            "a signal frame needs `min_stack` and `syscall_len`, and either `siginfo` and `ucontext` or neither",
        );
        return None;
    };
    let mut save = Vec::new();
    for (path, what) in &decl.save {
        save.extend(saved(path, what, &decl.frame.text, abi, report));
    }
    let zero_without = decl.save.iter().flat_map(|(_, what)| zero_without(what)).collect();
    let inner = |name: &str| {
        let s = abi.structs.get("ucontext")?;
        s.fields.iter().find(|f| f.name == name).map(|f| (ucontext.unwrap_or(0) + f.offset, f.size))
    };
    let stack = inner("uc_stack").filter(|_| ucontext.is_some()).map(|(at, _)| at);
    mask.extend(inner("uc_sigmask").filter(|_| ucontext.is_some()));
    if mask.is_empty() || ucontext.is_some() && stack.is_none() {
        report.error(decl.frame.span, "`ucontext` needs `uc_stack` and `uc_sigmask`, a frame without one `mask`");
        return None;
    }
    Some(SignalFrame {
        size: frame.size,
        align: frame.align,
        siginfo,
        ucontext,
        stack,
        mask,
        popped,
        red_zone,
        save,
        record: decl.record.as_ref().map(|(frame_pointer, back)| (slot(frame_pointer), slot(back))),
        has_restorer: abi.structs.get("sigaction").is_some_and(|s| s.fields.iter().any(|f| f.name == "sa_restorer")),
        min_stack,
        syscall_len,
        syscall_len_while,
        zero_without,
        sigreturn,
        plain: plain.map(|at| PlainFrame { at, sigreturn: plain_sigreturn }),
    })
}

/// Words of code as the guest keeps them.
pub(super) fn bytes_of(words: &[u64], abi: &Abi) -> Vec<u8> {
    let bytes = |word: &u64| if abi.big_endian { (*word as u32).to_be_bytes() } else { (*word as u32).to_le_bytes() };
    words.iter().flat_map(bytes).collect()
}

fn unknown(key: &Name, report: &mut Report) {
    report.error(key.span, format!("`{}` is not a property of a signal frame, or not of this kind", key.text));
}

fn saved(path: &FieldPath, what: &ast::Save, frame: &str, abi: &Abi, report: &mut Report) -> Option<(u64, u64, Save)> {
    let place = place(path, frame, abi, report)?;
    let save = match what {
        ast::Save::Const(value) => Save::Const(*value),
        ast::Save::Signal => Save::Signal,
        ast::Save::Rotated(range, context) => {
            let count = range.index.map_or(1, |(first, last)| (last + 1).saturating_sub(first));
            if count != place.count {
                report.error(range.name.span, format!("{count} registers for {} elements", place.count));
                return None;
            }
            Save::Rotated(range.name.text.clone(), count, context.text.clone())
        }
        ast::Save::Address(of) => Save::Address(self::place(of, frame, abi, report)?.offset),
        ast::Save::Parts(list) => Save::Packed(list.iter().filter_map(|part| resolve_part(part, report)).collect()),
        ast::Save::Slots(range) | ast::Save::While(range, _) => match (range.name.text.as_str(), range.index) {
            ("pc", None) => Save::Pc,
            ("fault_address", None) => Save::FaultAddress,
            (name, Some((first, last))) if first != last => {
                let count = (last + 1).saturating_sub(first);
                if count != place.count {
                    let message = format!("{count} registers for {} elements", place.count);
                    report.error(range.name.span, message);
                    return None;
                }
                Save::Slots(name.to_owned(), first, count)
            }
            _ => Save::Slot(slot(range)),
        },
    };
    Some((place.offset, place.size / place.count, save))
}

/// Slots of a line, and the context without which they are 0.
fn zero_without(what: &ast::Save) -> Vec<(String, String)> {
    let ast::Save::While(range, context) = what else { return Vec::new() };
    let (name, context) = (&range.name.text, &context.text);
    match range.index {
        None => vec![(name.clone(), context.clone())],
        Some((first, last)) => (first..=last).map(|i| (format!("{name}[{i}]"), context.clone())).collect(),
    }
}

fn resolve_part(part: &ast::Part, report: &mut Report) -> Option<Part> {
    Some(match part {
        ast::Part::Slot(range, width, bit) => Part::Slot(slot(range), *bit, *width),
        ast::Part::Parity(range, bit) => Part::Parity(slot(range), *bit),
        ast::Part::Inverted(range, width, bit) => Part::Inverted(slot(range), *bit, *width),
        ast::Part::Context(name, bits, bit) => {
            let bits = bits.map(|(first, last)| (first, (last + 1).saturating_sub(first)));
            Part::Context(name.text.clone(), bits, *bit)
        }
        ast::Part::Const(value, bit) => Part::Const(*value, *bit),
        ast::Part::Flag(name, bit) => {
            let Some(number) = FLAGS.iter().position(|flag| *flag == name.text) else {
                report
                    .error(name.span, format!("`{}` is not a floating-point flag", name.text))
                    .help(format!("flags: {}", FLAGS.join(" ")));
                return None;
            };
            Part::Flag(number as u64, *bit)
        }
    })
}

/// Where a field is.
struct Place {
    /// From the frame's start, in bytes.
    offset: u64,
    /// Bytes in all.
    size: u64,
    /// Elements; 1 if it is no array.
    count: u64,
}

fn place(path: &FieldPath, frame: &str, abi: &Abi, report: &mut Report) -> Option<Place> {
    let (mut owner, mut offset, mut found) = (frame.to_owned(), 0, None);
    for name in path {
        let field = abi.structs.get(&owner).and_then(|s| s.fields.iter().find(|f| f.name == name.text));
        let Some(field) = field else {
            report.error(name.span, format!("`{owner}` has no field `{}`", name.text));
            return None;
        };
        offset += field.offset;
        let count = match &field.ty {
            Ty::Array(_, Len::Fixed(n)) => (*n).max(1),
            _ => 1,
        };
        found = Some(Place { offset, size: field.size, count });
        owner = match &field.ty {
            Ty::Struct(inner) => inner.clone(),
            _ => name.text.clone(),
        };
    }
    found
}

/// `SP`, `gpr[29]`.
pub(super) fn slot(range: &SlotRange) -> String {
    match range.index {
        None => range.name.text.clone(),
        Some((index, _)) => format!("{}[{index}]", range.name.text),
    }
}
