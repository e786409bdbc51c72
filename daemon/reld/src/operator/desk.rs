//! What the operator's thread has before it: the handler, the board, and the order whose release settles.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use reld_api::response::{HistoryEntry, HistoryKind, Progress, Report};
use reld_handler::{Ended, Error, Event, Interrupt, Journey, Order, Outcome, Watched};
use tokio::sync::{oneshot, watch};

use super::board::Board;
use super::queue::Turn;
use crate::history::{Asked, Records};
use crate::next::Next;
use crate::node::Handler;
use crate::report;

/// A job of the operator's thread.
pub(super) type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// Where an order is answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Told once the node is about to change.
    pub(super) begun: Option<oneshot::Sender<Report>>,
    pub(super) ended: oneshot::Sender<Done>,
}

/// How an order ended, and what follows when its client has been told.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) result: Result<Ended, Error>,
    /// Dropped with the answer, by a client that is gone too.
    pub(crate) then: Then,
}

/// A restart of the node, where one follows: it begins when this is dropped. A restart begins by stopping the
/// applications, so the answer has to be on its way before.
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
    /// Answers at the end only.
    pub(super) const fn whole(ended: oneshot::Sender<Done>) -> Self {
        Self { begun: None, ended }
    }

    /// Says whether somebody waits for it.
    fn is_awaited(&self) -> bool {
        !self.ended.is_closed()
    }
}

/// An order under way.
#[derive(Debug)]
struct UnderWay {
    asked: Asked,
    /// `None` = nothing was changed so far.
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
    /// The order whose release settles.
    settling: Option<UnderWay>,
    /// When to look at it again.
    look_after: Option<Duration>,
    /// The turn of the order that is carried out, until it is answered.
    turn: Turn,
}

/// What became of the boot.
#[derive(Debug)]
pub(crate) enum Booted {
    /// The release runs; without one the node is idle and ready.
    Runs,
    /// The release failed, for this reason.
    Failed(String),
    /// The release failed once too often: the next boot is that of another one.
    GivesWay(String),
    /// The machine does not give what a boot needs: it is to be tried again.
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

    /// Does one job after the other, and looks at a settling release between them, until the daemon ends.
    ///
    /// A panic is the failure of its job. Its client learns of it by the answer that is dropped, everybody else by the
    /// board, and the next job finds the thread alive.
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
                // The panic itself was reported by the daemon's hook.
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

    /// Does something with the handler, and shows how the node is then.
    pub(super) fn change<R>(&mut self, work: impl FnOnce(&mut Handler) -> R) -> R {
        let done = work(&mut self.handler);
        self.show();
        self.end_turn();
        done
    }

    fn show(&self) {
        self.board.send_modify(|board| board.show(&self.handler));
    }

    /// Carries an order out. An order whose client has left before is dropped.
    pub(super) fn carry_out(&mut self, order: Order, asked: Asked, answer: Answer) {
        if !answer.is_awaited() {
            return;
        }
        let moves = moves(asked.kind) && self.settling.is_none();
        if moves {
            // From when it is shown on, an abort is meant for this one.
            self.interrupt.begin();
            self.board.send_modify(|board| board.under_way = Some(asked.kind));
        }
        let Answer { mut begun, ended } = answer;
        let mut back = None;
        let mut under_way = UnderWay { asked, entry: None, ended };
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
            // Looks see what runs while it settles.
            self.show();
            self.turn = Turn::none();
            answer_early(&mut begun, &journey);
            self.settling = Some(under_way);
            self.look_after = Some(Duration::ZERO);
            return;
        }
        // The order may have ended another one, which comes first.
        self.look();
        self.ended(under_way, result, moves);
    }

    /// Looks at the release that settles, if one does.
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

    /// Writes into the history how an order ended, shows it, and answers.
    ///
    /// `moved` = it is what was shown as under way.
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
            // The daemon decides by itself what follows on a failed boot.
            Ok(Ended::Moved(report)) => {
                report.outcome == Outcome::NeedsRestart && under_way.asked.kind != HistoryKind::Boot
            }
            _ => false,
        };
        let UnderWay { entry, ended, .. } = under_way;
        // Whoever is answered sees the board as it is after the order.
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
        // A client that hung up has no use for the answer.
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
            tracing::info!(name: "daemon.idle", "no release is permanent; the first upgrade boots one");
            return Booted::Runs;
        };
        let asked = Asked { kind: HistoryKind::Boot, uid: None };
        self.interrupt.begin();
        self.board.send_modify(|board| board.under_way = Some(asked.kind));
        let mut under_way = UnderWay { asked, entry: None, ended: oneshot::channel().0 };
        under_way.begins(&Journey { from: None, to: &vsn, app: None, restarts: false }, &self.records);
        let board = &self.board;
        let booted = self.handler.boot(&mut |event| {
            if let Event::Step(step) = event {
                show_step(board, under_way.to(), None, step);
            }
        });
        let booted = booted.map(|report| {
            let mut report = report.expect("there is a release to boot");
            let lost = |vsn| format!("release {vsn} ran and was not committed; it was given up");
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
            // Whoever waits for a restart finds the board as it is told.
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

/// Says whether an order of this kind moves the node while it runs.
const fn moves(kind: HistoryKind) -> bool {
    !matches!(kind, HistoryKind::Commit | HistoryKind::RebootOld)
}

impl UnderWay {
    /// Returns where to, as far as that is known.
    fn to(&self) -> String {
        self.entry.as_ref().map(|entry| entry.to.clone()).unwrap_or_default()
    }

    /// Begins the entry of the history, where it has not begun.
    fn begins(&mut self, journey: &Journey<'_>, records: &Records) {
        if self.entry.is_none() {
            if journey.restarts {
                self.asked.kind = HistoryKind::Restart;
            }
            let (from, to) = report::journey(journey);
            self.entry = Some(records.begin(&self.asked, from, to));
        }
    }

    /// Completes the entry. What changed without a beginning, such as a commit, has one of its own.
    fn noted(&mut self, result: &mut Result<Ended, Error>, records: &Records) {
        if self.entry.is_none()
            && let Some((from, to)) = report::changed(result)
        {
            self.entry = Some(records.begin(&self.asked, from, to));
        }
        if let Some(entry) = &mut self.entry {
            records.end(entry, result);
        }
    }
}

fn answer_early(begun: &mut Option<oneshot::Sender<Report>>, journey: &Journey<'_>) {
    if let Some(begun) = begun.take() {
        let (from, to) = report::journey(journey);
        // The client may be gone by now.
        let _ = begun.send(report::under_way(from, to));
    }
}

/// Shows a step on the way to a release, or back from it.
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
