//! The driver: looks at the nodes, asks the policy, and gives orders.
//!
//! ```text
//!  look at each node ──> next() ──> begin: a task per node that ends with its ssh command
//!        ^                 │                             │
//!        └── due looks <── wait <────────────────────────┘ look at the node: it has the result
//! ```
//!
//! The driver trusts only looks. An order begins only after a look at every other node since the
//! last wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reld_fleet::{Halt, Next, Policy, Seen, State, Wait, next};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::journal::Journal;
use super::looks::LOOKS_MAX;
use super::member::{Course, Hand, Member};
use super::node::{self, Look, NotDone};
use super::progress::Progress;
use super::sight::{Direction, Sight};
use super::ssh::Lost;
use super::verdict::Verdict;
use crate::error::Failure;

/// The time between two reads of the journal.
const TICK: Duration = Duration::from_millis(200);

/// The end of a task.
enum Event {
    Looked(Result<Box<Look>, Lost>),
    Moved(Result<(), NotDone>),
}

/// A driver and its rollout.
pub(super) struct Drive<'a> {
    course: Arc<Course>,
    direction: Direction,
    policy: Policy,
    members: Vec<Member>,
    journal: &'a mut Journal,
    progress: Progress,
    tasks: JoinSet<(usize, Event)>,
    looks: Arc<Semaphore>,
    last_event: Instant,
    is_halted: bool,
    /// The signal that has halted the rollout.
    signal: Option<&'static str>,
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        course: &Arc<Course>,
        direction: Direction,
        policy: Policy,
        members: Vec<Member>,
        journal: &'a mut Journal,
    ) -> Self {
        Self {
            progress: Progress::new(direction),
            course: Arc::clone(course),
            direction,
            policy,
            members,
            journal,
            tasks: JoinSet::new(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            last_event: Instant::now(),
            is_halted: false,
            signal: None,
        }
    }

    /// Drives the rollout to its end. A signal halts it as an operator does, and a second signal
    /// ends the driver at once. Dropping the tasks ends their ssh commands; the nodes go on with
    /// orders that have begun.
    pub(super) async fn run(mut self) -> Result<(Verdict, Vec<Member>), Failure> {
        let mut signals = Signals::new()?;
        let verdict = loop {
            let mut begins = false;
            if self.members.iter().all(|member| member.sight.is_some()) {
                match self.decide()? {
                    Next::Begin(nodes) => begins = self.begin(&nodes),
                    Next::Wait(wait) => self.wait(&wait),
                    Next::Halt(halt) => break self.halted(halt),
                    Next::Done => break Verdict::Done,
                }
            }
            self.look_where_due(begins);
            tokio::select! {
                Some(ended) = self.tasks.join_next() => {
                    // A task does not panic, and none is aborted before the end.
                    if let Ok((node, event)) = ended {
                        self.note(node, event);
                    }
                }
                () = sleep(TICK) => {}
                name = signals.next() => {
                    if !self.is_under_way() || self.signal.replace(name).is_some() {
                        break Verdict::Interrupted(name);
                    }
                }
            }
        };
        self.progress.end();
        Ok((verdict, self.members))
    }

    /// Returns whether a node is busy with an order of this rollout.
    fn is_under_way(&self) -> bool {
        let is_ours = |sight: &Sight| sight.state == State::Busy && sight.has_begun;
        self.members.iter().filter_map(|member| member.sight.as_ref()).any(is_ours)
    }

    fn halted(&self, halt: Halt) -> Verdict {
        match (halt, self.signal) {
            (Halt::Ordered, Some(name)) => Verdict::Interrupted(name),
            (halt, _) => Verdict::Halted(halt),
        }
    }

    fn decide(&mut self) -> Result<Next, Failure> {
        self.is_halted |= self.journal.is_halted()? || self.signal.is_some();
        let states: Vec<State> = self.members.iter().map(Member::state).collect();
        let seen = Seen { quiet: self.last_event.elapsed(), is_halted: self.is_halted };
        Ok(next(&self.policy, &states, &seen))
    }

    /// Begins the orders of these nodes, if every other node was looked at since the last wait.
    /// Returns whether looks are missing.
    fn begin(&mut self, nodes: &[usize]) -> bool {
        let is_known = |member: &Member| {
            member.is_confirmed || !matches!(member.state(), State::Waiting | State::Committed)
        };
        if !self.members.iter().all(is_known) {
            return true;
        }
        nodes.iter().for_each(|node| self.give_order(*node));
        self.expire();
        false
    }

    fn give_order(&mut self, node: usize) {
        let member = &mut self.members[node];
        let (course, direction, host) = (Arc::clone(&self.course), self.direction, member.host.clone());
        let Some(before) = member.sight.clone() else { return };
        let origin = member.origin.clone().unwrap_or_default();
        member.hand = Hand::Moving;
        member.show(Sight { state: State::Busy, has_begun: true, ..before });
        if !std::mem::replace(&mut member.has_begun, true) {
            self.last_event = Instant::now();
        }
        self.progress.show(&self.members, node);
        self.tasks.spawn(async move {
            let Course { target, ssh } = &*course;
            let moved = match direction {
                Direction::Forward => node::upgrade(ssh, &host, target).await,
                Direction::Back => node::take_back(ssh, &host, target, &origin).await,
            };
            (node, Event::Moved(moved))
        });
    }

    fn wait(&mut self, wait: &Wait) {
        self.expire();
        self.progress.wait(&self.members, wait);
    }

    /// Lets the next order wait for new looks.
    fn expire(&mut self) {
        self.members.iter_mut().for_each(|member| member.is_confirmed = false);
    }

    fn look_where_due(&mut self, confirms: bool) {
        for node in 0..self.members.len() {
            if self.members[node].is_due(confirms) {
                self.look(node);
            }
        }
    }

    fn look(&mut self, node: usize) {
        let member = &mut self.members[node];
        member.hand = Hand::Looking;
        let (course, host, looks) = (Arc::clone(&self.course), member.host.clone(), Arc::clone(&self.looks));
        self.tasks.spawn(async move {
            // The semaphore is never closed.
            let _permit = looks.acquire().await;
            (node, Event::Looked(node::look(&course.ssh, &host, &course.target.rollout).await))
        });
    }

    fn note(&mut self, node: usize, event: Event) {
        let member = &mut self.members[node];
        member.hand = Hand::Free;
        let before = member.sight.clone();
        match event {
            Event::Looked(look) => member.see(&self.course.target, self.direction, look),
            Event::Moved(Err(NotDone::Refused(report))) => {
                if let Some(sight) = before.clone() {
                    member.show(Sight { has_begun: false, ..sight.refused(&report) });
                }
            }
            Event::Moved(Err(NotDone::Later(report))) => {
                // The next look comes after a pause. Until then the node counts as busy.
                member.looked = Some(Instant::now());
                if let Some(sight) = before.clone() {
                    member.show(Sight { why: Some(report.to_string()), ..sight });
                }
            }
            Event::Moved(Ok(()) | Err(NotDone::Ask)) => {
                // The next look is due at once.
                member.looked = None;
                return;
            }
        }
        if matches!(member.state(), State::Committed | State::Failed)
            && !std::mem::replace(&mut member.has_ended, true)
        {
            self.last_event = Instant::now();
        }
        if before != member.sight {
            self.progress.show(&self.members, node);
        }
    }
}

/// The signals that end a driver.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let of = |kind| signal(kind).map_err(|fault| Failure::io("wait for", "signals", &fault));
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
