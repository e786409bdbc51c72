//! The working state of the operator's thread: the handler, the board, and the order with a release
//! that settles.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use reld_api::response::{HistoryEntry, HistoryKind, Progress, Report};
use reld_handler::{Ended, Error, Event, Interrupt, Journey, Order, Outcome, Watched};
use tokio::sync::{oneshot, watch};

use super::board::Board;
use super::queue::Turn;
use crate::history::{Origin, Records};
use crate::next::Next;
use crate::node::Handler;
use crate::report;

/// A job of the operator's thread.
pub(super) type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// The channels for the answers to an order.
#[derive(Debug)]
pub(super) struct Answer {
    /// Receives the early answer, just before the order changes the node.
    pub(super) begun: Option<oneshot::Sender<Report>>,
    pub(super) ended: oneshot::Sender<Done>,
}

/// The result of an order, and the restart that may follow the answer.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) result: Result<Ended, Error>,
    /// Dropped together with the answer, even if the client has disconnected.
    pub(crate) then: Then,
}

/// Restarts the node when it is dropped, if the order requires a restart. The answer must be sent
/// before, because a restart stops the apps first.
#[derive(Debug)]
pub(crate) struct Then(Option<watch::Sender<Next>>);

impl Drop for Then {
    fn drop(&mut self) {
        if let Some(next) = &self.0 {
            next.send_replace(Next::Restart);
        }
    }
}

impl Answer {
    /// Makes an answer without the early part.
    pub(super) const fn whole(ended: oneshot::Sender<Done>) -> Self {
        Self { begun: None, ended }
    }

    /// Returns whether the client still waits for the answer.
    fn is_awaited(&self) -> bool {
        !self.ended.is_closed()
    }
}

/// An order under way.
#[derive(Debug)]
struct UnderWay {
    origin: Origin,
    /// The history entry, or `None` until the order begins to change the node.
    entry: Option<HistoryEntry>,
    ended: oneshot::Sender<Done>,
}

#[derive(Debug)]
pub(super) struct Desk {
    handler: Handler,
    board: watch::Sender<Board>,
    records: Records,
    interrupt: Interrupt,
    next: watch::Sender<Next>,
    /// The order with the release that settles, if there is one.
    settling: Option<UnderWay>,
    /// The time until the next check of the release that settles.
    look_after: Option<Duration>,
    /// The turn of the current order. It ends just before the order is answered.
    turn: Turn,
}

/// The result of the boot.
#[derive(Debug)]
pub(crate) enum Booted {
    /// The release runs, or the node is idle and ready because no release is permanent.
    Runs,
    /// The release did not boot, for this reason.
    Failed(String),
    /// The release failed to boot too often, so the next boot uses another release.
    GivesWay(String),
    /// The machine lacks resources, so the boot has to be repeated.
    NoRoom(String),
}

impl Desk {
    pub(super) fn new(
        handler: Handler,
        board: watch::Sender<Board>,
        records: Records,
        next: watch::Sender<Next>,
    ) -> Self {
        let interrupt = handler.interrupt();
        let (settling, look_after, turn) = (None, None, Turn::none());
        let desk = Self { handler, board, records, interrupt, next, settling, look_after, turn };
        desk.show();
        desk
    }

    /// Runs one job after the other until the daemon ends, and checks a settling release between
    /// jobs.
    ///
    /// A panic fails only its own job. The dropped answer notifies the client, the board is
    /// updated, and the thread continues with the next job.
    pub(super) fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = match self.look_after.take() {
                Some(after) => jobs.recv_timeout(after),
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let job = match job {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => Box::new(Self::look),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if catch_unwind(AssertUnwindSafe(|| job(&mut self))).is_err() {
                // The panic hook has reported the panic.
                self.end_turn();
                self.show();
            }
        }
    }

    pub(super) fn begin(&mut self, turn: Turn) {
        self.turn = turn;
    }

    pub(super) fn end_turn(&mut self) {
        self.turn = Turn::none();
    }

    /// Runs a change of the handler and updates the board.
    pub(super) fn change<R>(&mut self, work: impl FnOnce(&mut Handler) -> R) -> R {
        let done = work(&mut self.handler);
        self.show();
        self.end_turn();
        done
    }

