//! Signature files of native bypass (`native-lib/*.abi`): which guest functions the host can do, and how they are called.
//!
//! ```text
//! library libc: soname "libc.so.6" | static {
//!     group mem;
//!     fn memcpy(dst: out bytes[n], src: in bytes[n], n: size) -> dst;
//! }
//! ```

use std::fmt::Write;

/// A library and its functions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Library {
    /// Name.
    pub name: String,
    /// `DT_SONAME`s.
    pub sonames: Vec<String>,
    /// `static`: also in the main program.
    pub in_program: bool,
    /// Functions.
    pub functions: Vec<Function>,
}

/// A function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Symbol.
    pub name: String,
    /// Group.
    pub group: String,
    /// Arguments.
    pub args: Vec<Arg>,
    /// Result: an argument's name, `size`, `pointer` or `difference`, or the value that it is.
    pub result: Returned,
    /// Guests it is for; empty means all.
    pub guests: Vec<String>,
}

/// What a function gives back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Returned {
    /// An argument's name, `size`, `pointer` or `difference`.
    Word(String),
    /// A value.
    Value(Value),
    /// `{ i32, i32 }`
    Struct(Vec<Value>),
}

/// A number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `long`: as wide as a pointer.
    Long,
    /// `f64`
    F64,
    /// `complex f64`
    Complex,
}

impl Value {
    fn parse(text: &str) -> Option<Value> {
        Some(match text.trim() {
            "i32" => Value::I32,
            "i64" => Value::I64,
            "long" => Value::Long,
            "f64" => Value::F64,
            "complex f64" => Value::Complex,
            _ => return None,
        })
    }

    /// The type, as Rust.
    fn rust(self) -> &'static str {
        match self {
            Value::I32 => "Type::Int { bytes: 4, signed: true }",
            Value::I64 => "Type::Int { bytes: 8, signed: true }",
            Value::Long => "Type::Word { signed: true }",
            Value::F64 => "Type::Float { bytes: 8 }",
            Value::Complex => "Type::Complex { bytes: 8 }",
        }
    }
}

/// An argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: ArgKind,
}

/// What an argument is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ArgKind {
    /// `int`.
    Int,
    /// `size`.
    Size,
    /// A number that is passed by its type.
    Value(Value),
    /// Memory: read, written or both, for so many bytes or up to a zero.
    Memory {
        /// The function reads it.
        read: bool,
        /// The function writes it.
        written: bool,
        /// Ends at a zero byte.
        cstr: bool,
        /// Argument with the number of bytes.
        extent: Option<String>,
    },
}

/// Reads a signature file.
///
/// # Errors
/// `line: message` for every bad declaration.
pub fn parse(text: &str) -> Result<Vec<Library>, Vec<String>> {
    let (mut libraries, mut errors): (Vec<Library>, Vec<String>) = (Vec::new(), Vec::new());
    let mut group = String::new();
    let mut open = false;
    for (n, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let result = match line.split_whitespace().next() {
            None => Ok(()),
            Some("}") if open => {
                open = false;
                Ok(())
            }
            Some("library") if !open => library(line).map(|l| {
                libraries.push(l);
                open = true;
            }),
            Some("group") if open => word_before(line, "group", ";").map(|g| group = g),
            Some("fn") if open => function(line, &group).and_then(|f| add(&mut libraries, f)),
            Some(word) => Err(format!("`{word}` is not expected here")),
        };
        errors.extend(result.err().map(|message| format!("{}: {message}", n + 1)));
    }
    if open {
        errors.push(format!("{}: the last library is not closed", text.lines().count()));
    }
    if errors.is_empty() { Ok(libraries) } else { Err(errors) }
}

fn add(libraries: &mut [Library], function: Function) -> Result<(), String> {
    let library = libraries.last_mut().ok_or("a function outside of a library")?;
    if let Some(earlier) = library.functions.iter().find(|f| f.name == function.name && f.guests.is_empty()) {
        return Err(format!("`{}` was already declared for every guest", earlier.name));
    }
    library.functions.push(function);
    Ok(())
}

fn word_before(line: &str, start: &str, end: &str) -> Result<String, String> {
    let word = line.strip_prefix(start).and_then(|l| l.trim().strip_suffix(end)).map(str::trim);
    word.filter(|w| !w.is_empty() && !w.contains(' '))
        .map(str::to_owned)
        .ok_or_else(|| format!("expected `{start} name{end}`"))
}

