//! System calls that the host's kernel performs as the guest makes them.

/// A call that means the same to the host's kernel: arguments, result and errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectCall {
    /// The guest's number.
    pub number: u32,
    /// The host's number, of 16 bits.
    pub host: u16,
    /// May sleep: a signal before or during it is not to be lost.
    pub blocks: bool,
}

/// Set in the entries of calls that are direct; below it is the host's number.
pub(crate) const DIRECT: u32 = 1 << 16;

/// Set in the entries of calls that may sleep.
pub(crate) const BLOCKS: u32 = 1 << 17;

/// Calls with numbers from here on are performed like those that are not direct.
const LIMIT: usize = 1 << 14;

/// An entry for each number; 0 for calls that are not direct.
pub(crate) fn table(calls: &[DirectCall]) -> Box<[u32]> {
    let mut table = Vec::new();
    for call in calls.iter().filter(|call| (call.number as usize) < LIMIT) {
        let at = call.number as usize;
        table.resize(table.len().max(at + 1), 0);
        table[at] = DIRECT | u32::from(call.host) | if call.blocks { BLOCKS } else { 0 };
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_entries_for_direct_calls_only() {
        let sleeps = DirectCall { number: 3, host: 0, blocks: true };
        let quick = DirectCall { number: 1, host: 110, blocks: false };
        let far = DirectCall { number: u32::MAX, host: 1, blocks: false };
        assert_eq!(*table(&[sleeps, quick, far]), [0, DIRECT | 110, 0, DIRECT | BLOCKS]);
        assert!(table(&[]).is_empty());
    }
}
