//! What threads say that wait for others.

use std::cell::Cell;

/// So many times does a thread wait without a system call before it makes one: what it waits for is mostly near.
const PATIENCE: u32 = 16;

thread_local! {
    /// How often the thread has waited.
    static WAITS: Cell<u32> = const { Cell::new(0) };
}

/// The thread looks again and again whether another one is done (`PAUSE`, `YIELD`): the processor may go slower meanwhile.
pub fn hint_spin() {
    std::hint::spin_loop();
}

/// The thread has nothing to do until something happens (`WFE`, `WFI`): others may have the processor.
pub fn hint_wait() {
    let waits = WAITS.get().wrapping_add(1);
    WAITS.set(waits);
    if waits.is_multiple_of(PATIENCE) {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}
