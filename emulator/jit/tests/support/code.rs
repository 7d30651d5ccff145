//! Guest code at an address.

use std::sync::{Arc, RwLock};

use jit::{Hooks, NativeFn};

/// What is fetched, and where it is.
pub(crate) type Placed = Arc<RwLock<(u64, Vec<u8>)>>;

/// Fetches code that tests replace. Nothing can be fetched before and behind it, nor in its middle, unless that is said.
pub(crate) struct Code {
    placed: Placed,
    middle: bool,
}

impl Code {
    /// Code of which everything can be fetched.
    pub(crate) fn new(placed: &Placed) -> Box<Code> {
        Box::new(Code { placed: placed.clone(), middle: true })
    }

    /// Code that can be fetched from its start on only.
    pub(crate) fn from_start(placed: &Placed) -> Box<Code> {
        Box::new(Code { placed: placed.clone(), middle: false })
    }
}

impl Hooks for Code {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        let placed = self.placed.read().unwrap();
        let offset = pc.wrapping_sub(placed.0) as usize;
        let Some(rest) = placed.1.get(offset..).filter(|_| offset == 0 || self.middle) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    fn intercept(&self, _: u64) -> Option<NativeFn> {
        None
    }
}
