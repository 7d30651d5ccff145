//! Items: one function per kind.

use super::{Parser, parts, unquote};
use crate::diag::Diagnostic;
use crate::syntax::ast::*;
use crate::syntax::grammar::Rule;
use pest::iterators::Pair;

/// Why an `expect` on a name cannot fail.
const NAMED: &str = "the grammar has a name in every item";

impl Parser {
    /// Add an item to the specification.
    pub(super) fn item(&mut self, doc: String, pair: Pair<'_, Rule>) {
        match pair.as_rule() {
            Rule::include => {
                let span = self.span(&pair);
                self.includes.extend(parts(pair).map(|p| (unquote(p.as_str()), span)));
            }
            Rule::config => self.config(doc, pair),
            Rule::instance => {
                let mut inner = parts(pair);
                let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
                let props = inner.next().map(|p| self.props(p));
                let props = props.unwrap_or(Props { items: Vec::new(), span: name.span });
                self.spec.instances.push(Instance { doc, name, props });
            }
            Rule::section => self.section(doc, pair),
            Rule::reg => self.reg(&doc, pair),
            Rule::context => {
                let context = self.context(doc, pair);
                self.spec.contexts.push(context);
            }
            Rule::decvar => {
                let variable = self.context(doc, pair);
                self.spec.decode_vars.push(variable);
            }
            Rule::view => self.view(doc, pair),
            Rule::enumdef => self.enumdef(doc, pair),
            Rule::constdef => {
                let mut inner = parts(pair);
                let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
                if let Some(value) = inner.next() {
                    let value = self.expr(value);
                    self.spec.consts.push(ConstDef { doc, name, value });
                }
            }
            Rule::fndef => self.fndef(doc, pair),
            Rule::externfn => self.externfn(doc, pair),
            Rule::showdef => self.showdef(doc, pair),
            Rule::pattern => {
                let mut inner = parts(pair);
                let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
                if let Some(bits) = inner.next() {
                    let bits = self.bitpat(bits);
                    self.spec.patterns.push(PatternDef { doc, name, bits });
                }
            }
            Rule::operand => self.operand(doc, pair),
            Rule::prefix => self.prefix(doc, pair),
            Rule::insn => self.insn(doc, pair),
            _ => {}
        }
    }

    fn config(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        if let Some(domain) = inner.next() {
            let domain = self.expr(domain);
            let default = inner.next().and_then(|d| parts(d).next()).map(|p| self.expr(p));
            self.spec.configs.push(Config { doc, name, domain, default });
        }
    }

    fn section(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let span = self.span(&pair);
        let (mut kind, mut name, mut props) = (None, None, Props { items: Vec::new(), span });
        for part in parts(pair) {
            match part.as_rule() {
                Rule::section_kind => kind = Some(self.ident(&part)),
                Rule::ident => name = Some(self.ident(&part)),
                _ => props = self.props(part),
            }
        }
        self.spec.sections.push(Section { doc, kind: kind.expect(NAMED), name, props });
    }

    /// Rule `props`.
    fn props(&mut self, pair: Pair<'_, Rule>) -> Props {
        let span = self.span(&pair);
        Props { items: parts(pair).filter_map(|p| self.prop(p)).collect(), span }
    }

    fn prop(&mut self, pair: Pair<'_, Rule>) -> Option<Prop> {
        let mut inner = parts(pair);
        let key = self.ident(&inner.next()?);
        let value = inner.next()?;
        let value = match value.as_rule() {
            Rule::prop_value => PropValue::Expr(self.expr(parts(value).next()?)),
            _ => {
                let mut name = None;
                let mut props = None;
                for part in parts(value) {
                    match part.as_rule() {
                        Rule::ident => name = Some(self.ident(&part)),
                        _ => props = Some(self.props(part)),
                    }
                }
                PropValue::Block(name, props?)
            }
        };
        Some(Prop { key, value })
    }

    fn reg(&mut self, doc: &str, pair: Pair<'_, Rule>) {
        let (mut names, mut ty) = (Vec::new(), None);
        for part in parts(pair) {
            match part.as_rule() {
                Rule::regname => {
                    let mut inner = parts(part);
                    let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
                    names.push((name, inner.next().map(|p| self.expr(p))));
                }
                _ => ty = Some(self.ty(part)),
            }
        }
        let Some(ty) = ty else { return };
        for (name, count) in names {
            self.spec.regs.push(Reg { doc: doc.to_owned(), name, count, ty: ty.clone() });
        }
    }

    fn context(&mut self, doc: String, pair: Pair<'_, Rule>) -> Context {
        let mut inner = parts(pair).peekable();
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let signed = inner.next_if(|p| p.as_rule() == Rule::sign).is_some();
        let width = match inner.next() {
            Some(width) => self.expr(width),
            None => self.make(ExprKind::Undef, name.span),
        };
        let reset = inner.next().and_then(|default| parts(default).next()).map(|p| self.expr(p));
        Context { doc, name, width, signed, reset }
    }

