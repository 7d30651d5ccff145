use super::*;

/// Address spaces of one process would place their mappings at the same addresses: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

fn request(addr: u64, len: u64, flags: i32) -> Request {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
    Request { addr, len, prot: libc::PROT_READ | libc::PROT_WRITE, flags, fd: -1, offset: 0, kind: Kind::Plain }
}

#[test]
fn the_emulator_is_out_of_reach() {
    let _alone = alone();
    let space = AddressSpace::default();
    let ours = Box::new([1u8; 64]);
    let page = page_down(ours.as_ptr() as u64);
    assert_eq!(space.map_memory(&request(page, PAGE, libc::MAP_FIXED)), Err(Errno::ENOMEM));
    assert_eq!(space.unmap(page, PAGE), Ok(0));
    assert_eq!(space.protect(page, PAGE, 0), Err(Errno::ENOMEM));
    assert_eq!(space.remap(page, PAGE, 2 * PAGE, libc::MREMAP_MAYMOVE, 0), Err(Errno::EFAULT));
    let elsewhere = space.map_memory(&request(page, PAGE, 0)).unwrap();
    assert_ne!(elsewhere, page);
    assert_eq!(*ours, [1; 64]);
    space.unmap(elsewhere, PAGE).unwrap();
}

#[test]
fn map_protect_remap_unmap() {
    let _alone = alone();
    let space = AddressSpace::default();
    let at = space.map_memory(&request(0, 4 * PAGE, 0)).unwrap();
    assert_eq!(space.protect(at + PAGE, PAGE, libc::PROT_READ), Ok(0));
    assert_eq!(space.protect(at, 0, 0), Ok(0));
    assert_eq!(space.map().parts(&(at..at + 4 * PAGE)).len(), 3);
    assert_eq!(space.unmap(at + 2 * PAGE, PAGE), Ok(0));
    assert_eq!(space.protect(at, 4 * PAGE, libc::PROT_READ), Err(Errno::ENOMEM));
    assert!(space.owns(at, 2 * PAGE) && !space.owns(at, 3 * PAGE));
    // Growing into the hole works in place; growing further has to move.
    assert_eq!(space.remap(at + PAGE, PAGE, 2 * PAGE, 0, 0), Ok(at + PAGE));
    let moved = space.remap(at + PAGE, 2 * PAGE, 8 * PAGE, libc::MREMAP_MAYMOVE, 0).unwrap();
    assert!(moved != at + PAGE && space.owns(moved, 8 * PAGE) && !space.owns(at + PAGE, PAGE));
    assert_eq!(space.unmap(moved, 8 * PAGE), Ok(0));
    assert_eq!(space.unmap(at, 4 * PAGE), Ok(0));
    assert_eq!(space.map().iter().count(), 0);
}

#[test]
fn code_is_invalidated_and_never_host_executable() {
    use std::sync::{Arc, Mutex};
    let _alone = alone();
    let space = AddressSpace::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    space.on_invalidate(Box::new(move |range| log.lock().unwrap().push(range)));
    let at = space.map_memory(&Request { prot: libc::PROT_EXEC, ..request(0, 2 * PAGE, 0) }).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.starts_with(&format!("{at:x}-"))).unwrap();
    assert!(line.contains(" r--p "), "{line}");
    space.protect(at, PAGE, libc::PROT_READ).unwrap();
    space.unmap(at, 2 * PAGE).unwrap();
    assert_eq!(*seen.lock().unwrap(), vec![at..at + PAGE, at + PAGE..at + 2 * PAGE]);
}

#[test]
fn heap_grows_and_shrinks() {
    let _alone = alone();
    let space = AddressSpace::default();
    let start = 0x29_0000_0000;
    space.set_brk(start);
    assert_eq!(space.brk(0), start);
    assert_eq!(space.brk(start + 100), start + 100);
    assert!(space.owns(start, PAGE));
    assert_eq!(space.brk(start + 3 * PAGE), start + 3 * PAGE);
    assert_eq!(space.brk(start + 1), start + 1);
    assert!(!space.owns(start + PAGE, PAGE));
    assert_eq!(space.brk(start - 1), start + 1);
}

