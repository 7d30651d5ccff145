//! What threads say that wait for others.

/// The thread looks again and again whether another one is done (`PAUSE`, `YIELD`): the processor may go slower meanwhile.
pub fn hint_spin() {
    std::hint::spin_loop();
}

/// The thread has nothing to do until something happens (`WFE`, `WFI`): others may have the processor.
pub fn hint_wait() {
    std::thread::yield_now();
}
