//! The answer of the daemon, in the terms that both drivers share. Pure.

use reld_api::ExitCode;
use reld_api::response::{
    Rollout, RolloutDirection, RolloutNode, RolloutNodeState as Seen, RolloutPhase as Phase,
};
use reld_fleet::State;

use super::super::member::Member;
use super::super::outcome::{self, Report};
use super::super::sight::{Direction, Sight};
use super::super::verdict;

/// A rollout at one moment.
#[derive(Debug)]
pub(super) struct View {
    pub(super) rollout: Rollout,
    pub(super) direction: Direction,
    pub(super) members: Vec<Member>,
}

impl View {
    pub(super) fn of(rollout: Rollout) -> Self {
        let direction = match rollout.direction {
            RolloutDirection::Forward => Direction::Forward,
            RolloutDirection::Back => Direction::Back,
        };
        Self { members: rollout.nodes.iter().map(member).collect(), rollout, direction }
    }

    pub(super) fn report(&self) -> Report {
        let Rollout { rollout, name, version, why, by, since, .. } = &self.rollout;
        Report {
            rollout: rollout.clone(),
            name: name.clone(),
            version: version.clone(),
            outcome: self.word(),
            why: why.clone(),
            by: Some(by.clone()),
            since: Some(since.clone()),
            nodes: outcome::nodes(self.direction, &self.members),
        }
    }

    /// Returns the word for the state of the rollout.
    ///
    /// | phase | forward | back |
    /// |---|---|---|
    /// | running | running | taking_back |
    /// | paused | paused | paused |
    /// | halted, nodes under way | halting | halting |
    /// | halted | halted | halted |
    /// | done | done | taken_back |
    const fn word(&self) -> &'static str {
        match (self.rollout.phase, self.direction) {
            (Phase::Running, Direction::Forward) => verdict::RUNNING,
            (Phase::Running, Direction::Back) => verdict::TAKING_BACK,
            (Phase::Paused, _) => verdict::PAUSED,
            (Phase::Halted, _) if self.rollout.ended => verdict::HALTED,
            (Phase::Halted, _) => verdict::HALTING,
            (Phase::Done, Direction::Forward) => verdict::DONE,
            (Phase::Done, Direction::Back) => verdict::TAKEN_BACK,
        }
    }

    /// Returns the exit code: 0 while nodes may still move.
    pub(super) fn exit_code(&self) -> ExitCode {
        match (self.rollout.ended, self.direction) {
            (false, _) => ExitCode::Done,
            (true, Direction::Forward) => outcome::exit_code(&self.members),
            (true, Direction::Back) => outcome::exit_code_back(&self.members),
        }
    }
}

fn member(node: &RolloutNode) -> Member {
    let state = match node.state {
        Seen::Waiting => State::Waiting,
        Seen::Busy => State::Busy,
        Seen::Committed => State::Committed,
        Seen::Failed => State::Failed,
        Seen::Missing => State::Missing,
        Seen::Skipped => State::Skipped,
    };
    let sight = Sight {
        state,
        why: node.why.clone(),
        step: node.step.clone(),
        runs: node.runs.clone(),
        has_moved: node.moved,
        has_begun: node.begun,
    };
    let mut member = Member::new(node.node.clone());
    member.since = Some(node.since.clone());
    member.sight = Some(sight);
    member
}