    fn view(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let mut inner = parts(pair).peekable();
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let params = inner.next_if(|p| p.as_rule() == Rule::params).map(|p| self.params(p)).unwrap_or_default();
        let Some(ty) = inner.next() else { return };
        let ty = self.ty(ty);
        let (mut get, mut set, mut show) = (None, None, None);
        for part in inner {
            let (rule, span) = (part.as_rule(), self.span(&part));
            let mut content = parts(part);
            let twice = match rule {
                Rule::viewget => {
                    get.replace(content.next().map(|p| self.body(p)).expect("a getter has a body")).is_some()
                }
                Rule::viewset => {
                    let value = content.next().map(|p| self.ident(&p)).expect(NAMED);
                    set.replace((value, content.next().map(|p| self.body(p)).expect("a setter has a body"))).is_some()
                }
                _ => show.replace(content.next().map(|p| self.expr(p)).expect("a show has a value")).is_some(),
            };
            if twice {
                self.errors.push(Diagnostic::error("syntax", span, format!("`{name}` already has this part")));
            }
        }
        self.spec.views.push(View { doc, name, params, ty, get, set, show });
    }

    fn enumdef(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let width = inner.next().map_or(0, |p| self.number(&p, 64) as u32);
        let values = inner.map(|p| self.enumval(p, width)).collect();
        self.spec.enums.push(EnumDef { doc, name, width, values });
    }

    fn enumval(&mut self, pair: Pair<'_, Rule>, width: u32) -> EnumValue {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let mut value = 0;
        if let Some(bits) = inner.next() {
            let digits = bits.as_str();
            let (digits, radix) = digits.strip_prefix("0x").map_or((digits, 2), |hex| (hex, 16));
            value = u128::from_str_radix(digits, radix).unwrap_or(u128::MAX);
            let too_long = radix == 2 && digits.len() != width as usize;
            if too_long || value.checked_shr(width).unwrap_or(0) != 0 {
                let message = format!("this value does not have {width} bits");
                self.errors.push(Diagnostic::error("width", self.span(&bits), message));
            }
        }
        EnumValue { name, value, text: inner.next().map(|p| unquote(p.as_str())) }
    }

    fn fndef(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let (mut params, mut ret, mut body) = (Vec::new(), None, None);
        for part in inner {
            match part.as_rule() {
                Rule::params => params = self.params(part),
                Rule::ret => ret = parts(part).next().map(|p| self.ty(p)),
                _ => body = Some(self.body(part)),
            }
        }
        let body = body.expect("the grammar has a body in every fn");
        self.spec.fns.push(FnDef { doc, name, params, ret, body });
    }

    fn externfn(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let (mut params, mut ret, mut attrs) = (Vec::new(), None, Vec::new());
        for part in inner {
            match part.as_rule() {
                Rule::externparams => params = self.params(part),
                Rule::ret => ret = parts(part).next().map(|p| self.ty(p)),
                _ => attrs = self.attrs(part),
            }
        }
        self.spec.extern_fns.push(ExternFn { doc, name, params, ret, attrs });
    }

    fn showdef(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let (mut params, mut body) = (Vec::new(), None);
        for part in inner {
            match part.as_rule() {
                Rule::params => params = self.params(part),
                _ => body = Some(self.expr(part)),
            }
        }
        let body = body.expect("the grammar has a body in every show");
        self.spec.shows.push(ShowDef { doc, name, params, body });
    }

    /// Rules `params` and `externparams`.
    fn params(&mut self, pair: Pair<'_, Rule>) -> Vec<Param> {
        parts(pair).map(|p| self.param(p)).collect()
    }

    fn param(&mut self, pair: Pair<'_, Rule>) -> Param {
        let span = self.span(&pair);
        if pair.as_rule() == Rule::bare_param {
            let ty = parts(pair).next().map(|p| self.ty(p)).expect("a bare parameter is a type");
            return Param::Value { name: Ident { name: "_".into(), span }, ty };
        }
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        match inner.next() {
            Some(p) if p.as_rule() == Rule::ty => Param::Value { name, ty: self.ty(p) },
            set => Param::Width { name, set: set.map(|p| self.ranges(p)).unwrap_or_default() },
        }
    }

    fn attrs(&mut self, pair: Pair<'_, Rule>) -> Vec<Attr> {
        let mut attrs = Vec::new();
        for attr in parts(pair) {
            let mut inner = parts(attr);
            let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
            attrs.push(Attr { name, arg: inner.next().map(|p| self.expr(p)) });
        }
        attrs
    }