    fn show(&self) {
        self.board.send_modify(|board| board.show(&self.handler));
    }

    /// Carries out an order, unless its client has already disconnected.
    pub(super) fn carry_out(&mut self, order: Order, origin: Origin, answer: Answer) {
        if !answer.is_awaited() {
            return;
        }
        let moves = moves(origin.kind) && self.settling.is_none();
        if moves {
            // From here on the board shows this order, so an abort is meant for this order.
            self.interrupt.begin();
            self.board.send_modify(|board| board.under_way = Some(origin.kind));
        }
        let Answer { mut begun, ended } = answer;
        let mut back = None;
        let mut under_way = UnderWay { origin, entry: None, ended };
        let (board, records) = (&self.board, &self.records);
        let settling = self.settling.as_ref().map(UnderWay::to);
        let result = self.handler.carry_out(order, &mut |event| match event {
            Event::Begins(journey) => {
                under_way.begins(&journey, records);
                answer_early(&mut begun, &journey);
            }
            Event::GoesBack { to } => back = Some(to.to_string()),
            Event::Step(step) => {
                let to = settling.clone().unwrap_or_else(|| under_way.to());
                show_step(board, to, back.as_deref(), step);
            }
        });
        if let (Ok(Ended::Settles), Some(trip)) = (&result, self.handler.settling()) {
            let journey = Journey { from: trip.from, to: trip.to, app: None, restarts: false };
            under_way.begins(&journey, &self.records);
            // The new release is shown on the board while it settles.
            self.show();
            self.turn = Turn::none();
            answer_early(&mut begun, &journey);
            self.settling = Some(under_way);
            self.look_after = Some(Duration::ZERO);
            return;
        }
        // The order may have ended the settling of an earlier release. The earlier order is then
        // answered first.
        self.look();
        self.ended(under_way, result, moves);
    }

    /// Checks the release that settles, if there is one.
    pub(super) fn look(&mut self) {
        let board = &self.board;
        let settling = self.settling.as_ref();
        let to = settling.map(UnderWay::to).unwrap_or_default();
        let mut back = None;
        let watched = self.handler.watch(&mut |event| match event {
            Event::GoesBack { to } => back = Some(to.to_string()),
            Event::Step(step) => show_step(board, to.clone(), back.as_deref(), step),
            Event::Begins(_) => {}
        });
        match watched {
            None => {}
            Some(Watched::Again(after)) => self.look_after = Some(after),
            Some(Watched::Ended(report)) => {
                if let Some(under_way) = self.settling.take() {
                    self.ended(under_way, report.map(Ended::Moved), true);
                }
            }
        }
    }

    /// Writes the result of an order into the history, updates the board, and sends the answer.
    ///
    /// `moved` means that the board shows this order as under way.
    fn ended(&mut self, mut under_way: UnderWay, mut result: Result<Ended, Error>, moved: bool) {
        under_way.noted(&mut result, &self.records);
        if let Ok(Ended::Moved(report)) = &result
            && report.changed
            && report.app.is_some()
        {
            self.handler.node_mut().changed_by_hand();
        }
        let restarts = match &result {
            Ok(Ended::Restarts { .. }) => true,
            // After a failed boot, [`Booted`] decides whether the daemon restarts.
            Ok(Ended::Moved(report)) => {
                report.outcome == Outcome::NeedsRestart && under_way.origin.kind != HistoryKind::Boot
            }
            _ => false,
        };
        let UnderWay { entry, ended, .. } = under_way;
        // Update the board before the answer, so that the client can read the new state at once.
        self.board.send_modify(|board| {
            board.show(&self.handler);
            if moved {
                board.under_way = None;
                board.progress = None;
                board.ended += 1;
                board.last = entry.map(Arc::new).or(board.last.take());
            }
        });
        self.end_turn();
        let then = Then(restarts.then(|| self.next.clone()));
        // This fails if the client has disconnected.
        let _ = ended.send(Done { result, then });
    }

