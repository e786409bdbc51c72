//! The locks and atomics of the protocols that loom and shuttle check. The same names stand for the
//! real types and for the checkers' types.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod real {
    use std::time::Duration;

    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
    pub(crate) use std::thread;

    /// A cell with an atomic swap. It is lock-free for values as wide as a pointer.
    pub(crate) struct Cell<T>(crossbeam_utils::atomic::AtomicCell<T>);

    impl<T> Cell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(crossbeam_utils::atomic::AtomicCell::new(value))
        }

        pub(crate) fn swap(&self, value: T) -> T {
            self.0.swap(value)
        }
    }

    /// Releases the lock and waits for a change, at most for the time `at_most`.
    pub(crate) fn nap<T>(changed: &Condvar, mut guard: MutexGuard<'_, T>, at_most: Duration) {
        changed.wait_for(&mut guard, at_most);
    }
}

/// The API of parking_lot for the checkers. A panic ends a model, so poisoning can be ignored.
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod model {
    use std::sync::PoisonError;
    use std::time::Duration;

    #[cfg(feature = "loom")]
    use loom as checker;
    #[cfg(not(feature = "loom"))]
    use shuttle as checker;

    pub(crate) use checker::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
    pub(crate) use checker::sync::{Condvar, MutexGuard};
    use checker::sync::{RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use checker::thread;

    #[cfg(feature = "loom")]
    pub(crate) use loom::sync::atomic::fence;

    /// shuttle is sequentially consistent, so a fence has no effect.
    #[cfg(not(feature = "loom"))]
    pub(crate) fn fence(_order: Ordering) {}

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(checker::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(checker::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(crate) struct Cell<T>(Mutex<T>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn swap(&self, value: T) -> T {
            std::mem::replace(&mut *self.0.lock(), value)
        }
    }

    /// The checkers do not model time: a nap only lets other threads run.
    pub(crate) fn nap<T>(_changed: &Condvar, guard: MutexGuard<'_, T>, _at_most: Duration) {
        drop(guard);
        checker::thread::yield_now();
    }
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) use model::*;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(crate) use real::*;
