//! System calls that generated code makes by itself, as the guest makes them.

/// A function that performs a system call: the result, or a negative error number.
pub type CallFn = unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64) -> i64;

/// A call that means the same on the host: arguments, result and errors.
#[derive(Clone, Copy, Debug)]
pub struct DirectCall {
    /// The guest's number.
    pub number: u32,
    /// Who performs it.
    pub by: Performer,
}

/// Who performs a direct call.
#[derive(Clone, Copy, Debug)]
pub enum Performer {
    /// The host's kernel, by this number.
    Kernel(u16),
    /// The same; it may sleep: a signal before or during it is not to be lost.
    Sleeping(u16),
    /// A function that neither sleeps nor comes back to the translator. It may be given any addresses.
    Function(CallFn),
}

/// Set in entries of calls that the kernel performs; below it is its number. Entries of functions are their addresses.
pub(crate) const KERNEL: u64 = 1 << 63;

/// Set besides for calls that may sleep.
pub(crate) const SLEEPS: u64 = 1 << 62;

/// Calls with numbers from here on are performed like those that are not direct.
const LIMIT: usize = 1 << 14;

/// An entry for each number; 0 for calls that are not direct.
pub(crate) fn table(calls: &[DirectCall]) -> Box<[u64]> {
    let mut table = Vec::new();
    for call in calls.iter().filter(|call| (call.number as usize) < LIMIT) {
        let at = call.number as usize;
        table.resize(table.len().max(at + 1), 0);
        table[at] = match call.by {
            Performer::Kernel(number) => KERNEL | u64::from(number),
            Performer::Sleeping(number) => KERNEL | SLEEPS | u64::from(number),
            Performer::Function(function) => function as usize as u64,
        };
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_entries_for_direct_calls_only() {
        let call = |number, by| DirectCall { number, by };
        let calls =
            [call(3, Performer::Sleeping(0)), call(1, Performer::Kernel(110)), call(u32::MAX, Performer::Kernel(1))];
        assert_eq!(*table(&calls), [0, KERNEL | 110, 0, KERNEL | SLEEPS]);
        assert!(table(&[]).is_empty());
    }
}
