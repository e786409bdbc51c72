//! The door between libraries and libc: what a library would leave with a thread is kept here instead.
//!
//! Rust's standard library, which every library has a copy of, binds code to threads in two ways that outlive a
//! `dlclose`: destructors of thread-locals, which make glibc keep the library, and keys with a destructor, which glibc
//! does not count, so that the thread later jumps into nothing. Both are bound by calls of libc. The executable defines
//! these functions itself and exports them; it comes first in the system's order of lookup, so libraries call the
//! definitions here. The daemon's own calls go on to libc, but for the first.
//!
//! | call of a library | here |
//! |---|---|
//! | `__cxa_thread_atexit_impl` | the destructor is noted, and run by [`flush`] or at the thread's end |
//! | `pthread_key_create` | the key is made without destructor; that is noted |
//! | `pthread_setspecific` | that this thread has a value is noted |
//! | `pthread_key_delete` | the key and its values are forgotten |
//! | `pthread_create` | the thread is counted from before its start to its very end |
//! | `sigaltstack` | that this thread has a stack of the library is noted, and what it had before |
//! | `__cxa_atexit` | the function goes with the library, whatever it says of that |
//! | `write`, `writev` | what it prints goes into the log (`interpose/stdio.rs`) |
//! | `sigaction`, `signal` and their kin | noted; the node and all libraries get along (`interpose/dispositions.rs`) |
//! | `wait`, `waitpid` and their kin | any child is one of its own (`interpose/children.rs`) |
//!
//! One more stands before libc's for the daemon itself and is not exported: `clock_gettime`
//! (`interpose/clock.rs`).
//!
//! A library's code then runs at a thread's end only from `thread_ends`, which this crate registers with libc, so that
//! no thread can be inside a library that nothing here knows of.
//!
//! # Locks
//! Two, each held for a look at a table and never while foreign code runs: a destructor may do all of the above again.
//! They are those of the standard library, which need no thread-local of their own; another kind would come back here.
//!
//! # Names
//! Each function with a name of libc's stands for that function and keeps its contract.
//!
//! # Limits
//! What a shared C++ library does in the name of an app's library is not told apart from what it does for itself, so a
//! `std::thread` of a library that shares libstdc++ is not counted; such a library stays mapped (`keepers.rs`).

mod children;
mod clock;
mod dispositions;
mod exit;
mod handlers;
mod locals;
mod signals;
mod stack;
mod stdio;
mod table;
mod threads;

