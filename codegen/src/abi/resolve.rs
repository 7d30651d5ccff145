//! Items to [`Abi`]: merges the common interface with an architecture's own file, resolves names, lays structures out.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{self, Item, Member, Name, Prop, TypeExpr, Value};
use super::model::{
    Abi, Arg, Body, Bytes, Control, Field, Format, Len, OneOf, Page, Set, SetKind, Struct, Syscall, Terminated,
    ThreadAreas, Ty,
};
use super::report::{Report, Span};
use super::signal_frame;

/// Integer type: size in bytes, sign, format, whether it is the architecture's word.
type Int = (u64, bool, Format, bool);

/// The interfaces of the architectures that `own` describes on top of `common`: one per `arch` item.
pub(crate) fn resolve(common: &[Item], own: &[Item], report: &mut Report) -> Vec<Abi> {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    let mut described = Vec::new();
    for item in own {
        let Item::Arch { name, props } = item else { continue };
        if let Some(first) = seen.insert(&name.text, name.span) {
            report.error(name.span, format!("`{}` is described twice", name.text)).note(first, "first here");
            continue;
        }
        described.push((name, props));
    }
    described.into_iter().map(|(name, props)| resolve_one(common, own, name, props, report)).collect()
}

fn resolve_one(common: &[Item], own: &[Item], name: &Name, props: &[(Name, Prop)], report: &mut Report) -> Abi {
    let mut abi = Abi {
        name: name.text.clone(),
        word: 8,
        big_endian: false,
        even_pairs: false,
        max_align: 16,
        machine: name.text.clone(),
        debian: name.text.clone(),
        sets: BTreeMap::new(),
        structs: BTreeMap::new(),
        syscalls: BTreeMap::new(),
        numbers: BTreeMap::new(),
        cpuinfo: Vec::new(),
        frame: None,
        pages: Vec::new(),
        plain_frame: None,
        thread_areas: None,
        control: None,
    };
    let tables = properties(&mut abi, props, report);
    let decls = Decls::collect(common, own, abi.word, report);
    numbers(&mut abi, &decls, &tables, own, report);
    let mut resolver = Resolver { decls: &decls, abi, report, open: BTreeSet::new() };
    resolver.sets();
    for name in decls.structs.keys() {
        resolver.structure(name);
    }
    resolver.syscalls();
    resolver.control(common);
    let (mut abi, report) = (resolver.abi, resolver.report);
    let lines = own.iter().filter_map(|item| match item {
        Item::Cpuinfo(lines) => Some(lines),
        _ => None,
    });
    abi.cpuinfo = lines.flatten().map(|(key, value)| (key.text.clone(), value.clone())).collect();
    let frames = own.iter().filter_map(|item| match item {
        Item::SignalFrame(frame) => signal_frame::resolve(frame, &abi, report),
        _ => None,
    });
    let (full, plain): (Vec<_>, Vec<_>) = frames.partition(|frame| frame.siginfo.is_some());
    (abi.frame, abi.plain_frame) = (full.into_iter().next(), plain.into_iter().next());
    abi.thread_areas = own.iter().find_map(|item| match item {
        Item::ThreadAreas(areas) => thread_areas(areas, &abi, report),
        _ => None,
    });
    abi.pages = own.iter().filter_map(|item| page(item, &abi, report)).collect();
    abi
}

/// Bytes of a page that is described.
const PAGE: usize = 4096;

fn page(item: &Item, abi: &Abi, report: &mut Report) -> Option<Page> {
    let Item::Page { span, at, code } = item else { return None };
    let mut bytes = vec![0; PAGE];
    for (offset, words) in code {
        let code = signal_frame::bytes_of(words, abi);
        let place = usize::try_from(*offset).ok().and_then(|at| bytes.get_mut(at..at.checked_add(code.len())?));
        match place {
            Some(place) if place.iter().all(|&b| b == 0) => place.copy_from_slice(&code),
            wrong => {
                let why = if wrong.is_some() { "overlaps what is before it" } else { "ends beyond the page" };
                report.error(*span, format!("what is at {offset:#x} {why}"));
            }
        }
    }
    Some(Page { at: *at, bytes })
}

