//! Lists of what another disassembler takes for an instruction and we do not, and why. A line has the guest (`*`: any), names of the
//! other's and classes of encodings, and the reason, with two blanks between them.

/// A line of a list.
pub(crate) struct Reason {
    /// Names that it covers: `name`, `name*`, `name/word` where the text has the word.
    pub(crate) names: Vec<&'static str>,
    /// Patterns of the highest bits of the word, `@1110_01x`; none: all.
    classes: Vec<&'static str>,
    /// It is about instructions that the specification has: `=` before the first name.
    pub(crate) ours: bool,
}

/// The lines of a list for a guest; `check` may object to names and reason.
pub(crate) fn reasons(list: &'static str, guest: &str, check: fn(&str, &str) -> bool) -> Vec<Reason> {
    let lines = list.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let parts = lines.map(|l| {
        let (guest, rest) = l.split_once("  ").unwrap_or_else(|| panic!("a malformed line: {l}"));
        let (names, reason) = rest.trim().split_once("  ").unwrap_or_else(|| panic!("no reason: {l}"));
        assert!(!reason.trim().is_empty(), "no reason: {l}");
        (guest, names, reason, l)
    });
    let of_guest = parts.filter(|p| p.0 == guest || p.0 == "*");
    let reason = |(_, names, reason, line): (&str, &'static str, &str, &str)| {
        assert!(check(names, reason), "a line that is not allowed: {line}");
        let ours = names.starts_with('=');
        let (classes, names) = names.trim_start_matches('=').split(' ').partition(|n| n.starts_with('@'));
        Reason { names, classes, ours }
    };
    of_guest.map(reason).collect()
}

impl Reason {
    /// Whether it covers the text of a name whose word has these bits, so many of them.
    pub(crate) fn covers(&self, name: &str, text: &str, word: u32, width: u32) -> bool {
        let in_class = |class: &&str| {
            let mut bits = class.chars().filter(|c| ['0', '1', 'x'].contains(c)).zip((0..width).rev());
            bits.all(|(c, at)| c == 'x' || (c == '1') == (word >> at & 1 == 1))
        };
        let covers = |pattern: &str| {
            let (pattern, wanted) = pattern.split_once('/').unwrap_or((pattern, ""));
            let has = || text.split(|c: char| !c.is_alphanumeric()).any(|w| matches(wanted, w));
            matches(pattern, name) && (wanted.is_empty() || has())
        };
        (self.classes.is_empty() || self.classes.iter().any(in_class)) && self.names.iter().any(|n| covers(n))
    }
}

/// Whether a name is that of a pattern, in which `*` is anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
        None => pattern == name,
    }
}
