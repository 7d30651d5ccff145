//! `mremap`.

use std::ops::Range;

use super::{AddressSpace, Changes, PAGE, Vma, alignment, page_up, release};
use crate::errno::{Errno, SysResult};

impl AddressSpace {
    /// Resizes or moves a mapping; returns its address.
    pub fn remap(&self, old_addr: u64, old_len: u64, new_len: u64, flags: i32, new_addr: u64) -> SysResult {
        let mut changes = self.lock();
        let known = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
        let fixed = flags & libc::MREMAP_FIXED != 0;
        let keep = flags & libc::MREMAP_DONTUNMAP != 0;
        if flags & !known != 0 || !old_addr.is_multiple_of(PAGE) || (fixed || keep) && flags & libc::MREMAP_MAYMOVE == 0
        {
            return Err(Errno::EINVAL);
        }
        let old = page_up(old_len).and_then(|len| self.user_range(old_addr, len)).ok_or(Errno::EINVAL)?;
        let new_len = page_up(new_len).filter(|&len| len != 0 && len <= self.places.end).ok_or(Errno::EINVAL)?;
        if keep && old.end - old.start != new_len {
            return Err(Errno::EINVAL);
        }
        let vma = self.single(&old)?;
        self.unwatch_all();
        if fixed {
            return self.move_fixed(&mut changes, &old, new_len, new_addr, &vma, keep);
        }
        if keep || old.is_empty() {
            return self.move_anywhere(&mut changes, &old, new_len, flags, &vma, keep);
        }
        let end = old.start + new_len;
        if end <= old.end {
            self.unmap_locked(&mut changes, &(end..old.end))?;
            return Ok(old.start);
        }
        changes.heap.make_way(&(old.end..end));
        if self.grow_in_place(&old, end, &vma) {
            return Ok(old.start);
        }
        if flags & libc::MREMAP_MAYMOVE == 0 {
            return Err(Errno::ENOMEM);
        }
        self.move_anywhere(&mut changes, &old, new_len, flags, &vma, keep)
    }

    /// The one mapping that covers `old` (its first byte, if `old` is empty).
    fn single(&self, old: &Range<u64>) -> Result<Vma, Errno> {
        let map = self.map();
        let (range, vma) = map.find(old.start).ok_or(Errno::EFAULT)?;
        if old.end > range.end || old.is_empty() && !vma.shared {
            return Err(if old.is_empty() { Errno::EINVAL } else { Errno::EFAULT });
        }
        Ok(vma.clone())
    }

    fn grow_in_place(&self, old: &Range<u64>, end: u64, vma: &Vma) -> bool {
        if end > self.places.end || !self.map().is_free(&(old.end..end)) {
            return false;
        }
        let grown = host_mremap(old, end - old.start, 0, 0).is_ok();
        if grown {
            self.map_mut().insert(old.end..end, vma.clone());
            self.appeared(vma, None);
        }
        grown
    }

    fn move_anywhere(
        &self,
        changes: &mut Changes,
        old: &Range<u64>,
        new_len: u64,
        flags: i32,
        vma: &Vma,
        keep: bool,
    ) -> SysResult {
        if flags & libc::MREMAP_MAYMOVE == 0 {
            return Err(Errno::EINVAL);
        }
        let room = self.find_room(changes, new_len, alignment(0))?;
        self.move_fixed(changes, old, new_len, room.start, vma, keep)
    }

    fn move_fixed(
        &self,
        changes: &mut Changes,
        old: &Range<u64>,
        new_len: u64,
        new_addr: u64,
        vma: &Vma,
        keep: bool,
    ) -> SysResult {
        let new = self.user_range(new_addr, new_len).ok_or(Errno::EINVAL)?;
        if new.start % PAGE != 0 || new.start < old.end && old.start < new.end {
            return Err(Errno::EINVAL);
        }
        changes.heap.make_way(&new);
        let claimed = self.claim(&new)?;
        let replaced_code = self.map().has_code(&new);
        // Nobody may fetch what is there now as what was there before.
        let replaced = replaced_code.then(|| self.map_mut());
        let keep_flag = if keep { libc::MREMAP_DONTUNMAP } else { 0 };
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | keep_flag;
        if let Err(error) = host_mremap(old, new_len, flags, new.start) {
            drop(replaced);
            release(&claimed);
            return Err(error);
        }
        let mut vma = vma.clone();
        if let Some(backing) = &mut vma.backing {
            backing.base = backing.base.wrapping_add(new.start.wrapping_sub(old.start));
        }
        let mut map = replaced.unwrap_or_else(|| self.map_mut());
        if !keep {
            map.remove(old.clone());
        }
        map.insert(new.clone(), vma.clone());
        drop(map);
        self.stale(old, vma.executable());
        self.stale(&new, replaced_code);
        self.appeared(&vma, None);
        if !keep {
            changes.placer.freed(old);
        }
        Ok(new.start)
    }
}

fn host_mremap(old: &Range<u64>, new_len: u64, flags: i32, new_addr: u64) -> SysResult {
    let args = [old.start, old.end - old.start, new_len, flags as u64, new_addr, 0];
    // SAFETY: the guest owns the old range, and the new one if MREMAP_FIXED; growth in place needs free addresses.
    unsafe { crate::host::syscall(libc::SYS_mremap, args) }
}
