//! What the process does at a signal: the node's decision where the node depends on it.
//!
//! | signal | the node | a library's default or ignore | a library's handler |
//! |---|---|---|---|
//! | `SIGTERM`, `SIGINT`, `SIGHUP` | handles it | not carried out | not carried out |
//! | `SIGPIPE`, `SIGXFSZ` | ignores it | not carried out | not carried out |
//! | `SIGCHLD` | default | not carried out | carried out, without `SA_NOCLDWAIT` |
//! | any other | | carried out | carried out |
//!
//! What is not carried out is noted per library, which finds it when it asks, and logged with the
//! app's name. All that holds in the daemon's own process alone: in a child that an app forks, and
//! in the child that the standard library prepares for a program, the calls are libc's.
//!
//! Masks are left alone: a mask is a thread's, and no library runs on the main thread.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use libc::sighandler_t;

use super::{Door, Real, app_at, at};
use crate::output;

type Action = libc::sigaction;
type ActionFn = unsafe extern "C" fn(c_int, *const Action, *mut Action) -> c_int;
type SignalFn = unsafe extern "C" fn(c_int, sighandler_t) -> sighandler_t;
type NumberFn = unsafe extern "C" fn(c_int) -> c_int;
type InterruptFn = unsafe extern "C" fn(c_int, c_int) -> c_int;

static ACTION: Real = Real::new(c"sigaction");
static ACTION_TOO: Real = Real::new(c"__sigaction");
static SIGNAL: Real = Real::new(c"signal");
static BSD_SIGNAL: Real = Real::new(c"bsd_signal");
static SSIGNAL: Real = Real::new(c"ssignal");
static SYSV_SIGNAL: Real = Real::new(c"sysv_signal");
static SYSV_SIGNAL_TOO: Real = Real::new(c"__sysv_signal");
static SET: Real = Real::new(c"sigset");
static IGNORE: Real = Real::new(c"sigignore");
static INTERRUPT: Real = Real::new(c"siginterrupt");

/// `SIG_HOLD`, which is no disposition.
const HOLD: sighandler_t = 2;

/// The process of which the signals are the daemon's; 0 before.
static DAEMON: AtomicU32 = AtomicU32::new(0);

/// What libraries have set and what is not carried out, by where they begin.
static WISHES: Mutex<Wishes> = Mutex::new(BTreeMap::new());

type Wishes = BTreeMap<(usize, c_int), Wish>;

