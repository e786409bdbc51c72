//! Variables of the environment that no library is to see.

use std::env;
use std::ffi::OsString;

/// Takes a variable out of the environment: to be called where a program begins, on its only
/// thread.
pub fn take_variable(name: &str) -> Option<OsString> {
    let value = env::var_os(name)?;
    // SAFETY: there is no other thread that might read the environment.
    unsafe { env::remove_var(name) };
    Some(value)
}