/// The descriptors of `thread_areas`, with the names of their fields looked up.
fn thread_areas(decl: &ast::ThreadAreas, abi: &Abi, report: &mut Report) -> Option<ThreadAreas> {
    let Some(of) = abi.structs.get(&decl.of.text) else {
        report.error(decl.of.span, format!("there is no structure called `{}`", decl.of.text));
        return None;
    };
    let mut place = |key: &str| {
        let found = decl.places.iter().find(|(name, _)| name.text == key).map(|(_, range)| range);
        if found.is_none() {
            report.error(decl.of.span, format!("`thread_areas` needs `{key}`"));
        }
        found
    };
    let [number, base, slots, selectors, bases] = ["number", "base", "slots", "selectors", "bases"].map(&mut place);
    let (number, base, slots, selectors, bases) = (number?, base?, slots?, selectors?, bases?);
    let has = |name: &str| of.fields.iter().any(|f| f.name == name);
    let unknown = [number, base].into_iter().map(|range| &range.name).filter(|name| !has(&name.text));
    let constants = decl.values.iter().filter(|(name, _)| name.text != "first");
    for name in unknown.chain(constants.clone().map(|(name, _)| name).filter(|name| !has(&name.text))) {
        report.error(name.span, format!("`{}` has no field `{}`", decl.of.text, name.text));
    }
    let span = |range: &ast::SlotRange| range.index.unwrap_or((0, 0));
    let each = |range: &ast::SlotRange| {
        let name = range.name.text.clone();
        let (first, last) = span(range);
        (first..=last).map(move |i| format!("{name}[{i}]"))
    };
    let (first, last) = span(slots);
    Some(ThreadAreas {
        of: decl.of.text.clone(),
        number: number.name.text.clone(),
        base: base.name.text.clone(),
        constants: constants.map(|(name, value)| (name.text.clone(), *value)).collect(),
        first: decl.values.iter().find(|(name, _)| name.text == "first").map_or(0, |(_, value)| *value),
        slots: (slots.name.text.clone(), first, last + 1 - first),
        loaded: each(selectors).zip(each(bases)).collect(),
    })
}

fn properties(abi: &mut Abi, props: &[(Name, Prop)], report: &mut Report) -> Vec<Name> {
    let mut tables = Vec::new();
    for (key, value) in props {
        match (key.text.as_str(), value) {
            ("word", Prop::Int(64, _)) => abi.word = 8,
            ("word", Prop::Int(32, _)) => abi.word = 4,
            ("word", Prop::Int(_, span)) => {
                report.error(*span, "`word` is 32 or 64");
            }
            ("endian", Prop::Text(v)) if v.text == "little" => abi.big_endian = false,
            ("endian", Prop::Text(v)) if v.text == "big" => abi.big_endian = true,
            ("endian", Prop::Text(v)) => {
                report.error(v.span, "`endian` is `little` or `big`");
            }
            ("pairs", Prop::Text(v)) if v.text == "even" => abi.even_pairs = true,
            ("pairs", Prop::Text(v)) if v.text == "packed" => abi.even_pairs = false,
            ("max_align", Prop::Int(v, _)) => abi.max_align = *v,
            ("machine", Prop::Text(v)) => abi.machine.clone_from(&v.text),
            ("debian", Prop::Text(v)) => abi.debian.clone_from(&v.text),
            ("numbers", Prop::Text(v)) => tables.push(v.clone()),
            _ => {
                report
                    .error(
                        key.span,
                        format!("`{}` is not a property of an architecture, or not of this kind", key.text),
                    )
                    .help("properties: word = 32|64; endian = little|big; pairs = even|packed; machine = \"…\"; debian = \"…\"; numbers = TABLE;");
            }
        }
    }
    tables
}

/// Fills `abi.numbers` from the tables the architecture names and from its own.
fn numbers(abi: &mut Abi, decls: &Decls<'_>, tables: &[Name], own: &[Item], report: &mut Report) {
    let named = tables.iter().filter_map(|table| {
        let found = decls.numbers.get(table.text.as_str());
        if found.is_none() {
            report.error(table.span, format!("there is no table of numbers called `{}`", table.text));
        }
        found.map(|rows| (table.text.as_str(), *rows))
    });
    let mut all: BTreeMap<&str, &[(u64, Name)]> = named.collect();
    all.extend(own.iter().filter_map(|item| match item {
        Item::Numbers { name, rows } => Some((name.text.as_str(), rows.as_slice())),
        _ => None,
    }));
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for (number, name) in all.values().flat_map(|rows| rows.iter()) {
        if let Some(other) = abi.numbers.insert(*number, name.text.clone()) {
            report.error(name.span, format!("system call {number} is already `{other}`"));
        }
        if let Some(first) = seen.insert(&name.text, name.span) {
            report.error(name.span, format!("`{}` has two numbers", name.text)).note(first, "the other one");
        }
    }
}

