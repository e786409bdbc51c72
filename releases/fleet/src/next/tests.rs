//! One row for each line of the table.

use reld_plan::Rollout;

use super::State::{Busy, Committed, Failed, Missing, Skipped, Waiting};
use super::*;

/// Returns the policy of a document with these lines.
fn policy(lines: &str) -> Policy {
    let text = format!("release = 'a.tar.gz'\n{lines}");
    Policy::from(&Rollout::parse("rollout.toml", &text).unwrap())
}

fn seen(quiet_s: u64) -> Seen {
    Seen { quiet: Duration::from_secs(quiet_s), is_halted: false }
}

#[track_caller]
fn check(lines: &str, states: &[State], quiet_s: u64, expected: Next) {
    assert_eq!(next(&policy(lines), states, &seen(quiet_s)), expected);
}

#[test]
fn the_canary_goes_first_then_each_wave_in_the_order_of_the_list() {
    const WAVES: &str = "waves = ['50%', '100%']\nmax_unavailable = 2";
    check(WAVES, &[Waiting; 6], 0, Next::Begin(vec![0]));
    check(WAVES, &[Busy, Waiting, Waiting, Waiting, Waiting, Waiting], 0, waits_for(&[0]));
    check(WAVES, &[Committed, Waiting, Waiting, Waiting, Waiting, Waiting], 0, Next::Begin(vec![1, 2]));
    check(WAVES, &[Committed, Busy, Waiting, Waiting, Waiting, Waiting], 0, Next::Begin(vec![2]));
    check(WAVES, &[Committed, Committed, Busy, Waiting, Waiting, Waiting], 0, waits_for(&[2]));
    check(WAVES, &[Committed, Committed, Committed, Waiting, Waiting, Waiting], 0, Next::Begin(vec![3, 4]));
    check(WAVES, &[Committed; 6], 0, Next::Done);
    check("", &[], 0, Next::Done);
}

fn waits_for(nodes: &[usize]) -> Next {
    Next::Wait(Wait::Upgrades(nodes.to_vec()))
}

#[test]
fn a_missing_node_uses_the_budget_and_the_deadline_ends_the_wait() {
    let missing = Next::Wait(Wait::Unavailable(vec![2]));
    check("", &[Waiting, Waiting, Missing], 0, missing);
    check("max_unavailable = 2", &[Waiting, Waiting, Missing], 0, Next::Begin(vec![0]));
    check("", &[Waiting, Waiting, Skipped], 0, Next::Begin(vec![0]));
    check("", &[Waiting, Waiting, Missing], 1800, Next::Halt(Halt::Deadline(vec![2])));
    check("", &[Busy, Waiting, Waiting], 1800, Next::Halt(Halt::Deadline(vec![0])));
    // A committed node that no longer answers keeps the next wave from its begin.
    check("", &[Missing, Waiting, Waiting], 0, Next::Wait(Wait::Unavailable(vec![0])));
}

#[test]
fn nothing_begins_after_a_failure_and_the_halt_comes_after_the_last_busy_node() {
    const TWO: &str = "max_unavailable = 3\ncanary = 0";
    let failures = || Halt::Failures(vec![1]);
    check(TWO, &[Busy, Failed, Waiting], 0, Next::Wait(Wait::Halting(failures(), vec![0])));
    check(TWO, &[Committed, Failed, Waiting], 0, Next::Halt(failures()));
    check(TWO, &[Busy, Failed, Waiting], 1800, Next::Halt(failures()));
    check(TWO, &[Committed, Failed, Committed], 0, Next::Halt(failures()));
}

#[test]
fn a_failure_that_is_allowed_stays_in_the_budget_and_a_failed_canary_always_halts() {
    const ONE: &str = "max_unavailable = 2\nmax_failures = 1";
    check(ONE, &[Committed, Failed, Waiting, Waiting], 0, Next::Begin(vec![2]));
    check(ONE, &[Committed, Failed, Committed, Committed], 0, Next::Done);
    check(ONE, &[Failed, Waiting, Waiting, Waiting], 0, Next::Halt(Halt::Failures(vec![0])));
}

#[test]
fn a_wave_begins_after_the_pause_and_is_not_paused_once_it_has_begun() {
    const PAUSE: &str = "pause_between = '60s'";
    check(PAUSE, &[Waiting, Waiting, Waiting], 0, Next::Begin(vec![0]));
    let left = Next::Wait(Wait::Pause(Duration::from_secs(50)));
    check(PAUSE, &[Committed, Waiting, Waiting], 10, left);
    check(PAUSE, &[Committed, Waiting, Waiting], 60, Next::Begin(vec![1]));
    check(PAUSE, &[Committed, Committed, Waiting], 0, Next::Begin(vec![2]));
}

#[test]
fn an_operator_halts_a_rollout_in_every_state() {
    let halted = |states: &[State]| {
        next(&policy("pause_between = '1m'"), states, &Seen { is_halted: true, ..seen(0) })
    };
    assert_eq!(halted(&[Waiting, Waiting]), Next::Halt(Halt::Ordered));
    assert_eq!(halted(&[Committed, Waiting]), Next::Halt(Halt::Ordered));
    assert_eq!(halted(&[Committed, Missing]), Next::Halt(Halt::Ordered));
    assert_eq!(halted(&[Busy, Waiting]), Next::Wait(Wait::Halting(Halt::Ordered, vec![0])));
    assert_eq!(halted(&[Committed, Committed]), Next::Done);
}

#[test]
fn the_way_back_has_the_same_budget_and_no_canary_wave_or_pause() {
    let back = policy("canary = 2\npause_between = '1m'\nmax_unavailable = 2").back();
    let next = |states: &[State]| next(&back, states, &seen(0));
    assert_eq!(next(&[Waiting; 3]), Next::Begin(vec![0, 1]));
    assert_eq!(next(&[Failed, Waiting, Waiting]), Next::Begin(vec![1]), "one failure is no reason to stop");
    assert_eq!(next(&[Failed, Failed, Waiting]), Next::Halt(Halt::Failures(vec![0, 1])));
}
