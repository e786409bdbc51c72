//! `relctl rollout` against a node of a fleet with prepared answers.

use insta::assert_snapshot;
use reld_api::request as q;
use reld_api::response as r;

use crate::fake_node::{answer, relctl};

fn rollout(phase: r::RolloutPhase, states: [r::RolloutNodeState; 2]) -> r::RolloutShown {
    let node = |name: &str, state, moved| r::RolloutNode {
        node: name.to_owned(),
        state,
        since: "2026-11-30T12:00:05Z".to_owned(),
        runs: Some(if moved { "1.1.0" } else { "1.0.0" }.to_owned()),
        why: (state == r::RolloutNodeState::Waiting).then(|| "waits for n1".to_owned()),
        step: None,
        begun: moved,
        moved,
    };
    let holder = r::SlotHolder {
        slot: 0,
        node: "n2".to_owned(),
        since: "2026-11-30T12:00:05Z".to_owned(),
        attempt: 2,
        connected: false,
        missing_since: Some("2026-11-30T12:00:20Z".to_owned()),
    };
    let ended = matches!(phase, r::RolloutPhase::Halted | r::RolloutPhase::Done);
    let rollout = r::Rollout {
        rollout: "shop-1.1.0-3f2a9c1b".to_owned(),
        name: "shop".to_owned(),
        version: "1.1.0".to_owned(),
        identity: "3f2a".to_owned(),
        by: "op@ci".to_owned(),
        since: "2026-11-30T12:00:00Z".to_owned(),
        phase,
        direction: r::RolloutDirection::Forward,
        ended,
        why: (phase == r::RolloutPhase::Halted).then(|| "op@ci has halted it".to_owned()),
        waits: None,
        nodes: vec![node("n1", states[0], true), node("n2", states[1], false)],
        holders: if ended { Vec::new() } else { vec![holder] },
    };
    r::RolloutShown { fleet: "shop".to_owned(), rollout: Some(rollout) }
}

#[test]
fn a_rollout_over_a_fleet_is_shown_with_the_exit_code_of_its_end() {
    use r::RolloutNodeState::{Busy, Committed, Waiting};
    let runs = rollout(r::RolloutPhase::Running, [Busy, Waiting]);
    assert_snapshot!(relctl(vec![answer::<q::FleetRollout>(&runs)], &["rollout", "status"]), @r"
    -> GET /fleet/rollout
    rollout shop-1.1.0-3f2a9c1b of shop 1.1.0: running, begun by op@ci at 2026-11-30T12:00:00Z
    host  state      runs   since                 why
    n1    upgrading  1.1.0  2026-11-30T12:00:05Z  -
    n2    waiting    1.0.0  2026-11-30T12:00:05Z  waits for n1
    exit 0
    ");
    assert_snapshot!(relctl(vec![answer::<q::FleetRollout>(&runs)], &["rollout", "locks"]), @r"
    -> GET /fleet/rollout
    slot  node  since                 attempt  connection
    0     n2    2026-11-30T12:00:05Z  2        missing since 2026-11-30T12:00:20Z
    exit 0
    ");
    let halted = rollout(r::RolloutPhase::Halted, [Committed, Waiting]);
    let watched = vec![
        answer::<q::FleetRollout>(&runs),
        answer::<q::FleetRollout>(&runs),
        answer::<q::FleetRollout>(&halted),
    ];
    assert_snapshot!(relctl(watched, &["rollout", "status", "--wait"]), @r"
    -> GET /fleet/rollout
    -> GET /fleet/rollout
    -> GET /fleet/rollout
    rollout shop-1.1.0-3f2a9c1b of shop 1.1.0: halted: op@ci has halted it, begun by op@ci at 2026-11-30T12:00:00Z
    host  state      runs   since                 why
    n1    committed  1.1.0  2026-11-30T12:00:05Z  -
    n2    waiting    1.0.0  2026-11-30T12:00:05Z  waits for n1
    ! n1: upgrading
    ! n1: committed
    exit 6
    ");
    let none = r::RolloutShown { fleet: "shop".to_owned(), rollout: None };
    assert_snapshot!(relctl(vec![answer::<q::FleetRollout>(&none)], &["rollout", "status"]), @r"
    -> GET /fleet/rollout
    the fleet has had no rollout
    exit 0
    ");
}

#[test]
fn the_policy_of_a_list_and_the_rollout_of_a_fleet_are_not_mixed_up() {
    for (args, fault) in [
        (&["rollout", "start", "rollout.toml"][..], "--fleet"),
        (&["rollout", "start", "rollout.toml", "--fleet", "--hosts", "hosts.txt"], "cannot be used with"),
        (&["rollout", "status", "--hosts", "hosts.txt"], "name the ROLLOUT.TOML"),
        (&["rollout", "status", "rollout.toml"], "--hosts"),
        (&["rollout", "status", "rollout.toml", "--hosts", "hosts.txt", "--wait"], "cannot be used with"),
        (&["rollout", "take-back", "--ssh", "ssh"], "--hosts"),
    ] {
        let seen = relctl(Vec::new(), args);
        assert!(seen.contains(fault) && seen.contains("exit 2"), "{args:?}: {seen}");
    }
}
