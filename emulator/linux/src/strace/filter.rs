//! `--strace=FILTER`, in the words of strace's `-e trace=`: names, `%sets`, a leading `!`.

use crate::abi::{Abi, Call, Format, Int, Terminated, Ty};

/// The calls to print, by number.
pub(super) struct Filter {
    numbers: Vec<u32>,
}

impl Filter {
    /// The calls that `text` selects; all if it is empty.
    pub(super) fn new(abi: &Abi, text: &str) -> Result<Filter, String> {
        let text = text.strip_prefix("trace=").unwrap_or(text);
        let (text, negated) = match text.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let words: Vec<&str> = text.split(',').filter(|w| !w.is_empty()).collect();
        for word in &words {
            if !abi.calls.iter().any(|call| matches(call, word)) {
                return Err(format!("--strace: `{word}` is neither a system call of {} nor a set", abi.name));
            }
        }
        let chosen = |call: &&Call| words.is_empty() || words.iter().any(|word| matches(call, word)) != negated;
        Ok(Filter { numbers: abi.calls.iter().filter(chosen).map(|call| call.number).collect() })
    }

    pub(super) fn wants(&self, call: &Call) -> bool {
        self.numbers.binary_search(&call.number).is_ok()
    }
}

fn matches(call: &Call, word: &str) -> bool {
    let Some(set) = word.strip_prefix('%') else { return call.name == word };
    match set {
        "file" => call.args.iter().any(|arg| is_name(&arg.ty)),
        "desc" => call.args.iter().any(|arg| is_descriptor(&arg.ty)) || is_descriptor(&call.ret),
        "network" | "net" => call.group == "net",
        "clock" => {
            call.name.starts_with("clock_") || call.name.ends_with("timeofday") || call.name.ends_with("adjtimex")
        }
        "stat" => ["stat", "newfstatat", "fstat", "statx"].contains(&call.name.text()),
        other => call.group == other,
    }
}

fn is_name(ty: &Ty) -> bool {
    matches!(ty, Ty::Ptr(_, to) if matches!(**to, Ty::Terminated(Terminated::Path | Terminated::Link | Terminated::Entry | Terminated::Cstr)))
}

fn is_descriptor(ty: &Ty) -> bool {
    matches!(ty, Ty::Int(Int { format: Format::Fd | Format::FdAt, .. }))
}