/// Declarations by name, after replacement and amendment.
struct Decls<'a> {
    types: BTreeMap<&'a str, (&'a Name, Option<&'a Name>)>,
    structs: BTreeMap<&'a str, StructDecl<'a>>,
    sets: BTreeMap<&'a str, SetDecl<'a>>,
    syscalls: BTreeMap<&'a str, &'a Item>,
    /// What replaced calls were.
    replaced: BTreeMap<&'a str, &'a Item>,
    numbers: BTreeMap<&'a str, &'a [(u64, Name)]>,
}

struct StructDecl<'a> {
    name: &'a Name,
    packed: bool,
    fields: &'a [Member],
    show: Option<&'a [Name]>,
}

struct SetDecl<'a> {
    name: &'a Name,
    kind: SetKind,
    base: &'a Name,
    entries: Vec<ast::Entry>,
}

impl<'a> Decls<'a> {
    fn collect(common: &'a [Item], own: &'a [Item], word: u64, report: &mut Report) -> Decls<'a> {
        let mut decls = Decls {
            types: BTreeMap::new(),
            structs: BTreeMap::new(),
            sets: BTreeMap::new(),
            syscalls: BTreeMap::new(),
            replaced: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        let mut seen_calls: BTreeMap<&str, Span> = BTreeMap::new();
        let mut conditional = Vec::new();
        for item in common.iter().filter(|item| is_declaration(item)) {
            decls.add(item, &mut seen, &mut seen_calls, report);
        }
        for item in common.iter().chain(own) {
            if let Item::Where { key, value, items } = item {
                match (key.text.as_str(), value) {
                    ("word", 32 | 64) => conditional.extend(items.iter().filter(|_| *value == 8 * word)),
                    _ => {
                        report.error(key.span, "the condition is `word = 32` or `word = 64`");
                    }
                }
            }
        }
        for item in conditional.into_iter().chain(own.iter().filter(|item| is_declaration(item))) {
            decls.add(item, &mut seen, &mut seen_calls, report);
        }
        decls
    }

    fn add(
        &mut self,
        item: &'a Item,
        seen: &mut BTreeMap<&'a str, Span>,
        seen_calls: &mut BTreeMap<&'a str, Span>,
        report: &mut Report,
    ) {
        match item {
            Item::Type { name, base, format } => {
                declare(name, false, seen, report);
                self.types.insert(&name.text, (base, format.as_ref()));
            }
            Item::Struct { name, replace, packed, fields, show } => {
                declare(name, *replace, seen, report);
                let decl = StructDecl { name, packed: *packed, fields, show: show.as_deref() };
                self.structs.insert(&name.text, decl);
            }
            Item::Set { name, kind, base: Some(base), entries, .. } => {
                declare(name, false, seen, report);
                self.sets.insert(&name.text, SetDecl { name, kind: *kind, base, entries: entries.clone() });
            }
            Item::Set { name, kind, entries, .. } => self.amend(name, *kind, entries, report),
            Item::Syscall { name, replace, .. } => {
                declare(name, *replace, seen_calls, report);
                if let Some(old) = self.syscalls.insert(&name.text, item) {
                    self.replaced.insert(&name.text, old);
                }
            }
            Item::Numbers { name, rows } => {
                self.numbers.insert(&name.text, rows);
            }
            Item::Arch { .. } | Item::Cpuinfo(_) | Item::SignalFrame(_) | Item::ThreadAreas(_) => {}
            Item::Page { .. } | Item::Where { .. } | Item::Control { .. } => {}
        }
    }

    fn amend(&mut self, name: &Name, kind: SetKind, entries: &[ast::Entry], report: &mut Report) {
        let Some(set) = self.sets.get_mut(name.text.as_str()).filter(|s| s.kind == kind) else {
            report.error(name.span, format!("there is no `{}` to amend", name.text));
            return;
        };
        for entry in entries {
            match set.entries.iter_mut().find(|e| e.name.text == entry.name.text) {
                Some(old) => *old = ast::Entry { mask: entry.mask.or(old.mask), ..entry.clone() },
                None => set.entries.push(entry.clone()),
            }
        }
    }
}

fn is_declaration(item: &Item) -> bool {
    !matches!(item, Item::Where { .. })
}

