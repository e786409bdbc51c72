//! Decides how a supervisor reacts to the end of a child. The functions are pure; the other files
//! of this folder carry the decisions out.

use crate::process::rows::{Row, Rows, Seq};
use crate::words::child_spec::{AutoShutdown, Restart, Strategy};
use crate::words::exit::{Exit, is_abnormal};

/// The decision about the row of a child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnEnd {
    /// The row is removed.
    Forget,
    /// The row stays, and the child does not run.
    Keep,
    /// The child is restarted, possibly with other children: a [`Round`].
    Restart,
}

/// Decides what happens to a child's row. OTP, restart types:
///
/// | restart   | normal, shutdown | any other end |
/// |-----------|------------------|---------------|
/// | permanent | restart          | restart       |
/// | transient | keep             | restart       |
/// | temporary | forget           | forget        |
pub(super) fn on_end(restart: Restart, exit: &Exit) -> OnEnd {
    match restart {
        Restart::Permanent => OnEnd::Restart,
        Restart::Transient if is_abnormal(exit) => OnEnd::Restart,
        Restart::Transient => OnEnd::Keep,
        Restart::Temporary => OnEnd::Forget,
    }
}

/// Returns whether a child that has ended for good takes its supervisor down. OTP, `auto_shutdown`:
///
/// | auto_shutdown   | not significant | significant                                        |
/// |-----------------|-----------------|----------------------------------------------------|
/// | never           | no              | no                                                 |
/// | any_significant | no              | yes                                                |
/// | all_significant | no              | yes, unless another one runs or is being restarted |
pub(super) fn shuts_down(auto: AutoShutdown, is_significant: bool, rows: &Rows) -> bool {
    let is_active = |row: &Row| row.terms.significant && !row.child.is_stopped();
    is_significant
        && match auto {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !rows.iter().any(is_active),
        }
}

/// The steps of a restart, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Round {
    /// Children to end, one after the other.
    pub(super) stop: Vec<Seq>,
    /// Rows to remove, because temporary children are not restarted.
    pub(super) forget: Vec<Seq>,
    /// Children to start, one after the other. If the start of a child fails, a new round begins
    /// with it.
    pub(super) start: Vec<Seq>,
}

