//! Signal dispositions of the OS process. The node sets those of the signals that it depends on.
//! The libraries set all others.
//!
//! | signal | the node | default or ignore set by a library | handler set by a library |
//! |---|---|---|---|
//! | `SIGTERM`, `SIGINT`, `SIGHUP` | handles it | not applied | not applied |
//! | `SIGPIPE`, `SIGXFSZ` | ignores it | not applied | not applied |
//! | `SIGCHLD` | default | not applied | called, without `SA_NOCLDWAIT` |
//! | a fault | | a default is applied, an ignore unless a library handles it | called |
//! | any other | | applied unless a library handles it | called |
//!
//! Each library sees the disposition that it has set itself, never the handler of another library.
//! The handlers of all libraries are called, with the mask and flags of the one set last
//! (`handlers.rs`). If a disposition for one of the node's signals is not applied, the log reports
//! this with the app's name.
//!
//! When the last library that handles a signal is unmapped, the signal has no effect from then on,
//! unless the daemon has a handler of its own. Otherwise the signal could then end the node.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use libc::sighandler_t;

use super::handlers::{self, SIGNALS};
use super::{Real, app_at, at};
use crate::output;

pub(super) type Action = libc::sigaction;
type ActionFn = unsafe extern "C" fn(c_int, *const Action, *mut Action) -> c_int;

pub(super) static ACTION: Real = Real::new(c"sigaction");

static BOOK: Mutex<Book> = Mutex::new(Book { requested: BTreeMap::new(), before: BTreeMap::new() });

/// The dispositions that libraries have set, and the dispositions that they replaced.
#[derive(Debug)]
struct Book {
    /// The dispositions that libraries have set. The key is the library's start address and the
    /// signal.
    requested: BTreeMap<(usize, c_int), Requested>,
    /// The disposition of each signal before the first library handled it.
    before: BTreeMap<c_int, Action>,
}

/// A disposition that a library has set.
#[derive(Debug, Clone, Copy)]
struct Requested {
    action: Action,
    /// The slot of the handler in `handlers.rs`, if the disposition is a handler.
    place: Option<&'static AtomicUsize>,
    /// Whether the log has reported that the disposition is not applied.
    is_reported: bool,
}

/// A signal that belongs to the daemon.
#[derive(Debug, Clone, Copy)]
struct Owned {
    number: c_int,
    name: &'static str,
    why: &'static str,
}

const fn owned(number: c_int, name: &'static str, why: &'static str) -> Owned {
    Owned { number, name, why }
}

const OWNED: [Owned; 6] = [
    owned(libc::SIGTERM, "SIGTERM", "it stops the node, which calls `terminate` of its processes"),
    owned(libc::SIGINT, "SIGINT", "it stops the node, which calls `terminate` of its processes"),
    owned(libc::SIGHUP, "SIGHUP", "it asks a service to reload, and must not end the node"),
    owned(libc::SIGPIPE, "SIGPIPE", "a peer that hangs up must not end the node"),
    owned(libc::SIGXFSZ, "SIGXFSZ", "a file that may not grow must not end the node"),
    owned(
        libc::SIGCHLD,
        "SIGCHLD",
        "ignoring it discards the exit statuses of all other children; wait for your own",
    ),
];

/// Removes the handlers of the library in `span`. Returns a signal whose handler may still run code
/// of the library.
pub(crate) fn remove_handlers(span: &Range<usize>) -> Option<c_int> {
    let is_in_force = |number: &c_int| span.contains(&in_force(*number).sa_sigaction);
    book(|book| book.remove_handlers(span.start)).or_else(|| (1..SIGNALS as c_int).find(is_in_force))
}

/// Forgets the dispositions that the library in `span` has set.
pub(super) fn forget(span: &Range<usize>) {
    book(|book| book.requested.retain(|(library, _), _| *library != span.start));
}

/// Reads or changes the book. All signals are blocked meanwhile, because a signal handler may use
/// the book too.
fn book<T>(of: impl FnOnce(&mut Book) -> T) -> T {
    let mut all = MaybeUninit::uninit();
    // SAFETY: it is written to.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let mut before = MaybeUninit::zeroed();
    // SAFETY: the first was just written, the second is written to.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let answer = of(&mut BOOK.lock().unwrap_or_else(PoisonError::into_inner));
    // SAFETY: it was just written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    answer
}

