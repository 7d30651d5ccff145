//! Which encodings of a space match the same words, and which of them comes first.

use super::words::{MAX_BITS, Random, satisfiable, subsets};
use super::{Constraint, Space, ones};
use crate::diag::{Diagnostic, Diagnostics};
use crate::syntax::ast::Span;

/// An encoding, as far as matching is concerned.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name of the instruction.
    pub insn: String,
    /// Name in reports: the instruction's, with a number if it has several encodings.
    pub label: String,
    /// Index of the space.
    pub space: usize,
    /// Fixed bits.
    pub mask: u128,
    /// Their value.
    pub value: u128,
    /// Allowed and excluded field values.
    pub constraints: Vec<Constraint>,
    /// Bits of the word that guards (`when`, `requires`) look at; `None` if there is no guard.
    pub guard_bits: Option<u128>,
    /// Instructions that this one takes precedence over.
    pub overrides: Vec<String>,
    /// The pattern.
    pub span: Span,
}

/// Evaluation of guards.
pub trait Guards {
    /// Whether the guards of entry `entry` hold for a word; `None` if that depends on more than the word.
    fn hold(&self, entry: usize, word: u128) -> Option<bool>;
}

/// How two encodings that share words are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// The first is more specific and wins.
    Nested,
    /// The first says `overrides`.
    Overrides,
    /// The guards exclude each other: proven for every word.
    GuardProven,
    /// A guard is believed to tell them apart: it depends on more than the word, or on too many bits to try.
    GuardAssumed,
}

/// Two encodings that share words.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Tried first.
    pub first: usize,
    /// Tried if the first does not match.
    pub second: usize,
    /// Why.
    pub relation: Relation,
}

/// Result of the analysis.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// Pairs that share words, by entry numbers.
    pub pairs: Vec<Pair>,
    /// Position of each entry in the order of trying.
    pub rank: Vec<usize>,
}

/// Relate all encodings; reports crossing and unreachable ones.
pub fn analyse(spaces: &[Space], entries: &[Entry], guards: &dyn Guards, diagnostics: &mut Diagnostics) -> Analysis {
    let mut analyser = Analyser { spaces, entries, guards, diagnostics, pairs: Vec::new() };
    for second in 0..entries.len() {
        if !analyser.possible(second) {
            continue;
        }
        for first in 0..second {
            analyser.relate(first, second);
        }
    }
    let rank = analyser.rank();
    for entry in 0..entries.len() {
        analyser.reachable(entry, &rank);
    }
    Analysis { pairs: analyser.pairs, rank }
}

struct Analyser<'a> {
    spaces: &'a [Space],
    entries: &'a [Entry],
    guards: &'a dyn Guards,
    diagnostics: &'a mut Diagnostics,
    pairs: Vec<Pair>,
}

impl Entry {
    /// Whether a word matches, guards aside.
    pub fn matches(&self, word: u128) -> bool {
        word & self.mask == self.value && self.constraints.iter().all(|c| c.holds(word))
    }

    /// Whether every word of `self` is one of `other`, guards aside.
    fn within(&self, other: &Entry) -> bool {
        let own: Vec<&Constraint> = self.constraints.iter().collect();
        other.mask & !self.mask == 0
            && (self.value ^ other.value) & other.mask == 0
            && other.constraints.iter().all(|c| !satisfiable(self.mask, self.value, &own, Some(c)))
    }

    /// Whether some word is of both, guards aside.
    fn meets(&self, other: &Entry) -> bool {
        let both: Vec<&Constraint> = self.constraints.iter().chain(&other.constraints).collect();
        self.space == other.space
            && (self.value ^ other.value) & self.mask & other.mask == 0
            && satisfiable(self.mask | other.mask, self.value | other.value, &both, None)
    }
}

