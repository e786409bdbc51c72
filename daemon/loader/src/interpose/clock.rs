//! The daemon's wall clock, limited to the years 1970 to 9999.
//!
//! Much code relies on this range. hyper dates every response, and panics for a year that HTTP
//! cannot represent. Code that counts the seconds since 1970 panics for earlier years. A system
//! clock that was never set may show such a year, so all code that is linked into the daemon reads
//! the clock below. Libraries of apps read libc's clock.

use std::ffi::c_int;

use super::Real;

type ReadFn = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

static READ: Real = Real::new(c"clock_gettime");

/// The first and the last second of the range, since 1970.
const ENDS: [i64; 2] = [0, 253_402_300_799];

/// Returns whether the daemon's clock stands still at one end of its range, because the system
/// clock is outside it.
pub fn clock_stands() -> bool {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time can be written.
    unsafe { clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    ENDS.contains(&time.tv_sec)
}

/// Replaces libc's function of the same name in the code that is linked into the daemon.
///
/// # Safety
/// As for libc's function: `at` is writable.
// SAFETY: the function has the type and the contract of libc's function of this name.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, at: *mut libc::timespec) -> c_int {
    // SAFETY: libc's function of that name has this type.
    let real: ReadFn = unsafe { std::mem::transmute(READ.address()) };
    // SAFETY: the caller's promise.
    let result = unsafe { real(clock, at) };
    if clock == libc::CLOCK_REALTIME && result == 0 {
        // SAFETY: the call has just written it.
        let time = unsafe { &mut *at };
        time.tv_sec = time.tv_sec.clamp(ENDS[0], ENDS[1]);
    }
    result
}
