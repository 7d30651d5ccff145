//! When others begin to access the guest's memory (see [`crate::x64::interlocks`]).

use super::{Runtime, Writer};
use crate::x64::Interlock;

impl Runtime {
    /// See [`crate::Jit::share_memory`].
    pub(crate) fn share_memory(&self) {
        if self.lock().alone.is_none() {
            return;
        }
        let _stopped = self.world.stop();
        let mut writer = self.lock();
        for (place, bits) in writer.alone.take().unwrap_or_default() {
            writer.memory.flip(self.code.start + u64::from(place), bits);
        }
    }
}

impl Writer {
    /// Of the code at `host`, which has just been published.
    pub(super) fn interlock(&mut self, host: u64, interlocks: &[Interlock]) {
        let base = self.memory.base();
        for &Interlock { at, flip } in interlocks {
            let address = host + u64::from(at);
            match &mut self.alone {
                Some(places) => places.push(((address - base) as u32, flip)),
                None => self.memory.flip(address, flip),
            }
        }
    }
}
