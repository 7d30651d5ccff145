//! What must hold of widths and numbers, proved by trying the values of the variables involved.
//!
//! Lowering keeps widths symbolic and notes a claim wherever two must agree. A claim that is false for some values is
//! reported with them. Fields, width sets and loop counters are enumerated; parameters take the values that callers pass.
//! A claim whose variables have too many values is tried at the bounds; one that depends on something unknown is left to
//! the builder's own checks.

use super::{Env, Global, Value, eval};
use crate::diag::Diagnostic;
use crate::hir::{
    Block, Domain, Expr, ExprKind, FnId, InsnId, Locals, Part, ShowId, StmtKind, Ty, VarId, ViewId, Width,
};
use crate::syntax::ast::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// At most this many assignments are tried for a claim.
const MAX_CASES: usize = 4096;
/// At most this many distinct argument tuples are remembered for a function.
const MAX_TUPLES: usize = 1024;

/// Whose variables a claim is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Owner {
    Fn(FnId),
    View(ViewId),
    Show(ShowId),
    Insn(InsnId),
    Nothing,
}

/// A translate-time condition on the way to some code.
#[derive(Clone, Debug)]
pub(super) struct Cond {
    pub(super) expr: Rc<Expr>,
    pub(super) holds: bool,
}

/// Something that must hold.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) owner: Owner,
    pub(super) conds: Vec<Cond>,
    pub(super) kind: ClaimKind,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum ClaimKind {
    Equal(Width, Width),
    Within {
        value: Rc<Expr>,
        lo: Rc<Expr>,
        hi: Rc<Expr>,
        what: &'static str,
    },
    /// −2^(w−1) ≤ value < 2^w
    Fits {
        value: Rc<Expr>,
        width: Width,
    },
    Member {
        value: Rc<Expr>,
        set: Rc<[i128]>,
    },
    /// Lanes of 8 to 64 bits that fill a vector of 64 or 128.
    Lanes {
        lane: Width,
        width: Width,
    },
}

impl ClaimKind {
    fn exprs(&self) -> Vec<&Expr> {
        match self {
            ClaimKind::Equal(a, b) | ClaimKind::Lanes { lane: a, width: b } => vec![a, b],
            ClaimKind::Within { value, lo, hi, .. } => vec![value, lo, hi],
            ClaimKind::Fits { value, width } => vec![value, width],
            ClaimKind::Member { value, .. } => vec![value],
        }
    }
}

/// A call: who calls whom with what.
#[derive(Clone, Debug)]
pub(super) struct CallSite {
    pub(super) caller: Owner,
    pub(super) conds: Vec<Cond>,
    pub(super) callee: Owner,
    /// Translate-time arguments.
    pub(super) args: Vec<Option<Expr>>,
    pub(super) span: Span,
}

// ---------------------------------------------------------------- the call graph

/// Recursion is an error.
pub(super) fn check_calls(g: &mut Global) {
    let mut edges: BTreeMap<Owner, Vec<(Owner, Span)>> = BTreeMap::new();
    for c in &g.calls {
        edges.entry(c.caller).or_default().push((c.callee, c.span));
    }
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for &start in edges.keys() {
        visit(start, &edges, &mut done, &mut Vec::new(), &mut found);
    }
    for span in found {
        g.error("recursion", span, "this call leads back to its caller; bodies must end, so there is no recursion");
    }
}

fn visit(
    at: Owner,
    edges: &BTreeMap<Owner, Vec<(Owner, Span)>>,
    done: &mut BTreeSet<Owner>,
    path: &mut Vec<Owner>,
    found: &mut Vec<Span>,
) {
    if !done.insert(at) {
        return;
    }
    path.push(at);
    for &(to, span) in edges.get(&at).into_iter().flatten() {
        if path.contains(&to) {
            found.push(span);
        } else {
            visit(to, edges, done, path, found);
        }
    }
    path.pop();
}

