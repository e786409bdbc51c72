//! Interposes `sigaltstack`. A thread would keep the alternate stack of a library after the library
//! is unmapped, so the thread's previous stack is recorded and restored.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use super::table::Stack;
use super::threads::{hook_thread, this_thread};
use super::{Interposed, Real, at, is_in_library, table};
use crate::output;

type StackFn = unsafe extern "C" fn(*const libc::stack_t, *mut libc::stack_t) -> c_int;

static STACK: Real = Real::new(c"sigaltstack");

pub(super) fn interposed() -> [Interposed; 1] {
    [(&STACK, sigaltstack as *const c_void)]
}

/// Restores the alternate stack that the calling thread had before a library replaced it.
pub(super) fn restore(before: Stack) {
    let before = stack(before);
    // SAFETY: the stack belongs to the daemon, or there is none.
    unsafe { real(&raw const before, ptr::null_mut()) };
}

fn stack(Stack { start, flags, size }: Stack) -> libc::stack_t {
    // The kernel reports this flag, but refuses it as an argument.
    let flags = flags & !libc::SS_ONSTACK;
    libc::stack_t { ss_sp: ptr::with_exposed_provenance_mut(start), ss_flags: flags, ss_size: size }
}

/// Returns the calling thread's stack as a library sees it. The stack of another library is hidden,
/// because it may be unmapped by the time this library restores it.
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
    // SAFETY: the caller's promise. `new` and `old` may be the same, so `new` is read first.
    let start = (!new.is_null()).then(|| unsafe { (*new).ss_sp.expose_provenance() });
    let mut before = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: the caller's promise, and `before` is writable.
    let status = unsafe { real(new, before.as_mut_ptr()) };
    if status != 0 {
        return status;
    }
    // SAFETY: all members may be zero.
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
