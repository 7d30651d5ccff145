//! The intermediate representation: what generated emitters produce, what the interpreter defines and what the
//! translator compiles.
//!
//! A [`Unit`] is a straight line of instructions in SSA form with side exits. Guest registers are *slots*: reading one is
//! a value, writing one is an entry in the unit's log, so that at each position it is known which value every slot has
//! (the snapshot). Nothing here names a guest or a host.

pub mod builder;
pub mod bytes;
pub mod convention;
pub mod decode;
pub mod disasm;
pub mod eval;
pub mod exclusives;
pub mod guest;
pub mod guests;
pub mod inst;
pub mod interp;
pub mod parse;
pub mod print;
pub mod softfloat;
pub mod state;
pub mod ty;
pub mod unit;
pub mod vectorise;
pub mod verify;

pub use builder::Builder;
pub use guest::Guest;
pub use guests::Guests;
pub use inst::{Attr, Inst, MemAttr, Order, Val};
pub use state::GuestState;
pub use ty::Ty;
pub use unit::{Exit, ExitKind, Unit};
pub use vectorise::vectorise;

#[cfg(test)]
mod tests;
