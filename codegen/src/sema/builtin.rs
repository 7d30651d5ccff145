//! Built-in functions: a closed set. The table in `isa-specs/README.md` describes each of them.

use super::claims::ClaimKind;
use super::lower::Lower;
use super::ty::{self, int};
use crate::diag::{Diagnostic, did_you_mean};
use crate::hir::{BuiltinEnum, Domain, EnumTy, Expr, ExprKind, Op, StaticFn, Ty, Width};
use crate::syntax::ast::{self, BinOp, Ident, Span};
use std::rc::Rc;

/// Arguments of a call, taken one by one.
pub(super) struct Args<'e> {
    name: &'e Ident,
    positional: Vec<&'e ast::Expr>,
    named: Vec<(&'e Ident, &'e ast::Expr)>,
    next: usize,
    span: Span,
}

impl<'e> Args<'e> {
    fn new(name: &'e Ident, args: &'e [ast::Arg], span: Span) -> Args<'e> {
        let positional = args.iter().filter(|a| a.name.is_none()).map(|a| &a.value).collect();
        let named = args.iter().filter_map(|a| a.name.as_ref().map(|n| (n, &a.value))).collect();
        Args { name, positional, named, next: 0, span }
    }

    /// The next positional argument, or the named one.
    fn take(&mut self, name: &str) -> Option<&'e ast::Expr> {
        if let Some(i) = self.named.iter().position(|(n, _)| *n.name == *name) {
            return Some(self.named.remove(i).1);
        }
        self.next += 1;
        self.positional.get(self.next - 1).copied()
    }

    /// The named argument only.
    fn named(&mut self, name: &str) -> Option<&'e ast::Expr> {
        let i = self.named.iter().position(|(n, _)| *n.name == *name)?;
        Some(self.named.remove(i).1)
    }
}

/// How a built-in of run-time values treats its operands.
#[derive(Clone, Copy)]
enum Shape {
    /// `(t) -> t`
    One,
    /// `(t, t) -> t`
    Two,
    /// `(t, t[, bits(1)]) -> bits(1)`
    Carry,
    /// `(t, t[, Round]) -> t`
    FloatTwo,
    /// `(t, t, MinMax) -> t`
    FloatMinMax,
    /// `(t, t) -> bits(1)`; of lanes, masks
    FloatCompare,
    /// 64 bits of lanes to 128 bits of lanes twice as wide
    Widen,
    /// 128 bits of lanes to 64 bits of lanes half as wide
    Narrow,
    /// `(64 bits of lanes, the same) -> 128 bits of lanes twice as wide`
    MulLong,
    /// no operands, no value
    Bare,
}