fn library(line: &str) -> Result<Library, String> {
    let usage = "expected `library name: soname \"a\" | \"b\" | static {`";
    let (name, places) =
        line.strip_prefix("library").and_then(|l| l.strip_suffix('{')).and_then(|l| l.split_once(':')).ok_or(usage)?;
    let mut library =
        Library { name: name.trim().to_owned(), sonames: Vec::new(), in_program: false, functions: Vec::new() };
    for place in places.trim().strip_prefix("soname").ok_or(usage)?.split('|').map(str::trim) {
        match place.strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
            Some(soname) => library.sonames.push(soname.to_owned()),
            None if place == "static" => library.in_program = true,
            None => return Err(usage.to_owned()),
        }
    }
    Ok(library)
}

fn function(line: &str, group: &str) -> Result<Function, String> {
    let usage = "expected `fn name(argument: type, ...) -> result;`";
    let rest = line.strip_prefix("fn").and_then(|l| l.strip_suffix(';')).ok_or(usage)?;
    let (head, tail) = rest.split_once("->").ok_or(usage)?;
    let (name, args) = head.trim().strip_suffix(')').and_then(|h| h.split_once('(')).ok_or(usage)?;
    let args: Vec<Arg> = args.split(',').map(argument).collect::<Result<_, _>>()?;
    for arg in &args {
        if let ArgKind::Memory { extent: Some(extent), .. } = &arg.kind {
            let counted = args.iter().any(|a| a.name == *extent && a.kind == ArgKind::Size);
            counted.then_some(()).ok_or_else(|| format!("`{extent}` is not a size argument of `{name}`"))?;
        }
    }
    let (result, guests) = tail.split_once(" for ").unwrap_or((tail, ""));
    let result = returned(result.trim(), &args)?;
    let by_type = |a: &Arg| matches!(a.kind, ArgKind::Value(_));
    if args.iter().any(by_type) != args.iter().all(by_type)
        || args.iter().any(by_type) == matches!(result, Returned::Word(_))
    {
        return Err(format!("`{}` has both words and numbers", name.trim()));
    }
    let guests = guests.split_whitespace().map(str::to_owned).collect();
    Ok(Function { name: name.trim().to_owned(), group: group.to_owned(), args, result, guests })
}

fn returned(text: &str, args: &[Arg]) -> Result<Returned, String> {
    if let Some(value) = Value::parse(text) {
        return Ok(Returned::Value(value));
    }
    if let Some(members) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        let members: Option<Vec<Value>> = members.split(',').map(Value::parse).collect();
        return members.map(Returned::Struct).ok_or_else(|| format!("`{text}` has members that are no numbers"));
    }
    let known = ["size", "pointer", "difference"].contains(&text) || args.iter().any(|a| a.name == text);
    known
        .then(|| Returned::Word(text.to_owned()))
        .ok_or_else(|| format!("`{text}` is not an argument, a number, size, pointer or difference"))
}

fn argument(text: &str) -> Result<Arg, String> {
    let (name, ty) = text.split_once(':').ok_or_else(|| format!("`{}` has no type", text.trim()))?;
    let ty = ty.trim();
    let kind = match ty {
        "int" => ArgKind::Int,
        "size" => ArgKind::Size,
        _ => match Value::parse(ty) {
            Some(value) => ArgKind::Value(value),
            None => memory(ty)
                .ok_or_else(|| format!("`{ty}` is not int, size, a number, or in/out/inout bytes[n] or cstr"))?,
        },
    };
    Ok(Arg { name: name.trim().to_owned(), kind })
}

fn memory(ty: &str) -> Option<ArgKind> {
    let (direction, what) = ty.split_once(' ')?;
    let (read, written) = match direction {
        "in" => (true, false),
        "out" => (false, true),
        "inout" => (true, true),
        _ => return None,
    };
    let (what, extent) = match what.strip_suffix(']') {
        Some(counted) => counted.split_once('[').map(|(what, n)| (what, Some(n.to_owned())))?,
        None => (what, None),
    };
    let cstr = what == "cstr";
    (cstr || what == "bytes" && extent.is_some()).then_some(ArgKind::Memory { read, written, cstr, extent })
}

