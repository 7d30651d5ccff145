//! System calls that generated code makes by itself, as the guest makes them.

/// A function that performs a system call, given its arguments, the guest's number and stack pointer: the result, or a negative
/// error number. Arguments that the guest does not pass in registers are anything; those of 32 bits are zero-extended.
pub type CallFn = unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64, u64, u64) -> i64;

/// A result of a [`Performer::Converting`]: a signal came, and the call had no effect ([`crate::Event::CallInterrupted`]).
pub const INTERRUPTED: i64 = -512;

/// A result of a [`Performer::Converting`]: nothing was done, and the call is for the embedder ([`crate::Event::Syscall`]).
pub const DECLINED: i64 = -513;

/// A call whose result means the same on the host: generated code makes it.
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
    /// A function that may sleep, and that takes care of signals before and during that. It is not called with translations in
    /// use: others may invalidate them meanwhile.
    Converting(CallFn),
}

/// Set in entries of calls that the kernel performs; below it is its number. Entries of functions are their addresses.
pub(crate) const KERNEL: u64 = 1 << 63;

/// Set besides for calls that may sleep, and in entries of functions that may.
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
            Performer::Converting(function) => SLEEPS | function as usize as u64,
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