    /// Rule `ty`.
    pub(super) fn ty(&mut self, pair: Pair<'_, Rule>) -> Ty {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let first = inner.next().expect("the grammar has a name or a tuple in every type");
        if first.as_rule() == Rule::tytuple {
            return Ty { kind: TyKind::Tuple(parts(first).map(|p| self.ty(p)).collect()), span };
        }
        let name = parts(first).next().map(|p| self.ident(&p)).expect(NAMED);
        let mut args: Vec<Expr> = inner.flat_map(parts).map(|p| self.expr(p)).collect();
        let kind = match (&*name.name, args.len()) {
            ("int", 0) => TyKind::Int,
            ("bool", 0) => TyKind::Bool,
            ("str", 0) => TyKind::Str,
            ("lanes", 1 | 2) => TyKind::Lanes(args),
            ("bits" | "place", 1) => {
                let width = Box::new(args.remove(0));
                if &*name.name == "bits" { TyKind::Bits(width) } else { TyKind::Place(width) }
            }
            ("bits" | "place" | "lanes", _) => {
                let message = format!("`{name}` needs a width: `{name}(64)`");
                self.errors.push(Diagnostic::error("type", span, message));
                TyKind::Int
            }
            (_, 0) => TyKind::Named(name),
            _ => {
                self.errors.push(Diagnostic::error("type", span, format!("`{name}` takes no width")));
                TyKind::Named(name)
            }
        };
        Ty { kind, span }
    }

    fn operand(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let mut inner = parts(pair).peekable();
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let params = inner.next_if(|p| p.as_rule() == Rule::params).map(|p| self.params(p)).unwrap_or_default();
        let Some(ty) = inner.next() else { return };
        let ty = self.ty(ty);
        let alts = inner.map(|p| self.operand_alt(p)).collect();
        self.spec.operands.push(OperandDef { doc, name, params, ty, alts });
    }

    fn operand_alt(&mut self, pair: Pair<'_, Rule>) -> OperandAlt {
        let span = self.span(&pair);
        let (mut bits, mut when, mut value, mut show) = (None, None, None, None);
        for part in parts(pair) {
            match part.as_rule() {
                Rule::opbits => bits = parts(part).next().map(|p| self.bitpat(p)),
                Rule::when => when = self.when(part),
                Rule::opshow => show = parts(part).next().map(|p| self.expr(p)),
                _ => value = Some(self.expr(part)),
            }
        }
        let value = value.expect("the grammar has a value in every alternative");
        OperandAlt { bits, when, value, show, span }
    }

    fn prefix(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let (mut name, mut enc, mut body) = (None, None, Vec::new());
        for part in parts(pair) {
            match part.as_rule() {
                Rule::ident => name = Some(self.ident(&part)),
                Rule::enc => enc = Some(self.enc(part)),
                _ => body.push(self.stmt(part).stmt),
            }
        }
        let (Some(name), Some(enc)) = (name, enc) else { return };
        self.spec.prefixes.push(PrefixDef { doc, name, enc, body });
    }

    fn insn(&mut self, doc: String, pair: Pair<'_, Rule>) {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect(NAMED);
        let mut insn = Insn {
            doc,
            name,
            attrs: Vec::new(),
            encs: Vec::new(),
            prelude: Vec::new(),
            asms: Vec::new(),
            alias: None,
            requires: Vec::new(),
            overrides: Vec::new(),
            exec: None,
            tests: Vec::new(),
            span,
        };
        inner.for_each(|part| self.clause(&mut insn, part));
        self.spec.insns.push(insn);
    }

    fn clause(&mut self, insn: &mut Insn, pair: Pair<'_, Rule>) {
        let span = self.span(&pair);
        match pair.as_rule() {
            Rule::attrs => insn.attrs = self.attrs(pair),
            Rule::enc => insn.encs.push(self.enc(pair)),
            Rule::when_clause => insn.prelude.extend(self.when(pair).map(Prelude::When)),
            Rule::let_st => insn.prelude.push(Prelude::Stmt(Stmt { kind: self.let_st(pair), span })),
            Rule::width_st => insn.prelude.push(Prelude::Stmt(Stmt { kind: self.width_st(pair), span })),
            Rule::asm => self.asm(insn, pair),
            Rule::alias => {
                let mut inner = parts(pair);
                let target = inner.next().map(|p| self.ident(&p)).expect(NAMED);
                let args = inner.map(|p| self.binding(p)).collect();
                self.once(
                    insn.alias.is_some() || insn.exec.is_some(),
                    span,
                    "what this instruction does is already given",
                );
                insn.alias = Some(Alias { target, args, span });
            }
            Rule::requires => insn.requires.extend(parts(pair).next().map(|p| self.expr(p))),
            Rule::overrides => insn.overrides.extend(parts(pair).map(|p| self.ident(&p))),
            Rule::exec => {
                self.once(
                    insn.alias.is_some() || insn.exec.is_some(),
                    span,
                    "what this instruction does is already given",
                );
                insn.exec = parts(pair).next().map(|p| self.body(p));
            }
            _ => insn.tests.push(self.test(pair)),
        }
    }

    fn asm(&mut self, insn: &mut Insn, pair: Pair<'_, Rule>) {
        let span = self.span(&pair);
        let (mut template, mut when) = (None, None);
        for part in parts(pair) {
            match part.as_rule() {
                Rule::template => template = Some(self.template(part)),
                _ => when = self.when(part),
            }
        }
        insn.asms.push(Asm { template: template.expect("the grammar has a template in every asm"), when, span });
    }

    fn once(&mut self, twice: bool, span: Span, message: &str) {
        if twice {
            self.errors.push(Diagnostic::error("syntax", span, message));
        }
    }
}