/// The tables, as Rust: `LIBRARIES` and `FUNCTIONS` of `native_lib`'s types.
///
/// # Errors
/// If a function of it is too long.
pub fn emit(libraries: &[Library]) -> Result<String, String> {
    let mut text =
        String::from("/// Libraries with functions the host can do.\npub static LIBRARIES: &[Library] = &[\n");
    for l in libraries {
        let _ = writeln!(
            text,
            "    Library {{ name: {:?}, sonames: &{:?}, in_program: {} }},",
            l.name, l.sonames, l.in_program
        );
    }
    text += "];\n\n/// Functions, in the order of the signature files.\npub static FUNCTIONS: &[Function] = &[\n";
    for (at, l) in libraries.iter().enumerate() {
        for f in &l.functions {
            text += &row(at, l, f);
        }
    }
    crate::emit::limited("native functions", text + "];\n")
}

fn row(library_index: usize, library: &Library, f: &Function) -> String {
    let bytes = match f.args.iter().position(|a| a.kind == ArgKind::Size) {
        Some(k) => format!("Argument({k})"),
        None if f.result == Returned::Word("size".to_owned()) => "Result".to_owned(),
        None => "Unknown".to_owned(),
    };
    format!(
        "    Function {{ name: {:?}, group: {:?}, library: &LIBRARIES[{library_index}], guests: &{:?}, signature: {}, bytes: Bytes::{bytes}, repeatable: {}, call: Call::{}({}::{}) }},\n",
        f.name,
        f.group,
        f.guests,
        signature(f),
        repeatable(f),
        if matches!(f.result, Returned::Word(_)) { "Words" } else { "Values" },
        library.name,
        f.name,
    )
}

/// The C function, as Rust.
fn signature(f: &Function) -> String {
    const WORD: &str = "Type::Word { signed: false }";
    let kind = |a: &Arg| match a.kind {
        ArgKind::Value(value) => value.rust(),
        _ => WORD,
    };
    let args: Vec<&str> = f.args.iter().map(kind).collect();
    let result = match &f.result {
        Returned::Word(_) => WORD.to_owned(),
        Returned::Value(value) => value.rust().to_owned(),
        Returned::Struct(members) => {
            format!("Type::Struct(&[{}])", members.iter().map(|m| m.rust()).collect::<Vec<_>>().join(", "))
        }
    };
    format!("Signature {{ args: &[{}], named: None, result: Some({result}) }}", args.join(", "))
}

/// Whether a call may be made twice, as a function of its arguments: it reads nothing that it writes.
fn repeatable(f: &Function) -> String {
    let mut tests = Vec::new();
    for (k, a) in f.args.iter().enumerate() {
        let ArgKind::Memory { written: true, read, extent: written, .. } = &a.kind else { continue };
        for (j, b) in f.args.iter().enumerate().filter(|(j, _)| *j != k) {
            let ArgKind::Memory { extent: from, .. } = &b.kind else { continue };
            match written
                .as_ref()
                .filter(|n| from.as_ref() == Some(n))
                .and_then(|n| f.args.iter().position(|a| a.name == *n))
            {
                Some(n) => tests.push(format!("disjoint(a[{k}], a[{j}], a[{n}])")),
                None => tests.push("false".to_owned()),
            }
        }
        if *read {
            tests.push("false".to_owned());
        }
    }
    match &tests[..] {
        [] => "|_| true".to_owned(),
        tests if tests.iter().any(|t| t == "false") => "|_| false".to_owned(),
        tests => format!("|a| {}", tests.join(" && ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_one_message_and_the_rest_is_still_read() {
        let text = "library c: soname \"libc.so.6\" | static {\n    fn f(a: bytes[n], n: size) -> a;\n    fn g(a: in bytes[m]) -> a;\n    fn h(n: size) -> nothing;\n    fn i(n: size) -> i32;\n}\n";
        assert_eq!(
            parse(text).unwrap_err(),
            [
                "2: `bytes[n]` is not int, size, a number, or in/out/inout bytes[n] or cstr",
                "3: `m` is not a size argument of `g`",
                "4: `nothing` is not an argument, a number, size, pointer or difference",
                "5: `i` has both words and numbers",
            ]
        );
    }

    #[test]
    fn a_function_is_read_whole() {
        let text = "library c: soname \"c.so\" {\n    group str;\n    fn strnlen(s: in cstr[n], n: size) -> size for aarch64 arm;\n}\n";
        let f = &parse(text).unwrap()[0].functions[0];
        assert_eq!((f.name.as_str(), f.group.as_str(), f.guests.len(), f.args.len()), ("strnlen", "str", 2, 2));
        assert!(
            matches!(&f.args[0].kind, ArgKind::Memory { read: true, written: false, cstr: true, extent: Some(n) } if n == "n")
        );
    }
}