#[test]
fn pages_that_show_code_cannot_be_stored_to_unnoticed() {
    use std::sync::{Arc, Mutex};
    let _alone = alone();
    let space = AddressSpace::default();
    space.watch_code();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    space.on_invalidate(Box::new(move |range| log.lock().unwrap().push((range.start, range.end))));
    let dropped = || std::mem::take(&mut *seen.lock().unwrap());
    // SAFETY: a fresh descriptor.
    let fd = unsafe { libc::memfd_create(c"code".as_ptr(), 0) };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::ftruncate(fd, 4 * PAGE as i64) }, 0);
    let map = |prot, offset| {
        let shared = Request { prot, flags: libc::MAP_SHARED, fd, offset, ..request(0, 2 * PAGE, 0) };
        space.map_memory(&shared).unwrap()
    };
    let (code, writable) = (map(libc::PROT_READ | libc::PROT_EXEC, PAGE), map(libc::PROT_READ | libc::PROT_WRITE, 0));
    dropped();
    let mut byte = [0];
    assert_eq!(space.fetch(code, &mut byte), 1);
    let maps = || std::fs::read_to_string("/proc/self/maps").unwrap();
    let protected =
        |page: u64| maps().lines().any(|line| line.contains(&format!("{page:x}")) && line.contains(" r--s "));
    assert!(protected(writable + PAGE) && !protected(writable));
    assert!(space.store_to_code(writable + PAGE + 8));
    assert_eq!(dropped(), [(code, code + PAGE)]);
    assert!(!protected(writable + PAGE));
    assert!(!space.store_to_code(code), "the guest may not store there");
    // A mapping that comes later, and one that is moved.
    assert_eq!(space.fetch(code + PAGE, &mut byte), 1);
    dropped();
    let second = map(libc::PROT_READ | libc::PROT_WRITE, 2 * PAGE);
    assert_eq!(dropped(), [(code, code + 2 * PAGE)]);
    let moved = space.remap(second, 2 * PAGE, 8 * PAGE, libc::MREMAP_MAYMOVE, 0).unwrap();
    assert_eq!(space.fetch(code + PAGE, &mut byte), 1);
    assert!(protected(moved) && space.store_to_code(moved));
    for (at, pages) in [(code, 2), (writable, 2), (moved, 8)] {
        space.unmap(at, pages * PAGE).unwrap();
    }
    // SAFETY: opened above.
    unsafe { libc::close(fd) };
}

#[test]
fn what_replaces_code_is_not_fetched_as_code() {
    use std::sync::atomic::{AtomicBool, Ordering};
    const CODE: u8 = 0xaa;
    let _alone = alone();
    let space = AddressSpace::default();
    let at = space.map_memory(&request(0, PAGE, 0)).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let fetcher = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let mut byte = [CODE];
                space.fetch(at, &mut byte);
                assert_eq!(byte[0], CODE);
            }
        });
        for _ in 0..3000 {
            crate::guest_memory::write(at, &[CODE]).unwrap();
            space.protect(at, PAGE, libc::PROT_READ | libc::PROT_EXEC).unwrap();
            space.map_memory(&request(at, PAGE, libc::MAP_FIXED)).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        assert!(fetcher.join().is_ok(), "zeros were fetched");
    });
    space.unmap(at, PAGE).unwrap();
}

#[test]
fn memory_that_the_heap_gave_back_is_out_of_reach_zero_when_it_comes_again_and_makes_way() {
    let _alone = alone();
    // A bad address is a fault of ours, to be caught.
    crate::signal::host::install();
    let space = AddressSpace::default();
    let start = 0x29_1000_0000;
    let readable = |at: u64| crate::guest_memory::read(at, &mut [0]).is_ok();
    let fill =
        |range: Range<u64>| crate::guest_memory::write(range.start, &vec![7; (range.end - range.start) as usize]);
    space.set_brk(start);
    for pages in [1, 2, 40, 300, 3] {
        let top = start + pages * PAGE;
        assert_eq!(space.brk(top), top);
        let mut bytes = vec![1; (pages * PAGE) as usize];
        crate::guest_memory::read(start, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0), "{pages}");
        fill(start..top).unwrap();
        let part = start + pages / 2 * PAGE;
        assert_eq!(space.brk(part), part);
        assert!(!readable(part) && !space.owns(part, PAGE) && (part == start || readable(part - 1)));
        // Less comes again than was given back.
        let again = part + (top - part).div_ceil(2 * PAGE) * PAGE;
        assert_eq!(space.brk(again), again);
        bytes.truncate((again - part) as usize);
        crate::guest_memory::read(part, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0) && !readable(again), "{pages}");
        assert_eq!(space.brk(start), start);
        assert!(!readable(start));
    }
    // What is kept is in nobody's way.
    for flags in [libc::MAP_FIXED, libc::MAP_FIXED_NOREPLACE, 0] {
        assert_eq!(space.brk(start + 2 * PAGE), start + 2 * PAGE);
        fill(start..start + 2 * PAGE).unwrap();
        assert_eq!(space.brk(start), start);
        assert_eq!(space.map_memory(&request(start + PAGE, PAGE, flags)), Ok(start + PAGE));
        assert_eq!(space.brk(start + 2 * PAGE), start, "there is something else");
        let mut byte = [1];
        crate::guest_memory::read(start + PAGE, &mut byte).unwrap();
        assert_eq!(byte, [0]);
        space.unmap(start + PAGE, PAGE).unwrap();
    }
}