/// What a library has set.
#[derive(Debug, Clone, Copy)]
struct Wish {
    action: Action,
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

pub(super) fn doors() -> [Door; 10] {
    [
        (&ACTION, sigaction as *const _),
        (&ACTION_TOO, __sigaction as *const _),
        (&SIGNAL, signal as *const _),
        (&BSD_SIGNAL, bsd_signal as *const _),
        (&SSIGNAL, ssignal as *const _),
        (&SYSV_SIGNAL, sysv_signal as *const _),
        (&SYSV_SIGNAL_TOO, __sysv_signal as *const _),
        (&SET, sigset as *const _),
        (&IGNORE, sigignore as *const _),
        (&INTERRUPT, siginterrupt as *const _),
    ]
}

/// Gives signals what the programs of the daemon count on, whatever they have inherited: to be
/// called where a program begins, on its only thread.
pub fn reset_signals() {
    for (number, handler) in
        [(libc::SIGPIPE, libc::SIG_IGN), (libc::SIGXFSZ, libc::SIG_IGN), (libc::SIGCHLD, libc::SIG_DFL)]
    {
        let action = action(handler, 0);
        // SAFETY: no function is given, and the signals are known.
        unsafe { real(number, &raw const action, ptr::null_mut()) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: it is written to.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: it was just written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
}

/// Takes the signals for the daemon, which has set its handlers: to be called before the first
/// library is opened. What is set later for these signals is not carried out.
pub fn own_signals() {
    DAEMON.store(process::id(), Ordering::Relaxed);
}

/// Says whether this is the daemon's own process, and no child that was forked.
pub(super) fn is_daemon() -> bool {
    DAEMON.load(Ordering::Relaxed) == process::id()
}

/// Returns a signal whose handler is in `span`.
pub(crate) fn signal_handled_in(span: &Range<usize>) -> Option<c_int> {
    (1..=libc::SIGRTMAX()).find(|number| span.contains(&in_force(*number).sa_sigaction))
}

/// Forgets what the library in `span` has set.
pub(super) fn forget(span: &Range<usize>) {
    wishes(|wishes| wishes.retain(|(library, _), _| *library != span.start));
}

fn wishes<T>(of: impl FnOnce(&mut Wishes) -> T) -> T {
    of(&mut WISHES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the signal of that number where what it does is the daemon's decision.
fn guarded(number: c_int) -> Option<Owned> {
    OWNED.into_iter().find(|owned| owned.number == number).filter(|_| is_daemon())
}

fn action(handler: sighandler_t, flags: c_int) -> Action {
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
unsafe fn real(number: c_int, new: *const Action, old: *mut Action) -> c_int {
    // SAFETY: this is the type of the function with that name.
    let real: ActionFn = unsafe { std::mem::transmute(ACTION.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(number, new, old) }
}

/// Returns where the library begins that calls; 0 where that is not known.
fn caller(new: Option<&Action>) -> usize {
    let handler = new.filter(|new| is_handler(new)).map_or(0, |new| new.sa_sigaction);
    let start = |address| at(address, |place| place.span.start);
    start(output::inside()).or_else(|| start(handler)).unwrap_or(0)
}

/// Notes what a library sets, and returns what it had set before.
fn set(signal: Owned, new: Option<Action>) -> Action {
    let (library, now) = (caller(new.as_ref()), in_force(signal.number));
    let is_carried_out = new.is_none_or(|new| match signal.number {
        libc::SIGCHLD => carry_out(&new),
        _ => new.sa_sigaction == now.sa_sigaction,
    });
    let (before, is_news) = wishes(|wishes| {
        let key = (library, signal.number);
        let before = wishes.get(&key).copied();
        let was_reported = before.is_some_and(|before| before.is_reported);
        if let Some(action) = new {
            wishes.insert(key, Wish { action, is_reported: was_reported || !is_carried_out });
        }
        (before, !was_reported && !is_carried_out)
    });
    if is_news {
        report(library, signal);
    }
    // A handler of the daemon is none of a library's business.
    let shown = || if is_handler(&now) { action(libc::SIG_DFL, 0) } else { now };
    before.map_or_else(shown, |before| before.action)
}

/// Gives a library the handler of `SIGCHLD` that it asks for, which others can live with, and takes
/// it back. Says whether the library gets what it asks for.
fn carry_out(new: &Action) -> bool {
    let handler = if is_handler(new) { new.sa_sigaction } else { libc::SIG_DFL };
    let flags = new.sa_flags & !libc::SA_NOCLDWAIT;
    let action = Action { sa_sigaction: handler, sa_flags: flags, ..*new };
    // SAFETY: the library's promise of its handler.
    unsafe { real(libc::SIGCHLD, &raw const action, ptr::null_mut()) };
    is_handler(new) || (new.sa_sigaction, new.sa_flags) == (handler, flags)
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

/// Sets a function as `signal` and its kin do.
///
/// # Safety
/// As for `signal`.
unsafe fn set_by(real: &Real, number: c_int, handler: sighandler_t, flags: c_int) -> sighandler_t {
    match guarded(number) {
        Some(owned) => set(owned, Some(action(handler, flags))).sa_sigaction,
        None => {
            // SAFETY: this is the type of the functions with these names.
            let real: SignalFn = unsafe { std::mem::transmute(real.address()) };
            // SAFETY: the caller's promise.
            unsafe { real(number, handler) }
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(number: c_int, new: *const Action, old: *mut Action) -> c_int {
    let Some(owned) = guarded(number) else {
        // SAFETY: the caller's promise.
        return unsafe { real(number, new, old) };
    };
    // SAFETY: the caller's promise. It may be the place of the answer as well, so it is read before.
    let before = set(owned, unsafe { new.as_ref() }.copied());
    if !old.is_null() {
        // SAFETY: the caller's promise.
        unsafe { old.write(before) };
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __sigaction(number: c_int, new: *const Action, old: *mut Action) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { sigaction(number, new, old) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the caller's promise.
    unsafe { set_by(&SIGNAL, number, handler, libc::SA_RESTART) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bsd_signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the caller's promise.
    unsafe { set_by(&BSD_SIGNAL, number, handler, libc::SA_RESTART) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ssignal(number: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the caller's promise.
    unsafe { set_by(&SSIGNAL, number, handler, libc::SA_RESTART) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sysv_signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the caller's promise.
    unsafe { set_by(&SYSV_SIGNAL, number, handler, libc::SA_RESETHAND | libc::SA_NODEFER) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __sysv_signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the caller's promise.
    unsafe { set_by(&SYSV_SIGNAL_TOO, number, handler, libc::SA_RESETHAND | libc::SA_NODEFER) }
}

/// Holding a signal back is a matter of the thread, which libc does; so is it to answer that it was.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigset(number: c_int, handler: sighandler_t) -> sighandler_t {
    let Some(owned) = guarded(number) else {
        // SAFETY: the caller's promise.
        return unsafe { set_by(&SET, number, handler, 0) };
    };
    let wish = (handler != HOLD).then(|| action(handler, 0));
    let before = set(owned, wish).sa_sigaction;
    let how = if handler == HOLD { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    if change_mask(how, number) { HOLD } else { before }
}

/// Blocks a signal for the calling thread, or no longer, and says whether it was.
fn change_mask(how: c_int, number: c_int) -> bool {
    let (mut one, mut before) = (MaybeUninit::uninit(), MaybeUninit::zeroed());
    // SAFETY: it is written to.
    unsafe { libc::sigemptyset(one.as_mut_ptr()) };
    // SAFETY: it was just written, and the signal is known.
    unsafe { libc::sigaddset(one.as_mut_ptr(), number) };
    // SAFETY: the first was written, the second is written to.
    unsafe { libc::pthread_sigmask(how, one.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: it was just written.
    unsafe { libc::sigismember(before.as_ptr(), number) == 1 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigignore(number: c_int) -> c_int {
    if let Some(owned) = guarded(number) {
        set(owned, Some(action(libc::SIG_IGN, 0)));
        return 0;
    }
    // SAFETY: this is the type of the function with that name.
    let real: NumberFn = unsafe { std::mem::transmute(IGNORE.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn siginterrupt(number: c_int, interrupts: c_int) -> c_int {
    if let Some(owned) = guarded(number) {
        let mut wish = set(owned, None);
        wish.sa_flags &= !libc::SA_RESTART;
        wish.sa_flags |= if interrupts == 0 { libc::SA_RESTART } else { 0 };
        set(owned, Some(wish));
        return 0;
    }
    // SAFETY: this is the type of the function with that name.
    let real: InterruptFn = unsafe { std::mem::transmute(INTERRUPT.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(number, interrupts) }
}
