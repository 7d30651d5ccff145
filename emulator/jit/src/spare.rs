//! Memory that threads which ended left to those to come.

use std::sync::Mutex;

/// Mappings of one kind, to be used again: a thread that lives for microseconds costs most by the mappings it makes and drops,
/// each of which interrupts the other processors.
///
/// Nobody waits for the lock: a process forked while another thread held it would wait for ever.
pub struct Spare(Mutex<Vec<u64>>);

impl Spare {
    /// Mappings kept; those of more threads that end at a time are dropped.
    const MOST: usize = 16;

    /// None yet.
    #[must_use]
    pub const fn new() -> Spare {
        Spare(Mutex::new(Vec::new()))
    }

    /// The address of a mapping that [`Spare::keep`] was given, as its last user left it.
    #[must_use]
    pub fn take(&self) -> Option<u64> {
        self.0.try_lock().ok()?.pop()
    }

    /// Keeps the mapping at `base`, which nothing uses any more. False if the caller has to unmap it.
    #[must_use]
    pub fn keep(&self, base: u64) -> bool {
        let Ok(mut kept) = self.0.try_lock() else { return false };
        if kept.len() >= Spare::MOST {
            return false;
        }
        kept.push(base);
        true
    }
}

impl Default for Spare {
    fn default() -> Spare {
        Spare::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_kept_and_each_is_taken_once() {
        let spare = Spare::new();
        assert_eq!(spare.take(), None);
        let kept = (1..100).filter(|&base| spare.keep(base)).count();
        assert_eq!(kept, Spare::MOST);
        let mut taken: Vec<u64> = std::iter::from_fn(|| spare.take()).collect();
        taken.sort_unstable();
        assert_eq!(taken, (1..=Spare::MOST as u64).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_waits_for_a_lock_held_elsewhere() {
        let spare = Spare::new();
        let held = spare.0.lock();
        assert_eq!(spare.take(), None);
        assert!(!spare.keep(1));
        drop(held);
    }
}
