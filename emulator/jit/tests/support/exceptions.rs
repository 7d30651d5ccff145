//! What is not compared, and why: `qemu_differs.txt`.

use ir::guest::Slot;
use ir::{Guest, GuestState};

use crate::support::words::Word;

/// Instructions that are not compared, under all of the conditions.
pub(crate) struct Exception {
    pub(crate) insn: &'static str,
    /// Its instruction and conditions as they are written.
    pub(crate) text: &'static str,
    conditions: Vec<Condition>,
}

/// How two values compare.
type Compare = fn(i128, i128) -> bool;

/// A comparison of the values of two operands.
struct Condition {
    left: Operand,
    compare: Compare,
    right: Operand,
}

enum Operand {
    Number(i128),
    /// Whether an exclusive load is not followed by its store yet.
    Monitor,
    /// A field of the encoding, and what is added to it.
    Field(&'static str, i128),
    /// How many numbers a list has.
    Count(&'static str),
    /// Low bits of the register in a bank that a field numbers.
    Register(&'static str, &'static str, u32),
    /// The same, sign-extended to 64 bits.
    Signed(&'static str, &'static str, u32),
}

impl Exception {
    /// Those of a guest, or of one of its frames by name.
    pub(crate) fn of(guest: &str, frame: &str) -> Vec<Exception> {
        let lines = include_str!("../qemu_differs.txt").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read = |line: &'static str| {
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            assert!(
                columns.len() == 4 && columns.iter().all(|column| !column.is_empty()),
                "guests | instruction and conditions | reason | section: {line}"
            );
            let here = columns[0].split(' ').any(|name| name == guest || name == frame);
            let mut words = columns[1].split(' ');
            let insn = words.next().unwrap();
            here.then(|| Exception { insn, text: columns[1], conditions: words.map(Condition::of).collect() })
        };
        lines.filter_map(read).collect()
    }

    /// Whether the instruction is never compared.
    pub(crate) fn always(&self) -> bool {
        self.conditions.is_empty()
    }

    /// What is left to decide of it for a word, once there is a state; `None` if it does not hold of the word.
    pub(crate) fn of_word(&self, word: &Word<'_>, guest: &Guest) -> Option<Held> {
        if self.insn != &*word.insn.name {
            return None;
        }
        let mut left = Vec::new();
        for condition in &self.conditions {
            // A field that this encoding does not have has no value.
            let (a, b) = (condition.left.of_word(word, guest)?, condition.right.of_word(word, guest)?);
            match (&a, &b) {
                (Value::Known(a), Value::Known(b)) if !(condition.compare)(*a, *b) => return None,
                (Value::Known(_), Value::Known(_)) => {}
                _ => left.push((a, condition.compare, b)),
            }
        }
        Some(Held(left))
    }
}

/// An exception that holds of a word, in states that these comparisons hold of.
pub(crate) struct Held(Vec<(Value, Compare, Value)>);

impl Held {
    /// Whether the word is not compared when executed in a state.
    pub(crate) fn holds(&self, guest: &Guest, state: &GuestState) -> bool {
        self.0.iter().all(|(a, compare, b)| compare(a.in_state(guest, state), b.in_state(guest, state)))
    }
}

/// The value of an operand for a word.
enum Value {
    Known(i128),
    Monitor,
    /// Low bits of a slot.
    Low(Slot, u32),
    /// The same, sign-extended to 64 bits.
    Signed(Slot, u32),
}

impl Value {
    fn in_state(&self, guest: &Guest, state: &GuestState) -> i128 {
        match *self {
            Value::Known(value) => value,
            Value::Monitor => (state.excl_addr != u64::MAX).into(),
            Value::Low(slot, bits) => (state.get(guest, slot) & u128::MAX >> (128 - bits)) as i128,
            Value::Signed(slot, bits) => {
                let extended = (state.get(guest, slot) << (128 - bits)) as i128 >> (128 - bits);
                i128::from(extended as u64)
            }
        }
    }
}

impl Condition {
    fn of(text: &'static str) -> Condition {
        let operators: [(&str, Compare); 4] = [
            ("!=", |a, b| a != b),
            ("=", |a, b| a == b),
            (">", |a, b| a > b),
            // A number and a list of numbers as bits.
            ("~", |number, list| list >> number & 1 == 1),
        ];
        let found = operators.iter().find_map(|(name, compare)| Some((text.split_once(name)?, *compare)));
        let ((left, right), compare) = found.unwrap_or_else(|| panic!("no condition `{text}`"));
        Condition { left: Operand::of(left), compare, right: Operand::of(right) }
    }
}

impl Operand {
    fn of_word(&self, word: &Word<'_>, guest: &Guest) -> Option<Value> {
        let slot = |bank: &str, field: &str| guest.slot(&format!("{bank}[{}]", word.field(field)?));
        match *self {
            Operand::Number(value) => Some(Value::Known(value)),
            Operand::Monitor => Some(Value::Monitor),
            Operand::Field(name, plus) => word.field(name).map(|value| Value::Known(value + plus)),
            Operand::Count(list) => word.field(list).map(|list| Value::Known(list.count_ones().into())),
            Operand::Register(bank, field, bits) => Some(Value::Low(slot(bank, field)?, bits)),
            Operand::Signed(bank, field, bits) => Some(Value::Signed(slot(bank, field)?, bits)),
        }
    }

    fn of(text: &'static str) -> Operand {
        if let Ok(number) = text.parse() {
            return Operand::Number(number);
        }
        if text == "monitor" {
            return Operand::Monitor;
        }
        if let Some(list) = text.strip_prefix('#') {
            return Operand::Count(list);
        }
        let Some((bank, rest)) = text.split_once('[') else {
            let (name, plus) = text.split_once('+').unwrap_or((text, "0"));
            return Operand::Field(name, plus.parse().unwrap());
        };
        let (field, bits) = rest.split_once("]:").unwrap();
        match bits.strip_prefix('s') {
            Some(bits) => Operand::Signed(bank, field, bits.parse().unwrap()),
            None => Operand::Register(bank, field, bits.parse().unwrap()),
        }
    }
}