/// Returns the signal if it belongs to the node.
fn node_signal(number: c_int) -> Option<Owned> {
    OWNED.into_iter().find(|owned| owned.number == number)
}

/// Returns whether the signal reports a fault, after which the thread cannot continue.
fn is_fault(number: c_int) -> bool {
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS].contains(&number)
}

pub(super) fn action(handler: sighandler_t, flags: c_int) -> Action {
    // SAFETY: the struct has numbers and an optional function, which may all be zero.
    let nothing = unsafe { MaybeUninit::<Action>::zeroed().assume_init() };
    Action { sa_sigaction: handler, sa_flags: flags, ..nothing }
}

fn is_handler(action: &Action) -> bool {
    ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)
}

/// Returns the disposition in force. A number that is no signal has the default disposition.
fn in_force(number: c_int) -> Action {
    let mut now = action(libc::SIG_DFL, 0);
    // SAFETY: the call only reads, and `now` is writable.
    unsafe { real(number, ptr::null(), &raw mut now) };
    now
}

/// # Safety
/// As for `sigaction`.
pub(super) unsafe fn real(number: c_int, new: *const Action, old: *mut Action) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: ActionFn = unsafe { std::mem::transmute(ACTION.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(number, new, old) }
}

/// Returns the start address of the calling library, or 0 if it is not known.
fn caller(new: Option<&Action>) -> usize {
    let handler = new.filter(|new| is_handler(new)).map_or(0, |new| new.sa_sigaction);
    let start = |address| at(address, |place| place.span.start);
    start(handler).or_else(|| start(output::inside())).unwrap_or(0)
}

/// Records the disposition that a library sets, and applies it as far as that is allowed. Returns
/// the previous disposition, or `None` if the call is refused, with the reason in `errno`.
pub(super) fn set(number: c_int, new: Option<Action>) -> Option<Action> {
    let (library, owned) = (caller(new.as_ref()), node_signal(number));
    let before = book(|book| {
        let before = book.shown(library, number);
        match new {
            None => {}
            Some(new) if library == 0 && owned.is_none() => {
                // SAFETY: the daemon's own promise.
                unsafe { real(number, &raw const new, ptr::null_mut()) };
            }
            Some(new) => book.set((library, number), new)?,
        }
        Some(before)
    })?;
    if let Some(owned) = owned.filter(|_| new.is_some_and(|new| !is_applied(number, &new)))
        && book(|book| book.mark_reported((library, number)))
    {
        report(library, owned);
    }
    Some(before)
}

/// Returns whether a disposition for one of the node's signals is applied.
fn is_applied(number: c_int, new: &Action) -> bool {
    match number {
        libc::SIGCHLD if is_handler(new) => true,
        libc::SIGCHLD => new.sa_sigaction == libc::SIG_DFL && new.sa_flags & libc::SA_NOCLDWAIT == 0,
        _ => new.sa_sigaction == in_force(number).sa_sigaction,
    }
}

impl Book {
    /// Returns the disposition of a signal that a library sees.
    fn shown(&self, library: usize, number: c_int) -> Action {
        let now = in_force(number);
        let is_dispatched = now.sa_sigaction == handlers::dispatcher();
        match self.requested.get(&(library, number)) {
            // The kernel has removed a handler that was set with SA_RESETHAND.
            Some(requested) if requested.place.is_none() || is_dispatched => requested.action,
            _ if is_dispatched => self.before.get(&number).copied().unwrap_or(action(libc::SIG_DFL, 0)),
            // A handler of the node is not shown to libraries.
            _ if is_handler(&now) && node_signal(number).is_some() => action(libc::SIG_DFL, 0),
            _ => now,
        }
    }

