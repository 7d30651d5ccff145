//! System calls by number.

use super::{Abi, Call};

/// The calls of an interface: most are found at once.
pub struct Numbered {
    calls: &'static [Call],
    first: u64,
    /// From the first number on; `None` where no call has the number.
    near: Box<[Option<&'static Call>]>,
}

/// Numbers near the first.
const NEAR: u64 = 1024;

impl Numbered {
    /// The calls of `abi`.
    #[must_use]
    pub fn of(abi: &Abi) -> Numbered {
        let calls = abi.calls.entries();
        let first = calls.first().map_or(0, |call| call.number.into());
        let mut near = Vec::new();
        for call in calls {
            let at = u64::from(call.number) - first;
            if at < NEAR {
                near.resize(at as usize, None);
                near.push(Some(call));
            }
        }
        Numbered { calls, first, near: near.into() }
    }

    /// The call with this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&'static Call> {
        let at = number.checked_sub(self.first)?;
        if at < NEAR {
            return *self.near.get(at as usize)?;
        }
        let index = self.calls.binary_search_by_key(&number, |call| call.number.into()).ok()?;
        Some(&self.calls[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::every;

    #[test]
    fn every_call_is_found_by_its_number_and_no_other() {
        for abi in every() {
            let numbered = Numbered::of(abi);
            let found = |number: u64| numbered.get(number).map(|call| call.number);
            let calls = abi.calls.entries();
            assert!(calls.iter().all(|call| found(call.number.into()) == Some(call.number)), "{}", abi.name);
            let is_one = |number: u64| calls.iter().any(|call| u64::from(call.number) == number);
            assert!((0..10_000).filter(|n| !is_one(*n)).all(|n| found(n).is_none()), "{}", abi.name);
            assert!(found(u64::MAX).is_none());
        }
    }
}