// ---------------------------------------------------------------- proofs

/// Prove all claims, callers before callees.
pub(super) fn prove(g: &mut Global) {
    let claims = std::mem::take(&mut g.claims);
    let calls = std::mem::take(&mut g.calls);
    let mut by_owner: BTreeMap<Owner, Vec<Claim>> = BTreeMap::new();
    for c in claims {
        by_owner.entry(c.owner).or_default().push(c);
    }
    let order = callers_first(&calls);
    let relevant = relevant_params(g, &order, &calls, &by_owner);
    let mut tuples: BTreeMap<Owner, Tuples> = BTreeMap::new();
    for &owner in &order {
        for call in calls.iter().filter(|c| c.caller == owner) {
            let Some(params) = relevant.get(&call.callee) else { continue };
            let found = argument_tuples(g, call, params, tuples.get(&owner));
            tuples.entry(call.callee).or_insert_with(Tuples::new).merge(found);
        }
    }
    for (owner, claims) in &by_owner {
        let known = tuples.get(owner);
        if matches!(owner, Owner::Fn(_) | Owner::Show(_) | Owner::View(_))
            && known.is_none()
            && relevant.contains_key(owner)
        {
            continue; // never called: nothing is known of the parameters
        }
        for claim in claims {
            prove_one(g, claim, known);
        }
    }
}

