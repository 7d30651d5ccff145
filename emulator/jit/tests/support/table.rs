//! Tables of registers in memory, from and to a state.

use ir::GuestState;
use ir::guest::Slot;

use crate::frame::{BLOCK, Field, Frame, Source, Value};
use crate::support::Random;
use crate::support::values::{general, number};

impl Frame {
    /// A field's value in a table.
    pub(crate) fn take(&self, field: &Field, table: &[u8]) -> u128 {
        let mut bytes = [0; 16];
        bytes[..field.bytes].copy_from_slice(&table[field.at..field.at + field.bytes]);
        if self.guest.big_endian {
            bytes[..field.bytes].reverse();
        }
        u128::from_le_bytes(bytes)
    }

    /// Copies between a table and the slots of a state, which are little-endian.
    fn copy(&self, to: &mut [u8], from: &[u8]) {
        to.copy_from_slice(from);
        if self.guest.big_endian {
            to.reverse();
        }
    }

    fn put(&self, field: &Field, table: &mut [u8], value: u128) {
        let mut bytes = value.to_le_bytes();
        if self.guest.big_endian {
            bytes[..field.bytes].reverse();
        }
        table[field.at..field.at + field.bytes].copy_from_slice(&bytes[..field.bytes]);
    }

    /// Changes the register that is a slot.
    pub(crate) fn put_slot(&self, table: &mut [u8], slot: Slot, value: u64) {
        let is = |field: &&Field| field.parts.first().is_some_and(|part| part.source == Source::Slot(slot, 0));
        self.put(self.fields.iter().find(is).unwrap(), table, value.into());
    }

    /// A table to start with; addresses are near `middle`.
    pub(crate) fn random_table(&self, random: &mut Random, middle: u64) -> Vec<u8> {
        let mut table = vec![0; BLOCK];
        for field in &self.fields {
            let value = self.random_value(field, random, middle);
            self.put(field, &mut table, value);
        }
        table
    }

    /// Changes all values: addresses by a little, and what may be an offset from one into another, so that few instructions fault.
    /// The mode stays: instructions were decoded in it.
    pub(crate) fn change_table(&self, table: &mut [u8], random: &mut Random, middle: u64) {
        let is_address = |value: u128| (value as u64).abs_diff(middle) < 1024;
        for field in &self.fields {
            let was = self.take(field, table);
            let value = self.random_value(field, random, middle);
            match (field.value, is_address(was)) {
                (Value::General, true) => self.put(field, table, was ^ u128::from(random.below(4) << 4)),
                (Value::General, false) if was < 64 => self.put(field, table, random.below(64).into()),
                (Value::General, false) if is_address(value) => {}
                _ => self.put(field, table, value & !field.context() | was & field.context()),
            }
        }
    }

    fn random_value(&self, field: &Field, random: &mut Random, middle: u64) -> u128 {
        let rarely = if random.below(4) == 0 { random.next() } else { 0 };
        let value = match field.value {
            Value::General => general(random, middle).into(),
            Value::Number => u128::from(number(random)) << 64 | u128::from(number(random)),
            Value::Stack => u128::from(middle + 512),
            Value::Below(lo, end, bits) => (random.below(end) << lo | rarely & bits).into(),
            Value::Any(bits, rare) => (random.next() & bits | rarely & rare).into(),
            Value::Fixed(value) => value.into(),
        };
        if field.finite { finite(value) } else { value }
    }

    /// Whether a field that must not be is a NaN, as a single or a double, and was not before.
    pub(crate) fn has_new_nan(&self, before: &GuestState, after: &GuestState) -> bool {
        if self.no_nan.is_none() {
            return false;
        }
        let slots = self.fields.iter().filter(|field| field.finite).filter_map(|field| {
            let Source::Slot(slot, _) = field.parts.first()?.source else { return None };
            Some(slot)
        });
        slots
            .map(|slot| [before, after].map(|state| state.get(self.guest, slot)))
            .any(|[was, is]| was != is && (f32::from_bits(is as u32).is_nan() || f64::from_bits(is as u64).is_nan()))
    }

    /// Sets the state from a table.
    pub(crate) fn load(&self, table: &[u8], state: &mut GuestState) {
        *state = GuestState::new(self.guest);
        state.mode = self.mode;
        for field in &self.fields {
            if let Some(at) = field.in_slots {
                let bytes = &mut state.slots[at..][..field.bytes];
                self.copy(bytes, &table[field.at..][..field.bytes]);
                continue;
            }
            let value = self.take(field, table);
            for part in &field.parts {
                let bits = value >> part.lo & part.mask;
                match part.source {
                    Source::Slot(slot, from) => {
                        let rest = state.get(self.guest, slot) & !(part.mask << from);
                        state.set(self.guest, slot, rest | bits << from);
                    }
                    Source::Context(at) => state.mode = state.mode & !((part.mask as u32) << at) | (bits as u32) << at,
                    Source::Sticky(bit) => state.fflags = state.fflags & !(1 << bit) | (bits as u32) << bit,
                }
            }
        }
    }

    /// The table of a state; fields that are no state are as in `before`.
    pub(crate) fn store(&self, state: &GuestState, before: &[u8]) -> Vec<u8> {
        let mut table = before.to_vec();
        for field in self.fields.iter().filter(|field| !field.parts.is_empty()) {
            if let Some(at) = field.in_slots {
                self.copy(&mut table[field.at..][..field.bytes], &state.slots[at..][..field.bytes]);
                continue;
            }
            let value = field.parts.iter().fold(0, |all, part| {
                let value = match part.source {
                    Source::Slot(slot, from) => state.get(self.guest, slot) >> from,
                    Source::Context(at) => u128::from(state.mode >> at),
                    Source::Sticky(bit) => u128::from(state.fflags >> bit),
                };
                all | (value & part.mask) << part.lo
            });
            self.put(field, &mut table, value);
        }
        table
    }
}

/// A value that is no NaN, neither as a double nor as a single.
fn finite(value: u128) -> u128 {
    let single = if f32::from_bits(value as u32).is_nan() { value & !(1 << 23) } else { value };
    if f64::from_bits(single as u64).is_nan() { single & !(1 << 52) } else { single }
}
