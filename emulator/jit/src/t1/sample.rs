//! Measuring native calls: what they cost as host code, and what the guest's own code would have cost.

use std::time::Duration;

use ir::GuestState;

use super::Runtime;
use crate::event::Event;
use crate::thread::Thread;

/// Where a measured guest function returns to: nothing can be mapped there.
const RETURN: u64 = 0xffff_f000_0000_0000;

/// Of the calling thread: what others do meanwhile does not count.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the local variable.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Thread {
    /// Makes the native call at `state.pc`, and the same call in guest code: with the same arguments, before and after it in
    /// turn, because the first of the two finds cold caches. Calls that must not be made twice are made without measuring.
    pub(super) fn measure_native(&mut self, runtime: &Runtime) {
        let pc = self.block.guest.pc;
        let Some(function) = self.jit.hooks.intercept(pc) else { return };
        let sp = self.block.guest.word(self.guest(), self.guest().sp);
        let ready = self.jit.natives.ready(self.guest(), &function);
        let args = ready.and_then(|ready| ready.plan.arguments(self.guest(), &self.block.guest, sp));
        if self.measuring || !args.is_some_and(|args| (function.repeatable)(&args)) {
            self.call_native(&function);
            return;
        }
        self.measuring = true;
        let entry = self.block.guest.clone();
        let translated_first = self.jit.natives.measured(function.id).is_multiple_of(2);
        let before = if translated_first { self.measure_guest_code(runtime, &entry) } else { None };
        let start = processor_time();
        let done = self.call_native(&function);
        let end = processor_time();
        // Less what reading the clock takes.
        let took = (end - start).saturating_sub(processor_time() - end);
        let translated = match before {
            None if done => self.measure_guest_code(runtime, &entry),
            before => before,
        };
        if let (true, Some(translated)) = (done, translated) {
            self.jit.natives.count_measured(function.id, took, translated);
        }
        self.measuring = false;
    }

    /// Time that the guest function at `entry.pc` takes, translated. The state is as before, whatever happens. `None` if
    /// it did not return in peace, twice.
    fn measure_guest_code(&mut self, runtime: &Runtime, entry: &GuestState) -> Option<Duration> {
        let return_address = self.guest().abi.return_address?;
        let saved = self.block.guest.clone();
        let mut measured = None;
        // The first time it may have to be translated.
        for _ in 0..2 {
            let units = self.jit.stats.report().units;
            self.block.guest = entry.clone();
            let guest = self.guest();
            self.block.guest.set(guest, return_address, RETURN.into());
            self.run_plain();
            let whole = self.measure_to_return(runtime);
            self.block.guest.pc = RETURN;
            // The way to the event that ends it, without the function.
            let way = self.measure_to_return(runtime);
            measured = whole.zip(way).map(|(whole, way)| whole.saturating_sub(way));
            if measured.is_none() || self.jit.stats.report().units == units {
                break;
            }
        }
        self.block.guest = saved;
        self.run_native();
        measured
    }

    fn measure_to_return(&mut self, runtime: &Runtime) -> Option<Duration> {
        let start = processor_time();
        let event = loop {
            if let Some(event) = self.dispatch(runtime) {
                break event;
            }
        };
        let took = processor_time() - start;
        if event == Event::Interrupted {
            self.interrupt_again();
        }
        (event == Event::FetchFault { addr: RETURN }).then_some(took)
    }
}
