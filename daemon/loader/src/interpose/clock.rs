//! The wall clock of the daemon: it shows no year before 1970 and none after 9999.
//!
//! Much code takes that for granted. hyper dates every response and panics for a year that HTTP
//! cannot write, and so does whoever counts the seconds since 1970. A clock that was never set can
//! show such a year, so the daemon, with all that it is built from, reads the clock below.
//! Libraries of apps read libc's.

use std::ffi::c_int;

use super::Real;

type ReadFn = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

static READ: Real = Real::new(c"clock_gettime");

/// The first and the last second that it shows.
const ENDS: [i64; 2] = [0, 253_402_300_799];

/// Says whether the clock stands at one of its ends: the system's shows a year beyond.
pub fn clock_stands() -> bool {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time can be written.
    unsafe { clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    ENDS.contains(&time.tv_sec)
}

/// Stands before libc's function of the same name, for the standard library that the daemon is
/// linked with.
///
/// # Safety
/// As for libc's: `at` can be written.
// SAFETY: whoever binds to this name finds a function of the same type that does what libc's does.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, at: *mut libc::timespec) -> c_int {
    // SAFETY: libc's function of that name has this type.
    let real: ReadFn = unsafe { std::mem::transmute(READ.address()) };
    // SAFETY: as the caller says.
    let result = unsafe { real(clock, at) };
    if clock == libc::CLOCK_REALTIME && result == 0 {
        // SAFETY: the call has just written it.
        let time = unsafe { &mut *at };
        time.tv_sec = time.tv_sec.clamp(ENDS[0], ENDS[1]);
    }
    result
}
