//! Interrupts of a running upgrade, from any thread.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The reason to end an upgrade early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The operator aborts the upgrade, and everything is taken back.
    Abort,
    /// The daemon stops. An uncommitted release stays uncommitted, so a restart boots the permanent
    /// release.
    Stop,
}

/// A handle that passes a wish to the running upgrade. A clone is another handle to the same
/// upgrade.
///
/// The saga checks it between two effects; a wait inside an effect and a settling release react at
/// once. An [`Abort`](Wish::Abort) lasts until the next upgrade begins; a [`Stop`](Wish::Stop) is
/// final.
///
/// | state | abort | stop |
/// |---|---|---|
/// | upgrade is running | recorded | recorded |
/// | upgrade is going back | ignored: it happens already | recorded |
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    wish: Option<Wish>,
    goes_back: bool,
    /// Whether a saga goes forward, where a wish ends its waits. On the way back, a wish does not.
    is_heeded: bool,
}

impl Interrupt {
    /// Requests the running upgrade to end early.
    pub fn ask(&self, wish: Wish) {
        let mut state = self.lock();
        match (wish, state.wish) {
            (Wish::Abort, Some(Wish::Stop)) => {}
            (Wish::Abort, _) if state.goes_back => {}
            _ => state.wish = Some(wish),
        }
    }

    /// Clears an abort. To be called when an upgrade begins.
    pub fn begin(&self) {
        self.enter(false);
    }

    /// Clears an abort and ignores further aborts. Call it when the way back begins, since an abort
    /// requests nothing else.
    pub(crate) fn go_back(&self) {
        self.enter(true);
    }

    /// Returns whether the current wait of the upgrade has to end.
    pub fn is_given_up(&self) -> bool {
        let state = self.lock();
        state.is_heeded && state.wish.is_some()
    }

    /// Sets whether a wish ends waits. Undos must not be interrupted.
    pub(crate) fn heed(&self, is_heeded: bool) {
        self.lock().is_heeded = is_heeded;
    }

    fn enter(&self, goes_back: bool) {
        let mut state = self.lock();
        state.goes_back = goes_back;
        state.wish = state.wish.filter(|wish| *wish == Wish::Stop);
    }

    /// Returns the current wish.
    pub fn wish(&self) -> Option<Wish> {
        self.lock().wish
    }

    fn lock(&self) -> MutexGuard<'_, State> {
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

    #[test]
    fn a_way_back_is_not_aborted_and_the_next_upgrade_is() {
        let interrupt = Interrupt::default();
        interrupt.ask(Wish::Abort);
        interrupt.go_back();
        interrupt.ask(Wish::Abort);
        assert_eq!(interrupt.wish(), None);
        interrupt.begin();
        interrupt.ask(Wish::Abort);
        assert_eq!(interrupt.wish(), Some(Wish::Abort));
        interrupt.go_back();
        interrupt.ask(Wish::Stop);
        assert_eq!(interrupt.wish(), Some(Wish::Stop));
    }
}