use std::collections::BTreeSet;
use std::ffi::{CStr, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

pub use self::clock::clock_stands;
pub(crate) use self::dispositions::take_off_handlers;
pub(crate) use self::exit::run_exit_handlers;
pub use self::signals::{own_signals, reset_signals};
pub(crate) use self::stdio::replace_streams;
pub(crate) use self::table::ThreadId;
use self::table::{Call, Due, Table, Whose};
pub(crate) use self::threads::{hook_thread, this_thread};
use crate::error::Refusal;
use crate::output;

static TABLE: Mutex<Table> = Mutex::new(Table::new());
/// Where libraries are.
static PLACES: RwLock<Vec<Place>> = RwLock::new(Vec::new());
/// Libraries are opened and closed one at a time, whoever does it.
static DOOR: Mutex<()> = Mutex::new(());

/// Where the library of an app is.
struct Place {
    app: Arc<str>,
    span: Range<usize>,
}

/// A function of libc behind one of the same name here.
struct Real {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

/// A function of libc, and the one that libraries are to find in its place.
type Door = (&'static Real, *const c_void);

impl Real {
    const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: a look-up by a name that is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // libc without it is none that this program was linked with.
            std::process::abort();
        }
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// Says whether libraries really call the functions of this module. To be called once, before the first library is
/// opened.
///
/// # Errors
/// [`Refusal::NotExported`]: the program was linked without its exports. What libraries leave with threads is not known
/// then, and none must be unmapped.
pub(crate) fn verify() -> Result<(), Refusal> {
    let doors: [&[Door]; 7] = [
        &locals::doors(),
        &threads::doors(),
        &stack::doors(),
        &exit::doors(),
        &stdio::doors(),
        &signals::doors(),
        &children::doors(),
    ];
    // SAFETY: a look-up by a name that is a C string, in the order in which libraries look.
    let found = |real: &Real| unsafe { libc::dlsym(libc::RTLD_DEFAULT, real.name.as_ptr()) }.cast_const();
    match doors.concat().into_iter().find(|(real, ours)| found(real) != *ours) {
        Some((real, _)) => Err(Refusal::NotExported { symbol: real.name.to_str().unwrap_or_default() }),
        None => Ok(()),
    }
}

/// Runs what libraries that are to go have left with the calling thread. To be called on a thread that is inside no
/// library, when the loader has asked for it; quick where there is nothing.
pub fn flush() {
    run(Whose::Condemned);
}

/// As [`flush`], of one library alone: what another one has left may not return.
pub(crate) fn flush_one(span: &Range<usize>) {
    run(Whose::Of(span.start));
}

/// Opens a library of an app by `open`, which says where it is. None of its code has run then.
pub(crate) fn opening<T>(
    app: &str,
    open: impl FnOnce() -> Result<(T, Range<usize>), Refusal>,
) -> Result<T, Refusal> {
    let _door = DOOR.lock().unwrap_or_else(PoisonError::into_inner);
    let (opened, span) = open()?;
    PLACES.write().unwrap_or_else(PoisonError::into_inner).push(Place { app: app.into(), span });
    Ok(opened)
}

/// Closes the library in `span` by `close`, which says whether it is gone. Nothing may hold it: [`threads`] and
/// [`holders`] were asked.
pub(crate) fn closing<T>(span: &Range<usize>, close: impl FnOnce() -> (T, bool)) -> T {
    let _door = DOOR.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = table().keys(span);
    keys.into_iter().for_each(locals::delete_key);
    let (answer, is_gone) = close();
    if is_gone {
        // What its last code has left meanwhile would be called in nothing.
        table().forget(span);
        dispositions::forget(span);
        PLACES.write().unwrap_or_else(PoisonError::into_inner).retain(|known| known.span != *span);
    }
    answer
}

/// Has [`flush`] run what the library in `span` left, from now on.
pub(crate) fn condemn(span: &Range<usize>) {
    table().condemn(span);
}

/// Returns how many threads that the library in `span` started still run.
pub(crate) fn threads(span: &Range<usize>) -> usize {
    table().threads(span)
}

/// Returns the threads with which the library in `span` has left something.
pub(crate) fn holders(span: &Range<usize>) -> BTreeSet<ThreadId> {
    table().holders(span)
}

/// Returns a thread that runs a thread-local destructor of the library in `span`, and has done so for that long.
pub(crate) fn late(span: &Range<usize>, after: Duration) -> Option<ThreadId> {
    table().late(span, after)
}

/// Returns the app whose library is at an address.
pub(crate) fn app_at(address: usize) -> Option<Arc<str>> {
    at(address, |place| Arc::clone(&place.app))
}

/// Returns something of the library at an address.
fn at<T>(address: usize, of: impl Fn(&Place) -> T) -> Option<T> {
    let places = PLACES.read().unwrap_or_else(PoisonError::into_inner);
    places.iter().find(|place| place.span.contains(&address)).map(of)
}

/// Says whether an address is in a library.
fn is_in_library(address: usize) -> bool {
    at(address, |_| ()).is_some()
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs duties of the calling thread, those included that come up meanwhile.
fn run(whose: Whose) {
    let thread = this_thread();
    let mut releases = 0;
    while releases < locals::RELEASES_MAX {
        let Some(Due { id, owner, call }) = table().next(thread, whose) else { return };
        // What a thread prints at its end is not to be logged any more.
        let _visit = (whose != Whose::All).then(|| output::visit(owner));
        match call {
            // SAFETY: it was registered for this thread with this object; its library is mapped while the entry is there.
            Call::Destroy(run, object) => unsafe { run(ptr::with_exposed_provenance_mut(object)) },
            Call::Release(key, run) => {
                releases += 1;
                locals::release(key, run);
            }
            Call::Restore(before) => stack::restore(before),
        }
        table().done(id);
    }
}
