//! Evaluation of translate-time expressions, as far as the values of their variables are known.

use crate::hir::{Block, Domain, Expr, ExprKind, Locals, StaticFn, StmtKind, Ty, VarId};
use crate::model::Model;
use crate::syntax::ast::{BinOp, UnOp};
use std::collections::HashMap;

/// A translate-time value. Enum values are their numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Integer or enum value.
    Int(i128),
    /// Truth value.
    Bool(bool),
    /// Elements.
    List(Vec<Value>),
}

impl Value {
    /// The integer.
    pub fn int(&self) -> Option<i128> {
        match self {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// The truth value.
    pub fn bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }
}

/// Values of variables and contexts.
#[derive(Clone, Default, Debug)]
pub struct Env {
    /// Known variables.
    pub vars: HashMap<VarId, Value>,
    /// The mode word, if known.
    pub mode: Option<u32>,
    /// The decode variables in their places, if known.
    pub decoded: Option<u128>,
    /// Address of the instruction and the one after, if known.
    pub pc: Option<(u64, u64)>,
}

/// Calls nested deeper than this are not evaluated; the call graph is acyclic, so this only bounds pathological specs.
const MAX_DEPTH: u32 = 64;

/// The value of `e`, unless it depends on something unknown.
pub fn eval(model: &Model, locals: &Locals, env: &Env, e: &Expr) -> Option<Value> {
    Eval { model, locals, env, defined: HashMap::new(), depth: 0 }.expr(e)
}

struct Eval<'a> {
    model: &'a Model,
    locals: &'a Locals,
    env: &'a Env,
    /// Values of variables that are defined by others, as far as they were needed.
    defined: HashMap<VarId, Value>,
    depth: u32,
}

impl Eval<'_> {
    fn int(&mut self, e: &Expr) -> Option<i128> {
        self.expr(e)?.int()
    }

    fn expr(&mut self, e: &Expr) -> Option<Value> {
        Some(match &e.kind {
            ExprKind::Int(i) | ExprKind::EnumValue(i) => Value::Int(*i),
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Var(v) => return self.var(*v),
            ExprKind::Pc => Value::Int(self.env.pc?.0.into()),
            ExprKind::PcNext => Value::Int(self.env.pc?.1.into()),
            ExprKind::Context(id) => {
                let c = &self.model.contexts[id.0 as usize];
                let word = if c.decoded { self.env.decoded? } else { self.env.mode?.into() };
                let value = (word >> c.lo) as i128 & mask(c.width);
                let sign = c.signed && value >> (c.width - 1) & 1 == 1;
                Value::Int(if sign { value | !mask(c.width) } else { value })
            }
            ExprKind::Const(id) => return self.expr(&self.model.constant(*id).value),
            ExprKind::List(items) => Value::List(items.iter().map(|i| self.expr(i)).collect::<Option<_>>()?),
            ExprKind::Element(list, index) => {
                let index = usize::try_from(self.int(index)?).ok()?;
                match self.expr(list)? {
                    Value::List(items) => items.get(index)?.clone(),
                    _ => return None,
                }
            }
            ExprKind::Unary(op, a) => unary(*op, self.expr(a)?)?,
            ExprKind::Binary(op, a, b) => return self.binary(*op, a, b),
            ExprKind::In(a, set) => Value::Bool(self.member(a, set)?),
            ExprKind::Static(f, args) => {
                let args = args.iter().map(|a| self.int(a)).collect::<Option<Vec<_>>>()?;
                Value::Int(static_fn(*f, &args)?)
            }
            ExprKind::Convert(a) => return self.expr(a),
            ExprKind::Call(id, args) => return self.call(*id, args),
            ExprKind::If(c, a, b) => return if self.expr(c)?.bool()? { self.block(a) } else { self.block(b) },
            ExprKind::Match(value, arms) => {
                let value = self.expr(value)?;
                for arm in arms {
                    let mut hit = arm.values.is_empty();
                    for v in &arm.values {
                        hit |= self.expr(v)? == value;
                    }
                    if hit {
                        return self.block(&arm.body);
                    }
                }
                return None;
            }
            ExprKind::Block(b) => return self.block(b),
            _ => return None,
        })
    }

    fn var(&mut self, id: VarId) -> Option<Value> {
        if let Some(v) = self.env.vars.get(&id).or_else(|| self.defined.get(&id)) {
            return Some(v.clone());
        }
        let var = self.locals.get(id);
        if !var.ty.is_static() {
            return None;
        }
        match &var.domain {
            Domain::Let(def, _) => {
                let value = self.expr(&def.clone())?;
                self.defined.insert(id, value.clone());
                Some(value)
            }
            _ => None,
        }
    }

    fn block(&mut self, b: &Block) -> Option<Value> {
        for stmt in &b.stmts {
            match &stmt.kind {
                StmtKind::Let(..) => {} // variables are evaluated through their definitions
                _ => return None,
            }
        }
        self.expr(b.tail.as_deref()?)
    }

    fn binary(&mut self, op: BinOp, a: &Expr, b: &Expr) -> Option<Value> {
        match op {
            BinOp::LogAnd | BinOp::LogOr => {
                let short = op == BinOp::LogOr;
                let left = self.expr(a).and_then(|v| v.bool());
                if left == Some(short) {
                    return Some(Value::Bool(short));
                }
                let right = self.expr(b)?.bool()?;
                if right == short || left.is_some() { Some(Value::Bool(right)) } else { None }
            }
            _ => binary(op, self.expr(a)?, self.expr(b)?),
        }
    }

    fn member(&mut self, a: &Expr, set: &[(Expr, Option<Expr>)]) -> Option<bool> {
        let a = self.int(a)?;
        for (lo, hi) in set {
            let lo = self.int(lo)?;
            let hi = hi.as_ref().map_or(Some(lo), |h| self.int(h))?;
            if (lo..=hi).contains(&a) {
                return Some(true);
            }
        }
        Some(false)
    }

    fn call(&mut self, id: crate::hir::FnId, args: &[Expr]) -> Option<Value> {
        let func = self.model.fns.get(id.0 as usize)?;
        if self.depth >= MAX_DEPTH || !func.ret.is_static() || matches!(func.ret, Ty::Unit) {
            return None;
        }
        let mut env = Env { mode: self.env.mode, decoded: self.env.decoded, pc: self.env.pc, ..Env::default() };
        for (&param, arg) in func.params.iter().zip(args) {
            if let Some(value) = self.expr(arg) {
                env.vars.insert(param, value);
            }
        }
        let (model, locals, depth) = (self.model, &func.locals, self.depth + 1);
        Eval { model, locals, env: &env, defined: HashMap::new(), depth }.block(&func.body)
    }
}

