//! Built-in functions: a closed set. The table in `isa-specs/README.md` describes each of them.

mod across;
mod bits;
mod flow;
mod lanes;
mod places;
mod shapes;

use super::lower::Lower;
use super::ty::{self, int};
use crate::diag::{Diagnostic, did_you_mean};
use crate::hir::{BuiltinEnum, EnumTy, Expr, ExprKind, Op, StaticFn, Ty, Width};
use crate::syntax::ast::{self, Ident, Span};
use std::rc::Rc;

/// Arguments of a call, taken one by one.
pub(super) struct Args<'e> {
    pub(super) name: &'e Ident,
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
    "zext",
    "sext",
    "low",
    "high",
    "msb",
    "with_low",
    "rotl",
    "rotr",
    "parity",
    "clmul",
    "deposit",
    "gather",
    "step",
    "crc32",
    "crc32c",
    "lookup",
    "bits",
    "int",
    "load",
    "store",
    "load_exclusive",
    "store_exclusive",
    "atomic",
    "atomic_cas",
    "fence",
    "lanes",
    "blend",
    "splat",
    "lane",
    "with_lane",
    "shuffle",
    "pairwise",
    "reduce",
    "table",
    "fsqrt",
    "fma",
    "fround",
    "fcvt",
    "ftoi_s",
    "ftoi_u",
    "itof_s",
    "itof_u",
    "fp_flags",
    "set_fp_flags",
    "jump",
    "branch",
    "jump_indirect",
    "call",
    "trap",
    "trap_if",
    "skip_if",
    "hint",
    "native_call",
    "icache_flush",
    "join",
    "mem",
    "atomic_update",
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

    pub(super) fn all_used(&mut self, args: &Args) {
        if let Some((n, _)) = args.named.first() {
            self.g.error("arity", n.span, format!("`{}` has no parameter `{n}`", args.name));
        } else if let Some(extra) = args.positional.get(args.next) {
            self.g.error("arity", extra.span, format!("`{}` takes fewer arguments", args.name));
        }
    }

    pub(super) fn missing_arg(&mut self, args: &Args, name: &str) {
        self.g.error("arity", args.span, format!("`{}` needs an argument `{name}`", args.name));
    }

    // ---- arguments

    pub(super) fn arg<'e>(&mut self, args: &mut Args<'e>, name: &str) -> Option<&'e ast::Expr> {
        let arg = args.take(name);
        if arg.is_none() {
            self.missing_arg(args, name);
        }
        arg
    }

    /// A run-time value of any type.
    pub(super) fn value(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        let arg = self.arg(args, name)?;
        let e = self.infer(arg, None);
        self.dynamic(e)
    }

    pub(super) fn dynamic(&mut self, e: Expr) -> Option<Expr> {
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
    pub(super) fn typed(&mut self, args: &mut Args, name: &str, ty: &Ty) -> Option<Expr> {
        let arg = self.arg(args, name)?;
        Some(self.expr(arg, Some(ty)))
    }

    pub(super) fn int_arg(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        self.typed(args, name, &Ty::Int)
    }

    pub(super) fn width_arg(&mut self, args: &mut Args, name: &str) -> Option<Width> {
        let w = self.int_arg(args, name)?;
        self.claim_width(&w);
        Some(Rc::new(w))
    }

    /// An address: as wide as the guest's addresses are.
    pub(super) fn address_arg(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        let bits = self.g.model.sections.address_bits;
        self.bits_arg(args, name, bits)
    }

    pub(super) fn bits_arg(&mut self, args: &mut Args, name: &str, n: u32) -> Option<Expr> {
        let ty = ty::bits(n, args.span);
        self.typed(args, name, &ty)
    }

    /// A value of a built-in enum, or its default.
    pub(super) fn enum_arg(
        &mut self,
        args: &mut Args,
        name: &str,
        e: BuiltinEnum,
        default: Option<i128>,
    ) -> Option<Expr> {
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

    pub(super) fn round(&mut self, args: &mut Args) -> Option<Expr> {
        self.enum_arg(args, "round", BuiltinEnum::Round, Some(0))
    }

    pub(super) fn order(&mut self, args: &mut Args) -> Option<Expr> {
        self.enum_arg(args, "order", BuiltinEnum::Order, Some(0))
    }

    /// `align = n` in bytes; 0 for none.
    pub(super) fn align(&mut self, args: &mut Args) -> Expr {
        match args.named("align") {
            Some(e) => self.int(e),
            None => int(0, args.span),
        }
    }

    pub(super) fn bool_arg(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        self.typed(args, name, &Ty::Bool)
    }

    // ---- dispatch

    fn other(&mut self, name: &str, args: &mut Args, want: Option<&Ty>) -> Option<Expr> {
        match name {
            "zext" | "sext" | "low" | "high" | "msb" | "with_low" | "rotl" | "rotr" | "parity" | "clmul" | "crc32"
            | "deposit" | "gather" | "step" | "crc32c" | "lookup" | "bits" | "int" => self.bit_builtin(name, args),
            "load" | "store" | "load_exclusive" | "store_exclusive" | "atomic" | "atomic_cas" | "fence" => {
                self.memory_builtin(name, args)
            }
            "lanes" | "blend" | "splat" | "lane" | "with_lane" | "shuffle" | "table" => {
                self.lane_builtin(name, args, want)
            }
            "fsqrt" | "fma" | "fround" | "fcvt" | "ftoi_s" | "ftoi_u" | "itof_s" | "itof_u" | "fp_flags"
            | "set_fp_flags" => self.float_builtin(name, args),
            "jump" | "branch" | "jump_indirect" | "call" | "trap" | "trap_if" | "skip_if" | "native_call"
            | "icache_flush" => self.flow_builtin(name, args),
            "pairwise" => self.pairwise(args),
            "reduce" => self.reduce(args),
            "hint" => self.hint(args),
            "mem" => self.mem(args),
            "atomic_update" => self.atomic_update(args),
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
}