const SHAPES: &[(&str, Op, Shape)] = &[
    ("clz", Op::Clz, Shape::One),
    ("ctz", Op::Ctz, Shape::One),
    ("popcount", Op::Popcount, Shape::One),
    ("reverse_bits", Op::ReverseBits, Shape::One),
    ("reverse_bytes", Op::ReverseBytes, Shape::One),
    ("abs", Op::Abs, Shape::One),
    ("fneg", Op::Fneg, Shape::One),
    ("fabs", Op::Fabs, Shape::One),
    ("min_s", Op::MinS, Shape::Two),
    ("max_s", Op::MaxS, Shape::Two),
    ("min_u", Op::MinU, Shape::Two),
    ("max_u", Op::MaxU, Shape::Two),
    ("mul_high_s", Op::MulHighS, Shape::Two),
    ("mul_high_u", Op::MulHighU, Shape::Two),
    ("avg_u", Op::AvgU, Shape::Two),
    ("sat_add_s", Op::SatAddS, Shape::Two),
    ("sat_add_u", Op::SatAddU, Shape::Two),
    ("sat_sub_s", Op::SatSubS, Shape::Two),
    ("sat_sub_u", Op::SatSubU, Shape::Two),
    ("carry_add", Op::CarryAdd, Shape::Carry),
    ("borrow", Op::Borrow, Shape::Carry),
    ("overflow_add", Op::OverflowAdd, Shape::Carry),
    ("overflow_sub", Op::OverflowSub, Shape::Carry),
    ("fadd", Op::Fadd, Shape::FloatTwo),
    ("fsub", Op::Fsub, Shape::FloatTwo),
    ("fmul", Op::Fmul, Shape::FloatTwo),
    ("fdiv", Op::Fdiv, Shape::FloatTwo),
    ("fmin", Op::Fmin, Shape::FloatMinMax),
    ("fmax", Op::Fmax, Shape::FloatMinMax),
    ("fcmp_eq", Op::FcmpEq, Shape::FloatCompare),
    ("fcmp_lt", Op::FcmpLt, Shape::FloatCompare),
    ("fcmp_le", Op::FcmpLe, Shape::FloatCompare),
    ("fcmp_un", Op::FcmpUn, Shape::FloatCompare),
    ("fcmp_eq_s", Op::FcmpEqS, Shape::FloatCompare),
    ("fcmp_lt_s", Op::FcmpLtS, Shape::FloatCompare),
    ("fcmp_le_s", Op::FcmpLeS, Shape::FloatCompare),
    ("fcmp_un_s", Op::FcmpUnS, Shape::FloatCompare),
    ("widen_s", Op::WidenS, Shape::Widen),
    ("widen_u", Op::WidenU, Shape::Widen),
    ("narrow", Op::Narrow, Shape::Narrow),
    ("narrow_ss", Op::NarrowSS, Shape::Narrow),
    ("narrow_uu", Op::NarrowUU, Shape::Narrow),
    ("narrow_su", Op::NarrowSU, Shape::Narrow),
    ("mul_long_s", Op::MulLongS, Shape::MulLong),
    ("mul_long_u", Op::MulLongU, Shape::MulLong),
    ("clear_exclusive", Op::ClearExclusive, Shape::Bare),
    ("undefined", Op::Undefined, Shape::Bare),
    ("syscall", Op::Syscall, Shape::Bare),
    ("instruction_barrier", Op::InstructionBarrier, Shape::Bare),
];

const STATIC: &[(&str, StaticFn, usize)] = &[
    ("log2", StaticFn::Log2, 1),
    ("ones", StaticFn::Ones, 1),
    ("highest_bit", StaticFn::HighestBit, 1),
    ("popcount", StaticFn::Popcount, 1),
    ("replicate", StaticFn::Replicate, 3),
    ("rotate_right", StaticFn::RotateRight, 3),
    ("bit", StaticFn::Bit, 2),
    ("abs", StaticFn::Abs, 1),
    ("min", StaticFn::Min, 2),
    ("max", StaticFn::Max, 2),
    ("code_word", StaticFn::CodeWord, 1),
];

/// Built-ins with a shape of their own.
const OTHERS: &[&str] = &[
    "zext", "sext", "low", "high", "msb", "with_low", "rotl", "rotr", "parity", "clmul", "crc32", "crc32c", "bits", "int",
    "load", "store", "load_exclusive", "store_exclusive", "atomic", "atomic_cas", "fence", "lanes", "blend", "splat", "lane",
    "with_lane", "shuffle", "table", "fsqrt", "fma", "fround", "fcvt", "ftoi_s", "ftoi_u", "itof_s", "itof_u", "fp_flags",
    "set_fp_flags", "jump", "branch", "jump_indirect", "call", "trap", "trap_if", "native_call", "icache_flush", "join",
];

/// Names of all built-in functions.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    OTHERS.iter().copied().chain(SHAPES.iter().map(|s| s.0)).chain(STATIC.iter().map(|s| s.0))
}

impl Lower<'_, '_> {
    /// A call of a built-in function.
    pub(super) fn builtin(&mut self, callee: &Ident, args: &[ast::Arg], want: Option<&Ty>, span: Span) -> Expr {
        let mut args = Args::new(callee, args, span);
        let name = &*callee.name;
        if let Some((_, f, count)) = STATIC.iter().find(|(n, ..)| *n == name)
            && let Some(e) = self.static_builtin(*f, *count, &mut args)
        {
            return e;
        }
        let result = match SHAPES.iter().find(|(n, ..)| *n == name) {
            Some((_, op, shape)) => self.shaped(*op, *shape, &mut args),
            None => self.other(name, &mut args, want),
        };
        let Some(result) = result else { return ty::error(span) };
        self.all_used(&args);
        result
    }

