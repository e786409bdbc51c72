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
/// The saga looks at it between two effects, what waits in one and a settling release at once. An [`Abort`](Wish::Abort)
/// stands until it is forgotten by whoever begins the next upgrade; a [`Stop`](Wish::Stop) is for good.
///
/// | state | abort | stop |
/// |---|---|---|
/// | under way | is a wish | is a wish |
/// | going back | is what happens already | is a wish |
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    wish: Option<Wish>,
    goes_back: bool,
    /// A saga goes forward: what it waits for is given up when a wish comes.
    is_heeded: bool,
}

impl Interrupt {
    /// Asks the upgrade under way to end early.
    pub fn ask(&self, wish: Wish) {
        let mut state = self.lock();
        match (wish, state.wish) {
            (Wish::Abort, Some(Wish::Stop)) => {}
            (Wish::Abort, _) if state.goes_back => {}
            _ => state.wish = Some(wish),
        }
    }

    /// Forgets an abort; to be called where an upgrade begins.
    pub fn begin(&self) {
        self.enter(false);
    }

    /// Forgets an abort, and hears of no further one: the way back begins, which is what it asks for.
    pub(crate) fn go_back(&self) {
        self.enter(true);
    }

    /// Says whether what the upgrade waits for right now is wanted no more.
    pub fn is_given_up(&self) -> bool {
        let state = self.lock();
        state.is_heeded && state.wish.is_some()
    }

    /// Notes whether waits end with a wish: not those of what takes something back.
    pub(crate) fn heed(&self, is_heeded: bool) {
        self.lock().is_heeded = is_heeded;
    }

    fn enter(&self, goes_back: bool) {
        let mut state = self.lock();
        state.goes_back = goes_back;
        state.wish = state.wish.filter(|wish| *wish == Wish::Stop);
    }

    /// Returns the wish, if there is one.
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