impl Analyser<'_> {
    /// An encoding must match some word of its space.
    fn possible(&mut self, index: usize) -> bool {
        let entry = &self.entries[index];
        let own: Vec<&Constraint> = entry.constraints.iter().collect();
        if !satisfiable(entry.mask, entry.value, &own, None) {
            let message = format!("`{}` matches no word: its constraints exclude all values", entry.insn);
            self.diagnostics.push(Diagnostic::error("unreachable", entry.span, message));
            return false;
        }
        let space = &self.spaces[entry.space];
        let free = space.select_bits() & !entry.mask;
        if !subsets(free).any(|w| space.selects(w | entry.value)) {
            let message = format!("`{}` matches no word of space `{}`: see its `select`", entry.insn, space.name);
            let d = Diagnostic::error("unreachable", entry.span, message).also(space.span, "the space");
            self.diagnostics.push(d);
            return false;
        }
        true
    }

    fn relate(&mut self, a: usize, b: usize) {
        let (first, second) = (&self.entries[a], &self.entries[b]);
        if !first.meets(second) {
            return;
        }
        let (down, up) = (first.within(second), second.within(first));
        let overrides = |x: &Entry, y: &Entry| x.overrides.contains(&y.insn);
        let pair = |first, second, relation| Pair { first, second, relation };
        let found = if overrides(first, second) {
            pair(a, b, Relation::Overrides)
        } else if overrides(second, first) {
            pair(b, a, Relation::Overrides)
        } else if down && !up {
            pair(a, b, Relation::Nested)
        } else if up && !down {
            pair(b, a, Relation::Nested)
        } else {
            match self.by_guard(a, b) {
                Ok(relation) => pair(a, b, relation),
                Err(witness) => return self.crossing(a, b, witness),
            }
        };
        self.pairs.push(found);
    }

    /// Whether guards tell two encodings apart; else a word that both match.
    fn by_guard(&self, a: usize, b: usize) -> Result<Relation, u128> {
        let (first, second) = (&self.entries[a], &self.entries[b]);
        let (mask, value) = (first.mask | second.mask, first.value | second.value);
        let constraints = || first.constraints.iter().chain(&second.constraints);
        let of_constraints = constraints().fold(0, |bits, c| bits | c.bits);
        let of_guards = first.guard_bits.unwrap_or(0) | second.guard_bits.unwrap_or(0);
        let free = (of_constraints | of_guards) & !mask;
        let mut proven = free.count_ones() <= MAX_BITS;
        let mut random = Random(a as u64);
        let words: Box<dyn Iterator<Item = u128>> = match proven {
            true => Box::new(subsets(free)),
            false => Box::new((0..1 << 14).map(move |_| random.word() & free)),
        };
        for word in words.map(|w| w | value) {
            if !constraints().all(|c| c.holds(word)) {
                continue;
            }
            match (self.holds(a, word), self.holds(b, word)) {
                (Some(false), _) | (_, Some(false)) => {}
                (Some(true), Some(true)) => return Err(word),
                _ => proven = false,
            }
        }
        Ok(if proven { Relation::GuardProven } else { Relation::GuardAssumed })
    }

    fn holds(&self, entry: usize, word: u128) -> Option<bool> {
        match self.entries[entry].guard_bits {
            None => Some(true),
            Some(_) => self.guards.hold(entry, word),
        }
    }

    fn crossing(&mut self, a: usize, b: usize, witness: u128) {
        let (first, second) = (&self.entries[a], &self.entries[b]);
        let digits = self.spaces[first.space].width() as usize / 4;
        let both = format!("both match 0x{witness:0digits$x}");
        let message = format!("encodings of `{}` and `{}` cross: {both}", first.insn, second.insn);
        let d = Diagnostic::error("overlap", second.span, message)
            .label("neither is more specific")
            .also(first.span, "the other one")
            .note(format!(
                "exclude the common values with a constraint, or say `overrides {};` in `{}`",
                first.insn, second.insn
            ));
        self.diagnostics.push(d);
    }

    /// Order of trying: an encoding comes after those that precede it in a pair, otherwise in source order.
    fn rank(&self) -> Vec<usize> {
        let count = self.entries.len();
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); count];
        for pair in &self.pairs {
            before[pair.second].push(pair.first);
        }
        let mut rank = vec![usize::MAX; count];
        let mut next = 0;
        // Each round places what has nothing unplaced before it. Contradicting `overrides` are placed in source order.
        while next < count {
            let ready = (0..count).find(|&i| rank[i] == usize::MAX && before[i].iter().all(|&p| rank[p] != usize::MAX));
            let chosen = ready.or_else(|| (0..count).find(|&i| rank[i] == usize::MAX));
            let Some(chosen) = chosen else { break };
            rank[chosen] = next;
            next += 1;
        }
        rank
    }

    /// Report an encoding all of whose words are taken by others.
    fn reachable(&mut self, index: usize, rank: &[usize]) {
        let others: Vec<usize> =
            self.pairs.iter().filter(|p| p.second == index && rank[p.first] < rank[index]).map(|p| p.first).collect();
        if others.is_empty() {
            return;
        }
        let entry = &self.entries[index];
        // In a byte-wise space the first bytes, and the decode variables that guards look at.
        let space = &self.spaces[entry.space];
        let bytes = if space.unit == 8 { ones(24) | entry.guard_bits.unwrap_or(0) } else { 0 };
        let free = (ones(space.width()) | bytes) & !entry.mask;
        let taken =
            |word: u128| others.iter().any(|&o| self.entries[o].matches(word) && self.holds(o, word) == Some(true));
        let allowed = |word: &u128| entry.matches(*word) && self.holds(index, *word) != Some(false);
        let mut random = Random(index as u64);
        let words: Box<dyn Iterator<Item = u128>> = match free.count_ones() <= 14 {
            true => Box::new(subsets(free)),
            false => Box::new((0..1 << 12).map(move |_| random.word() & free)),
        };
        let mut words = words.map(|w| w | entry.value).filter(allowed).peekable();
        // An encoding that its guard excludes altogether is that of another instance.
        if words.peek().is_some() && words.all(taken) {
            let names: Vec<String> = others.iter().map(|&o| format!("`{}`", self.entries[o].label)).collect();
            let message = format!("every word of `{}` is taken by {}", entry.label, names.join(", "));
            let mut d = Diagnostic::error("unreachable", entry.span, message);
            for &other in others.iter().take(3) {
                d = d.also(self.entries[other].span, "takes precedence");
            }
            self.diagnostics.push(d);
        }
    }
}
