//! Places: where an operand is was chosen while decoding, and is known to the generated code as an `rt::Place`.

use super::body::Body;
use super::needs::NeedsTable;
use super::writer::Writer;
use crate::hir::{Expr, Op, Ty, ViewId};
use crate::model::{Model, View};

/// Most parameters of a view that can be a place.
const MAX_PARAMS: usize = 3;

impl Body<'_> {
    /// A view as a place.
    pub(super) fn place_view(&mut self, id: ViewId, args: &[Expr]) -> String {
        let mut args = self.arguments(args);
        if args.len() > MAX_PARAMS {
            return "compile_error!(\"a view with so many parameters cannot be a place\")".into();
        }
        args.resize(MAX_PARAMS, "0".into());
        self.temp(&format!("rt::Place::View {{ view: {}, args: [{}] }}", id.0, args.join(", ")))
    }

    /// `place = value`
    pub(super) fn set_place(&mut self, place: &Expr, value: &Expr) {
        let (width, value) = (self.place_width(place), self.value(value));
        let place = self.value(place);
        self.out.line(&format!("place_set(ir, at, {place}, {width}, {value});"));
    }

    pub(super) fn place_operation(&mut self, op: Op, args: &[Expr], e: &Expr) -> String {
        let text = match op {
            Op::PlaceMemory => {
                let (addr, align) = (self.value(&args[0]), self.stat_value(&args[1]));
                format!("rt::Place::Memory {{ addr: {addr}, align: {align} }}")
            }
            Op::PlaceValue => format!("rt::Place::Value({})", self.value(&args[0])),
            Op::PlaceGet => {
                let (width, place) = (self.place_width(&args[0]), self.value(&args[0]));
                format!("place_get(ir, at, {place}, {width})")
            }
            _ => {
                let width = e.ty.width().cloned().map_or_else(|| "1".into(), |w| self.stat_u32(&w));
                let args = self.arguments(args);
                format!("rt::place_update(ir, at, {}, {width}, {}, {})", args[0], args[1], args[2])
            }
        };
        self.temp(&text)
    }

    fn place_width(&mut self, place: &Expr) -> String {
        match &place.ty {
            Ty::Place(w) => self.stat_u32(&w.clone()),
            _ => "1".into(),
        }
    }
}

/// Reading and writing of any place.
pub(super) fn emit(model: &Model, table: &NeedsTable) -> String {
    let mut out = Writer::default();
    let views = || model.views.iter().enumerate().filter(|(_, v)| v.params.len() <= MAX_PARAMS && all_ints(v));
    let call = |name: String, view: &View, needs, extra: &[&str]| {
        let locals = crate::hir::Locals::default();
        let mut args: Vec<String> = (0..view.params.len()).map(|i| format!("args[{i}]")).collect();
        args.extend(extra.iter().map(ToString::to_string));
        Body::new(model, table, &locals, Writer::default()).call(&name, needs, &args)
    };
    out.open("fn place_get(ir: &mut Builder<'_>, at: &At<'_>, place: rt::Place, width: u32) -> Val {");
    out.open("match place {");
    out.line("rt::Place::Memory { addr, align } => ir.load(width, addr, rt::access(rt::Order::Relaxed, align)),");
    out.line("rt::Place::Value(value) => value,");
    for (i, v) in views().filter(|(_, v)| v.get.is_some()) {
        let call = call(format!("get_{}", v.name), v, table.get(ViewId(i as u32)), &[]);
        out.line(&format!("rt::Place::View {{ view: {i}, args }} => {call},"));
    }
    out.line("_ => ir.konst(width, 0),");
    out.close("}");
    out.close("}");
    out.open("fn place_set(ir: &mut Builder<'_>, at: &At<'_>, place: rt::Place, width: u32, value: Val) {");
    out.open("match place {");
    out.line(
        "rt::Place::Memory { addr, align } => ir.store(width, addr, value, rt::access(rt::Order::Relaxed, align)),",
    );
    for (i, v) in views().filter(|(_, v)| v.set.is_some()) {
        let call = call(format!("set_{}", v.name), v, table.set(ViewId(i as u32)), &["value"]);
        out.line(&format!("rt::Place::View {{ view: {i}, args }} => {call},"));
    }
    out.line("_ => {}");
    out.close("}");
    out.close("}");
    out.finish()
}

/// Whether the parameters are all translate-time integers.
fn all_ints(view: &View) -> bool {
    view.params.iter().all(|&p| matches!(view.locals.get(p).ty, Ty::Int))
}
