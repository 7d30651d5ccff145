//! Built-ins of floating point and control.

use super::Args;
use crate::diag::Diagnostic;
use crate::hir::{BuiltinEnum, EnumTy, Expr, ExprKind, ExternId, Op, Ty};
use crate::model::Extern;
use crate::sema::lower::Lower;
use crate::sema::ty::{self, int};
use crate::syntax::ast;

impl Lower<'_, '_> {
    pub(super) fn float_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
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

    pub(super) fn flow_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let trap = BuiltinEnum::Trap;
        let (op, operands) = match name {
            "jump" => (Op::Jump, vec![self.target(args, "target")?]),
            "branch" => {
                let cond = self.bits_arg(args, "cond", 1)?;
                (Op::Branch, vec![cond, self.target(args, "target")?])
            }
            "jump_indirect" => {
                let target = self.address_arg(args, "target")?;
                (Op::JumpIndirect, vec![target, self.enum_arg(args, "hint", BuiltinEnum::Hint, Some(0))?])
            }
            "call" => (Op::Call, vec![self.target(args, "target")?, self.int_arg(args, "returns_to")?]),
            "trap" => (Op::Trap, vec![self.enum_arg(args, "kind", trap, None)?, self.code_arg(args)]),
            "trap_if" => {
                let cond = self.bits_arg(args, "cond", 1)?;
                (Op::TrapIf, vec![cond, self.enum_arg(args, "kind", trap, None)?, self.code_arg(args)])
            }
            "skip_if" => (Op::SkipIf, vec![self.bits_arg(args, "cond", 1)?]),
            "native_call" => (Op::NativeCall, vec![self.int_arg(args, "name")?]),
            _ => (Op::IcacheFlush, vec![self.address_arg(args, "addr")?, self.int_arg(args, "len")?]),
        };
        let mut operands = operands;
        if matches!(op, Op::Jump | Op::Branch | Op::JumpIndirect | Op::Call)
            && let Some(delay) = args.named("slot")
        {
            operands.push(self.expr(delay, Some(&Ty::Enum(EnumTy::Builtin(BuiltinEnum::Delay)))));
        }
        Some(self.op(op, Ty::Unit, operands, span))
    }

    /// `hint(spin)`, `hint(wait)`: calls a function in Rust that every guest has.
    pub(super) fn hint(&mut self, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let kind = self.arg(args, "kind")?;
        let name = match &kind.kind {
            ast::ExprKind::Name(n) if &*n.name == "spin" => "hint_spin",
            ast::ExprKind::Name(n) if &*n.name == "wait" => "hint_wait",
            _ => {
                self.g.error("type", kind.span, "a hint is `spin` or `wait`");
                return None;
            }
        };
        let known = self.g.model.externs.iter().position(|e| e.name == name);
        let number = known.unwrap_or_else(|| {
            let name = name.to_owned();
            // What it does is nothing that a guest could see.
            let (pure, reads, writes) = (true, false, false);
            self.g.model.externs.push(Extern {
                name,
                params: Vec::new(),
                ret: Ty::Unit,
                pure,
                reads,
                writes,
                extended: None,
                span,
            });
            self.g.model.externs.len() - 1
        });
        Some(Expr { kind: ExprKind::Extern(ExternId(number as u32), Vec::new()), ty: Ty::Unit, span })
    }

    pub(super) fn code_arg(&mut self, args: &mut Args) -> Expr {
        match args.take("code") {
            Some(e) => self.int(e),
            None => int(0, args.span),
        }
    }

    /// A translate-time target.
    pub(super) fn target(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
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
