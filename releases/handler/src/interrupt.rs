//! The wish that an upgrade under way should end early, from whoever may have it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why an upgrade should end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The operator changed their mind: everything is taken back.
    Abort,
    /// The daemon stops. A release that is not committed is left so: a restart goes back by itself.
    Stop,
}

/// Carries the wish to the upgrade under way. Cloning gives another handle.
///
/// The saga looks at it between two effects, a settling release at once. An [`Abort`](Wish::Abort) stands until it is
/// forgotten by whoever begins the next upgrade; a [`Stop`](Wish::Stop) is for good.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Mutex<Option<Wish>>>);

impl Interrupt {
    /// Asks the upgrade under way to end early.
    pub fn ask(&self, wish: Wish) {
        let mut slot = self.lock();
        if *slot != Some(Wish::Stop) {
            *slot = Some(wish);
        }
    }

    /// Forgets an abort; to be called where an upgrade begins.
    pub fn begin(&self) {
        let mut slot = self.lock();
        if *slot == Some(Wish::Abort) {
            *slot = None;
        }
    }

    /// Returns the wish, if there is one.
    pub fn wish(&self) -> Option<Wish> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wish>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Abort => "aborted by the operator",
            Self::Stop => "the daemon stops",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_is_for_one_upgrade_and_a_stop_for_good() {
        let interrupt = Interrupt::default();
        interrupt.ask(Wish::Abort);
        assert_eq!(interrupt.clone().wish(), Some(Wish::Abort));
        interrupt.begin();
        assert_eq!(interrupt.wish(), None);
        interrupt.ask(Wish::Stop);
        interrupt.ask(Wish::Abort);
        interrupt.begin();
        assert_eq!(interrupt.wish(), Some(Wish::Stop));
    }
}
