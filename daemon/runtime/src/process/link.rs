//! Exit signals: what a process does when one arrives.

use crate::words::exit::Exit;

/// What an exit signal makes a process do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OnExit {
    Nothing,
    /// It becomes mail.
    Deliver(Exit),
    /// The process ends at once, wherever it is.
    Die(Exit),
    /// The process ends in order: after the callback under way, through terminate.
    Terminate(Exit),
}

/// Decides. OTP:
///
/// | sender      | reason | traps exits | effect    |
/// |-------------|--------|-------------|-----------|
/// | the parent  | any    | yes         | terminate |
/// | the parent  | any    | no          | die       |
/// | any other   | any    | yes         | deliver   |
/// | any other   | normal | no          | nothing   |
/// | any other   | other  | no          | die       |
///
/// `exit(Pid, kill)` never comes here: nothing decides about it.
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