    fn all_used(&mut self, args: &Args) {
        if let Some((n, _)) = args.named.first() {
            self.g.error("arity", n.span, format!("`{}` has no parameter `{n}`", args.name));
        } else if let Some(extra) = args.positional.get(args.next) {
            self.g.error("arity", extra.span, format!("`{}` takes fewer arguments", args.name));
        }
    }

    fn missing_arg(&mut self, args: &Args, name: &str) {
        self.g.error("arity", args.span, format!("`{}` needs an argument `{name}`", args.name));
    }

    // ---- arguments

    fn arg<'e>(&mut self, args: &mut Args<'e>, name: &str) -> Option<&'e ast::Expr> {
        let arg = args.take(name);
        if arg.is_none() {
            self.missing_arg(args, name);
        }
        arg
    }

    /// A run-time value of any type.
    fn value(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        let arg = self.arg(args, name)?;
        let e = self.infer(arg, None);
        self.dynamic(e)
    }

    fn dynamic(&mut self, e: Expr) -> Option<Expr> {
        match &e.ty {
            t if t.is_dynamic() => Some(e),
            Ty::Error => None,
            _ => {
                self.g.error("width", e.span, "how many bits this has is not known here: write `bits(n, value)`");
                None
            }
        }
    }

    /// A value of type `ty`.
    fn typed(&mut self, args: &mut Args, name: &str, ty: &Ty) -> Option<Expr> {
        let arg = self.arg(args, name)?;
        Some(self.expr(arg, Some(ty)))
    }

    fn int_arg(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        self.typed(args, name, &Ty::Int)
    }

    fn width_arg(&mut self, args: &mut Args, name: &str) -> Option<Width> {
        let w = self.int_arg(args, name)?;
        self.claim_width(&w);
        Some(Rc::new(w))
    }

    fn bits_arg(&mut self, args: &mut Args, name: &str, n: u32) -> Option<Expr> {
        let ty = ty::bits(n, args.span);
        self.typed(args, name, &ty)
    }

    /// A value of a built-in enum, or its default.
    fn enum_arg(&mut self, args: &mut Args, name: &str, e: BuiltinEnum, default: Option<i128>) -> Option<Expr> {
        let ty = Ty::Enum(EnumTy::Builtin(e));
        match (args.take(name), default) {
            (Some(arg), _) => Some(self.expr(arg, Some(&ty))),
            (None, Some(v)) => Some(Expr { kind: ExprKind::EnumValue(v), ty, span: args.span }),
            (None, None) => {
                self.missing_arg(args, name);
                None
            }
        }
    }

    fn round(&mut self, args: &mut Args) -> Option<Expr> {
        self.enum_arg(args, "round", BuiltinEnum::Round, Some(0))
    }

    fn order(&mut self, args: &mut Args) -> Option<Expr> {
        self.enum_arg(args, "order", BuiltinEnum::Order, Some(0))
    }

    /// `align = n` in bytes; 0 for none.
    fn align(&mut self, args: &mut Args) -> Expr {
        match args.named("align") {
            Some(e) => self.int(e),
            None => int(0, args.span),
        }
    }

    fn bool_arg(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        self.typed(args, name, &Ty::Bool)
    }

    // ---- shapes

    /// A function of ints, if all arguments are; the run-time form otherwise.
    fn static_builtin(&mut self, f: StaticFn, count: usize, args: &mut Args) -> Option<Expr> {
        let also_dynamic = matches!(f, StaticFn::Popcount | StaticFn::Abs);
        if also_dynamic {
            let known = self.g.diags.len();
            let claims = self.g.claims.len();
            let first = args.positional.first().map(|e| self.infer(e, None));
            debug_assert!(self.g.diags.len() >= known);
            if !matches!(first, Some(Expr { ty: Ty::Int, .. })) {
                self.g.claims.truncate(claims);
                return None;
            }
        }
        let mut values = Vec::new();
        for i in 0..count {
            let Some(v) = self.int_arg(args, ["a", "b", "c"][i]) else { return Some(ty::error(args.span)) };
            values.push(v);
        }
        self.all_used(args);
        Some(Expr { kind: ExprKind::Static(f, values), ty: Ty::Int, span: args.span })
    }

    fn shaped(&mut self, op: Op, shape: Shape, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        match shape {
            Shape::Bare => Some(self.op(op, Ty::Unit, Vec::new(), span)),
            Shape::One => {
                let a = self.value(args, "a")?;
                Some(self.op(op, a.ty.clone(), vec![a], span))
            }
            Shape::Two => {
                let (a, b) = self.pair(args)?;
                Some(self.op(op, a.ty.clone(), vec![a, b], span))
            }
            Shape::Carry => {
                let (a, b) = self.pair(args)?;
                let mut operands = vec![a, b];
                if let Some(c) = args.take("c") {
                    operands.push(self.expr(c, Some(&ty::bits(1, span))));
                }
                Some(self.op(op, ty::bits(1, span), operands, span))
            }
            Shape::FloatTwo => {
                let (a, b) = self.pair(args)?;
                let round = self.round(args)?;
                Some(self.op(op, a.ty.clone(), vec![a, b, round], span))
            }
            Shape::FloatMinMax => {
                let (a, b) = self.pair(args)?;
                let kind = self.enum_arg(args, "nan", BuiltinEnum::MinMax, None)?;
                Some(self.op(op, a.ty.clone(), vec![a, b, kind], span))
            }
            Shape::FloatCompare => {
                let (a, b) = self.pair(args)?;
                let ty = if matches!(a.ty, Ty::Bits(_)) { ty::bits(1, span) } else { a.ty.clone() };
                Some(self.op(op, ty, vec![a, b], span))
            }
            Shape::Widen => {
                let a = self.lanes_arg(args, "a")?;
                let ty = self.resized(&a.ty, 64, span)?;
                Some(self.op(op, ty, vec![a], span))
            }
            Shape::Narrow => {
                let a = self.lanes_arg(args, "a")?;
                let ty = self.resized(&a.ty, 128, span)?;
                Some(self.op(op, ty, vec![a], span))
            }
            Shape::MulLong => {
                let (a, b) = self.pair(args)?;
                let a = self.as_lanes(a)?;
                let ty = self.resized(&a.ty, 64, span)?;
                Some(self.op(op, ty, vec![a, b], span))
            }
        }
    }

    /// Two operands of one type.
    fn pair(&mut self, args: &mut Args) -> Option<(Expr, Expr)> {
        let (a, b) = (self.arg(args, "a")?, self.arg(args, "b")?);
        let a = self.infer(a, None);
        let hint = a.ty.clone();
        let b = self.infer(b, hint.is_dynamic().then_some(&hint));
        let span = args.span;
        if a.ty.is_static() && b.ty.is_static() {
            self.dynamic(a)?;
            return None;
        }
        self.same_type(a, b, span)
    }

    fn lanes_arg(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        let a = self.value(args, name)?;
        self.as_lanes(a)
    }

    fn as_lanes(&mut self, a: Expr) -> Option<Expr> {
        if matches!(a.ty, Ty::Lanes { .. }) {
            return Some(a);
        }
        let ty = self.g.show_ty(&a.ty);
        self.g.error("type", a.span, format!("lanes are needed, but this is {ty}: write `.lanes(e)`"));
        None
    }

    /// Lanes of half (`from` 128) or twice (`from` 64) the width.
    fn resized(&mut self, ty: &Ty, from: u32, span: Span) -> Option<Ty> {
        let Ty::Lanes { lane, width } = ty else { return None };
        self.claim_equal(width.clone(), ty::width(from, span), span);
        let (op, to) = if from == 64 { (BinOp::Mul, 128) } else { (BinOp::Div, 64) };
        let lane = Rc::new(ty::binary(op, (**lane).clone(), int(2, span), span));
        Some(Ty::Lanes { lane, width: ty::width(to, span) })
    }

    // ---- the others

    fn other(&mut self, name: &str, args: &mut Args, want: Option<&Ty>) -> Option<Expr> {
        match name {
            "zext" | "sext" | "low" | "high" | "msb" | "with_low" | "rotl" | "rotr" | "parity" | "clmul" | "crc32"
            | "crc32c" | "bits" | "int" => self.bit_builtin(name, args),
            "load" | "store" | "load_exclusive" | "store_exclusive" | "atomic" | "atomic_cas" | "fence" => {
                self.memory_builtin(name, args)
            }
            "lanes" | "blend" | "splat" | "lane" | "with_lane" | "shuffle" | "table" => self.lane_builtin(name, args, want),
            "fsqrt" | "fma" | "fround" | "fcvt" | "ftoi_s" | "ftoi_u" | "itof_s" | "itof_u" | "fp_flags"
            | "set_fp_flags" => self.float_builtin(name, args),
            "jump" | "branch" | "jump_indirect" | "call" | "trap" | "trap_if" | "native_call" | "icache_flush" => {
                self.flow_builtin(name, args)
            }
            "join" => self.join(args),
            _ => {
                self.unknown_function(args);
                None
            }
        }
    }

    fn unknown_function(&mut self, args: &mut Args) {
        args.next = args.positional.len();
        args.named.clear();
        let name = args.name;
        let mut d = Diagnostic::error("unknown-name", name.span, format!("function `{name}` is not known"));
        let own: Vec<Rc<str>> = self.g.names.keys().cloned().collect();
        let mut known: Vec<&str> = own.iter().map(|n| &**n).collect();
        builtin_names().for_each(|n| known.push(n));
        if let Some(near) = did_you_mean(&name.name, known) {
            d = d.note(format!("did you mean `{near}`?"));
        }
        self.g.diags.push(d);
    }

    fn bit_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        match name {
            "bits" => {
                let n = self.width_arg(args, "n")?;
                let value = self.arg(args, "value")?;
                let value = self.infer(value, None);
                return Some(self.coerce(value, &Ty::Bits(n)));
            }
            "int" => {
                let value = self.arg(args, "value")?;
                let value = self.infer(value, None);
                return match value.ty {
                    Ty::Enum(EnumTy::User(_)) => Some(Expr { kind: ExprKind::Convert(Box::new(value)), ty: Ty::Int, span }),
                    Ty::Bool => {
                        let block = |v| crate::hir::Block { stmts: Vec::new(), tail: Some(Box::new(int(v, span))) };
                        Some(Expr { kind: ExprKind::If(Box::new(value), block(1), block(0)), ty: Ty::Int, span })
                    }
                    _ => Some(self.coerce(value, &Ty::Int)),
                };
            }
            "clmul" => {
                let (a, b) = (self.bits_arg(args, "a", 64)?, self.bits_arg(args, "b", 64)?);
                return Some(self.op(Op::Clmul, ty::bits(128, span), vec![a, b], span));
            }
            "crc32" | "crc32c" => {
                let op = if name == "crc32" { Op::Crc32 } else { Op::Crc32c };
                let (crc, data) = (self.bits_arg(args, "crc", 32)?, self.value(args, "data")?);
                return Some(self.op(op, ty::bits(32, span), vec![crc, data], span));
            }
            _ => {}
        }
        let arg = self.arg(args, "a")?;
        let a = self.infer(arg, None);
        if a.ty.is_static() && name == "low" {
            // modulo 2^n, on purpose
            let n = self.width_arg(args, "n")?;
            return Some(Expr { kind: ExprKind::Constant(Box::new(self.coerce(a, &Ty::Int))), ty: Ty::Bits(n), span });
        }
        let a = self.dynamic(a)?;
        let a = match &a.ty {
            Ty::Lanes { width, .. } => {
                let ty = Ty::Bits(width.clone());
                self.coerce(a, &ty)
            }
            _ => a,
        };
        let total = a.ty.width().cloned()?;
        Some(match name {
            "zext" | "sext" => {
                let n = self.width_arg(args, "n")?;
                self.claim_range(&n, (*total).clone(), int(128, span), "extended width");
                self.op(if name == "zext" { Op::Zext } else { Op::Sext }, Ty::Bits(n), vec![a], span)
            }
            "low" => {
                let n = self.width_arg(args, "n")?;
                self.claim_range(&n, int(1, span), (*total).clone(), "part");
                self.op(Op::Low, Ty::Bits(n), vec![a], span)
            }
            "high" => {
                let n = self.width_arg(args, "n")?;
                let lo = ty::binary(BinOp::Sub, (*total).clone(), (*n).clone(), span);
                self.extract(a, lo, n, span)
            }
            "msb" => {
                let lo = ty::binary(BinOp::Sub, (*total).clone(), int(1, span), span);
                self.extract(a, lo, ty::width(1, span), span)
            }
            "with_low" => {
                let low = self.value(args, "low")?;
                let width = low.ty.width().cloned()?;
                self.claim_range(&width, int(1, span), (*total).clone(), "part");
                self.op(Op::Insert, a.ty.clone(), vec![a, int(0, span), low], span)
            }
            "rotl" | "rotr" => {
                let amount = self.arg(args, "amount")?;
                let amount = self.infer(amount, None);
                let op = if name == "rotl" { Op::Rotl } else { Op::Rotr };
                self.op(op, a.ty.clone(), vec![a, amount], span)
            }
            _ => self.op(Op::Parity, ty::bits(1, span), vec![a], span),
        })
    }

    fn memory_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        Some(match name {
            "load" => {
                let (w, addr) = (self.width_arg(args, "width")?, self.bits_arg(args, "addr", 64)?);
                let align = self.align(args);
                let order = self.order(args)?;
                self.op(Op::Load, Ty::Bits(w), vec![addr, order, align], span)
            }
            "store" => {
                let (addr, value) = (self.bits_arg(args, "addr", 64)?, self.value(args, "value")?);
                let align = self.align(args);
                let order = self.order(args)?;
                self.op(Op::Store, Ty::Unit, vec![addr, value, order, align], span)
            }
            "load_exclusive" => {
                let (w, addr) = (self.width_arg(args, "width")?, self.bits_arg(args, "addr", 64)?);
                let order = self.order(args)?;
                self.op(Op::LoadExclusive, Ty::Bits(w), vec![addr, order], span)
            }
            "store_exclusive" => {
                let (addr, value) = (self.bits_arg(args, "addr", 64)?, self.value(args, "value")?);
                let order = self.order(args)?;
                self.op(Op::StoreExclusive, ty::bits(1, span), vec![addr, value, order], span)
            }
            "atomic" => {
                let op = self.enum_arg(args, "op", BuiltinEnum::AtomicOp, None)?;
                let (addr, value) = (self.bits_arg(args, "addr", 64)?, self.value(args, "value")?);
                let order = self.order(args)?;
                self.op(Op::Atomic, value.ty.clone(), vec![op, addr, value, order], span)
            }
            "atomic_cas" => {
                let addr = self.bits_arg(args, "addr", 64)?;
                let expected = self.value(args, "expected")?;
                let ty = expected.ty.clone();
                let new = self.typed(args, "new", &ty)?;
                let order = self.order(args)?;
                self.op(Op::AtomicCas, ty, vec![addr, expected, new, order], span)
            }
            _ => {
                let mut flags = Vec::new();
                for name in ["loads", "stores", "then_loads", "then_stores"] {
                    flags.push(self.bool_arg(args, name)?);
                }
                self.op(Op::Fence, Ty::Unit, flags, span)
            }
        })
    }

    fn lane_builtin(&mut self, name: &str, args: &mut Args, want: Option<&Ty>) -> Option<Expr> {
        let span = args.span;
        Some(match name {
            "lanes" => {
                let a = self.arg(args, "a")?;
                let a = self.infer(a, None);
                let lane = self.width_arg(args, "lane")?;
                let a = match (&a.ty, want) {
                    (Ty::Int, Some(Ty::Lanes { width, .. } | Ty::Bits(width))) => self.coerce(a, &Ty::Bits(width.clone())),
                    _ => self.dynamic(a)?,
                };
                let width = a.ty.width().cloned()?;
                self.claim(ClaimKind::Lanes { lane: lane.clone(), width: width.clone() }, span);
                self.op(Op::Reinterpret, Ty::Lanes { lane, width }, vec![a], span)
            }
            "blend" => {
                let mask = self.value(args, "mask")?;
                let (a, b) = self.pair(args)?;
                let mask = match &mask.ty {
                    Ty::Lanes { width, .. } | Ty::Bits(width) => {
                        self.claim_equal(width.clone(), a.ty.width().cloned()?, span);
                        mask
                    }
                    _ => return None,
                };
                self.op(Op::Blend, a.ty.clone(), vec![mask, a, b], span)
            }
            "splat" => {
                let a = self.value(args, "a")?;
                let width = self.width_arg(args, "width")?;
                let lane = a.ty.width().cloned()?;
                self.claim(ClaimKind::Lanes { lane: lane.clone(), width: width.clone() }, span);
                self.op(Op::Splat, Ty::Lanes { lane, width }, vec![a], span)
            }
            "lane" => {
                let (a, i) = (self.lanes_arg(args, "a")?, self.int_arg(args, "index")?);
                let Ty::Lanes { lane, .. } = a.ty.clone() else { return None };
                self.claim_lane(&a.ty, &i);
                self.op(Op::Lane, Ty::Bits(lane), vec![a, i], span)
            }
            "with_lane" => {
                let (a, i) = (self.lanes_arg(args, "a")?, self.int_arg(args, "index")?);
                let Ty::Lanes { lane, .. } = a.ty.clone() else { return None };
                let x = self.typed(args, "value", &Ty::Bits(lane))?;
                self.claim_lane(&a.ty, &i);
                self.op(Op::WithLane, a.ty.clone(), vec![a, i, x], span)
            }
            "table" => {
                let (t, index) = (self.bits_arg(args, "table", 128)?, self.lanes_arg(args, "index")?);
                self.op(Op::Table, index.ty.clone(), vec![t, index], span)
            }
            _ => self.shuffle(args)?,
        })
    }

    fn claim_lane(&mut self, ty: &Ty, index: &Expr) {
        let Ty::Lanes { lane, width } = ty else { return };
        let count = ty::binary(BinOp::Div, (**width).clone(), (**lane).clone(), index.span);
        let last = ty::binary(BinOp::Sub, count, int(1, index.span), index.span);
        self.claim_range(index, int(0, index.span), last, "lane number");
    }

    /// `shuffle(a, b, |i| pick)`
    fn shuffle(&mut self, args: &mut Args) -> Option<Expr> {
        let (a, b) = self.pair(args)?;
        let a = self.as_lanes(a)?;
        let (var, pick) = self.closure(args, &Ty::Int)?;
        let ty = a.ty.clone();
        let kind = ExprKind::Shuffle { sources: Box::new((a, b)), var, pick: Box::new(pick) };
        Some(Expr { kind, ty, span: args.span })
    }

    /// `join(separator, n, |i| text)`
    fn join(&mut self, args: &mut Args) -> Option<Expr> {
        let separator = self.typed(args, "separator", &Ty::Str)?;
        let count = self.int_arg(args, "count")?;
        let (var, text) = self.closure(args, &Ty::Str)?;
        let kind =
            ExprKind::Join { separator: Box::new(separator), count: Box::new(count), var, text: Box::new(text) };
        Some(Expr { kind, ty: Ty::Str, span: args.span })
    }

    fn closure(&mut self, args: &mut Args, ret: &Ty) -> Option<(crate::hir::VarId, Expr)> {
        let arg = self.arg(args, "closure")?;
        let ast::ExprKind::Closure(name, body) = &arg.kind else {
            self.g.error("type", arg.span, "a closure is needed: `|i| value`");
            return None;
        };
        let depth = self.scope.len();
        let var = self.bind(name, Ty::Int, Domain::Unknown);
        let body = self.expr(body, Some(ret));
        self.scope.truncate(depth);
        Some((var, body))
    }

    fn float_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        Some(match name {
            "fp_flags" => self.op(Op::FpFlags, ty::bits(32, span), Vec::new(), span),
            "set_fp_flags" => {
                let flags = self.bits_arg(args, "flags", 32)?;
                self.op(Op::SetFpFlags, Ty::Unit, vec![flags], span)
            }
            "fsqrt" => {
                let (a, round) = (self.value(args, "a")?, self.round(args)?);
                self.op(Op::Fsqrt, a.ty.clone(), vec![a, round], span)
            }
            "fma" => {
                let (a, b) = self.pair(args)?;
                let ty = a.ty.clone();
                let c = self.typed(args, "c", &ty)?;
                let round = self.round(args)?;
                self.op(Op::Fma, ty, vec![a, b, c, round], span)
            }
            "fround" => {
                let (a, round) = (self.value(args, "a")?, self.round(args)?);
                let exact = self.bool_arg(args, "exact")?;
                self.op(Op::Fround, a.ty.clone(), vec![a, round, exact], span)
            }
            "fcvt" => {
                let (a, to, round) = (self.value(args, "a")?, self.width_arg(args, "width")?, self.round(args)?);
                self.op(Op::Fcvt, Ty::Bits(to), vec![a, round], span)
            }
            _ => {
                let op = match name {
                    "ftoi_s" => Op::FtoiS,
                    "ftoi_u" => Op::FtoiU,
                    "itof_s" => Op::ItofS,
                    _ => Op::ItofU,
                };
                let (a, to, round) = (self.value(args, "a")?, self.width_arg(args, "width")?, self.round(args)?);
                let ty = match &a.ty {
                    Ty::Lanes { lane, .. } => {
                        self.claim_equal(lane.clone(), to, span);
                        a.ty.clone()
                    }
                    _ => Ty::Bits(to),
                };
                self.op(op, ty, vec![a, round], span)
            }
        })
    }

    fn flow_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let trap = BuiltinEnum::Trap;
        let (op, operands) = match name {
            "jump" => (Op::Jump, vec![self.target(args, "target")?]),
            "branch" => {
                let cond = self.bits_arg(args, "cond", 1)?;
                (Op::Branch, vec![cond, self.target(args, "target")?])
            }
            "jump_indirect" => {
                let target = self.bits_arg(args, "target", 64)?;
                (Op::JumpIndirect, vec![target, self.enum_arg(args, "hint", BuiltinEnum::Hint, Some(0))?])
            }
            "call" => (Op::Call, vec![self.target(args, "target")?, self.int_arg(args, "returns_to")?]),
            "trap" => (Op::Trap, vec![self.enum_arg(args, "kind", trap, None)?, self.code_arg(args)]),
            "trap_if" => {
                let cond = self.bits_arg(args, "cond", 1)?;
                (Op::TrapIf, vec![cond, self.enum_arg(args, "kind", trap, None)?, self.code_arg(args)])
            }
            "native_call" => (Op::NativeCall, vec![self.int_arg(args, "name")?]),
            _ => (Op::IcacheFlush, vec![self.bits_arg(args, "addr", 64)?, self.int_arg(args, "len")?]),
        };
        Some(self.op(op, Ty::Unit, operands, span))
    }

    fn code_arg(&mut self, args: &mut Args) -> Expr {
        match args.take("code") {
            Some(e) => self.int(e),
            None => int(0, args.span),
        }
    }

    /// A translate-time target.
    fn target(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        let arg = self.arg(args, name)?;
        let target = self.infer(arg, None);
        if target.ty.is_dynamic() {
            let d = Diagnostic::error("binding-time", target.span, "this target is known only when running")
                .note("use `jump_indirect(target, hint = ..)`");
            self.g.diags.push(d);
            return None;
        }
        Some(self.coerce(target, &Ty::Int))
    }
}
