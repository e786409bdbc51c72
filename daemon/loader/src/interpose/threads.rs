//! Interposes `pthread_create`, and counts the threads of libraries from before their start to
//! their very end.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;

use super::locals::AT_EXIT;
use super::table::{Destructor, ThreadId, Whose};
use super::{Interposed, Real, TABLE, is_in_library, run, table};
use crate::output;

type Start = extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type CreateFn =
    unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Start, *mut c_void) -> c_int;
type AtExitFn = unsafe extern "C" fn(Option<Destructor>, *mut c_void, *mut c_void) -> c_int;

static CREATE: Real = Real::new(c"pthread_create");

thread_local! {
    // These thread-locals have no destructors, because this module itself would have to register
    // them.
    static SELF: Cell<ThreadId> = const { Cell::new(0) };
    static HAS_HOOK: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn interposed() -> [Interposed; 1] {
    [(&CREATE, pthread_create as *const c_void)]
}

pub(crate) fn this_thread() -> ThreadId {
    if SELF.get() == 0 {
        // SAFETY: the function has no preconditions.
        SELF.set(unsafe { libc::gettid() });
    }
    SELF.get()
}

/// Makes [`thread_ends`] run at the end of the calling thread. Every thread must call this when it
/// starts and not later, because libc takes the lock of its loader here.
pub(crate) fn hook_thread() {
    if !HAS_HOOK.replace(true) {
        // Any address in the program, so that glibc assigns the function to the program. glibc does
        // not accept null.
        let program = (&raw const TABLE).cast_mut().cast();
        // SAFETY: this is the type of the function with that name.
        let real: AtExitFn = unsafe { std::mem::transmute(AT_EXIT.address()) };
        // SAFETY: the function and the program stay mapped.
        unsafe { real(Some(thread_ends), ptr::null_mut(), program) };
    }
}

/// Runs at the end of every thread, from libc's list of the thread's destructors.
unsafe extern "C" fn thread_ends(_: *mut c_void) {
    output::thread_ends();
    run(Whose::All);
    table().thread_ended(this_thread());
    HAS_HOOK.set(false);
}

/// The arguments of a new thread.
struct Birth {
    /// The entry in the table, if a library has started the thread.
    id: Option<u64>,
    start: Start,
    argument: *mut c_void,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: CreateFn = unsafe { std::mem::transmute(CREATE.address()) };
    let id = is_in_library(start as usize).then(|| table().thread_starts(start as usize));
    let birth = Box::into_raw(Box::new(Birth { id, start, argument }));
    // SAFETY: the caller's promise; `begin` takes the box over.
    let status = unsafe { real(thread, attributes, begin, birth.cast()) };
    if status != 0 {
        id.into_iter().for_each(|id| table().done(id));
        // SAFETY: no thread was started, so the box is still owned here.
        drop(unsafe { Box::from_raw(birth) });
    }
    status
}

/// Runs a thread. No value with a destructor is alive during the call of `start`, because `start`
/// may unwind the thread.
extern "C-unwind" fn begin(birth: *mut c_void) -> *mut c_void {
    // SAFETY: the box was made for this thread.
    let Birth { id, start, argument } = *unsafe { Box::from_raw(birth.cast::<Birth>()) };
    hook_thread();
    let Some(id) = id else { return start(argument) };
    table().thread_runs(id, this_thread());
    output::thread_begins(start as usize);
    let answer = start(argument);
    output::thread_returns();
    answer
}
