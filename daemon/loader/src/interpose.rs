//! Interposes functions of libc that would leave an address of a library behind, and keeps track of
//! these addresses here.
//!
//! Every library contains a copy of Rust's standard library, which binds code to threads in two
//! ways that outlive a `dlclose`. Destructors of thread-locals make glibc keep the library mapped.
//! Keys with a destructor are not counted by glibc, so the thread would later jump to an unmapped
//! address. Code registers both by calling functions of libc. The executable defines and exports
//! functions with the same names. The executable comes first in the lookup order of symbols, so
//! libraries call the definitions here. Calls from the daemon's own code are passed on to libc,
//! except those of `__cxa_thread_atexit_impl`.
//!
//! | call of a library | effect |
//! |---|---|
//! | `__cxa_thread_atexit_impl` | the destructor is recorded, and run by [`flush`] or at the thread's end |
//! | `pthread_key_create` | the key is made without a destructor, which is recorded |
//! | `pthread_setspecific` | the thread is recorded as the owner of a value |
//! | `pthread_key_delete` | the key and its values are forgotten |
//! | `pthread_create` | the thread is counted from before its start to its very end |
//! | `sigaltstack` | the thread is recorded as the owner of the library's stack, with its previous stack |
//! | `__cxa_atexit` | the function is registered for its library, even if the call names none |
//! | `write`, `writev` | the output goes to the log (`interpose/stdio.rs`) |
//! | `sigaction`, `signal` and the like | recorded; the node and all libraries share the signals (`interpose/dispositions.rs`) |
//! | `wait`, `waitpid` and the like | only children of apps are found (`interpose/children.rs`) |
//!
//! One more function is interposed for the daemon itself and not exported: `clock_gettime`
//! (`interpose/clock.rs`).
//!
//! At the end of a thread, code of a library runs only from `thread_ends`, which this crate
//! registers with libc. So every thread that is inside a library is known here.
//!
//! # Locks
//! There are two locks. Each is held only to read or change a table, never while foreign code runs,
//! because a destructor may call all of these functions again. They are locks of the standard
//! library, because these need no thread-local. A lock with a thread-local that has a destructor
//! would call back into this module.
//!
//! # Names
//! Each function with the name of a libc function replaces that function and keeps its contract.
//!
//! # Limits
//! Calls that a shared C++ library makes on behalf of an app's library look like its own calls. So
//! a `std::thread` of a library that shares libstdc++ is not counted; such a library stays mapped
//! (`keepers.rs`).

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
pub(crate) use self::dispositions::remove_handlers;
pub(crate) use self::exit::run_exit_handlers;
pub use self::signals::{own_signals, reset_signals};
pub(crate) use self::stdio::replace_streams;
pub(crate) use self::table::ThreadId;
use self::table::{Call, Due, Table, Whose};
pub(crate) use self::threads::{hook_thread, this_thread};
use crate::error::Refusal;
use crate::output;

static TABLE: Mutex<Table> = Mutex::new(Table::new());
/// The address ranges of all libraries.
static PLACES: RwLock<Vec<Place>> = RwLock::new(Vec::new());
/// Held while a library is opened or closed, so that only one is at a time.
static OPEN_OR_CLOSE: Mutex<()> = Mutex::new(());

/// The address range of an app's library.
struct Place {
    app: Arc<str>,
    span: Range<usize>,
}

