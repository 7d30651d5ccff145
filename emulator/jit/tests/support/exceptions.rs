//! What is not compared, and why: `qemu_differs.txt`.

use ir::{Guest, GuestState};

use crate::support::words::Word;

/// Instructions that are not compared, under all of the conditions.
pub(crate) struct Exception {
    pub(crate) insn: &'static str,
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
            here.then(|| Exception { insn, conditions: words.map(Condition::of).collect() })
        };
        lines.filter_map(read).collect()
    }

    /// Whether the instruction is never compared.
    pub(crate) fn always(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether it holds of a word, executed in a state.
    pub(crate) fn holds(&self, word: &Word<'_>, guest: &Guest, state: &GuestState) -> bool {
        let register = |bank: &str, field: &str| {
            let slot = guest.slot(&format!("{bank}[{}]", word.field(field)?))?;
            Some(state.get(guest, slot))
        };
        let value = |operand: &Operand| match operand {
            Operand::Number(value) => Some(*value),
            Operand::Monitor => Some((state.excl_addr != u64::MAX).into()),
            Operand::Field(name, plus) => word.field(name).map(|value| value + plus),
            Operand::Count(list) => word.field(list).map(|list| list.count_ones().into()),
            Operand::Register(bank, field, bits) => Some((register(bank, field)? & u128::MAX >> (128 - bits)) as i128),
            Operand::Signed(bank, field, bits) => {
                let extended = (register(bank, field)? << (128 - bits)) as i128 >> (128 - bits);
                Some(i128::from(extended as u64))
            }
        };
        let holds = |condition: &Condition| {
            // A field that this encoding does not have has no value.
            matches!((value(&condition.left), value(&condition.right)), (Some(a), Some(b)) if (condition.compare)(a, b))
        };
        self.insn == &*word.insn.name && self.conditions.iter().all(holds)
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
