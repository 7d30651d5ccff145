//! Segment descriptors that a thread may set: its thread pointer is the base of one.

use crate::abi::ThreadAreas;
use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::thread::ThreadCtx;

/// `set_thread_area(desc)`, `get_thread_area(desc)`
pub(super) fn call(ctx: &mut ThreadCtx, set: bool, addr: u64) -> SysResult {
    let areas = ctx.process.abi.thread_areas.ok_or(Errno::ENOSYS)?;
    if set { store(ctx, areas, addr, true) } else { load(ctx, areas, addr) }
}

/// Sets what the structure at `addr` describes, if there are such descriptors: `None` if `addr` is the thread pointer itself.
pub(crate) fn adopt(ctx: &mut ThreadCtx, addr: u64) -> Option<SysResult> {
    let areas = ctx.process.abi.thread_areas?;
    Some(store(ctx, areas, addr, false))
}

/// Number that asks for a free descriptor.
const ANY: u64 = u32::MAX as u64;

/// A descriptor is free while its base is 0. `choose`: one without a number gets one, which is stored.
fn store(ctx: &mut ThreadCtx, areas: &ThreadAreas, addr: u64, choose: bool) -> SysResult {
    let mut bytes = vec![0; areas.of.size as usize];
    guest_memory::read(addr, &mut bytes)?;
    let (mut number, base) = (areas.of.get(&bytes, areas.number), areas.of.get(&bytes, areas.base));
    if number == ANY && choose {
        let free = areas.slots.iter().position(|slot| value(ctx, slot) == Some(0)).ok_or(Errno::ESRCH)?;
        number = areas.first + free as u64;
        areas.of.put(&mut bytes, areas.number, number);
        guest_memory::write(addr, &bytes)?;
    }
    let index = number.checked_sub(areas.first).ok_or(Errno::EINVAL)?;
    let slot = areas.slots.get(index as usize).ok_or(Errno::EINVAL)?;
    put(ctx, slot, base);
    // Loaded again, for those that have it.
    for (selector, loaded) in areas.loaded {
        if value(ctx, selector).is_some_and(|selector| selector >> 3 == number) {
            put(ctx, loaded, base);
        }
    }
    Ok(0)
}

fn load(ctx: &mut ThreadCtx, areas: &ThreadAreas, addr: u64) -> SysResult {
    let mut bytes = vec![0; areas.of.size as usize];
    guest_memory::read(addr, &mut bytes)?;
    let number = areas.of.get(&bytes, areas.number);
    let index = number.checked_sub(areas.first).ok_or(Errno::EINVAL)?;
    let slot = areas.slots.get(index as usize).ok_or(Errno::EINVAL)?;
    let base = value(ctx, slot).unwrap_or(0);
    areas.of.put(&mut bytes, areas.base, base);
    for (field, value) in areas.constants {
        areas.of.put(&mut bytes, field, *value);
    }
    guest_memory::write(addr, &bytes)?;
    Ok(0)
}

fn value(ctx: &mut ThreadCtx, name: &str) -> Option<u64> {
    let slot = ctx.process.guest.slot(name)?;
    Some(ctx.slot(slot))
}

fn put(ctx: &mut ThreadCtx, name: &str, value: u64) {
    if let Some(slot) = ctx.process.guest.slot(name) {
        ctx.set_slot(slot, value);
    }
}
