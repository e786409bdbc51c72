//! Samples a thread: a signal handler in the thread copies its registers and its stack.
//!
//! ```text
//!  the caller (one at a time)        the thread, in the handler of SIGURG
//!  ASKED = the thread; tgkill
//!                                    ASKED = 0, if it was this thread
//!                                    writes the registers and the stack
//!                                    TAKEN = true
//!  reads them
//!  or, after a timeout: ASKED = 0, and no handler writes any more
//! ```
//!
//! SIGURG is ignored by default, so a late signal does no harm. The handler calls only `gettid` and
//! `pread`. It allocates no memory, takes no lock, and preserves `errno`. An interrupted system
//! call is restarted (`SA_RESTART`).

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::registers::{self, Registers};

/// The maximum size of a stack copy, in bytes.
const STACK_MAX: usize = 64 << 10;
/// The time limit of the caller for the thread's copy.
const PATIENCE: Duration = Duration::from_millis(100);

static ONE: Mutex<()> = Mutex::new(());
static ASKED: AtomicI32 = AtomicI32::new(0);
static TAKEN: AtomicBool = AtomicBool::new(false);
/// A descriptor of `/proc/self/mem`. Reading an unmapped address through it returns an error.
static MEMORY: AtomicI32 = AtomicI32::new(-1);
static REGISTERS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static LENGTH: AtomicUsize = AtomicUsize::new(0);
static STACK: Stack = Stack(UnsafeCell::new([0; STACK_MAX]));

struct Stack(UnsafeCell<[u8; STACK_MAX]>);

// SAFETY: it has one user at a time: the handler from ASKED to TAKEN, then the caller.
unsafe impl Sync for Stack {}

/// A snapshot of a thread.
pub(super) struct Sample {
    pub(super) registers: Registers,
    stack: Vec<u8>,
}

impl Sample {
    /// Returns the word at an address of the stack.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let [_, stack_pointer, ..] = self.registers;
        let at = usize::try_from(address.checked_sub(stack_pointer)?).ok()?;
        let word = self.stack.get(at..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*word))
    }

    /// Returns whether the thread runs in this address range, or may return there.
    pub(super) fn touches(&self, place: &Range<u64>) -> bool {
        let words = self.stack.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
        words.chain([self.registers[0]]).any(|word| place.contains(&word))
    }
}

/// Samples a thread. Returns `None` if the thread has ended, does not handle the signal in time, or
/// if an app has a handler for the signal.
pub(super) fn take(thread: i32) -> Option<Sample> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = File::open("/proc/self/mem").ok()?;
    if !install() {
        return None;
    }
    MEMORY.store(memory.as_raw_fd(), Ordering::Relaxed);
    TAKEN.store(false, Ordering::Relaxed);
    ASKED.store(thread, Ordering::Release);
    let process = std::process::id().cast_signed();
    // SAFETY: a signal to a thread of this process; the call fails if the thread has ended.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGURG) };
    if sent != 0 || !came() {
        let unanswered = ASKED.compare_exchange(thread, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if unanswered {
            return None;
        }
        // The handler has begun, and will finish soon.
        while !TAKEN.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }
    let registers = REGISTERS.each_ref().map(|register| register.load(Ordering::Relaxed));
    // SAFETY: the handler is done, and `_one` excludes another caller.
    let stack = unsafe { &*STACK.0.get() };
    let stack = stack[..LENGTH.load(Ordering::Relaxed)].to_vec();
    Some(Sample { registers, stack })
}

fn came() -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !TAKEN.load(Ordering::Acquire) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    true
}

/// Installs the handler, unless an app has a handler of its own for the signal.
fn install() -> bool {
    let handler = handle as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call only reads the current handler.
    unsafe { libc::sigaction(libc::SIGURG, ptr::null(), now.as_mut_ptr()) };
    // SAFETY: all members are numbers, which may be zero.
    let now = unsafe { now.assume_init() };
    if now.sa_sigaction == handler {
        return true;
    }
    if ![libc::SIG_DFL, libc::SIG_IGN].contains(&now.sa_sigaction) {
        return false;
    }
    let flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    let action = libc::sigaction { sa_sigaction: handler, sa_flags: flags, ..now };
    // SAFETY: the handler has this type and is async-signal-safe.
    unsafe { libc::sigaction(libc::SIGURG, &raw const action, ptr::null_mut()) == 0 }
}

extern "C" fn handle(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the function has no preconditions.
    let thread = unsafe { libc::gettid() };
    if ASKED.compare_exchange(thread, 0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return;
    }
    // SAFETY: the address of the thread's own errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { errno.read() };
    // SAFETY: the kernel passes a context to a handler installed with SA_SIGINFO.
    let registers = registers::interrupted(unsafe { &*context.cast() });
    for (place, register) in REGISTERS.iter().zip(registers) {
        place.store(register, Ordering::Relaxed);
    }
    let from = registers[1].cast_signed();
    // SAFETY: the buffer belongs to this thread from ASKED to TAKEN; unmapped addresses are not
    // read.
    let read = unsafe { libc::pread(MEMORY.load(Ordering::Relaxed), STACK.0.get().cast(), STACK_MAX, from) };
    LENGTH.store(usize::try_from(read).unwrap_or(0), Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { errno.write(before) };
    TAKEN.store(true, Ordering::Release);
}
