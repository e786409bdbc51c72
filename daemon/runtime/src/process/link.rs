//! The effect of an exit signal on a process.

use crate::words::exit::Exit;

/// The effect of an exit signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OnExit {
    Nothing,
    /// The signal becomes mail.
    Deliver(Exit),
    /// The process ends at once, without a terminate callback.
    Die(Exit),
    /// The process runs the callback under way to its end, then its terminate callback.
    Terminate(Exit),
}

/// Decides the effect of an exit signal. OTP:
///
/// | sender      | reason | traps exits | effect    |
/// |-------------|--------|-------------|-----------|
/// | the parent  | any    | yes         | terminate |
/// | the parent  | any    | no          | die       |
/// | any other   | any    | yes         | deliver   |
/// | any other   | normal | no          | nothing   |
/// | any other   | other  | no          | die       |
///
/// `exit(Pid, kill)` does not come here: it always ends the process ([`Signal::End`]).
///
/// [`Signal::End`]: crate::process::body::Signal::End
pub(crate) fn on_exit(from_parent: bool, traps: bool, exit: Exit) -> OnExit {
    match (from_parent, traps, exit) {
        (true, true, exit) => OnExit::Terminate(exit),
        (false, true, exit) => OnExit::Deliver(exit),
        (false, false, Exit::Normal) => OnExit::Nothing,
        (_, false, exit) => OnExit::Die(exit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from_parent: bool, traps: bool, exit: Exit, expected: OnExit) {
        assert_eq!(on_exit(from_parent, traps, exit), expected);
    }

    #[test]
    fn an_exit_signal_acts_as_the_table_says() {
        let down = Exit::shutdown;
        check(true, true, down(), OnExit::Terminate(down()));
        check(true, false, down(), OnExit::Die(down()));
        check(true, false, Exit::Normal, OnExit::Die(Exit::Normal));
        check(false, true, down(), OnExit::Deliver(down()));
        check(false, true, Exit::Normal, OnExit::Deliver(Exit::Normal));
        check(false, true, Exit::Killed, OnExit::Deliver(Exit::Killed));
        check(false, false, Exit::Normal, OnExit::Nothing);
        check(false, false, down(), OnExit::Die(down()));
    }
}