/// Owners so that every caller precedes what it calls.
fn callers_first(calls: &[CallSite]) -> Vec<Owner> {
    fn place(at: Owner, calls: &[CallSite], seen: &mut BTreeSet<Owner>, order: &mut Vec<Owner>) {
        if seen.insert(at) {
            for c in calls.iter().filter(|c| c.caller == at) {
                place(c.callee, calls, seen, order);
            }
            order.push(at);
        }
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for c in calls {
        place(c.caller, calls, &mut seen, &mut order);
    }
    order.reverse();
    order
}

/// Parameters whose values matter to a claim, directly or through a call.
fn relevant_params(
    g: &Global,
    order: &[Owner],
    calls: &[CallSite],
    claims: &BTreeMap<Owner, Vec<Claim>>,
) -> BTreeMap<Owner, BTreeSet<u32>> {
    let mut relevant: BTreeMap<Owner, BTreeSet<u32>> = BTreeMap::new();
    for &owner in order.iter().rev() {
        let locals = locals_of(g, owner);
        let mut roots = BTreeSet::new();
        for claim in claims.get(&owner).into_iter().flatten() {
            claim.kind.exprs().into_iter().for_each(|e| collect_roots(e, locals, &mut roots));
            claim.conds.iter().for_each(|c| collect_roots(&c.expr, locals, &mut roots));
        }
        for call in calls.iter().filter(|c| c.caller == owner) {
            let Some(params) = relevant.get(&call.callee) else { continue };
            for &p in params {
                if let Some(Some(arg)) = call.args.get(p as usize) {
                    collect_roots(arg, locals, &mut roots);
                }
            }
        }
        let params = roots.iter().filter_map(|&v| match locals.get(v).domain {
            Domain::Param(i) => Some(i),
            _ => None,
        });
        relevant.insert(owner, params.collect());
    }
    relevant
}

/// Argument tuples seen for a function: a value per parameter, `None` where it is unknown or does not matter.
#[derive(Clone)]
struct Tuples {
    set: BTreeSet<Vec<Option<i128>>>,
    /// Too many: nothing is known.
    overflow: bool,
}

impl Tuples {
    fn new() -> Tuples {
        Tuples { set: BTreeSet::new(), overflow: false }
    }

    fn merge(&mut self, other: Tuples) {
        self.set.extend(other.set);
        self.overflow |= other.overflow || self.set.len() > MAX_TUPLES;
    }
}

fn argument_tuples(g: &Global, call: &CallSite, params: &BTreeSet<u32>, known: Option<&Tuples>) -> Tuples {
    let locals = locals_of(g, call.caller);
    let args: Vec<&Expr> = params.iter().filter_map(|&p| call.args.get(p as usize)?.as_ref()).collect();
    let mut out = Tuples::new();
    for env in cases(g, locals, &args, &call.conds, known) {
        if !reachable(g, locals, &env, &call.conds).unwrap_or(true) {
            continue;
        }
        let mut tuple = vec![None; call.args.len()];
        for &p in params {
            if let Some(Some(arg)) = call.args.get(p as usize) {
                tuple[p as usize] = eval(&g.model, locals, &env, arg).and_then(|v| number(&v));
            }
        }
        out.set.insert(tuple);
        if out.set.len() > MAX_TUPLES {
            out.overflow = true;
            break;
        }
    }
    out
}

fn number(v: &Value) -> Option<i128> {
    match v {
        Value::Int(i) => Some(*i),
        Value::Bool(b) => Some((*b).into()),
        Value::List(_) => None,
    }
}

/// Whether all conditions hold; `None` if that is not known.
fn reachable(g: &Global, locals: &Locals, env: &Env, conds: &[Cond]) -> Option<bool> {
    let mut known = true;
    for c in conds {
        match eval(&g.model, locals, env, &c.expr).and_then(|v| v.bool()) {
            Some(v) if v != c.holds => return Some(false),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(true)
}

fn prove_one(g: &mut Global, claim: &Claim, known: Option<&Tuples>) {
    let locals = locals_of(g, claim.owner);
    let exprs = claim.kind.exprs();
    for env in cases(g, locals, &exprs, &claim.conds, known) {
        let Some(message) = violation(g, locals, &env, &claim.kind) else { continue };
        if reachable(g, locals, &env, &claim.conds) != Some(true) {
            continue;
        }
        let mut d = Diagnostic::error(message.0, claim.span, message.1);
        let when = describe(locals, &env, &exprs);
        if !when.is_empty() {
            d = d.note(format!("when {when}"));
        }
        g.diags.push(d);
        return;
    }
}

/// What is wrong with a claim under an assignment.
fn violation(g: &Global, locals: &Locals, env: &Env, kind: &ClaimKind) -> Option<(&'static str, String)> {
    let int = |e: &Expr| eval(&g.model, locals, env, e).and_then(|v| v.int());
    match kind {
        ClaimKind::Equal(a, b) => {
            let (x, y) = (int(a)?, int(b)?);
            (x != y).then(|| ("operand-width", format!("bits({x}) and bits({y}) must be equally wide")))
        }
        ClaimKind::Within { value, lo, hi, what } => {
            let (v, lo, hi) = (int(value)?, int(lo)?, int(hi)?);
            (!(lo..=hi).contains(&v)).then(|| ("range", format!("{what} {v} is not within {lo} ..= {hi}")))
        }
        ClaimKind::Fits { value, width } => {
            let (v, w) = (int(value)?, u32::try_from(int(width)?).ok()?);
            let fits = w >= 127 || (-(1_i128 << (w.max(1) - 1))..1_i128 << w).contains(&v);
            (!fits).then(|| ("range", format!("{v} does not fit bits({w}); use `.low({w})` to take it modulo 2^{w}")))
        }
        ClaimKind::Member { value, set } => {
            let v = int(value)?;
            let list: Vec<String> = set.iter().map(ToString::to_string).collect();
            (!set.contains(&v)).then(|| ("range", format!("{v} is not one of {{{}}}", list.join(", "))))
        }
        ClaimKind::Lanes { lane, width } => {
            let (e, w) = (int(lane)?, int(width)?);
            let fits = [8, 16, 32, 64].contains(&e) && [64, 128].contains(&w);
            (!fits).then(|| {
                ("width", format!("lanes of {e} bits in {w}: lanes are 8, 16, 32 or 64 bits wide and fill 64 or 128"))
            })
        }
    }
}

/// `w = 32, size = 2`
fn describe(locals: &Locals, env: &Env, exprs: &[&Expr]) -> String {
    let mut vars = BTreeSet::new();
    exprs.iter().for_each(|e| collect_vars(e, &mut vars));
    let mut roots = BTreeSet::new();
    exprs.iter().for_each(|e| collect_roots(e, locals, &mut roots));
    vars.extend(roots);
    let text = |v: &VarId| Some(format!("{} = {}", locals.get(*v).name, number(env.vars.get(v)?)?));
    vars.iter().filter_map(text).collect::<Vec<_>>().join(", ")
}

// ---------------------------------------------------------------- assignments

/// Assignments of the variables that `exprs`, and as far as there is room `conds`, depend on.
fn cases(g: &Global, locals: &Locals, exprs: &[&Expr], conds: &[Cond], known: Option<&Tuples>) -> Vec<Env> {
    let mut roots = BTreeSet::new();
    exprs.iter().for_each(|e| collect_roots(e, locals, &mut roots));
    if roots.is_empty() && conds.is_empty() {
        return vec![Env::default()];
    }
    for c in conds {
        let mut more = roots.clone();
        collect_roots(&c.expr, locals, &mut more);
        if count(locals, &more, known) <= MAX_CASES {
            roots = more;
        }
    }
    let params: BTreeSet<VarId> =
        roots.iter().copied().filter(|&v| matches!(locals.get(v).domain, Domain::Param(_))).collect();
    let mut envs = param_cases(locals, &params, known);
    for &v in roots.difference(&params) {
        let values = values(g, locals, v);
        if values.is_empty() || envs.len() * values.len() > MAX_CASES * 4 {
            continue; // stays unknown
        }
        envs = envs.iter().flat_map(|e| values.iter().map(|x| with(e, locals, v, *x))).collect();
    }
    envs
}

fn with(env: &Env, locals: &Locals, v: VarId, x: i128) -> Env {
    let mut env = env.clone();
    let value = if matches!(locals.get(v).ty, Ty::Bool) { Value::Bool(x != 0) } else { Value::Int(x) };
    env.vars.insert(v, value);
    env
}

fn param_cases(locals: &Locals, params: &BTreeSet<VarId>, known: Option<&Tuples>) -> Vec<Env> {
    let Some(known) = known.filter(|k| !k.overflow && !params.is_empty()) else { return vec![Env::default()] };
    let index = |v: &VarId| match locals.get(*v).domain {
        Domain::Param(i) => i as usize,
        _ => usize::MAX,
    };
    let projected: BTreeSet<Vec<Option<i128>>> =
        known.set.iter().map(|t| params.iter().map(|v| t.get(index(v)).copied().flatten()).collect()).collect();
    let env = |values: &Vec<Option<i128>>| {
        let pairs = params.iter().zip(values);
        pairs.fold(Env::default(), |env, (v, x)| x.map_or(env.clone(), |x| with(&env, locals, *v, x)))
    };
    projected.iter().map(env).collect()
}

fn count(locals: &Locals, roots: &BTreeSet<VarId>, known: Option<&Tuples>) -> usize {
    let mut total = 1_usize;
    let mut has_params = false;
    for &v in roots {
        total = total.saturating_mul(match &locals.get(v).domain {
            Domain::Set(s) => s.len().max(1),
            Domain::Range(a, b) if b - a <= 256 => (b - a).max(1) as usize,
            Domain::Range(..) => 7,
            Domain::Param(_) => {
                has_params = true;
                1
            }
            _ => 1,
        });
    }
    if has_params { total.saturating_mul(known.map_or(1, |k| k.set.len().max(1))) } else { total }
}

/// Values of a root variable; of a large range the ends and the middle.
fn values(_g: &Global, locals: &Locals, v: VarId) -> Vec<i128> {
    match &locals.get(v).domain {
        Domain::Set(s) => s.to_vec(),
        Domain::Range(a, b) if b - a <= 256 => (*a..*b).collect(),
        Domain::Range(a, b) => {
            let mut some: Vec<i128> = vec![*a, a + 1, -1, 0, 1, b - 2, b - 1];
            some.retain(|x| (*a..*b).contains(x));
            some.dedup();
            some
        }
        _ => Vec::new(),
    }
}

fn locals_of<'g>(g: &'g Global, owner: Owner) -> &'g Locals {
    const NONE: &Locals = &Locals { vars: Vec::new() };
    match owner {
        Owner::Fn(id) => &g.model.fns[id.0 as usize].locals,
        Owner::View(id) => &g.model.views[id.0 as usize].locals,
        Owner::Show(id) => &g.model.shows[id.0 as usize].locals,
        Owner::Insn(id) => &g.model.insns[id.0 as usize].locals,
        Owner::Nothing => NONE,
    }
}

/// Variables that are not defined by others, through `let`s.
fn collect_roots(e: &Expr, locals: &Locals, out: &mut BTreeSet<VarId>) {
    let mut vars = BTreeSet::new();
    collect_vars(e, &mut vars);
    for v in vars {
        match &locals.get(v).domain {
            Domain::Let(def, _) => collect_roots(def, locals, out),
            _ => {
                out.insert(v);
            }
        }
    }
}

/// Variables mentioned in a translate-time expression.
pub(crate) fn collect_vars(e: &Expr, out: &mut BTreeSet<VarId>) {
    match &e.kind {
        ExprKind::Var(v) => {
            out.insert(*v);
        }
        ExprKind::Unary(_, a) | ExprKind::Convert(a) | ExprKind::Constant(a) => collect_vars(a, out),
        ExprKind::Binary(_, a, b) | ExprKind::Element(a, b) => {
            collect_vars(a, out);
            collect_vars(b, out);
        }
        ExprKind::In(a, set) => {
            collect_vars(a, out);
            for (lo, hi) in set {
                collect_vars(lo, out);
                hi.iter().for_each(|h| collect_vars(h, out));
            }
        }
        ExprKind::Static(_, args)
        | ExprKind::Call(_, args)
        | ExprKind::View(_, args)
        | ExprKind::Show(_, args)
        | ExprKind::Extern(_, args)
        | ExprKind::Op(_, args)
        | ExprKind::List(args)
        | ExprKind::Tuple(args) => args.iter().for_each(|a| collect_vars(a, out)),
        ExprKind::If(c, a, b) => {
            collect_vars(c, out);
            collect_block(a, out);
            collect_block(b, out);
        }
        ExprKind::Match(v, arms) => {
            collect_vars(v, out);
            arms.iter().for_each(|a| collect_block(&a.body, out));
        }
        ExprKind::Block(b) => collect_block(b, out),
        ExprKind::Reg(_, Some(i)) => collect_vars(i, out),
        ExprKind::Template(t) => t.parts.iter().for_each(|p| collect_part(p, out)),
        _ => {}
    }
}

fn collect_part(p: &Part, out: &mut BTreeSet<VarId>) {
    match p {
        Part::Text(_) => {}
        Part::Plain(e) | Part::Hex(e) | Part::SignedHex(e) => collect_vars(e, out),
        Part::View(_, args) => args.iter().for_each(|a| collect_vars(a, out)),
        Part::Pick { value, texts, .. } => {
            collect_vars(value, out);
            texts.iter().flat_map(|t| &t.parts).for_each(|p| collect_part(p, out));
        }
    }
}

fn collect_block(b: &Block, out: &mut BTreeSet<VarId>) {
    for s in &b.stmts {
        if let StmtKind::Let(_, e) | StmtKind::Expr(e) = &s.kind {
            collect_vars(e, out);
        }
    }
    b.tail.iter().for_each(|t| collect_vars(t, out));
}
