//! The translator's runtime: guest code in, [`Event`]s out.
//!
//! A [`Jit`] holds the translations of one guest process; each guest thread runs through its own [`Thread`]. Translation
//! goes guest bytes → `ir::Unit` ([`form`](self)) → host code or, with [`Engine::Interp`], the interpreter that defines
//! the operations. Nothing here names a guest: what differs between guests is in [`ir::Guest`].

mod check;
mod direct_calls;
mod event;
mod fault;
mod form;
pub mod guarded;
mod interp;
mod jit;
mod marshal;
mod native;
mod native_counters;
mod numbers;
mod options;
mod page_map;
mod phases;
mod profile;
mod spare;
mod t1;
mod thread;
pub mod thread_state;
mod trace;
mod watched;
pub mod x64;

#[cfg(test)]
mod direct_call_tests;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod toy;

pub use direct_calls::{CallFn, DECLINED, DirectCall, INTERRUPTED, Performer};
pub use event::{Event, MemFault};
pub use fault::{on_host_fault, rewind_call};
pub use jit::{ForkGuard, Jit, Turn};
pub use native::{Bytes, Host, MAX_FNS, NativeFn};
pub use native_counters::NativeCounts;
pub use options::{Engine, Hooks, JitOptions, StatsReport};
pub use phases::Phase;
pub use profile::UnitProfile;
pub use spare::Spare;
pub use t1::Saved;
pub use thread::Thread;
pub use trace::{Trace, host_code};
pub use watched::stores_matter;
