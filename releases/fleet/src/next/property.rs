//! Property test (S131): any policy over up to 200 simulated nodes that fail, vanish and return at
//! random.

use std::time::Instant;

use proptest::prelude::*;
use reld_plan::Share;

use super::*;

/// A simulated second.
const TICK: Duration = Duration::from_secs(1);

/// The fate of a node: the duration of its upgrade, and its end.
#[derive(Debug, Clone, Copy)]
struct Fate {
    takes: u64,
    fails: bool,
    /// The times from and until which the node does not answer.
    missing: Option<(u64, u64)>,
    is_skipped: bool,
}

fn fate() -> impl Strategy<Value = Fate> {
    let missing = prop::option::weighted(0.05, (0..200_u64, 1..400_u64));
    (1..20_u64, prop::bool::weighted(0.03), missing, prop::bool::weighted(0.02)).prop_map(
        |(takes, fails, missing, is_skipped)| {
            let missing = missing.map(|(from, lasts)| (from, from + lasts));
            Fate { takes, fails, missing, is_skipped }
        },
    )
}

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![(0..10_usize).prop_map(Share::Nodes), (0..100_usize).prop_map(Share::Percent)]
}

fn policies() -> impl Strategy<Value = Policy> {
    let waves = prop::collection::vec(share(), 0..4);
    (share(), waves, 1..20_usize, 0..30_u64, 0..4_usize, 40..120_u64).prop_map(
        |(canary, mut waves, max_unavailable, pause, max_failures, deadline)| {
            waves.push(Share::ALL);
            Policy {
                canary,
                waves,
                max_unavailable,
                pause_between: Duration::from_secs(pause),
                max_failures: max_failures.min(max_unavailable - 1),
                deadline: Duration::from_secs(deadline),
            }
        },
    )
}

/// A fleet with one rollout.
struct Fleet {
    fates: Vec<Fate>,
    /// The time at which each node began.
    begun: Vec<Option<u64>>,
    now: u64,
    last_event: u64,
}

impl Fleet {
    /// Returns the state of a node, as if it answered.
    fn inner(&self, node: usize) -> State {
        let Fate { takes, fails, is_skipped, .. } = self.fates[node];
        match self.begun[node] {
            _ if is_skipped => State::Skipped,
            None => State::Waiting,
            Some(begun) if self.now < begun + takes => State::Busy,
            Some(_) if fails => State::Failed,
            Some(_) => State::Committed,
        }
    }

    fn states(&self) -> Vec<State> {
        let state = |node: usize| match (self.fates[node].missing, self.inner(node)) {
            (_, State::Skipped) => State::Skipped,
            (Some((from, until)), _) if (from..until).contains(&self.now) => State::Missing,
            (_, state) => state,
        };
        (0..self.fates.len()).map(state).collect()
    }

    fn tick(&mut self) {
        self.now += 1;
        let ends = |(begun, fate): (&Option<u64>, &Fate)| begun.map(|begun| begun + fate.takes);
        let is_end = self.begun.iter().zip(&self.fates).filter_map(ends).any(|end| end == self.now);
        if is_end {
            self.last_event = self.now;
        }
    }
}

fn count(states: &[State], wanted: &[State]) -> usize {
    states.iter().filter(|state| wanted.contains(state)).count()
}

/// Checks the promises about nodes that begin.
fn check_begin(policy: &Policy, states: &[State], begin: &[usize]) {
    let failed = count(states, &[State::Failed]);
    assert!(failed <= policy.max_failures, "no begin after too many failures");
    let unavailable = failed + count(states, &[State::Busy, State::Missing]);
    assert!(unavailable + begin.len() <= policy.max_unavailable, "the budget holds");
    assert!(begin.iter().all(|node| states[*node] == State::Waiting), "only waiting nodes begin");
    let canaries = policy.canaries(states.len());
    if begin.iter().any(|node| *node >= canaries) {
        let ended = count(&states[..canaries], &[State::Committed, State::Skipped]);
        assert_eq!(ended, canaries, "all canaries have committed before another node begins");
    }
    let waves = policy.waves(states.len());
    let wave = waves.iter().find(|wave| wave.contains(&begin[0])).unwrap();
    assert!(begin.iter().all(|node| wave.contains(node)), "one wave at a time");
    let earlier = &states[..wave.start];
    assert_eq!(count(earlier, &[State::Waiting, State::Busy, State::Missing]), 0, "earlier waves have ended");
}

fn check_rollout(policy: &Policy, fates: Vec<Fate>, halts_at: Option<u64>) {
    let nodes = fates.len();
    let mut fleet = Fleet { begun: vec![None; nodes], fates, now: 0, last_event: 0 };
    // Each node begins and ends once, and each silence is bounded by the deadline.
    let limit = (2 * nodes as u64 + 1) * policy.deadline.as_secs() + 1;
    loop {
        assert!(fleet.now <= limit, "every rollout ends");
        let states = fleet.states();
        let quiet = TICK * u32::try_from(fleet.now - fleet.last_event).unwrap();
        let is_halted = halts_at.is_some_and(|at| fleet.now >= at);
        match next(policy, &states, &Seen { quiet, is_halted }) {
            Next::Begin(begin) => {
                assert!(!is_halted && !begin.is_empty());
                check_begin(policy, &states, &begin);
                begin.iter().for_each(|node| fleet.begun[*node] = Some(fleet.now));
                fleet.last_event = fleet.now;
                // The next decision may come at once.
                continue;
            }
            Next::Done => {
                assert_eq!(count(&states, &[State::Waiting, State::Busy, State::Missing]), 0);
                assert!(count(&states, &[State::Failed]) <= policy.max_failures);
                return;
            }
            Next::Halt(Halt::Deadline(_)) => {
                assert!(quiet >= policy.deadline);
                return;
            }
            Next::Halt(Halt::Ordered) => {
                assert!(is_halted);
                return;
            }
            Next::Halt(Halt::Failures(failed)) => {
                assert_eq!(failed.len(), count(&states, &[State::Failed]));
                return;
            }
            Next::Wait(_) => {}
        }
        fleet.tick();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn s131_the_promises_hold_for_any_policy_and_any_failures(
        policy in policies(),
        fates in prop::collection::vec(fate(), 0..=200),
        halts_at in prop::option::weighted(0.2, 0..100_u64),
    ) {
        check_rollout(&policy, fates, halts_at);
    }
}

#[test]
fn s131_a_decision_about_200_nodes_takes_less_than_a_millisecond() {
    const DECISIONS: u32 = 1000;
    let waves = (1..=100).map(Share::Percent).collect();
    let policy = Policy {
        canary: Share::Percent(5),
        waves,
        max_unavailable: 10,
        pause_between: Duration::ZERO,
        max_failures: 3,
        deadline: Duration::from_secs(60),
    };
    let states: Vec<State> =
        (0..200).map(|node| if node < 100 { State::Committed } else { State::Waiting }).collect();
    let seen = Seen { quiet: Duration::ZERO, is_halted: false };
    let begin = Instant::now();
    for _ in 0..DECISIONS {
        assert!(matches!(next(&policy, &states, &seen), Next::Begin(_)));
    }
    let each = begin.elapsed() / DECISIONS;
    assert!(each < Duration::from_millis(1), "{each:?}");
}
