//! Environment variables that are hidden from libraries.

use std::env;
use std::ffi::OsString;

/// Removes a variable from the environment and returns its value. Must be called at the start of a
/// program, on its only thread.
pub fn take_variable(name: &str) -> Option<OsString> {
    let value = env::var_os(name)?;
    // SAFETY: no other thread exists that might read the environment.
    unsafe { env::remove_var(name) };
    Some(value)
}