fn unary(op: UnOp, a: Value) -> Option<Value> {
    Some(match (op, a) {
        (UnOp::Neg, Value::Int(i)) => Value::Int(i.checked_neg()?),
        (UnOp::Inv, Value::Int(i)) => Value::Int(!i),
        (UnOp::Not, Value::Int(i)) => Value::Int((i == 0).into()),
        (UnOp::Not, Value::Bool(b)) => Value::Bool(!b),
        _ => return None,
    })
}

fn binary(op: BinOp, a: Value, b: Value) -> Option<Value> {
    match op {
        BinOp::Eq => return Some(Value::Bool(a == b)),
        BinOp::Ne => return Some(Value::Bool(a != b)),
        _ => {}
    }
    if let (Value::Bool(a), Value::Bool(b)) = (&a, &b) {
        return Some(Value::Bool(match op {
            BinOp::And => a & b,
            BinOp::Or => a | b,
            BinOp::Xor => a ^ b,
            _ => return None,
        }));
    }
    int_op(op, a.int()?, b.int()?)
}

/// An operator on integers; `None` where it has no value or leaves 128 bits.
fn int_op(op: BinOp, a: i128, b: i128) -> Option<Value> {
    Some(match op {
        BinOp::Lt => Value::Bool(a < b),
        BinOp::Le => Value::Bool(a <= b),
        BinOp::Gt => Value::Bool(a > b),
        BinOp::Ge => Value::Bool(a >= b),
        BinOp::Or => Value::Int(a | b),
        BinOp::Xor => Value::Int(a ^ b),
        BinOp::And => Value::Int(a & b),
        BinOp::Add => Value::Int(a.checked_add(b)?),
        BinOp::Sub => Value::Int(a.checked_sub(b)?),
        BinOp::Mul => Value::Int(a.checked_mul(b)?),
        BinOp::Div => Value::Int(a.checked_div_euclid(b)?),
        BinOp::Rem => Value::Int(a.checked_rem_euclid(b)?),
        BinOp::Shl => Value::Int(if (0..128).contains(&b) { a << b } else { 0 }),
        BinOp::Shr => Value::Int(a >> b.clamp(0, 127)),
        _ => return None,
    })
}

/// A built-in function of integers. The run-time module `rt` of the guests defines the same.
fn static_fn(f: StaticFn, args: &[i128]) -> Option<i128> {
    let (a, b) = (args[0], args.get(1).copied().unwrap_or(0));
    Some(match f {
        StaticFn::Log2 if a > 0 => 127 - i128::from(a.leading_zeros()),
        StaticFn::Log2 => return None,
        StaticFn::Ones => mask(u32::try_from(a).ok()?),
        StaticFn::HighestBit => 127 - i128::from(a.leading_zeros()),
        StaticFn::Popcount => a.count_ones().into(),
        StaticFn::Replicate => {
            let (esize, size) = (u32::try_from(b).ok()?, u32::try_from(*args.get(2)?).ok()?);
            let mut r = 0;
            let mut at = 0;
            while esize > 0 && at < size.min(128) {
                r |= (a & mask(esize)) << at;
                at += esize;
            }
            r & mask(size)
        }
        StaticFn::RotateRight => {
            let size = u32::try_from(*args.get(2)?).ok().filter(|s| (1..=127).contains(s))?;
            let n = u32::try_from(b.rem_euclid(size.into())).ok()?;
            let v = a & mask(size);
            (v >> n | v << (size - n)) & mask(size)
        }
        StaticFn::Bit => a >> b.clamp(0, 127) & 1,
        StaticFn::Abs => a.checked_abs()?,
        StaticFn::Min => a.min(b),
        StaticFn::Max => a.max(b),
        StaticFn::CodeWord => return None,
    })
}

/// `n` ones; 128 of them are -1.
pub(super) fn mask(n: u32) -> i128 {
    if n >= 128 { -1 } else { ((1_u128 << n) - 1) as i128 }
}
