//! Exit handlers (`atexit`) of libraries. They run before the library is unmapped, or at the end of
//! the daemon.
//!
//! libc assigns each function to the library that registers it, by an address that the library
//! passes. If a library passes no address, or does not call `__cxa_finalize`, libc would keep its
//! functions after the library is unmapped.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;

use super::table::Destructor;
use super::{Interposed, Real, at};

type AtExitFn = unsafe extern "C" fn(Option<Destructor>, *mut c_void, *mut c_void) -> c_int;

static AT_EXIT: Real = Real::new(c"__cxa_atexit");

unsafe extern "C-unwind" {
    fn __cxa_finalize(dso: *mut c_void);
}

pub(super) fn interposed() -> [Interposed; 1] {
    [(&AT_EXIT, __cxa_atexit as *const c_void)]
}

/// Returns the address that identifies the library to libc.
fn handle(span: &Range<usize>) -> *mut c_void {
    ptr::without_provenance_mut(span.start)
}

/// Runs the functions that the library in `span` has registered, from the last to the first.
///
/// # Safety
/// The library is mapped, and its registered functions may run now.
pub(crate) unsafe fn run_exit_handlers(span: &Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe { __cxa_finalize(handle(span)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_atexit(run: Option<Destructor>, object: *mut c_void, dso: *mut c_void) -> c_int {
    let code = run.map_or(0, |run| run as usize);
    let owner =
        [dso.addr(), code].into_iter().find_map(|address| at(address, |place| handle(&place.span).addr()));
    // SAFETY: this is the type of the function with that name.
    let real: AtExitFn = unsafe { std::mem::transmute(AT_EXIT.address()) };
    // SAFETY: the caller's promise. libc only compares the address.
    unsafe { real(run, object, owner.map_or(dso, ptr::without_provenance_mut)) }
}
