//! What a child's end calls for.

use crate::child_spec::Restart;
use crate::exit::Exit;

/// What a child's end calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnEnd {
    /// Its row goes.
    Forget,
    /// Its row stays, not running.
    Keep,
    /// It is started again.
    Restart,
}

/// Decides. OTP, g.2:
///
/// | restart   | normal, shutdown | any other end |
/// |-----------|------------------|---------------|
/// | permanent | restart          | restart       |
/// | transient | keep             | restart       |
/// | temporary | forget           | forget        |
pub(crate) fn decide(restart: Restart, exit: &Exit) -> OnEnd {
    match restart {
        Restart::Permanent => OnEnd::Restart,
        Restart::Transient if exit.is_abnormal() => OnEnd::Restart,
        Restart::Transient => OnEnd::Keep,
        Restart::Temporary => OnEnd::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(restart: Restart, exit: Exit, expected: OnEnd) {
        assert_eq!(decide(restart, &exit), expected);
    }

    #[test]
    fn restart_types_act_as_the_table_says() {
        for exit in [Exit::Normal, Exit::shutdown(), Exit::Shutdown("x".to_owned())] {
            check(Restart::Permanent, exit.clone(), OnEnd::Restart);
            check(Restart::Transient, exit.clone(), OnEnd::Keep);
            check(Restart::Temporary, exit, OnEnd::Forget);
        }
        for exit in [Exit::Killed, Exit::Panic("x".to_owned()), Exit::Undecodable("x".to_owned())] {
            check(Restart::Permanent, exit.clone(), OnEnd::Restart);
            check(Restart::Transient, exit.clone(), OnEnd::Restart);
            check(Restart::Temporary, exit, OnEnd::Forget);
        }
    }
}
