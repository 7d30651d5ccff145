//! Counting native calls. Generated code counts in a block of its thread, without atomic operations.

use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use ir::Guest;

use crate::marshal::{MAX_ARGS, Plan};
use crate::native::{Bytes, MAX_FNS, NativeFn, Ready};

/// With measuring on, one call in so many is measured; a power of two.
pub(crate) const SAMPLE_EVERY: i32 = 512;

/// What a thread counts of a function. One thread writes it, any may read it.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Row {
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// Offsets in [`Row`], for generated code.
pub(crate) struct RowOffsets {
    pub(crate) calls: i32,
    pub(crate) bytes: i32,
}

/// See [`RowOffsets`].
pub(crate) const ROW: RowOffsets =
    RowOffsets { calls: offset_of!(Row, calls) as i32, bytes: offset_of!(Row, bytes) as i32 };

/// The counters of one thread, and after it of the next.
#[repr(C)]
pub(crate) struct Block {
    rows: [Row; MAX_FNS],
    used: AtomicBool,
    next: *mut Block,
}

impl Block {
    fn row(&self, id: u32) -> Option<&Row> {
        self.rows.get(id as usize)
    }

    /// Counts a completed call. By the owning thread.
    pub(crate) fn count(&self, function: &NativeFn, args: &[u64; MAX_ARGS], result: u64) {
        let bytes = match function.bytes {
            Bytes::Unknown => 0,
            Bytes::Argument(k) => args.get(usize::from(k)).copied().unwrap_or(0),
            Bytes::Result => result,
        };
        if let Some(row) = self.row(function.id) {
            let add = |counter: &AtomicU64, n: u64| {
                counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
            };
            add(&row.calls, 1);
            add(&row.bytes, bytes);
        }
    }

    /// Gives the block back at the end of a thread; what it counted stays.
    pub(crate) fn release(&self) {
        self.used.store(false, Ordering::Release);
    }
}

/// What is counted of a function for all threads together, in code that may be slow.
#[derive(Default)]
struct Slow {
    faulted: AtomicU64,
    measured: AtomicU64,
    native_ns: AtomicU64,
    translated_ns: AtomicU64,
}

/// Counters of a process. Blocks are only ever added, so that neither threads nor `fork` need a lock.
pub(crate) struct Counters {
    blocks: AtomicPtr<Block>,
    slow: Box<[Slow]>,
    /// By number, as far as functions were met; `None` for those that the guest's convention does not fit.
    ready: Box<[OnceLock<Option<Ready>>]>,
}

impl Default for Counters {
    fn default() -> Counters {
        let slow = (0..MAX_FNS).map(|_| Slow::default()).collect();
        let ready = (0..MAX_FNS).map(|_| OnceLock::new()).collect();
        Counters { blocks: AtomicPtr::new(ptr::null_mut()), slow, ready }
    }
}

/// What was counted of a native function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NativeCounts {
    /// Calls completed.
    pub calls: u64,
    /// Their bytes, as far as [`Bytes`] says.
    pub bytes: u64,
    /// Calls that faulted and ran translated instead.
    pub faulted: u64,
    /// Calls measured both ways.
    pub measured: u64,
    /// Nanoseconds of the measured calls, as host code.
    pub native_ns: u64,
    /// Nanoseconds of the measured calls, translated.
    pub translated_ns: u64,
}

impl Counters {
    /// A function ready to be called, if its arguments and its result can travel. It stays where it is.
    pub(crate) fn ready(&self, guest: &Guest, function: &NativeFn) -> Option<&Ready> {
        let make = || Some(Ready { function: *function, plan: Plan::new(guest, function.signature)? });
        self.ready.get(function.id as usize)?.get_or_init(make).as_ref()
    }

    fn all(&self) -> impl Iterator<Item = &Block> {
        let mut at = self.blocks.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: blocks in the list live as long as it, and `next` does not change.
            let block = unsafe { at.as_ref() }?;
            at = block.next;
            Some(block)
        })
    }

    /// A block for the calling thread; it is valid as long as the counters.
    pub(crate) fn block(&self) -> *const Block {
        let free =
            |block: &&Block| block.used.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if let Some(block) = self.all().find(free) {
            return block;
        }
        let rows = std::array::from_fn(|_| Row::default());
        let fresh = Box::into_raw(Box::new(Block { rows, used: AtomicBool::new(true), next: ptr::null_mut() }));
        let mut head = self.blocks.load(Ordering::Acquire);
        loop {
            // SAFETY: not in the list yet.
            unsafe { (*fresh).next = head };
            match self.blocks.compare_exchange(head, fresh, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return fresh,
                Err(now) => head = now,
            }
        }
    }

    /// A call faulted. Async-signal-safe.
    pub(crate) fn count_fault(&self, id: u32) {
        if let Some(slow) = self.slow.get(id as usize) {
            slow.faulted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A call was measured both ways.
    pub(crate) fn count_measured(&self, id: u32, native: Duration, translated: Duration) {
        if let Some(slow) = self.slow.get(id as usize) {
            slow.measured.fetch_add(1, Ordering::Relaxed);
            slow.native_ns.fetch_add(native.as_nanos() as u64, Ordering::Relaxed);
            slow.translated_ns.fetch_add(translated.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    /// Calls measured so far.
    pub(crate) fn measured(&self, id: u32) -> u64 {
        self.slow.get(id as usize).map_or(0, |slow| slow.measured.load(Ordering::Relaxed))
    }

    pub(crate) fn read(&self, id: u32) -> NativeCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Some(slow) = self.slow.get(id as usize) else { return NativeCounts::default() };
        let mut counts = NativeCounts {
            faulted: get(&slow.faulted),
            measured: get(&slow.measured),
            native_ns: get(&slow.native_ns),
            translated_ns: get(&slow.translated_ns),
            ..NativeCounts::default()
        };
        for row in self.all().filter_map(|block| block.row(id)) {
            counts.calls += get(&row.calls);
            counts.bytes = counts.bytes.wrapping_add(get(&row.bytes));
        }
        counts
    }

    /// In the child of a fork: the parent reports what came before.
    pub(crate) fn reset(&self) {
        let clear = |counter: &AtomicU64| counter.store(0, Ordering::Relaxed);
        for row in self.all().flat_map(|block| &block.rows) {
            clear(&row.calls);
            clear(&row.bytes);
        }
        for slow in &self.slow {
            [&slow.faulted, &slow.measured, &slow.native_ns, &slow.translated_ns].into_iter().for_each(clear);
        }
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        let mut at = *self.blocks.get_mut();
        while !at.is_null() {
            // SAFETY: made by `block`; threads, which use blocks, keep the counters alive.
            at = unsafe { Box::from_raw(at) }.next;
        }
    }
}

// SAFETY: everything shared is atomic; `next` is written before a block is published.
unsafe impl Send for Counters {}
// SAFETY: as above.
unsafe impl Sync for Counters {}