/// Where the arguments of another call are among these, if all are.
fn order(old: &Item, args: &[Member]) -> Vec<usize> {
    let Item::Syscall { args: old, .. } = old else { return Vec::new() };
    let position = |m: &Member| args.iter().position(|a| a.name.text == m.name.text);
    old.iter().map(position).collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn declare<'a>(name: &'a Name, replace: bool, seen: &mut BTreeMap<&'a str, Span>, report: &mut Report) {
    let first = seen.insert(&name.text, name.span);
    match (first, replace) {
        (Some(first), false) => {
            report.error(name.span, format!("`{}` is declared twice", name.text)).note(first, "first here");
        }
        (None, true) => {
            report.error(name.span, format!("there is no `{}` to replace", name.text));
        }
        _ => {}
    }
}

struct Resolver<'a, 'r> {
    decls: &'a Decls<'a>,
    abi: Abi,
    report: &'r mut Report,
    /// Structures being laid out, to find recursion.
    open: BTreeSet<String>,
}

impl<'a> Resolver<'a, '_> {
    fn sets(&mut self) {
        for (name, decl) in &self.decls.sets {
            let Some((size, signed, _, word)) = self.integer(decl.base) else { continue };
            let keep = if size == 8 { u64::MAX } else { (1 << (8 * size)) - 1 };
            let entry = |e: &ast::Entry| {
                let mask = match decl.kind {
                    SetKind::Enum => keep,
                    SetKind::Flags => e.mask.unwrap_or(e.value) & keep,
                };
                (e.name.text.clone(), e.value & keep, mask)
            };
            let entries = decl.entries.iter().map(entry).collect();
            let set = Set { kind: decl.kind, size, signed, word, entries, span: decl.name.span };
            self.abi.sets.insert((*name).to_owned(), set);
        }
    }

    /// Size and alignment of a structure, laid out on first use.
    fn structure(&mut self, name: &str) -> Option<(u64, u64)> {
        if let Some(done) = self.abi.structs.get(name) {
            return Some((done.size, done.align));
        }
        let decl = self.decls.structs.get(name)?;
        if !self.open.insert(name.to_owned()) {
            self.report.error(decl.name.span, format!("`{name}` contains itself"));
            return None;
        }
        let names: Vec<&Name> = decl.fields.iter().map(|f| &f.name).collect();
        let (mut fields, mut at, mut align) = (Vec::new(), 0u64, 1u64);
        for member in decl.fields {
            let Some(ty) = self.ty(&member.ty, &names, &[]) else { continue };
            let (size, natural) = self.size_of(&ty).unwrap_or_else(|| {
                self.report.error(member.name.span, format!("`{}` has no size of its own", member.name.text));
                (0, 1)
            });
            let field_align = member.align.unwrap_or(if decl.packed { 1 } else { natural }).max(1);
            align = align.max(field_align);
            at = at.next_multiple_of(field_align);
            let shown = decl
                .show
                .map_or(!member.name.text.starts_with("__"), |names| names.iter().any(|n| n.text == member.name.text));
            fields.push(Field { name: member.name.text.clone(), ty, offset: at, size, shown });
            at += size;
        }
        for name in decl.show.unwrap_or_default() {
            if !fields.iter().any(|f| f.name == name.text) {
                self.report.error(name.span, format!("there is no field `{}`", name.text));
            }
        }
        let size = at.next_multiple_of(align);
        self.abi.structs.insert(name.to_owned(), Struct { fields, size, align, span: decl.name.span });
        self.open.remove(name);
        Some((size, align))
    }

    fn syscalls(&mut self) {
        for (name, item) in &self.decls.syscalls {
            let Item::Syscall { name: at, args, ret, body, blocks, quiet, .. } = item else { continue };
            let names: Vec<&Name> = args.iter().map(|a| &a.name).collect();
            if args.len() > 6 {
                self.report.error(at.span, "a system call has at most six arguments");
            }
            let mut resolved: Vec<Arg> = Vec::new();
            for member in args {
                let ty = self.ty(&member.ty, &names, &resolved).unwrap_or(Ty::None);
                resolved.push(Arg { name: member.name.text.clone(), ty });
            }
            let int = Ty::Int { size: 4, signed: true, format: Format::Dec, word: false };
            let ret = ret.as_ref().and_then(|ret| self.ty(ret, &names, &resolved)).unwrap_or(int);
            let body = match body {
                ast::Body::Plain => Body::Plain,
                ast::Body::As(name) => Body::As(name.text.clone()),
                ast::Body::Special(function) => Body::Special(function.as_ref().unwrap_or(at).text.clone()),
                ast::Body::Absent => Body::Absent,
                ast::Body::ThreadArea(set) => Body::ThreadArea(*set),
                ast::Body::Calls(rows) => Body::Calls(rows.iter().filter_map(|row| self.one_of(row, &names)).collect()),
                ast::Body::Registers(rows) => Body::Registers(
                    rows.iter().map(|(code, set, range)| (*code, *set, super::signal_frame::slot(range))).collect(),
                ),
            };
            let other = match &body {
                Body::As(other) => self.decls.syscalls.get(other.as_str()),
                _ => self.decls.replaced.get(name),
            };
            let order = other.map_or(Vec::new(), |other| order(other, args));
            let call = Syscall { args: resolved, ret, body, order, blocks: *blocks, quiet: *quiet, span: at.span };
            self.abi.syscalls.insert((*name).to_owned(), call);
        }
    }

    /// The control messages that the common files describe.
    fn control(&mut self, common: &[Item]) {
        for item in common {
            let Item::Control { header, data } = item else { continue };
            let Some(found) = self.abi.structs.get(&header.text) else {
                self.report.error(header.span, format!("there is no structure called `{}`", header.text));
                continue;
            };
            let fields: Vec<Arg> =
                found.fields.iter().map(|f| Arg { name: f.name.clone(), ty: f.ty.clone() }).collect();
            if let Some(data) = self.ty(data, &[], &fields) {
                self.abi.control = Some(Control { header: header.text.clone(), data });
            }
        }
    }

    /// A call behind the one with the arguments `names`.
    fn one_of(&mut self, row: &ast::OneOf, names: &[&Name]) -> Option<OneOf> {
        if !self.decls.syscalls.contains_key(row.call.text.as_str()) {
            self.report.error(row.call.span, format!("there is no system call called `{}`", row.call.text));
            return None;
        }
        let mut argument = |name: &Name| {
            let found = names.iter().position(|n| n.text == name.text);
            if found.is_none() {
                self.report.error(name.span, format!("there is no argument called `{}`", name.text));
            }
            found
        };
        let args = row.args.iter().map(|(name, word)| Some((argument(name)?, *word))).collect::<Option<_>>()?;
        let result = row.result.as_ref().map(&mut argument);
        Some(OneOf { code: row.code, call: row.call.text.clone(), args, result: result.flatten() })
    }

    /// A type; `names` are the members lengths may refer to, `args` the arguments before this one.
    fn ty(&mut self, expr: &TypeExpr, names: &[&Name], args: &[Arg]) -> Option<Ty> {
        match expr {
            TypeExpr::Named(name) => self.named(name),
            TypeExpr::Ptr(dir, to, _) => Some(Ty::Ptr(*dir, Box::new(self.ty(to, names, args)?))),
            TypeExpr::Array(elem, len, _) => {
                let len = self.len(len, names)?;
                if let TypeExpr::Named(name) = &**elem
                    && let Some((_, _, kind)) = Bytes::ALL.iter().find(|(n, _, _)| *n == name.text)
                {
                    return Some(Ty::Bytes(*kind, len));
                }
                Some(Ty::Array(Box::new(self.ty(elem, names, args)?), len))
            }
            TypeExpr::Select { on, mask, cases, default } => self.select(on, mask, cases, default, names, args),
        }
    }

    fn named(&mut self, name: &Name) -> Option<Ty> {
        let text = name.text.as_str();
        if text == "none" {
            return Some(Ty::None);
        }
        if let Some((_, _, kind)) = Terminated::ALL.iter().find(|(n, _, _)| *n == text) {
            return Some(Ty::Terminated(*kind));
        }
        if Bytes::ALL.iter().any(|(n, _, _)| *n == text) {
            self.report.error(name.span, format!("`{text}` needs a length: `{text}[n]`"));
            return None;
        }
        if self.decls.sets.contains_key(text) {
            return Some(Ty::Set(text.to_owned()));
        }
        if self.decls.structs.contains_key(text) {
            self.structure(text)?;
            return Some(Ty::Struct(text.to_owned()));
        }
        self.integer(name).map(|(size, signed, format, word)| Ty::Int { size, signed, format, word })
    }

    /// Integer types: the built-in ones and those declared with `type`.
    fn integer(&mut self, name: &Name) -> Option<Int> {
        let mut format = None;
        let mut at = name;
        // Each step follows one declaration; a chain longer than there are declarations is a cycle.
        for _ in 0..=self.decls.types.len() {
            let builtin = match at.text.as_str() {
                "sword" => Some((self.abi.word, true)),
                "uword" => Some((self.abi.word, false)),
                other => ["8", "16", "32", "64", "128"].iter().find_map(|bits| {
                    let signed = other.strip_suffix(bits)?;
                    ["s", "u"].contains(&signed).then(|| (bits.parse::<u64>().unwrap_or(8) / 8, signed == "s"))
                }),
            };
            if let Some((size, signed)) = builtin {
                let word = matches!(at.text.as_str(), "sword" | "uword");
                return Some((size, signed, format.unwrap_or(Format::Dec), word));
            }
            let Some((base, declared)) = self.decls.types.get(at.text.as_str()) else {
                self.report.error(at.span, format!("there is no type called `{}`", at.text));
                return None;
            };
            if let (None, Some(word)) = (format, declared) {
                format = Format::ALL.iter().find(|(n, _, _)| *n == word.text).map(|(_, _, f)| *f);
                if format.is_none() {
                    let known: Vec<&str> = Format::ALL.iter().map(|(n, _, _)| *n).collect();
                    self.report
                        .error(word.span, format!("`{}` is not a format", word.text))
                        .help(format!("formats: {}", known.join(" ")));
                    return None;
                }
            }
            at = base;
        }
        self.report.error(name.span, format!("`{}` is declared in terms of itself", name.text));
        None
    }

    fn len(&mut self, len: &ast::Len, names: &[&Name]) -> Option<Len> {
        let mut find = |name: &Name| {
            let found = names.iter().position(|n| n.text == name.text);
            if found.is_none() {
                self.report
                    .error(name.span, format!("the length `{}` is neither an argument nor a field here", name.text));
            }
            found
        };
        Some(match len {
            ast::Len::Fixed(n) => Len::Fixed(*n),
            ast::Len::Named(name) => Len::Member(find(name)?),
            ast::Len::Behind(name) => Len::Behind(find(name)?),
        })
    }

    fn select(
        &mut self,
        on: &Name,
        mask: &[Value],
        cases: &[(Vec<Value>, TypeExpr)],
        default: &TypeExpr,
        names: &[&Name],
        args: &[Arg],
    ) -> Option<Ty> {
        let Some(index) = args.iter().position(|a| a.name == on.text) else {
            self.report
                .error(on.span, format!("`select` needs an argument before this one, and `{}` is none", on.text));
            return None;
        };
        let set = match &args[index].ty {
            Ty::Set(name) => Some(name.clone()),
            _ => None,
        };
        let mut value = |v: &Value| match v {
            Value::Int(value, _) => Some(*value),
            Value::Named(name) => {
                let entries = set.as_ref().and_then(|set| self.abi.sets.get(set)).map(|set| set.entries.as_slice());
                let found =
                    entries.and_then(|e| e.iter().find(|(n, _, _)| *n == name.text)).map(|(_, value, _)| *value);
                if found.is_none() {
                    self.report.error(name.span, format!("`{}` is not a value of `{}`", name.text, on.text));
                }
                found
            }
        };
        let bits = mask.iter().filter_map(&mut value).reduce(|a, b| a | b).unwrap_or(u64::MAX);
        let values: Vec<Vec<u64>> = cases.iter().map(|(vs, _)| vs.iter().filter_map(&mut value).collect()).collect();
        let mut resolved = Vec::new();
        for (values, (_, ty)) in values.into_iter().zip(cases) {
            resolved.push((values, self.ty(ty, names, args)?));
        }
        let default = Box::new(self.ty(default, names, args)?);
        Some(Ty::Select { on: index, mask: bits, cases: resolved, default })
    }

    /// Size and alignment of a type that can be a field.
    fn size_of(&self, ty: &Ty) -> Option<(u64, u64)> {
        match ty {
            Ty::Int { size, .. } => Some((*size, (*size).min(self.abi.max_align))),
            Ty::Set(name) => self.abi.sets.get(name).map(|set| (set.size, set.size.min(self.abi.max_align))),
            Ty::Struct(name) => self.abi.structs.get(name).map(|s| (s.size, s.align)),
            Ty::Ptr(..) => Some((self.abi.word, self.abi.word)),
            Ty::Array(elem, Len::Fixed(n)) => self.size_of(elem).map(|(size, align)| (size * n, align)),
            Ty::Bytes(Bytes::Sigset, Len::Fixed(n)) => Some((*n, self.abi.word)),
            Ty::Bytes(_, Len::Fixed(n)) => Some((*n, 1)),
            _ => None,
        }
    }
}
