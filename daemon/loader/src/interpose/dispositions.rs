//! What the process does at a signal: the node's decision where the node depends on it, and else
//! what the libraries have set.
//!
//! | signal | the node | a library's default or ignore | a library's handler |
//! |---|---|---|---|
//! | `SIGTERM`, `SIGINT`, `SIGHUP` | handles it | not carried out | not carried out |
//! | `SIGPIPE`, `SIGXFSZ` | ignores it | not carried out | not carried out |
//! | `SIGCHLD` | default | not carried out | called, without `SA_NOCLDWAIT` |
//! | of a fault | | a default is carried out, an ignore unless a library handles it | called |
//! | any other | | carried out unless a library handles it | called |
//!
//! What a library sets is noted, and that is what it finds when it asks: never a handler of another
//! library. The handlers of all libraries are called, with mask and flags of the one that was set
//! last (`handlers.rs`). What is not carried out of the node's signals is logged with the app's
//! name.
//!
//! A signal that no library handles any more does nothing, where the daemon has no handler of its
//! own: that a library goes must not end the node.

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

static BOOK: Mutex<Book> = Mutex::new(Book { wishes: BTreeMap::new(), before: BTreeMap::new() });

/// What is known of signals.
#[derive(Debug)]
struct Book {
    /// What libraries have set, by where they begin.
    wishes: BTreeMap<(usize, c_int), Wish>,
    /// What was in force before libraries handled a signal.
    before: BTreeMap<c_int, Action>,
}

/// What a library has set.
#[derive(Debug, Clone, Copy)]
struct Wish {
    action: Action,
    /// Where its handler is called from.
    place: Option<&'static AtomicUsize>,
    /// Whether the log says that it is not carried out.
    is_reported: bool,
}

/// A signal that is the daemon's.
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
    owned(libc::SIGTERM, "SIGTERM", "it stops the node in order; `terminate` of a process comes then"),
    owned(libc::SIGINT, "SIGINT", "it stops the node in order; `terminate` of a process comes then"),
    owned(libc::SIGHUP, "SIGHUP", "it asks a service to reload, and must not end the node"),
    owned(libc::SIGPIPE, "SIGPIPE", "a peer that hangs up must not end the node"),
    owned(libc::SIGXFSZ, "SIGXFSZ", "a file that may not grow must not end the node"),
    owned(libc::SIGCHLD, "SIGCHLD", "ignored, it hides how the children of all others end; wait for yours"),
];

/// Takes the handlers of the library in `span` off. Returns a signal that may still bring a thread
/// into it.
pub(crate) fn take_off_handlers(span: &Range<usize>) -> Option<c_int> {
    let is_in_force = |number: &c_int| span.contains(&in_force(*number).sa_sigaction);
    book(|book| book.take_off(span.start)).or_else(|| (1..SIGNALS as c_int).find(is_in_force))
}

/// Forgets what the library in `span` has set.
pub(super) fn forget(span: &Range<usize>) {
    book(|book| book.wishes.retain(|(library, _), _| *library != span.start));
}

/// Looks at what is known, or changes it. No handler runs meanwhile, which may do the same.
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

/// Returns the signal of that number where what it does is the node's decision.
fn node_signal(number: c_int) -> Option<Owned> {
    OWNED.into_iter().find(|owned| owned.number == number)
}

/// Whether the kernel sends it to a thread that cannot go on.
fn is_fault(number: c_int) -> bool {
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS].contains(&number)
}

pub(super) fn action(handler: sighandler_t, flags: c_int) -> Action {
    // SAFETY: it is of numbers and of a function that may be absent: all of it may be zero.
    let nothing = unsafe { MaybeUninit::<Action>::zeroed().assume_init() };
    Action { sa_sigaction: handler, sa_flags: flags, ..nothing }
}

fn is_handler(action: &Action) -> bool {
    ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)
}

/// Returns what the process does at a signal; the default for a number that is no signal.
fn in_force(number: c_int) -> Action {
    let mut now = action(libc::SIG_DFL, 0);
    // SAFETY: it only asks, and the answer has a place.
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

/// Returns where the library begins that calls; 0 where that is not known.
fn caller(new: Option<&Action>) -> usize {
    let handler = new.filter(|new| is_handler(new)).map_or(0, |new| new.sa_sigaction);
    let start = |address| at(address, |place| place.span.start);
    start(handler).or_else(|| start(output::inside())).unwrap_or(0)
}

/// Notes what a library sets, carries it out as far as may be, and returns what it had set before.
/// `None`: it is refused, and `errno` says why.
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
    if let Some(owned) = owned.filter(|_| new.is_some_and(|new| !is_granted(number, &new)))
        && book(|book| book.is_news((library, number)))
    {
        report(library, owned);
    }
    Some(before)
}

