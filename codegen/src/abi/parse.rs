//! Text to [`Item`]s: one function per production of the grammar in `isa-specs/linux/README.md`.

use super::ast::{Body, Dir, Entry, Item, Len, Member, Name, Prop, Save, SetKind, SlotRange, TypeExpr, Value};
use super::ast::{FieldPath, OneOf, Part, SignalFrame, ThreadAreas};
use super::lexer::{Tok, lex};
use super::report::{FileId, Report, Span};

/// A production failed; the error is in the report.
pub(crate) struct Failed;

type Parsed<T> = Result<T, Failed>;

/// Items of one file. After an error parsing resumes at the next item.
pub(crate) fn parse<'r>(file: FileId, text: &'r str, report: &'r mut Report) -> Vec<Item> {
    let tokens = lex(file, text, report);
    let mut parser = Parser { text, tokens, at: 0, report };
    let mut items = Vec::new();
    while *parser.peek() != Tok::End {
        match parser.item() {
            Ok(item) => items.push(item),
            Err(Failed) => parser.resume(),
        }
    }
    items
}

struct Parser<'r> {
    text: &'r str,
    tokens: Vec<(Tok, Span)>,
    at: usize,
    report: &'r mut Report,
}

const ITEMS: [&str; 15] = [
    "type",
    "struct",
    "flags",
    "enum",
    "syscall",
    "numbers",
    "arch",
    "signal_frame",
    "page",
    "thread_areas",
    "control",
    "cpuinfo",
    "amend",
    "replace",
    "where",
];

/// What may follow a call.
const ATTRIBUTES: [&str; 8] = ["as", "special", "absent", "registers", "calls", "thread_area", "blocks", "quiet"];