/// A function of libc that is replaced here by a function of the same name.
struct Real {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

/// A function of libc, and the replacement that libraries must find instead.
type Interposed = (&'static Real, *const c_void);

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
            // This cannot happen, because the program was linked with a libc that has the function.
            std::process::abort();
        }
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// Checks that libraries really call the functions of this module. Must be called once, before the
/// first library is opened.
///
/// # Errors
/// [`Refusal::NotExported`]: the program was linked without its exports. The daemon then does not
/// know the values that libraries leave with threads, so no library may be unmapped.
pub(crate) fn verify() -> Result<(), Refusal> {
    let interposed: [&[Interposed]; 7] = [
        &locals::interposed(),
        &threads::interposed(),
        &stack::interposed(),
        &exit::interposed(),
        &stdio::interposed(),
        &signals::interposed(),
        &children::interposed(),
    ];
    // SAFETY: a look-up by a name that is a C string, in the lookup order of libraries.
    let found = |real: &Real| unsafe { libc::dlsym(libc::RTLD_DEFAULT, real.name.as_ptr()) }.cast_const();
    match interposed.concat().into_iter().find(|(real, ours)| found(real) != *ours) {
        Some((real, _)) => Err(Refusal::NotExported { symbol: real.name.to_str().unwrap_or_default() }),
        None => Ok(()),
    }
}

/// Runs the thread-local destructors of condemned libraries on the calling thread. When the loader
/// asks for it, every thread must call this outside any library. It is fast if there are no
/// destructors to run.
pub fn flush() {
    run(Whose::Condemned);
}

/// Like [`flush`], but for one library only, because a destructor of another library may not
/// return.
pub(crate) fn flush_one(span: &Range<usize>) {
    run(Whose::Of(span.start));
}

/// Opens a library of an app by calling `open`. That function returns the library's address range,
/// and runs none of the library's code.
pub(crate) fn opening<T>(
    app: &str,
    open: impl FnOnce() -> Result<(T, Range<usize>), Refusal>,
) -> Result<T, Refusal> {
    let _guard = OPEN_OR_CLOSE.lock().unwrap_or_else(PoisonError::into_inner);
    let (opened, span) = open()?;
    PLACES.write().unwrap_or_else(PoisonError::into_inner).push(Place { app: app.into(), span });
    Ok(opened)
}

/// Closes the library in `span` by calling `close`. That function returns whether the library is
/// unmapped. The caller must have checked [`threads`] and [`holders`], because no thread may hold
/// the library.
pub(crate) fn closing<T>(span: &Range<usize>, close: impl FnOnce() -> (T, bool)) -> T {
    let _guard = OPEN_OR_CLOSE.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = table().keys(span);
    keys.into_iter().for_each(locals::delete_key);
    let (answer, is_gone) = close();
    if is_gone {
        // Destructors that the library has registered since would run at an unmapped address.
        table().forget(span);
        dispositions::forget(span);
        PLACES.write().unwrap_or_else(PoisonError::into_inner).retain(|known| known.span != *span);
    }
    answer
}

/// Marks the library in `span` as condemned. From now on, [`flush`] runs its thread-local
/// destructors.
pub(crate) fn condemn(span: &Range<usize>) {
    table().condemn(span);
}

/// Returns the number of running threads that the library in `span` has started.
pub(crate) fn threads(span: &Range<usize>) -> usize {
    table().threads(span)
}

/// Returns the threads that hold values of the library in `span`.
pub(crate) fn holders(span: &Range<usize>) -> BTreeSet<ThreadId> {
    table().holders(span)
}

/// Returns a thread that has been running a thread-local destructor of the library in `span` for at
/// least `after`.
pub(crate) fn late(span: &Range<usize>, after: Duration) -> Option<ThreadId> {
    table().late(span, after)
}

/// Returns the app of the library at an address.
pub(crate) fn app_at(address: usize) -> Option<Arc<str>> {
    at(address, |place| Arc::clone(&place.app))
}

/// Returns a property of the library that contains an address.
fn at<T>(address: usize, of: impl Fn(&Place) -> T) -> Option<T> {
    let places = PLACES.read().unwrap_or_else(PoisonError::into_inner);
    places.iter().find(|place| place.span.contains(&address)).map(of)
}

/// Returns whether an address lies in a library.
fn is_in_library(address: usize) -> bool {
    at(address, |_| ()).is_some()
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the duties of the calling thread, including duties that are added meanwhile.
fn run(whose: Whose) {
    let thread = this_thread();
    let mut releases = 0;
    while releases < locals::RELEASES_MAX {
        let Some(Due { id, owner, call }) = table().next(thread, whose) else { return };
        // Output at the end of a thread is not logged.
        let _visit = (whose != Whose::All).then(|| output::visit(owner));
        match call {
            // SAFETY: it was registered for this thread with this object; its library stays mapped
            // as long as the entry exists.
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
