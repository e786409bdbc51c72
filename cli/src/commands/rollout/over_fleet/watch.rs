//! Watches a rollout up to its end.

use std::time::Duration;

use reld_api::response::Rollout;
use reld_api::{Client, ClientError, ErrorCode, ErrorReport, request as q};
use reld_fleet::State;
use tokio::time::{Instant, sleep};

use super::super::member::Member;
use super::super::progress::Progress;
use super::super::sight::Direction;
use super::view::View;
use crate::commands::wait::is_passing;
use crate::error::Failure;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// The longest time without an answer of the daemon, which may restart in an upgrade.
const SILENCE: Duration = Duration::from_secs(120);

/// Shows each change of a rollout on stderr, and returns its end. `id` is the rollout that the
/// command has begun, or else the present one is meant. `None` if the fleet has no rollout.
///
/// | the daemon | the watcher |
/// |---|---|
/// | shows the rollout | shows its changes |
/// | has no connection to etcd | waits |
/// | does not answer | waits for a while: it may restart |
/// | shows another rollout | cannot know the end of its own |
pub(super) async fn until_end(client: &Client, mut id: Option<String>) -> Result<Option<View>, Failure> {
    let mut shown = Shown::default();
    let mut answered = Instant::now();
    let end = loop {
        let look = client.call(&q::FleetRollout {}).await.map(|answer| answer.rollout);
        if look.as_ref().map_or_else(|error| !is_passing(error), |_| true) {
            answered = Instant::now();
        }
        match look {
            Ok(Some(rollout)) if *id.get_or_insert_with(|| rollout.rollout.clone()) != rollout.rollout => {
                break Err(lost(id.as_deref().unwrap_or_default(), &rollout));
            }
            Ok(Some(rollout)) => {
                shown.changes(View::of(rollout));
                if shown.has_ended() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(ClientError::Refused(report)) if report.kind == ErrorCode::NoEtcd.as_str() => {
                shown.waits(format!("waits for etcd: {}\n", report.message));
            }
            Err(error) if is_passing(&error) && answered.elapsed() < SILENCE => {}
            Err(error) => break Err(error.into()),
        }
        sleep(PAUSE).await;
    };
    shown.progress.end();
    end.map(|()| shown.last)
}

/// The error of a rollout that has ended between two looks, because another one runs.
fn lost(id: &str, now: &Rollout) -> Failure {
    let Rollout { rollout, by, since, .. } = now;
    let message =
        format!("cannot follow rollout {id} to its end: {rollout} runs, started by {by} at {since}");
    ErrorReport::refused(ErrorCode::RollingOut, message)
        .with_hint(format!("`relctl history --rollout {id}` shows its order on each node"))
        .into()
}

/// The part of a rollout that is on the terminal.
#[derive(Debug)]
struct Shown {
    progress: Progress,
    last: Option<View>,
}

impl Default for Shown {
    fn default() -> Self {
        Self { progress: Progress::new(Direction::Forward), last: None }
    }
}

impl Shown {
    /// Shows the nodes with another state than in the last view.
    fn changes(&mut self, view: View) {
        if self.progress.direction() != view.direction {
            self.progress.end();
            *self = Self { progress: Progress::new(view.direction), last: None };
        }
        for node in 0..view.members.len() {
            // A node that waits from the begin is no change.
            let before = self.last.as_ref().and_then(|last| last.members.get(node));
            if before.map_or(State::Waiting, Member::state) != view.members[node].state() {
                self.progress.show(&view.members, node);
            }
        }
        let waits = view.rollout.waits.as_ref().map(|waits| format!("{waits}\n")).unwrap_or_default();
        self.progress.reason(&view.members, waits);
        self.last = Some(view);
    }

    fn waits(&mut self, reason: String) {
        let members = self.last.as_ref().map_or(&[][..], |view| &view.members);
        self.progress.reason(members, reason);
    }

    fn has_ended(&self) -> bool {
        self.last.as_ref().is_some_and(|view| view.rollout.ended)
    }
}
