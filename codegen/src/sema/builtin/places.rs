//! Places: memory as one, and the atomic update of one.

use super::Args;
use crate::hir::{Block, Domain, Expr, ExprKind, Op, Stmt, StmtKind, Ty};
use crate::sema::items::ident;
use crate::sema::lower::Lower;
use crate::syntax::ast::Span;
use std::rc::Rc;

impl Lower<'_, '_> {
    /// `mem(w, addr)`
    pub(super) fn mem(&mut self, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let (w, addr) = (self.width_arg(args, "width")?, self.address_arg(args, "addr")?);
        let align = self.align(args);
        Some(self.op(Op::PlaceMemory, Ty::Place(w), vec![addr, align], span))
    }

    /// `atomic_update(place, |old| new)`: the old value. If another thread was faster, the instruction is executed again;
    /// so it must come before all other effects.
    pub(super) fn atomic_update(&mut self, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let place = self.arg(args, "place")?;
        let place = self.raw(place, None);
        let Ty::Place(width) = place.ty.clone() else {
            self.g.error("type", place.span, "an operand or `mem(..)` is needed");
            return None;
        };
        let update = self.arg(args, "update")?;
        let ([name], body) = self.closure_parts(update, "|old| new")?;
        let bits = Ty::Bits(width);
        let mut block = Block::default();
        let depth = self.scope.len();
        let place = self.keep("place", place, &mut block, span);
        let read = self.op(Op::PlaceGet, bits.clone(), vec![place.clone()], span);
        let old = self.keep(&name.name, read, &mut block, span);
        let new = self.expr(body, Some(&bits));
        let new = self.keep("new", new, &mut block, span);
        let update = self.op(Op::PlaceUpdate, bits.clone(), vec![place, old, new], span);
        block.tail = Some(Box::new(update));
        self.scope.truncate(depth);
        Some(Expr { kind: ExprKind::Block(block), ty: bits, span })
    }

    /// A new variable with this value.
    pub(super) fn keep(&mut self, name: &str, value: Expr, block: &mut Block, span: Span) -> Expr {
        let var = self.bind(&ident(name, span), value.ty.clone(), Domain::Let(Rc::new(value.clone()), None));
        block.stmts.push(Stmt { kind: StmtKind::Let(vec![var], value), span });
        self.var(var, span)
    }
}
