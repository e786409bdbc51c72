//! The phases of a window as tokens: each verb that needs a phase takes the token of that phase.
//!
//! ```text
//!       stage            raise          switch             sweep
//! Idle -------> Staged -------> Held ----------> Switched -------> (the end)
//!               |      <-------
//!               | unstage lower
//!               v
//!           (the end)
//! ```
//!
//! A token cannot be copied, and only the handler makes the first token. In each verb, the node
//! turns the given token into the token of the next phase. A window without members goes from
//! staged to held without [`raise`](super::Node::raise).

/// The token of a window in which nothing is staged yet.
#[derive(Debug)]
#[must_use]
pub struct Idle(());

/// The token of a window with staged modules and app specs.
#[derive(Debug)]
#[must_use]
pub struct Staged(());

/// The members are at rest.
///
/// A verb in the wrong phase does not compile:
///
/// ```
/// # use reld_handler::{Held, Node, Staged, Switched};
/// fn switch(node: &mut impl Node, held: Held) -> Switched {
///     node.switch(held)
/// }
/// ```
/// ```compile_fail,E0308
/// # use reld_handler::{Held, Node, Staged, Switched};
/// fn switch(node: &mut impl Node, staged: Staged) -> Switched {
///     node.switch(staged)
/// }
/// ```
/// ```compile_fail,E0382
/// # use reld_handler::{Held, Node, Staged, Switched};
/// fn twice(node: &mut impl Node, held: Held) -> Switched {
///     node.switch(held);
///     node.switch(held)
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Held(());

/// The token after the switch: the staged code is current, and members may still be held.
#[derive(Debug)]
#[must_use]
pub struct Switched(());

impl Idle {
    /// Returns the token that a window begins with.
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Returns the next token, for [`Node::stage`](super::Node::stage).
    pub fn stage(self) -> Staged {
        Staged(())
    }
}

impl Staged {
    /// Returns a token in place of one that was lost in a panic of `raise` or `lower`. The window
    /// is still staged then.
    pub(crate) fn again() -> Self {
        Self(())
    }

    /// Returns the next token, for [`Node::raise`](super::Node::raise) and for a window without
    /// members.
    pub fn hold(self) -> Held {
        Held(())
    }
}

impl Held {
    /// Returns the previous token, for [`Node::lower`](super::Node::lower).
    pub fn lower(self) -> Staged {
        Staged(())
    }

    /// Returns the next token, for [`Node::switch`](super::Node::switch).
    pub fn switch(self) -> Switched {
        Switched(())
    }
}