/// Whether a library gets what it sets for a signal of the node's.
fn is_granted(number: c_int, new: &Action) -> bool {
    match number {
        libc::SIGCHLD if is_handler(new) => true,
        libc::SIGCHLD => new.sa_sigaction == libc::SIG_DFL && new.sa_flags & libc::SA_NOCLDWAIT == 0,
        _ => new.sa_sigaction == in_force(number).sa_sigaction,
    }
}

impl Book {
    /// Returns what a library finds when it asks.
    fn shown(&self, library: usize, number: c_int) -> Action {
        let now = in_force(number);
        let is_dispatched = now.sa_sigaction == handlers::dispatcher();
        match self.wishes.get(&(library, number)) {
            // The kernel takes a handler away that was set for one time.
            Some(wish) if wish.place.is_none() || is_dispatched => wish.action,
            _ if is_dispatched => self.before.get(&number).copied().unwrap_or(action(libc::SIG_DFL, 0)),
            // A handler of the node is none of a library's business.
            _ if is_handler(&now) && node_signal(number).is_some() => action(libc::SIG_DFL, 0),
            _ => now,
        }
    }

    /// Notes what a library sets, and has the kernel do what may be done.
    fn set(&mut self, key: (usize, c_int), new: Action) -> Option<()> {
        let (_, number) = key;
        let (known, now, owned) = (self.wishes.get(&key).copied(), in_force(number), node_signal(number));
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
        if let Some(action) = carried_out(number, &new, self.is_handled_besides(key)) {
            // SAFETY: the library's promise of its handler.
            unsafe { real(number, &raw const action, ptr::null_mut()) };
        }
        if let Some(place) = place.filter(|_| next.is_none()) {
            place.store(0, Ordering::SeqCst);
        }
        // Every library begins with the default. A handler of a fault may not take memory for it.
        if known.is_some() || owned.is_some() || new.sa_sigaction != libc::SIG_DFL {
            let is_reported = known.is_some_and(|known| known.is_reported);
            self.wishes.insert(key, Wish { action: new, place: next, is_reported });
        }
        Some(())
    }

    /// Whether another library handles the signal.
    fn is_handled_besides(&self, (library, number): (usize, c_int)) -> bool {
        self.wishes
            .iter()
            .any(|((other, of), wish)| (*other != library) && (*of == number) && wish.place.is_some())
    }

    /// Whether the log does not say yet that this is not carried out; it does from now on.
    fn is_news(&mut self, key: (usize, c_int)) -> bool {
        self.wishes.get_mut(&key).is_some_and(|wish| !std::mem::replace(&mut wish.is_reported, true))
    }

    /// Takes the handlers of a library off. Returns a signal of which a handler runs.
    fn take_off(&mut self, library: usize) -> Option<c_int> {
        let of_it: Vec<c_int> =
            self.wishes.range((library, 0)..(library + 1, 0)).map(|((_, number), _)| *number).collect();
        for number in &of_it {
            let key = (library, *number);
            let Some(place) = self.wishes.get_mut(&key).and_then(|wish| wish.place.take()) else { continue };
            if !self.is_handled_besides(key) {
                self.silence(*number);
            }
            place.store(0, Ordering::SeqCst);
        }
        of_it.into_iter().find(|number| handlers::is_running(*number))
    }

    /// Has a signal do nothing that no library handles any more, unless the daemon has a handler.
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

/// Returns what the kernel gets for what a library sets; nothing where all stays as it is.
fn carried_out(number: c_int, new: &Action, is_handled_besides: bool) -> Option<Action> {
    let flags = new.sa_flags & if number == libc::SIGCHLD { !libc::SA_NOCLDWAIT } else { !0 };
    match (node_signal(number), new.sa_sigaction) {
        (Some(_), _) if number != libc::SIGCHLD => None,
        _ if is_handler(new) => {
            Some(Action { sa_sigaction: handlers::dispatcher(), sa_flags: flags | libc::SA_SIGINFO, ..*new })
        }
        // Whoever cannot go on is to end.
        (None, libc::SIG_DFL) if is_fault(number) => Some(*new),
        _ if is_handled_besides => None,
        (Some(_), _) => Some(Action { sa_sigaction: libc::SIG_DFL, sa_flags: flags, ..*new }),
        (None, _) => Some(*new),
    }
}

fn too_many<T>() -> Option<T> {
    // SAFETY: it only answers.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is the calling thread's.
    unsafe { *errno = libc::EAGAIN };
    None
}

/// Says once for a library and a signal that it is not the library's to decide.
fn report(library: usize, Owned { name, why, .. }: Owned) {
    let app = app_at(library);
    let _interlude = output::interlude();
    // What panics here is a line less.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let app = app.as_deref();
        tracing::warn!(name: "app.signal", app, signal = name, "what a library sets is not carried out: {name} is the node's, since {why}");
    }));
}
