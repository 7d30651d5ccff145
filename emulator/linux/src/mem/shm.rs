//! System V shared memory.

use super::{AddressSpace, Kind, Vma, alignment, page_up};
use crate::errno::{Errno, SysResult};

impl AddressSpace {
    /// Attaches a segment; returns its address.
    pub fn attach(&self, id: i32, addr: u64, flags: i32) -> SysResult {
        let mut changes = self.lock();
        let mut info = std::mem::MaybeUninit::<libc::shmid_ds>::uninit();
        // SAFETY: the kernel fills the structure when it succeeds.
        let size = unsafe {
            crate::host::syscall(
                libc::SYS_shmctl,
                [id as u64, libc::IPC_STAT as u64, info.as_mut_ptr() as u64, 0, 0, 0],
            )?;
            info.assume_init().shm_segsz as u64
        };
        let len = page_up(size).ok_or(Errno::EINVAL)?;
        let start = match addr {
            0 => self.find_room(&mut changes, len, alignment(0))?.start,
            addr if flags & libc::SHM_RND != 0 => super::page_down(addr),
            addr => addr,
        };
        let range = self.user_range(start, len).ok_or(Errno::EINVAL)?;
        let remap = flags & libc::SHM_REMAP != 0;
        if !remap && !self.map().is_free(&range) {
            return Err(Errno::EINVAL);
        }
        if remap {
            // Replacing is allowed over guest mappings only.
            if !self.map().covers(&range) {
                return Err(Errno::EINVAL);
            }
            self.unmap_locked(&mut changes, &range)?;
        }
        changes.heap.make_way(&range);
        let host_flags = flags & libc::SHM_RDONLY;
        // SAFETY: without SHM_REMAP the kernel replaces nothing.
        unsafe { crate::host::syscall(libc::SYS_shmat, [id as u64, start, host_flags as u64, 0, 0, 0])? };
        let write = if flags & libc::SHM_RDONLY == 0 { libc::PROT_WRITE } else { 0 };
        let exec = if flags & libc::SHM_EXEC != 0 { libc::PROT_EXEC } else { 0 };
        let prot = libc::PROT_READ | write | exec;
        let backing = self.segment_backing(start, id);
        let vma = Vma { prot, shared: true, kind: Kind::Shm, file: None, backing };
        self.map_mut().insert(range, vma.clone());
        self.appeared(&vma, None);
        Ok(start)
    }

    /// Detaches the segment at `addr`.
    pub fn detach(&self, addr: u64) -> SysResult {
        let _changes = self.lock();
        let (range, code) = match self.map().find(addr) {
            Some((range, vma)) if vma.kind == Kind::Shm && range.start == addr => (range, vma.executable()),
            _ => return Err(Errno::EINVAL),
        };
        // SAFETY: a segment the guest attached.
        unsafe { crate::host::syscall(libc::SYS_shmdt, [addr, 0, 0, 0, 0, 0])? };
        self.map_mut().remove(range.clone());
        self.stale(&range, code);
        Ok(0)
    }
}
