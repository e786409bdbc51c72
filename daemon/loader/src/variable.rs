//! Environment variables and descriptors that are hidden from libraries.

use std::env;
use std::ffi::OsString;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Removes a variable from the environment and returns its value. Must be called at the start of a
/// program, on its only thread.
pub fn take_variable(name: &str) -> Option<OsString> {
    let value = env::var_os(name)?;
    // SAFETY: no other thread exists that might read the environment.
    unsafe { env::remove_var(name) };
    Some(value)
}

/// Takes a descriptor that the parent OS process has passed on. Child processes do not inherit it
/// any more. Returns `None` if it is not open. Must be called once for each number, at the start of
/// a program, before it opens files.
pub fn take_descriptor(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the call only changes a flag of the descriptor; it fails if there is none.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return None;
    }
    // SAFETY: it is open, and by the rule above no other part of the program knows it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
