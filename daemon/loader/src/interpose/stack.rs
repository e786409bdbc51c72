//! Alternate stacks of signal handlers, on their way to the kernel: a thread keeps the one that it
//! was given.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use super::table::Stack;
use super::threads::{hook_thread, this_thread};
use super::{Door, Real, at, is_in_library, table};
use crate::output;

type StackFn = unsafe extern "C" fn(*const libc::stack_t, *mut libc::stack_t) -> c_int;

static STACK: Real = Real::new(c"sigaltstack");

pub(super) fn doors() -> [Door; 1] {
    [(&STACK, sigaltstack as *const c_void)]
}

/// Gives the calling thread back the stack that it had before a library gave it another one.
pub(super) fn restore(before: Stack) {
    let before = stack(before);
    // SAFETY: it is the daemon's own, or none.
    unsafe { real(&raw const before, ptr::null_mut()) };
}

fn stack(Stack { start, flags, size }: Stack) -> libc::stack_t {
    // The kernel says whether a stack is in use, and does not want to be told so.
    let flags = flags & !libc::SS_ONSTACK;
    libc::stack_t { ss_sp: ptr::with_exposed_provenance_mut(start), ss_flags: flags, ss_size: size }
}

/// Returns what a library finds that asks for the calling thread's stack. One of another library may
/// be gone when this one puts it back.
fn shown(now: libc::stack_t) -> libc::stack_t {
    let start = |address| at(address, |place| place.span.start);
    let owner = start(now.ss_sp.expose_provenance());
    let before =
        owner.filter(|_| owner != start(output::inside())).and_then(|_| table().stack_before(this_thread()));
    before.map_or(now, stack)
}

/// # Safety
/// As for `sigaltstack`.
unsafe fn real(new: *const libc::stack_t, old: *mut libc::stack_t) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: StackFn = unsafe { std::mem::transmute(STACK.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(new, old) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaltstack(new: *const libc::stack_t, old: *mut libc::stack_t) -> c_int {
    // SAFETY: the caller's promise. It may be the place of the answer as well, so it is read
    // before.
    let start = (!new.is_null()).then(|| unsafe { (*new).ss_sp.expose_provenance() });
    let mut before = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: the caller's promise, and a place of the right size.
    let status = unsafe { real(new, before.as_mut_ptr()) };
    if status != 0 {
        return status;
    }
    // SAFETY: all of it may be zero.
    let before = unsafe { before.assume_init() };
    if !old.is_null() {
        // SAFETY: the caller's promise.
        unsafe { old.write(shown(before)) };
    }
    if let Some(start) = start {
        let owner = Some(start).filter(|start| is_in_library(*start));
        let start = before.ss_sp.expose_provenance();
        let before = Stack { start, flags: before.ss_flags, size: before.ss_size };
        table().stack_is(this_thread(), owner, before);
        if owner.is_some() {
            hook_thread();
        }
    }
    status
}
