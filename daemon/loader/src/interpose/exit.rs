//! Functions that are to run at the end: those of a library run when it goes, or at the daemon's
//! end where it is still there.
//!
//! libc files each under the library that registers it, by the address that the library gives. One
//! that gives none, or does not say when it goes, would leave its functions behind.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;

use super::table::Destructor;
use super::{Door, Real, at};

type AtExitFn = unsafe extern "C" fn(Option<Destructor>, *mut c_void, *mut c_void) -> c_int;

static AT_EXIT: Real = Real::new(c"__cxa_atexit");

unsafe extern "C-unwind" {
    fn __cxa_finalize(dso: *mut c_void);
}

pub(super) fn doors() -> [Door; 1] {
    [(&AT_EXIT, __cxa_atexit as *const c_void)]
}

/// Returns the address under which the functions of a library are filed.
fn handle(span: &Range<usize>) -> *mut c_void {
    ptr::without_provenance_mut(span.start)
}

/// Runs the functions that the library in `span` has registered, the last one first.
///
/// # Safety
/// It is mapped, and whatever it has registered may run.
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
