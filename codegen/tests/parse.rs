//! Every specification of the repository parses.

use codegen::syntax::parse_dir;
use std::path::Path;

/// The folders of `isa-specs` that hold a specification.
fn spec_dirs() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    let mut dirs: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.retain(|d| {
        d.is_dir() && std::fs::read_dir(d).unwrap().any(|e| e.unwrap().path().extension().is_some_and(|x| x == "isa"))
    });
    dirs.sort();
    dirs
}

#[test]
fn the_specs_parse() {
    for dir in spec_dirs() {
        let (spec, diagnostics, sources) = parse_dir(&dir).unwrap();
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(&sources, false));
        assert!(!spec.insns.is_empty(), "{}", dir.display());
    }
}

/// An expression with all its brackets.
fn bracketed(e: &codegen::syntax::ast::Expr) -> String {
    use codegen::syntax::ast::ExprKind as K;
    match &e.kind {
        K::Int(v) => v.to_string(),
        K::Name(n) => n.to_string(),
        K::Unary(op, a) => format!("{op:?}({})", bracketed(a)),
        K::Binary(op, a, b) => format!("{op:?}({}, {})", bracketed(a), bracketed(b)),
        K::Call { callee, args, .. } => {
            let args: Vec<String> = args.iter().map(|a| bracketed(&a.value)).collect();
            format!("{callee}({})", args.join(", "))
        }
        K::Slice { base, lo, width } => format!("slice({}, {}, {})", bracketed(base), bracketed(lo), bracketed(width)),
        K::Index(base, items) => {
            let items: Vec<String> = items.iter().map(bracketed).collect();
            format!("index({}, {})", bracketed(base), items.join(", "))
        }
        K::Range(a, b) => format!("{}..{}", bracketed(a), bracketed(b)),
        K::Set(items) => format!("{{{}}}", items.iter().map(bracketed).collect::<Vec<_>>().join(" ")),
        other => format!("{other:?}"),
    }
}

#[test]
fn operators_bind_as_in_rust() {
    let cases = [
        ("a + b * c", "Add(a, Mul(b, c))"),
        ("a - b - c", "Sub(Sub(a, b), c)"),
        ("a | b << 2 + c", "Or(a, Shl(b, Add(2, c)))"),
        ("a & b == c", "Eq(And(a, b), c)"),
        ("a == b && c || d", "LogOr(LogAnd(Eq(a, b), c), d)"),
        ("a @ b | c @ d", "Concat(Concat(a, Or(b, c)), d)"),
        ("!a.low(3) & ~b[4 +: w - 1]", "And(Not(low(a, 3)), Inv(slice(b, 4, Sub(w, 1))))"),
        ("a <s b", "LtS(a, b)"),
        ("a < sum", "Lt(a, sum)"),
        ("a >>s 3 >> source", "Shr(Sar(a, 3), source)"),
        ("-1 /u b %s c", "RemS(DivU(Neg(1), b), c)"),
        ("x in {1, 3..5} || y", "LogOr(In(x, {1 3..5}), y)"),
        ("inside(letter, iffy)", "inside(letter, iffy)"),
        ("r[1..4, n]", "index(r, 1..4, n)"),
    ];
    for (text, expected) in cases {
        assert_eq!(bracketed(&codegen::syntax::parse_expr(text).unwrap()), expected, "{text}");
    }
}