    /// Records the disposition that a library sets, and applies it as far as that is allowed.
    fn set(&mut self, key: (usize, c_int), new: Action) -> Option<()> {
        let (_, number) = key;
        let (known, now, owned) = (self.requested.get(&key).copied(), in_force(number), node_signal(number));
        let is_called = is_handler(&new) && owned.is_none_or(|_| number == libc::SIGCHLD);
        let place = known.and_then(|known| known.place);
        let next = match place.filter(|_| is_called) {
            Some(place) => {
                place.store(new.sa_sigaction, Ordering::SeqCst);
                Some(place)
            }
            None if is_called => Some(handlers::put(number, new.sa_sigaction).or_else(too_many)?),
            None => None,
        };
        if next.is_some() && now.sa_sigaction != handlers::dispatcher() {
            self.before.insert(number, now);
        }
        if let Some(action) = applied(number, &new, self.is_handled_by_another(key)) {
            // SAFETY: the library's promise of its handler.
            unsafe { real(number, &raw const action, ptr::null_mut()) };
        }
        if let Some(place) = place.filter(|_| next.is_none()) {
            place.store(0, Ordering::SeqCst);
        }
        // Every library begins with the default, so the default need not be recorded. A handler of
        // a fault often sets the default, and must not allocate then.
        if known.is_some() || owned.is_some() || new.sa_sigaction != libc::SIG_DFL {
            let is_reported = known.is_some_and(|known| known.is_reported);
            self.requested.insert(key, Requested { action: new, place: next, is_reported });
        }
        Some(())
    }

    /// Whether another library handles the signal.
    fn is_handled_by_another(&self, (library, number): (usize, c_int)) -> bool {
        self.requested.iter().any(|((other, of), requested)| {
            (*other != library) && (*of == number) && requested.place.is_some()
        })
    }

    /// Marks a disposition as reported. Returns false if it was marked before.
    fn mark_reported(&mut self, key: (usize, c_int)) -> bool {
        self.requested
            .get_mut(&key)
            .is_some_and(|requested| !std::mem::replace(&mut requested.is_reported, true))
    }

    /// Removes the handlers of a library. Returns a signal for which a handler is still running.
    fn remove_handlers(&mut self, library: usize) -> Option<c_int> {
        let of_it: Vec<c_int> =
            self.requested.range((library, 0)..(library + 1, 0)).map(|((_, number), _)| *number).collect();
        for number in &of_it {
            let key = (library, *number);
            let Some(place) = self.requested.get_mut(&key).and_then(|requested| requested.place.take())
            else {
                continue;
            };
            if !self.is_handled_by_another(key) {
                self.silence(*number);
            }
            place.store(0, Ordering::SeqCst);
        }
        of_it.into_iter().find(|number| handlers::is_running(*number))
    }

    /// Makes a signal have no effect after its last handler was removed, unless the daemon has a
    /// handler.
    fn silence(&self, number: c_int) {
        if in_force(number).sa_sigaction != handlers::dispatcher() {
            return;
        }
        let before =
            self.before.get(&number).copied().filter(|before| is_handler(before) || is_fault(number));
        let action = before.unwrap_or(action(handlers::dispatcher(), libc::SA_RESTART));
        // SAFETY: no handler of a library.
        unsafe { real(number, &raw const action, ptr::null_mut()) };
    }
}

/// Returns the disposition to give to the kernel, or `None` to leave the current one in force.
fn applied(number: c_int, new: &Action, is_handled_by_another: bool) -> Option<Action> {
    let flags = new.sa_flags & if number == libc::SIGCHLD { !libc::SA_NOCLDWAIT } else { !0 };
    match (node_signal(number), new.sa_sigaction) {
        (Some(_), _) if number != libc::SIGCHLD => None,
        _ if is_handler(new) => {
            Some(Action { sa_sigaction: handlers::dispatcher(), sa_flags: flags | libc::SA_SIGINFO, ..*new })
        }
        // The thread cannot continue after a fault, so the default must end the OS process.
        (None, libc::SIG_DFL) if is_fault(number) => Some(*new),
        _ if is_handled_by_another => None,
        (Some(_), _) => Some(Action { sa_sigaction: libc::SIG_DFL, sa_flags: flags, ..*new }),
        (None, _) => Some(*new),
    }
}

fn too_many<T>() -> Option<T> {
    // SAFETY: the function only returns an address.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is the calling thread's.
    unsafe { *errno = libc::EAGAIN };
    None
}

/// Logs, once per library and signal, that the disposition is not applied.
fn report(library: usize, Owned { name, why, .. }: Owned) {
    let app = app_at(library);
    let _interlude = output::interlude();
    // If logging panics, only the log line is lost.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let app = app.as_deref();
        tracing::warn!(name: "app.signal", app, signal = name, "the disposition of {name} that a library has set is not applied: the signal belongs to the node, since {why}");
    }));
}
