//! Interposes the functions that wait for children. A library that waits for any child finds only
//! children of apps.
//!
//! The exit status of a child can be collected only once. The daemon puts each of its own children
//! into a new process group. Children of apps are in the daemon's process group, unless the app
//! moves them. So a wait for any child becomes a wait for any child in the daemon's process group.
//! If an app has moved a child to another group, it must wait for this child by pid.

use std::ffi::c_int;
use std::ptr;

use libc::{id_t, idtype_t, pid_t};

use super::signals::is_daemon;
use super::{Interposed, Real};

type WaitFn = unsafe extern "C-unwind" fn(pid_t, *mut c_int, c_int, *mut libc::rusage) -> pid_t;
type WaitIdFn = unsafe extern "C-unwind" fn(idtype_t, id_t, *mut libc::siginfo_t, c_int) -> c_int;

// All replacements call one of the first two functions. The others are listed only to verify the
// exports.
static WAIT_4: Real = Real::new(c"wait4");
static WAIT_ID: Real = Real::new(c"waitid");
static WAIT_3: Real = Real::new(c"wait3");
static WAIT: Real = Real::new(c"wait");
static WAIT_TOO: Real = Real::new(c"__wait");
static WAIT_PID: Real = Real::new(c"waitpid");
static WAIT_PID_TOO: Real = Real::new(c"__waitpid");

/// The arguments of `wait4` that mean any child, and any child in the caller's process group.
const ANY: pid_t = -1;
const ANY_OF_GROUP: pid_t = 0;

pub(super) fn interposed() -> [Interposed; 7] {
    [
        (&WAIT_4, wait4 as *const _),
        (&WAIT_ID, waitid as *const _),
        (&WAIT_3, wait3 as *const _),
        (&WAIT, wait as *const _),
        (&WAIT_TOO, __wait as *const _),
        (&WAIT_PID, waitpid as *const _),
        (&WAIT_PID_TOO, __waitpid as *const _),
    ]
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn wait4(
    pid: pid_t,
    status: *mut c_int,
    options: c_int,
    usage: *mut libc::rusage,
) -> pid_t {
    let pid = if pid == ANY && is_daemon() { ANY_OF_GROUP } else { pid };
    // SAFETY: this is the type of the function with that name.
    let real: WaitFn = unsafe { std::mem::transmute(WAIT_4.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(pid, status, options, usage) }
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn wait3(status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> pid_t {
    // SAFETY: the caller's promise.
    unsafe { wait4(ANY, status, options, usage) }
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t {
    // SAFETY: the caller's promise.
    unsafe { wait4(pid, status, options, ptr::null_mut()) }
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn __waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t {
    // SAFETY: the caller's promise.
    unsafe { wait4(pid, status, options, ptr::null_mut()) }
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn wait(status: *mut c_int) -> pid_t {
    // SAFETY: the caller's promise.
    unsafe { wait4(ANY, status, 0, ptr::null_mut()) }
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn __wait(status: *mut c_int) -> pid_t {
    // SAFETY: the caller's promise.
    unsafe { wait4(ANY, status, 0, ptr::null_mut()) }
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn waitid(
    kind: idtype_t,
    id: id_t,
    info: *mut libc::siginfo_t,
    options: c_int,
) -> c_int {
    let (kind, id) = if kind == libc::P_ALL && is_daemon() {
        // SAFETY: the function has no preconditions.
        (libc::P_PGID, unsafe { libc::getpgrp() }.cast_unsigned())
    } else {
        (kind, id)
    };
    // SAFETY: this is the type of the function with that name.
    let real: WaitIdFn = unsafe { std::mem::transmute(WAIT_ID.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(kind, id, info, options) }
}