impl Parser<'_> {
    fn item(&mut self) -> Parsed<Item> {
        let word = self.name("a declaration")?;
        match word.text.as_str() {
            "type" => self.type_def(),
            "struct" => self.structure(false),
            "flags" => self.set(SetKind::Flags, false),
            "enum" => self.set(SetKind::Enum, false),
            "syscall" => self.syscall(false),
            "numbers" => self.numbers(),
            "arch" => self.arch(),
            "signal_frame" => self.signal_frame(),
            "page" => self.page(word.span),
            "thread_areas" => self.thread_areas(),
            "control" => self.control(),
            "cpuinfo" => self.cpuinfo(),
            "where" => self.conditional(),
            "amend" => match self.name("`flags` or `enum`")?.text.as_str() {
                "flags" => self.set(SetKind::Flags, true),
                "enum" => self.set(SetKind::Enum, true),
                _ => self.fail_before("only `flags` and `enum` can be amended"),
            },
            "replace" => match self.name("`struct` or `syscall`")?.text.as_str() {
                "struct" => self.structure(true),
                "syscall" => self.syscall(true),
                _ => self.fail_before("only `struct` and `syscall` can be replaced"),
            },
            other => {
                let message = format!("`{other}` does not start a declaration");
                self.report.error(word.span, message).help(format!("declarations: {}", ITEMS.join(", ")));
                Err(Failed)
            }
        }
    }

    fn type_def(&mut self) -> Parsed<Item> {
        let name = self.name("the type's name")?;
        self.expect("=")?;
        let base = self.name("an integer type")?;
        let format = if self.word("as") { Some(self.name("a format")?) } else { None };
        self.expect(";")?;
        Ok(Item::Type { name, base, format })
    }

    fn structure(&mut self, replace: bool) -> Parsed<Item> {
        let name = self.name("the structure's name")?;
        let packed = self.word("packed");
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.punct("}") {
            fields.push(self.member()?);
            self.expect(";")?;
        }
        let show = if self.word("show") { Some(self.show()?) } else { None };
        Ok(Item::Struct { name, replace, packed, fields, show })
    }

    fn show(&mut self) -> Parsed<Vec<Name>> {
        self.expect("{")?;
        let mut names = Vec::new();
        while !self.punct("}") {
            names.push(self.name("a field")?);
            self.punct(",");
        }
        Ok(names)
    }

    fn member(&mut self) -> Parsed<Member> {
        let name = self.name("a name")?;
        self.expect(":")?;
        let ty = self.type_expr()?;
        let align = if self.word("align") { Some(self.int("an alignment")?.0) } else { None };
        Ok(Member { name, ty, align })
    }

    fn type_expr(&mut self) -> Parsed<TypeExpr> {
        let start = self.span();
        let dir = match self.peek() {
            Tok::Name(n) => match n.as_str() {
                "in" => Some(Dir::In),
                "out" => Some(Dir::Out),
                "inout" => Some(Dir::InOut),
                "ptr" => Some(Dir::Field),
                _ => None,
            },
            _ => None,
        };
        if let Some(dir) = dir {
            self.at += 1;
            let to = self.type_expr()?;
            let span = Span { end: self.last_end(), ..start };
            return Ok(TypeExpr::Ptr(dir, Box::new(to), span));
        }
        let base = self.name("a type")?;
        let mut ty = if base.text == "select" { self.select()? } else { TypeExpr::Named(base) };
        while self.punct("[") {
            let len = if self.punct("*") {
                Len::Behind(self.name("an argument")?)
            } else if let Tok::Int(n) = *self.peek() {
                self.at += 1;
                Len::Fixed(n)
            } else {
                Len::Named(self.name("a length: number, argument or field")?)
            };
            self.expect("]")?;
            let span = Span { end: self.last_end(), ..start };
            ty = TypeExpr::Array(Box::new(ty), len, span);
        }
        Ok(ty)
    }

    fn select(&mut self) -> Parsed<TypeExpr> {
        let on = self.name("an argument")?;
        let mask = if self.punct("&") { self.values("|")? } else { Vec::new() };
        self.expect("{")?;
        let mut cases = Vec::new();
        let mut default = None;
        while !self.punct("}") {
            if self.word("default") {
                self.expect(":")?;
                default = Some(self.type_expr()?);
            } else {
                let values = self.values(",")?;
                self.expect(":")?;
                cases.push((values, self.type_expr()?));
            }
            self.expect(";")?;
        }
        let Some(default) = default else {
            return self.fail_before("this `select` has no `default:` case");
        };
        Ok(TypeExpr::Select { on, mask, cases, default: Box::new(default) })
    }

    fn values(&mut self, separator: &'static str) -> Parsed<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            values.push(match self.peek() {
                Tok::Int(_) => {
                    let (value, span) = self.int("a value")?;
                    Value::Int(value, span)
                }
                _ => Value::Named(self.name("a value")?),
            });
            if !self.punct(separator) {
                return Ok(values);
            }
        }
    }

    fn set(&mut self, kind: SetKind, amend: bool) -> Parsed<Item> {
        let name = self.name("the set's name")?;
        let base = if amend {
            None
        } else {
            self.expect(":")?;
            Some(self.name("an integer type")?)
        };
        self.expect("{")?;
        let mut entries = Vec::new();
        while !self.punct("}") {
            if kind == SetKind::Flags && self.word("mask") {
                let mask = self.value()?;
                self.expect("{")?;
                while !self.punct("}") {
                    entries.push(self.entry(Some(mask))?);
                }
            } else {
                entries.push(self.entry(None)?);
            }
        }
        Ok(Item::Set { name, kind, amend, base, entries })
    }

    fn entry(&mut self, mask: Option<u64>) -> Parsed<Entry> {
        let name = self.name("a constant's name")?;
        self.expect("=")?;
        let value = self.value()?;
        self.expect(";")?;
        Ok(Entry { name, value, mask })
    }

    /// `12`, `-1`, `1 << 4`.
    fn value(&mut self) -> Parsed<u64> {
        let negative = self.punct("-");
        let (mut value, span) = self.int("a number")?;
        if self.punct("<<") {
            let (by, _) = self.int("a shift count")?;
            value = match u32::try_from(by).ok().filter(|b| *b < 64) {
                Some(by) => value << by,
                None => {
                    self.report.error(span, "shifted out of 64 bits");
                    return Err(Failed);
                }
            };
        }
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    fn syscall(&mut self, replace: bool) -> Parsed<Item> {
        let name = self.name("the call's name")?;
        self.expect("(")?;
        let mut args = Vec::new();
        while !self.punct(")") {
            args.push(self.member()?);
            if !self.punct(",") {
                self.expect(")")?;
                break;
            }
        }
        let ret = if self.punct("->") { Some(self.type_expr()?) } else { None };
        let (mut body, mut blocks, mut quiet) = (Body::Plain, false, false);
        while !self.punct(";") {
            let word = self.name("`;` or an attribute")?;
            match word.text.as_str() {
                "as" => body = Body::As(self.name("the host's call")?),
                "special" => body = Body::Special(self.function()),
                "absent" => body = Body::Absent,
                "registers" => body = Body::Registers(self.registers()?),
                "calls" => body = Body::Calls(self.calls()?),
                "thread_area" => body = Body::ThreadArea(self.set_or_get()?),
                "blocks" => blocks = true,
                "quiet" => quiet = true,
                _ => {
                    self.report
                        .error(word.span, format!("`{}` is not an attribute of a system call", word.text))
                        .help(format!("attributes: {}", ATTRIBUTES.join(", ")));
                    return Err(Failed);
                }
            }
        }
        Ok(Item::Syscall { name, replace, args, ret, body, blocks, quiet })
    }

    /// A name after `special`, where it is no attribute.
    fn function(&mut self) -> Option<Name> {
        match self.peek().clone() {
            Tok::Name(text) if !ATTRIBUTES.contains(&text.as_str()) => self.name("a function").ok(),
            _ => None,
        }
    }

    /// `{ 1: set SP; 2: get SP; }`
    fn registers(&mut self) -> Parsed<Vec<(u64, bool, SlotRange)>> {
        self.expect("{")?;
        let mut rows = Vec::new();
        while !self.punct("}") {
            let (code, _) = self.int("the first argument")?;
            self.expect(":")?;
            let set = self.set_or_get()?;
            rows.push((code, set, self.slots()?));
            self.expect(";")?;
        }
        Ok(rows)
    }

    /// Whether it is `set`.
    fn set_or_get(&mut self) -> Parsed<bool> {
        let set = self.word("set");
        if !set && !self.word("get") {
            return self.fail_before("`set` or `get` is needed");
        }
        Ok(set)
    }

    /// `{ 1: semop(first, ptr, second); 21: shmat(first, ptr, second) -> third; 4: semctl(first, ptr[0]); }`
    fn calls(&mut self) -> Parsed<Vec<OneOf>> {
        self.expect("{")?;
        let mut rows = Vec::new();
        while !self.punct("}") {
            let (code, _) = self.int("the first argument")?;
            self.expect(":")?;
            let call = self.name("the call")?;
            self.expect("(")?;
            let mut args = Vec::new();
            while !self.punct(")") {
                let arg = self.name("an argument")?;
                let index = if self.punct("[") {
                    let index = self.int("which word it points to")?.0;
                    self.expect("]")?;
                    Some(index)
                } else {
                    None
                };
                args.push((arg, index));
                self.punct(",");
            }
            let result = if self.punct("->") { Some(self.name("an argument")?) } else { None };
            rows.push(OneOf { code, call, args, result });
            self.expect(";")?;
        }
        Ok(rows)
    }

    fn thread_areas(&mut self) -> Parsed<Item> {
        let of = self.name("a structure")?;
        let (mut places, mut values) = (Vec::new(), Vec::new());
        self.expect("{")?;
        while !self.punct("}") {
            let key = self.name("a property")?;
            self.expect("=")?;
            match self.peek() {
                Tok::Int(_) => values.push((key, self.int("a number")?.0)),
                _ => places.push((key, self.slots()?)),
            }
            self.expect(";")?;
        }
        Ok(Item::ThreadAreas(ThreadAreas { of, places, values }))
    }

    /// `cmsghdr: select cmsg_level { … };`
    fn control(&mut self) -> Parsed<Item> {
        let header = self.name("a structure")?;
        self.expect(":")?;
        let data = self.type_expr()?;
        self.expect(";")?;
        Ok(Item::Control { header, data })
    }

    fn numbers(&mut self) -> Parsed<Item> {
        let name = self.name("the table's name")?;
        self.expect("{")?;
        let mut rows = Vec::new();
        while !self.punct("}") {
            let (number, _) = self.int("a system call number")?;
            rows.push((number, self.name("the call's name")?));
            self.expect(";")?;
        }
        Ok(Item::Numbers { name, rows })
    }

    fn arch(&mut self) -> Parsed<Item> {
        let name = self.name("the architecture's name")?;
        self.expect("{")?;
        let mut props = Vec::new();
        while !self.punct("}") {
            let key = self.name("a property")?;
            self.expect("=")?;
            let value = match self.peek() {
                Tok::Int(_) => {
                    let (value, span) = self.int("a number")?;
                    Prop::Int(value, span)
                }
                _ => Prop::Text(self.text("a value")?),
            };
            props.push((key, value));
            self.expect(";")?;
        }
        Ok(Item::Arch { name, props })
    }

    fn cpuinfo(&mut self) -> Parsed<Item> {
        self.expect("{")?;
        let mut lines = Vec::new();
        while !self.punct("}") {
            let key = self.text("a key")?;
            self.expect("=")?;
            let value = self.text("a value")?;
            self.expect(";")?;
            lines.push((key, value.text));
        }
        Ok(Item::Cpuinfo(lines))
    }

    /// `word = 32 { declarations }`
    fn conditional(&mut self) -> Parsed<Item> {
        let key = self.name("a property of architectures")?;
        self.expect("=")?;
        let (value, _) = self.int("its value")?;
        self.expect("{")?;
        let mut items = Vec::new();
        while !self.punct("}") {
            items.push(self.item()?);
        }
        Ok(Item::Where { key, value, items })
    }

    /// `0xffff0000 { 0xfc0: [words]; … }`
    fn page(&mut self, span: Span) -> Parsed<Item> {
        let (at, _) = self.int("an address")?;
        self.expect("{")?;
        let mut code = Vec::new();
        while !self.punct("}") {
            let (offset, _) = self.int("an offset")?;
            self.expect(":")?;
            code.push((offset, self.words()?));
            self.expect(";")?;
        }
        Ok(Item::Page { span, at, code })
    }

    fn signal_frame(&mut self) -> Parsed<Item> {
        let frame = self.name("a structure")?;
        let (roles, sizes, save, code) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut out = SignalFrame { frame, roles, sizes, record: None, save, code };
        self.expect("{")?;
        while !self.punct("}") {
            let key =
                self.name("`siginfo`, `ucontext`, `record`, `min_stack`, `syscall_len`, `sigreturn` or `save`")?;
            if key.text == "save" {
                out.save = self.save_lines()?;
                continue;
            }
            self.expect("=")?;
            match key.text.as_str() {
                "record" => {
                    let frame_pointer = self.slots()?;
                    self.expect(",")?;
                    out.record = Some((frame_pointer, self.slots()?));
                }
                _ if matches!(self.peek(), Tok::Punct("[")) => out.code.push((key, self.words()?)),
                _ if matches!(self.peek(), Tok::Int(_)) => {
                    let (size, _) = self.int("a size")?;
                    let context = if self.word("while") { Some(self.name("a context")?) } else { None };
                    out.sizes.push((key, size, context));
                }
                _ => out.roles.push((key, self.field_path()?)),
            }
            self.expect(";")?;
        }
        Ok(Item::SignalFrame(out))
    }

    fn save_lines(&mut self) -> Parsed<Vec<(FieldPath, Save)>> {
        self.expect("{")?;
        let mut lines = Vec::new();
        while !self.punct("}") {
            let path = self.field_path()?;
            self.expect("=")?;
            let save = if let Tok::Int(value) = *self.peek() {
                self.at += 1;
                Save::Const(value)
            } else if self.word("address") {
                Save::Address(self.field_path()?)
            } else if self.word("signal") {
                Save::Signal
            } else if self.punct("{") {
                Save::Parts(self.parts()?)
            } else {
                let slots = self.slots()?;
                if self.word("from") {
                    Save::Rotated(slots, self.name("a context")?)
                } else if self.word("while") {
                    Save::While(slots, self.name("a context")?)
                } else {
                    Save::Slots(slots)
                }
            };
            self.expect(";")?;
            lines.push((path, save));
        }
        Ok(lines)
    }

    /// `N @31, context frm @5, flag invalid @0, 0x10 @0 }`
    fn parts(&mut self) -> Parsed<Vec<Part>> {
        let mut parts = Vec::new();
        while !self.punct("}") {
            if let Tok::Int(value) = *self.peek() {
                self.at += 1;
                self.expect("@")?;
                parts.push(Part::Const(value, self.int("a bit number")?.0));
                self.punct(",");
                continue;
            }
            let context = self.word("context");
            let flag = !context && self.word("flag");
            let parity = !context && !flag && self.word("parity");
            let inverted = !context && !flag && !parity && self.word("not");
            let slot = self.slots()?;
            let width = if self.punct(":") { self.int("a width")?.0 } else { 1 };
            self.expect("@")?;
            let (bit, _) = self.int("a bit number")?;
            parts.push(match (context, flag) {
                (true, _) => Part::Context(slot.name, slot.index, bit),
                (_, true) => Part::Flag(slot.name, bit),
                _ if parity => Part::Parity(slot, bit),
                _ if inverted => Part::Inverted(slot, width, bit),
                _ => Part::Slot(slot, width, bit),
            });
            self.punct(",");
        }
        Ok(parts)
    }

    fn words(&mut self) -> Parsed<Vec<u64>> {
        self.expect("[")?;
        let mut words = Vec::new();
        while !self.punct("]") {
            words.push(self.int("a 32-bit instruction word")?.0);
            self.punct(",");
        }
        Ok(words)
    }

    fn field_path(&mut self) -> Parsed<FieldPath> {
        let mut path = vec![self.name("a field of the frame")?];
        while self.punct(".") {
            path.push(self.name("a field")?);
        }
        Ok(path)
    }

    /// `sp`, `gpr[3]`, `gpr[1..31]` (both ends included).
    fn slots(&mut self) -> Parsed<SlotRange> {
        let name = self.name("a register")?;
        let mut index = None;
        if self.punct("[") {
            let (first, _) = self.int("an index")?;
            let last = if self.punct("..") { self.int("an index")?.0 } else { first };
            self.expect("]")?;
            index = Some((first, last));
        }
        Ok(SlotRange { name, index })
    }

    // ---- tokens

    fn peek(&self) -> &Tok {
        &self.tokens[self.at.min(self.tokens.len() - 1)].0
    }

    fn span(&self) -> Span {
        self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    fn last_end(&self) -> u32 {
        self.tokens[self.at.saturating_sub(1)].1.end
    }

    fn punct(&mut self, p: &str) -> bool {
        let hit = matches!(self.peek(), Tok::Punct(q) if *q == p);
        self.at += usize::from(hit);
        hit
    }

    fn word(&mut self, w: &str) -> bool {
        let hit = matches!(self.peek(), Tok::Name(n) if n == w);
        self.at += usize::from(hit);
        hit
    }

    fn expect(&mut self, p: &'static str) -> Parsed<()> {
        if self.punct(p) { Ok(()) } else { self.fail(&format!("`{p}`")) }
    }

    fn name(&mut self, what: &str) -> Parsed<Name> {
        if let Tok::Name(text) = self.peek().clone() {
            let span = self.span();
            self.at += 1;
            return Ok(Name { text, span });
        }
        self.fail(what)
    }

    /// A name or a string.
    fn text(&mut self, what: &str) -> Parsed<Name> {
        if let Tok::Str(text) = self.peek().clone() {
            let span = self.span();
            self.at += 1;
            return Ok(Name { text, span });
        }
        self.name(what)
    }

    fn int(&mut self, what: &str) -> Parsed<(u64, Span)> {
        if let Tok::Int(value) = *self.peek() {
            let span = self.span();
            self.at += 1;
            return Ok((value, span));
        }
        self.fail(what)
    }

    fn fail<T>(&mut self, expected: &str) -> Parsed<T> {
        let message = format!("expected {expected}, found {}", self.peek());
        self.report.error(self.span(), message);
        Err(Failed)
    }

    fn fail_before<T>(&mut self, message: &str) -> Parsed<T> {
        let span = self.tokens[self.at.saturating_sub(1)].1;
        self.report.error(span, message);
        Err(Failed)
    }

    /// Skip to what looks like the next item: a word that starts one, at the start of a line.
    fn resume(&mut self) {
        loop {
            self.at += 1;
            let starts_line = self.text[..self.span().start as usize].ends_with('\n');
            match self.peek() {
                Tok::End => return,
                Tok::Name(word) if starts_line && ITEMS.contains(&word.as_str()) => return,
                _ => {}
            }
        }
    }
}
