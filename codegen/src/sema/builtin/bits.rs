//! Built-ins of bits and memory.

use super::Args;
use crate::hir::{BuiltinEnum, EnumTy, Expr, ExprKind, Op, Ty};
use crate::sema::claims::ClaimKind;
use crate::sema::lower::Lower;
use crate::sema::ty::{self, int};
use crate::syntax::ast::BinOp;
use std::rc::Rc;

/// Longest list of `lookup`: what it becomes grows with it.
const MAX_LOOKUP: usize = 256;

impl Lower<'_, '_> {
    /// `step(which, a[, b[, c]][, constant = n])`; values that are left out are 0.
    fn step(&mut self, args: &mut Args) -> Option<Expr> {
        let whole = ty::bits(128, args.span);
        let mut operands = vec![self.enum_arg(args, "which", BuiltinEnum::Step, None)?];
        for name in ["a", "b", "c"] {
            let value = args.take(name).map(|e| self.expr(e, Some(&whole)));
            operands.push(value.unwrap_or_else(|| self.coerce(int(0, args.span), &whole)));
        }
        operands.push(match args.named("constant") {
            Some(e) => self.int(e),
            None => int(0, args.span),
        });
        Some(self.op(Op::Step, whole, operands, args.span))
    }

    pub(super) fn bit_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
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
                    Ty::Enum(EnumTy::User(_)) => {
                        Some(Expr { kind: ExprKind::Convert(Box::new(value)), ty: Ty::Int, span })
                    }
                    Ty::Bool => {
                        let block = |v| crate::hir::Block { stmts: Vec::new(), tail: Some(Box::new(int(v, span))) };
                        Some(Expr { kind: ExprKind::If(Box::new(value), block(1), block(0)), ty: Ty::Int, span })
                    }
                    _ => Some(self.coerce(value, &Ty::Int)),
                };
            }
            "lookup" => return self.lookup_builtin(args),
            "clmul" => {
                let (a, b) = (self.bits_arg(args, "a", 64)?, self.bits_arg(args, "b", 64)?);
                return Some(self.op(Op::Clmul, ty::bits(128, span), vec![a, b], span));
            }
            "deposit" | "gather" => {
                let op = if name == "deposit" { Op::Deposit } else { Op::Gather };
                let a = self.value(args, "a")?;
                let mask = self.typed(args, "mask", &a.ty)?;
                return Some(self.op(op, a.ty.clone(), vec![a, mask], span));
            }
            "step" => return self.step(args),
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

    /// `lookup(w, list, index)`: an element by a run-time index; 0 beyond the end.
    fn lookup_builtin(&mut self, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let width = self.width_arg(args, "width")?;
        let list = self.arg(args, "list")?;
        let list = self.infer(list, None);
        let items = match (&list.ty, &list.kind) {
            (Ty::List(t), ExprKind::List(items)) if matches!(**t, Ty::Int) => items.clone(),
            (Ty::List(t), ExprKind::Const(id)) if matches!(**t, Ty::Int) => {
                match &self.g.model.constant(*id).value.kind {
                    ExprKind::List(items) => items.clone(),
                    _ => return None,
                }
            }
            _ => {
                self.g.error("type", list.span, "`lookup` is in a list of ints, as it is written or a `const`");
                return None;
            }
        };
        if items.len() > MAX_LOOKUP {
            self.g.error("range", list.span, format!("{} elements; `lookup` is in {MAX_LOOKUP} at most", items.len()));
        }
        for item in items {
            let kind = ClaimKind::Fits { value: Rc::new(item), width: width.clone() };
            self.claim(kind, list.span);
        }
        let index = self.arg(args, "index")?;
        let index = self.infer(index, None);
        if matches!(index.ty, Ty::Int) {
            self.g.error("type", index.span, "this index is known when translating: write `list[index]`");
            return None;
        }
        let index = self.dynamic(index)?;
        Some(self.op(Op::Lookup, Ty::Bits(width), vec![list, index], span))
    }

    pub(super) fn memory_builtin(&mut self, name: &str, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        Some(match name {
            "load" => {
                let (w, addr) = (self.width_arg(args, "width")?, self.address_arg(args, "addr")?);
                let align = self.align(args);
                let order = self.order(args)?;
                self.op(Op::Load, Ty::Bits(w), vec![addr, order, align], span)
            }
            "store" => {
                let (addr, value) = (self.address_arg(args, "addr")?, self.value(args, "value")?);
                let align = self.align(args);
                let order = self.order(args)?;
                self.op(Op::Store, Ty::Unit, vec![addr, value, order, align], span)
            }
            "load_exclusive" => {
                let (w, addr) = (self.width_arg(args, "width")?, self.address_arg(args, "addr")?);
                let order = self.order(args)?;
                self.op(Op::LoadExclusive, Ty::Bits(w), vec![addr, order], span)
            }
            "store_exclusive" => {
                let (addr, value) = (self.address_arg(args, "addr")?, self.value(args, "value")?);
                let order = self.order(args)?;
                self.op(Op::StoreExclusive, ty::bits(1, span), vec![addr, value, order], span)
            }
            "atomic" => {
                let op = self.enum_arg(args, "op", BuiltinEnum::AtomicOp, None)?;
                let (addr, value) = (self.address_arg(args, "addr")?, self.value(args, "value")?);
                let order = self.order(args)?;
                self.op(Op::Atomic, value.ty.clone(), vec![op, addr, value, order], span)
            }
            "atomic_cas" => {
                let addr = self.address_arg(args, "addr")?;
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
}
