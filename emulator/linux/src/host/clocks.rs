//! Calls that the host's C library answers without its kernel: the time of day.

use jit::CallFn;

use crate::guest_memory;

/// The function that performs the call with this number of the host's, which takes guest addresses and never sleeps.
pub(crate) fn without_kernel(number: u32) -> Option<CallFn> {
    match i64::from(number) {
        libc::SYS_clock_gettime => Some(clock_gettime),
        libc::SYS_gettimeofday => Some(gettimeofday),
        _ => None,
    }
}

#[allow(clippy::too_many_arguments)] // those of a `CallFn`
unsafe extern "sysv64" fn clock_gettime(clock: u64, to: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a structure of ours.
    if unsafe { libc::clock_gettime(clock as libc::clockid_t, &raw mut now) } != 0 {
        // SAFETY: the kernel checks the address.
        return unsafe { super::arch::syscall(libc::SYS_clock_gettime, [clock, to, 0, 0, 0, 0]) };
    }
    store([now.tv_sec, now.tv_nsec], to)
}

#[allow(clippy::too_many_arguments)] // those of a `CallFn`
unsafe extern "sysv64" fn gettimeofday(to: u64, zone: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    let mut now = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: a structure of ours.
    if to == 0 || zone != 0 || unsafe { libc::gettimeofday(&raw mut now, std::ptr::null_mut()) } != 0 {
        // SAFETY: the kernel checks the addresses.
        return unsafe { super::arch::syscall(libc::SYS_gettimeofday, [to, zone, 0, 0, 0, 0]) };
    }
    store([now.tv_sec, now.tv_usec], to)
}

fn store(words: [i64; 2], to: u64) -> i64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_ne_bytes());
    bytes[8..].copy_from_slice(&words[1].to_ne_bytes());
    match guest_memory::write(to, &bytes) {
        Ok(()) => 0,
        Err(error) => -i64::from(error.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_kernels_and_bad_arguments_fail_alike() {
        // A bad address is a fault of ours, to be caught.
        crate::signal::host::install();
        let clock = without_kernel(libc::SYS_clock_gettime as u32).expect("known");
        let (mut mine, mut kernels) = ([0i64; 2], [0i64; 2]);
        let bad_clock = 1000;
        for (id, to) in [(1, &raw mut mine as u64), (1, 8), (bad_clock, &raw mut mine as u64)] {
            let other = if to == 8 { 8 } else { &raw mut kernels as u64 };
            // SAFETY: any addresses may be given.
            let results = unsafe {
                (
                    super::super::arch::syscall(libc::SYS_clock_gettime, [id, other, 0, 0, 0, 0]),
                    clock(id, to, 0, 0, 0, 0, 0, 0),
                )
            };
            assert_eq!(results.0, results.1);
        }
        assert!(mine >= kernels && mine[0] - kernels[0] < 10, "{mine:?} {kernels:?}");
        let day = without_kernel(libc::SYS_gettimeofday as u32).expect("known");
        // SAFETY: as above.
        let result = unsafe { day(&raw mut mine as u64, 0, 0, 0, 0, 0, 0, 0) };
        assert!(result == 0 && mine[0] > 1_600_000_000 && (0..1_000_000).contains(&mine[1]));
        // SAFETY: as above.
        assert_eq!(unsafe { day(0, 0, 0, 0, 0, 0, 0, 0) }, 0);
        assert!(without_kernel(libc::SYS_read as u32).is_none());
    }
}
