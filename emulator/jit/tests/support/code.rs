//! Guest code in a buffer.

use std::sync::{Arc, RwLock};

use jit::{Hooks, NativeFn};

/// Fetches from a buffer that tests replace, and that starts at a guest address.
pub(crate) struct Code {
    pub at: u64,
    pub bytes: Arc<RwLock<Vec<u8>>>,
}

impl Hooks for Code {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        let code = self.bytes.read().unwrap();
        let Some(rest) = code.get(pc.wrapping_sub(self.at) as usize..) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    fn intercept(&self, _: u64) -> Option<NativeFn> {
        None
    }
}