    /// Boots the permanent release.
    pub(super) fn boot(&mut self) -> Booted {
        if self.handler.running().is_some() {
            return Booted::Runs;
        }
        if let Err(error) = self.handler.has_room_to_boot() {
            return Booted::NoRoom(error.to_string());
        }
        let boots = self.handler.boots_next();
        let given_up = self.records.interrupted(boots.as_ref().map(ToString::to_string).as_deref());
        let Some(vsn) = boots else {
            tracing::info!(name: "daemon.idle", "no release is permanent; the node waits for the first upgrade");
            return Booted::Runs;
        };
        let origin = Origin { kind: HistoryKind::Boot, uid: None, rollout: None };
        self.interrupt.begin();
        self.board.send_modify(|board| board.under_way = Some(origin.kind));
        let mut under_way = UnderWay { origin, entry: None, ended: oneshot::channel().0 };
        under_way.begins(&Journey { from: None, to: &vsn, app: None, restarts: false }, &self.records);
        let board = &self.board;
        let booted = self.handler.boot(&mut |event| {
            if let Event::Step(step) = event {
                show_step(board, under_way.to(), None, step);
            }
        });
        let booted = booted.map(|report| {
            let mut report = report.expect("there is a release to boot");
            let lost = |vsn| format!("release {vsn} ran without a commit and was given up");
            report.warnings.extend(given_up.map(lost));
            report
        });
        let failed = match &booted {
            Ok(report) if report.outcome == Outcome::Installed => None,
            Ok(report) => Some(report.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let has_room = !matches!(booted, Err(Error::NoRoom { .. }));
        let arrived = booted.as_ref().ok().filter(|_| failed.is_none()).map(report::wire);
        self.ended(under_way, booted.map(|report| Ended::Moved(Box::new(report))), true);
        if let Some(report) = arrived {
            // Complete the entry after the board, because clients wait for the entry and then read
            // the board.
            self.records.restarted(&report);
        }
        match failed {
            None => Booted::Runs,
            Some(error) if !has_room => Booted::NoRoom(error),
            Some(error) if self.handler.gives_way() => Booted::GivesWay(error),
            Some(error) => Booted::Failed(error),
        }
    }
}

/// Returns whether an order of this kind changes the running node.
const fn moves(kind: HistoryKind) -> bool {
    !matches!(kind, HistoryKind::Commit | HistoryKind::RebootOld)
}

impl UnderWay {
    /// Returns the version of the target release, or an empty text while it is unknown.
    fn to(&self) -> String {
        self.entry.as_ref().map(|entry| entry.to.clone()).unwrap_or_default()
    }

    /// Begins the history entry, unless it has begun.
    fn begins(&mut self, journey: &Journey<'_>, records: &Records) {
        if self.entry.is_none() {
            if journey.restarts {
                self.origin.kind = HistoryKind::Restart;
            }
            let (from, to) = report::journey(journey);
            self.entry = Some(records.begin(&self.origin, from, to));
        }
    }

    /// Completes the history entry. An order that changed the node without a beginning, such as a
    /// commit, gets its whole entry here.
    fn noted(&mut self, result: &mut Result<Ended, Error>, records: &Records) {
        if self.entry.is_none()
            && let Some((from, to)) = report::changed(result)
        {
            self.entry = Some(records.begin(&self.origin, from, to));
        }
        if let Some(entry) = &mut self.entry {
            records.end(entry, result);
        }
    }
}

fn answer_early(begun: &mut Option<oneshot::Sender<Report>>, journey: &Journey<'_>) {
    if let Some(begun) = begun.take() {
        let (from, to) = report::journey(journey);
        // This fails if the client has disconnected.
        let _ = begun.send(report::under_way(from, to));
    }
}

/// Shows a step of an upgrade or of its way back on the board.
fn show_step(board: &watch::Sender<Board>, to: String, back: Option<&str>, step: reld_handler::Progress<'_>) {
    board.send_modify(|board| {
        if step.is_switched {
            board.switched = back.unwrap_or(&to).parse().ok();
        }
        board.progress = Some(Progress {
            to,
            waits_for: Vec::new(),
            back: back.map(str::to_owned),
            step: step.step,
            of: step.steps,
            text: step.title.to_owned(),
        });
    });
}