/// Decides which children are ended and restarted together with a child. OTP, restart strategies:
///
/// | strategy           | ended, last started first | started, in start order |
/// |--------------------|---------------------------|-------------------------|
/// | one_for_one        | none                      | the child               |
/// | simple_one_for_one | none                      | the child               |
/// | one_for_all        | all others                | all                     |
/// | rest_for_one       | those after it            | it and those after it   |
///
/// Children that had ended for good or were terminated are started again with the others, except
/// temporary ones.
pub(super) fn round(strategy: Strategy, rows: &Rows, child: Seq) -> Round {
    let from = match strategy {
        Strategy::OneForOne | Strategy::SimpleOneForOne => {
            return Round { start: vec![child], ..Round::default() };
        }
        Strategy::OneForAll => Seq::MIN,
        Strategy::RestForOne => child,
    };
    let is_temporary = |row: &Row| row.terms.restart == Restart::Temporary;
    let (forget, start) = rows.since(from).partition::<Vec<_>, _>(|(_, row)| is_temporary(row));
    let seqs = |rows: Vec<(Seq, &Row)>| rows.into_iter().map(|(seq, _)| seq).collect();
    let stop = rows.since(from).rev().map(|(seq, _)| seq).filter(|seq| *seq != child).collect();
    Round { stop, forget: seqs(forget), start: seqs(start) }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::process::rows::Child;
    use crate::words::child_spec::{ChildSpec, ChildType, Shutdown};
    use crate::words::pid::Pid;
    use crate::words::term;

    const ALL: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];

    /// Returns rows 0, 1, 2 ... with these restart types. `significant` lists the significant rows
    /// with their states.
    fn rows(restarts: &[Restart], significant: &[(usize, Child)]) -> Rows {
        let mut rows = Rows::new(false);
        for (seq, restart) in restarts.iter().enumerate() {
            let state = significant.iter().find(|(other, _)| *other == seq).map(|(_, child)| *child);
            let spec = ChildSpec {
                id: ByteBuf::from(term::encode(&seq)),
                module: "m".to_owned(),
                args: ByteBuf::new(),
                restart: *restart,
                significant: state.is_some(),
                shutdown: Shutdown::Ms(5000),
                child_type: ChildType::Worker,
            };
            rows.push(spec, state.unwrap_or(running(seq)));
        }
        rows
    }

    fn running(seq: usize) -> Child {
        Child::Running(Pid { slot: u32::try_from(seq).expect("a few rows"), generation: 1 })
    }

    #[track_caller]
    fn check_end(restart: Restart, exit: Exit, expected: OnEnd) {
        assert_eq!(on_end(restart, &exit), expected);
    }

    #[test]
    fn restart_types_act_as_the_table_says() {
        for exit in [Exit::Normal, Exit::shutdown(), Exit::Shutdown("x".to_owned())] {
            check_end(Restart::Permanent, exit.clone(), OnEnd::Restart);
            check_end(Restart::Transient, exit.clone(), OnEnd::Keep);
            check_end(Restart::Temporary, exit, OnEnd::Forget);
        }
        for exit in [Exit::Killed, Exit::Panic("x".to_owned()), Exit::Undecodable("x".to_owned())] {
            check_end(Restart::Permanent, exit.clone(), OnEnd::Restart);
            check_end(Restart::Transient, exit.clone(), OnEnd::Restart);
            check_end(Restart::Temporary, exit, OnEnd::Forget);
        }
    }

    #[track_caller]
    fn check_round(strategy: Strategy, restarts: &[Restart], child: Seq, expected: [&[Seq]; 3]) {
        let [stop, forget, start] = expected.map(<[Seq]>::to_vec);
        let round = round(strategy, &rows(restarts, &[]), child);
        assert_eq!(round, Round { stop, forget, start }, "{strategy:?} {restarts:?} {child}");
    }

    #[test]
    fn strategies_act_as_the_table_says() {
        for strategy in [Strategy::OneForOne, Strategy::SimpleOneForOne] {
            check_round(strategy, &ALL, 1, [&[], &[], &[1]]);
        }
        let permanent = [Restart::Permanent; 4];
        for child in 0..4 {
            let others: Vec<Seq> = (0..4).rev().filter(|seq| *seq != child).collect();
            check_round(Strategy::OneForAll, &permanent, child, [&others, &[], &[0, 1, 2, 3]]);
        }
        check_round(Strategy::RestForOne, &permanent, 0, [&[3, 2, 1], &[], &[0, 1, 2, 3]]);
        check_round(Strategy::RestForOne, &permanent, 2, [&[3], &[], &[2, 3]]);
        check_round(Strategy::RestForOne, &permanent, 3, [&[], &[], &[3]]);
        // Transient children are restarted with the others, temporary ones are not.
        check_round(Strategy::OneForAll, &ALL, 0, [&[2, 1], &[2], &[0, 1]]);
        check_round(Strategy::RestForOne, &ALL, 1, [&[2], &[2], &[1]]);
    }

    #[track_caller]
    fn check_shutdown(auto: AutoShutdown, is_significant: bool, others: &[Child], expected: bool) {
        let others: Vec<_> = others.iter().copied().enumerate().collect();
        let rows = rows(&vec![Restart::Transient; others.len() + 1], &others);
        assert_eq!(shuts_down(auto, is_significant, &rows), expected, "{auto:?} {others:?}");
    }

    #[test]
    fn significant_children_end_their_supervisor_as_the_table_says() {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        let some = [Child::Stopped, running(1)];
        for auto in [Never, AnySignificant, AllSignificant] {
            check_shutdown(auto, false, &some, false);
            check_shutdown(auto, false, &[], false);
        }
        check_shutdown(Never, true, &[], false);
        check_shutdown(AnySignificant, true, &some, true);
        check_shutdown(AllSignificant, true, &some, false);
        check_shutdown(AllSignificant, true, &[Child::Restarting], false);
        check_shutdown(AllSignificant, true, &[Child::Stopped, Child::Stopped], true);
        // A child that is not significant may run on.
        check_shutdown(AllSignificant, true, &[], true);
    }
}
