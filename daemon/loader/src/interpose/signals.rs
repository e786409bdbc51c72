//! Replacements for `sigaction`, `signal` and the like, each with the contract of libc.
//! `dispositions.rs` decides which dispositions are applied.
//!
//! The replacements take effect only in the daemon's own OS process. In a child that an app forks,
//! and in the child that the standard library prepares for a program, the calls go to libc.
//!
//! Signal masks are not interposed, because a mask belongs to a thread, and no library runs on the
//! main thread.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::sighandler_t;

use super::dispositions::{ACTION, Action, action, real, set};
use super::handlers::SIGNALS;
use super::{Interposed, Real};

type SignalFn = unsafe extern "C" fn(c_int, sighandler_t) -> sighandler_t;
type NumberFn = unsafe extern "C" fn(c_int) -> c_int;
type InterruptFn = unsafe extern "C" fn(c_int, c_int) -> c_int;

static ACTION_TOO: Real = Real::new(c"__sigaction");
static SIGNAL: Real = Real::new(c"signal");
static BSD_SIGNAL: Real = Real::new(c"bsd_signal");
static SSIGNAL: Real = Real::new(c"ssignal");
static SYSV_SIGNAL: Real = Real::new(c"sysv_signal");
static SYSV_SIGNAL_TOO: Real = Real::new(c"__sysv_signal");
static SET: Real = Real::new(c"sigset");
static IGNORE: Real = Real::new(c"sigignore");
static INTERRUPT: Real = Real::new(c"siginterrupt");

/// The value `SIG_HOLD`, which blocks a signal and sets no disposition.
const HOLD: sighandler_t = 2;

/// The OS process id of the daemon, or 0 before [`own_signals`].
static DAEMON: AtomicU32 = AtomicU32::new(0);

pub(super) fn interposed() -> [Interposed; 10] {
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

/// Sets the dispositions and the mask that the daemon's programs need, instead of the inherited
/// ones. Must be called at the start of a program, on its only thread.
pub fn reset_signals() {
    for (number, handler) in
        [(libc::SIGPIPE, libc::SIG_IGN), (libc::SIGXFSZ, libc::SIG_IGN), (libc::SIGCHLD, libc::SIG_DFL)]
    {
        let action = action(handler, 0);
        // SAFETY: no handler is set, and the signals are valid.
        unsafe { real(number, &raw const action, ptr::null_mut()) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: it is written to.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: it was just written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
}

/// Reserves the signals of the daemon. Must be called after the daemon has set its handlers, and
/// before the first library is opened. Dispositions that libraries set for these signals are not
/// applied.
pub fn own_signals() {
    DAEMON.store(process::id(), Ordering::Relaxed);
}

/// Returns whether this is the daemon's own OS process, and not a forked child.
pub(super) fn is_daemon() -> bool {
    DAEMON.load(Ordering::Relaxed) == process::id()
}

/// Returns whether dispositions for a signal are handled here. Signals that a library cannot set
/// are left to libc.
fn is_guarded(number: c_int) -> bool {
    let is_libcs =
        [libc::SIGKILL, libc::SIGSTOP].contains(&number) || (32..libc::SIGRTMIN()).contains(&number);
    (1..SIGNALS as c_int).contains(&number) && !is_libcs && is_daemon()
}

/// Sets a handler, like `signal` and its variants.
///
/// # Safety
/// As for `signal`.
unsafe fn set_by(real: &Real, number: c_int, handler: sighandler_t, flags: c_int) -> sighandler_t {
    if handler != libc::SIG_ERR && is_guarded(number) {
        return set(number, Some(action(handler, flags))).map_or(libc::SIG_ERR, |before| before.sa_sigaction);
    }
    // SAFETY: this is the type of the functions with these names.
    let real: SignalFn = unsafe { std::mem::transmute(real.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(number, handler) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(number: c_int, new: *const Action, old: *mut Action) -> c_int {
    if !is_guarded(number) {
        // SAFETY: the caller's promise.
        return unsafe { real(number, new, old) };
    }
    // SAFETY: the caller's promise. `new` and `old` may be the same, so `new` is read first.
    let Some(before) = set(number, unsafe { new.as_ref() }.copied()) else { return -1 };
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

/// Sets a disposition. As `sigset` requires, it also blocks or unblocks the signal for the calling
/// thread.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigset(number: c_int, handler: sighandler_t) -> sighandler_t {
    if !is_guarded(number) {
        // SAFETY: the caller's promise.
        return unsafe { set_by(&SET, number, handler, 0) };
    }
    let wish = (handler != HOLD).then(|| action(handler, 0));
    let Some(before) = set(number, wish) else { return libc::SIG_ERR };
    let how = if handler == HOLD { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    if change_mask(how, number) { HOLD } else { before.sa_sigaction }
}

/// Blocks or unblocks a signal for the calling thread. Returns whether it was blocked before.
fn change_mask(how: c_int, number: c_int) -> bool {
    let (mut one, mut before) = (MaybeUninit::uninit(), MaybeUninit::zeroed());
    // SAFETY: it is written to.
    unsafe { libc::sigemptyset(one.as_mut_ptr()) };
    // SAFETY: it was just written, and the signal is known.
    unsafe { libc::sigaddset(one.as_mut_ptr(), number) };
    // SAFETY: `one` is initialised above; `before` is only written to.
    unsafe { libc::pthread_sigmask(how, one.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: it was just written.
    unsafe { libc::sigismember(before.as_ptr(), number) == 1 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigignore(number: c_int) -> c_int {
    if is_guarded(number) {
        return set(number, Some(action(libc::SIG_IGN, 0))).map_or(-1, |_| 0);
    }
    // SAFETY: this is the type of the function with that name.
    let real: NumberFn = unsafe { std::mem::transmute(IGNORE.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn siginterrupt(number: c_int, interrupts: c_int) -> c_int {
    if is_guarded(number) {
        return interrupt(number, interrupts != 0).map_or(-1, |_| 0);
    }
    // SAFETY: this is the type of the function with that name.
    let real: InterruptFn = unsafe { std::mem::transmute(INTERRUPT.address()) };
    // SAFETY: the caller's promise.
    unsafe { real(number, interrupts) }
}

/// Sets whether a signal interrupts system calls.
fn interrupt(number: c_int, interrupts: bool) -> Option<Action> {
    let mut wish = set(number, None)?;
    wish.sa_flags &= !libc::SA_RESTART;
    wish.sa_flags |= if interrupts { 0 } else { libc::SA_RESTART };
    set(number, Some(wish))
}
