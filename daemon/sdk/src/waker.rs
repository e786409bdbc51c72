//! Keeps wakers inside the library.
//!
//! The daemon wakes a process, never a future: it polls the process's callback and passes the
//! references that were answered. Waiting futures put their wakers into a table of the callback,
//! which the thread borrows during one poll. So combinators with wakers of their own (`join_all`,
//! `select`, `FuturesUnordered`) work, and no code of this library is stored in a queue of the
//! daemon, where it would prevent unmapping.
//!
//! Thread-locals here are `Cell`s of values without a destructor. A destructor registered with a
//! thread of the daemon would run library code when that thread ends, after the library was
//! unmapped.
#![expect(
    unsafe_code,
    reason = "a waker without data or allocation can only be made from its function table"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// The wakers of a callback's waiting futures. The table is empty while only the root future waits,
/// because the root needs no waker.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    by_reference: BTreeMap<u64, Waker>,
    /// The wakers of futures that wait for the next message of a task.
    for_mail: Vec<Waker>,
}

impl Wakers {
    const NEW: Self = Self(None);

    /// Returns whether no waker was ever kept here.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.0.get_or_insert_default()
    }

    /// Wakes the futures that wait for an answered reference. Also wakes the futures that wait for
    /// mail, because mail may have arrived before any poll.
    #[inline]
    pub(crate) fn wake(&mut self, completed: &[u64]) {
        if let Some(waiting) = &mut self.0 {
            waiting.wake(completed);
        }
    }
}

impl Drop for Wakers {
    /// Compares once if there are no wakers, which is usual, where the compiler would call a
    /// function.
    #[inline]
    fn drop(&mut self) {
        if let Some(waiting) = self.0.take() {
            end(waiting);
        }
    }
}

impl Waiting {
    fn wake(&mut self, completed: &[u64]) {
        for reference in completed {
            if let Some(waker) = self.by_reference.remove(reference) {
                waker.wake();
            }
        }
        for waker in self.for_mail.drain(..) {
            waker.wake();
        }
    }
}

#[cold]
fn end(waiting: Box<Waiting>) {
    drop(waiting);
}

/// The thread's part of the current poll.
struct Current {
    lent: Cell<ManuallyDrop<Wakers>>,
    /// Whether the root future was woken.
    woken: Cell<bool>,
}

impl Current {
    #[inline]
    fn swap(&self, wakers: Wakers) -> Wakers {
        ManuallyDrop::into_inner(self.lent.replace(ManuallyDrop::new(wakers)))
    }
}

thread_local! {
    // One thread-local and not two, since a library looks each of them up by a call.
    static CURRENT: Current = const {
        Current { lent: Cell::new(ManuallyDrop::new(Wakers::NEW)), woken: Cell::new(false) }
    };
}

/// Lends the table to the futures polled by `poll`, and takes it back even if `poll` panics. `poll`
/// gets the record of whether the root was woken.
#[inline]
pub(crate) fn lend<R>(wakers: &mut Wakers, poll: impl FnOnce(&Cell<bool>) -> R) -> R {
    struct Lease<'a> {
        current: &'a Current,
        wakers: &'a mut Wakers,
        outer: Wakers,
    }
    impl Drop for Lease<'_> {
        #[inline]
        fn drop(&mut self) {
            *self.wakers = self.current.swap(std::mem::take(&mut self.outer));
        }
    }
    CURRENT.with(|current| {
        let outer = current.swap(std::mem::take(wakers));
        let _lease = Lease { current, wakers, outer };
        poll(&current.woken)
    })
}

/// Keeps the waker of a future that waits for a reference. The waker of the root future is not
/// kept, because the root is always polled.
pub(crate) fn park(reference: u64, waker: &Waker) {
    if !waker.will_wake(root()) {
        with_lent(|wakers| wakers.waiting().by_reference.insert(reference, waker.clone()));
    }
}

/// Removes the waker of a future that no longer waits.
pub(crate) fn unpark(reference: u64) {
    drop(with_lent(|wakers| wakers.0.as_mut()?.by_reference.remove(&reference)));
}

/// Keeps the waker of a future that waits for a task's mail.
pub(crate) fn park_for_mail(waker: &Waker) {
    if !waker.will_wake(root()) {
        with_lent(|wakers| wakers.waiting().for_mail.push(waker.clone()));
    }
}

/// Returns the waker for polling root futures. It records that the root was woken.
pub(crate) fn root() -> &'static Waker {
    &ROOT
}

fn with_lent<R>(change: impl FnOnce(&mut Wakers) -> R) -> R {
    CURRENT.with(|current| {
        let mut wakers = current.swap(Wakers::NEW);
        let result = change(&mut wakers);
        drop(current.swap(wakers));
        result
    })
}

// SAFETY: the functions ignore the data pointer, need no thread and keep nothing alive.
static ROOT: Waker = unsafe { Waker::new(std::ptr::null(), &ROOT_TABLE) };
static ROOT_TABLE: RawWakerVTable = RawWakerVTable::new(clone_root, wake_root, wake_root, drop_root);

fn clone_root(_: *const ()) -> RawWaker {
    RawWaker::new(std::ptr::null(), &ROOT_TABLE)
}

fn wake_root(_: *const ()) {
    CURRENT.with(|current| current.woken.set(true));
}

fn drop_root(_: *const ()) {}
