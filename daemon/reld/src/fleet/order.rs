//! The order of a slot: the node moves to the release of a rollout, or back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reld_api::response::{HistoryEntry, HistoryKind};
use reld_api::{ErrorCode, ErrorReport};
use reld_fleet::ledger::{Direction, Document, Ending, Outcome, Run, Slot, ended};
use reld_handler::{
    CrashPolicy, End, Ended, InstallOptions, KnownRelease, Order as Move, Outcome as Moved, Platform, Probe,
    Report, Settle, UnpackOptions, Vsn,
};
use reld_source::{Source, download};
use reld_store::Root;
use tokio::runtime::Handle;

use super::grant::Granted;
use super::kept::{Kept, Part};
use super::probe;
use super::shared::Shared;
use crate::alarms::Alarms;
use crate::history::{Origin, now};
use crate::operator::{Done, Entry, Operator};
use crate::probe::OperatorProbe;
use crate::report;

/// The parts of the daemon that orders of rollouts use.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) operator: Operator,
    pub(crate) alarms: Alarms,
    pub(crate) platform: Platform,
    pub(crate) root: Root,
    pub(crate) uploads: PathBuf,
    pub(crate) socket: PathBuf,
}

/// The order of a slot.
#[derive(Debug)]
pub(super) struct Order {
    shared: Arc<Shared>,
    daemon: Arc<Daemon>,
    rollout: String,
    document: Document,
    settle: Duration,
    probe: Option<String>,
    slot: Slot,
    granted: Granted,
}

/// The end of an order without a result of the node.
#[derive(Debug)]
enum NoResult {
    /// The ledger no longer permits the order, and decides.
    Revoked,
    /// The node waits. The agent begins the order again, until the deadline of the rollout.
    Passing(ErrorReport),
    /// The node fails.
    Refused(ErrorReport),
}

impl From<ErrorReport> for NoResult {
    fn from(report: ErrorReport) -> Self {
        match ErrorCode::of(&report.kind) {
            Some(ErrorCode::LockedOut | ErrorCode::Busy) => Self::Passing(report),
            _ => Self::Refused(report),
        }
    }
}

impl Order {
    pub(super) fn new(
        shared: &Arc<Shared>,
        daemon: &Arc<Daemon>,
        run: &Run,
        slot: Slot,
        granted: Granted,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            daemon: Arc::clone(daemon),
            rollout: run.id.clone(),
            document: run.document.clone(),
            settle: run.rollout.settle,
            probe: run.rollout.probe.clone(),
            slot,
            granted,
        }
    }

    /// Carries the order out, and keeps its result on disk before the node may restart.
    ///
    /// | the daemon | result |
    /// |---|---|
    /// | restarts into the release | none: the next daemon is at the goal, or goes on with the slot |
    /// | stops before the goal | none: the next daemon goes on with the slot |
    /// | has not begun, and the order is revoked or has to wait | none: the ledger decides |
    /// | otherwise | that of the order |
    pub(super) fn carry_out(self, handle: &Handle, kept: &Mutex<Kept>) {
        let done = handle.block_on(self.go());
        let outcome = match &done {
            Ok(Done { result: Ok(Ended::Restarts { .. }), .. }) => return,
            Ok(done) => self.judge(done),
            Err(NoResult::Refused(refused)) => self.failed(refused),
            Err(NoResult::Passing(why)) => {
                let why = why.in_one_line();
                tracing::warn!(name: "fleet.wait", rollout = self.rollout, why, "the node has not begun; it tries again");
                return;
            }
            Err(NoResult::Revoked) => {
                tracing::info!(name: "fleet.revoked", rollout = self.rollout, "the node has not begun: its order is revoked");
                return;
            }
        };
        if self.daemon.operator.board().stops && outcome.ending != Ending::Reached {
            return;
        }
        tracing::info!(
            name: "fleet.end", rollout = self.rollout, ending = ?outcome.ending, why = outcome.why,
            "the node has ended its part of the rollout"
        );
        let (rollout, slot) = (self.rollout, self.slot);
        kept.lock().set_result(Some(Part { rollout, slot, outcome }));
    }

    async fn go(&self) -> Result<Done, NoResult> {
        self.shared.membership.check_policy().map_err(|error| refused(format!("{error:#}")))?;
        let mut granted = self.granted.clone();
        let (order, kind, to) = tokio::select! {
            biased;
            () = granted.ended() => return Err(NoResult::Revoked),
            ready = self.prepare() => ready?,
        };
        let entry = Entry::new(format!("{kind} to {to} in rollout {}", self.rollout), None, true);
        let origin = Origin { kind, uid: None, rollout: Some(self.rollout.clone()) };
        let done = self.daemon.operator.carry_out_unless(granted.ended(), order, entry, origin).await?;
        done.ok_or(NoResult::Revoked)
    }

    async fn prepare(&self) -> Result<(Move, HistoryKind, Vsn), NoResult> {
        match self.slot.direction {
            Direction::Forward => self.forward().await,
            Direction::Back => Ok(self.back()?),
        }
    }

    /// A client of etcd could name a release that the node has left for good, so one that was
    /// permanent counts as new.
    async fn forward(&self) -> Result<(Move, HistoryKind, Vsn), NoResult> {
        let release = match self.known() {
            Some(release) => release,
            None => self.fetch().await?,
        };
        let settle =
            Settle { window: self.settle, crashes: CrashPolicy::TakeBack, probe: self.probe(&release)? };
        let to = release.version;
        let options = InstallOptions { as_new: true, ..InstallOptions::default() };
        let order = Move::Upgrade { to: to.clone(), options, end: End::Commit(settle) };
        Ok((order, HistoryKind::Upgrade, to))
    }

    fn back(&self) -> Result<(Move, HistoryKind, Vsn), ErrorReport> {
        let Daemon { operator, .. } = &*self.daemon;
        let releases = operator.board().releases;
        let running = releases.running().map(|release| release.version.to_string()).unwrap_or_default();
        let home = home(&operator.records().list(), &self.rollout, &running);
        let to: Vsn = home.and_then(|home| home.parse().ok()).ok_or_else(|| {
            let why = "the history of the node names no release from which this rollout has moved it";
            refused(format!("{why} to the running one; `relctl downgrade` goes back"))
        })?;
        // The release may be one that could not be committed.
        let options = InstallOptions { supersede: true, ..InstallOptions::default() };
        let order = Move::Downgrade { to: Some(to.clone()), options, end: End::Commit(Settle::default()) };
        Ok((order, HistoryKind::Downgrade, to))
    }

    /// Returns the release of the rollout, if the node has it.
    fn known(&self) -> Option<KnownRelease> {
        let is_it = |known: &KnownRelease| known.identity.to_string() == self.document.identity;
        self.daemon.operator.board().releases.releases.into_iter().find(is_it)
    }

    /// Fetches the release and unpacks it. The store judges it by the policy of signatures.
    async fn fetch(&self) -> Result<KnownRelease, NoResult> {
        let Document { source, identity, .. } = &self.document;
        let url = if source.starts_with('/') { format!("file://{source}") } else { source.clone() };
        let source = Source::parse(&url).map_err(|error| report::not_fetched(&error))?;
        let (folder, platform) = (self.daemon.root.downloads_dir(), self.daemon.platform.clone());
        // This thread may block: it has no other work.
        let file = download(&source, &folder, platform, Some(identity), &|| self.granted.has_ended())
            .map_err(not_fetched)?;
        let entry = Entry::new(format!("the unpacking of rollout {}", self.rollout), None, true);
        let unpack = move |handler: &mut crate::node::Handler| {
            handler.unpack_with(file.path(), UnpackOptions::default())
        };
        let unpacked = self.daemon.operator.change_beside(entry, unpack).await?;
        unpacked.map_err(|error| report::not_unpacked_by(&error))?;
        let other = || refused(format!("the release of {url} has not the identity {identity}"));
        Ok(self.known().ok_or_else(other)?)
    }

    fn probe(&self, release: &KnownRelease) -> Result<Option<Probe>, ErrorReport> {
        let Some(name) = &self.probe else { return Ok(None) };
        let Daemon { root, uploads, socket, .. } = &*self.daemon;
        let ready = probe::named(name, &self.shared.membership, root, release)
            .and_then(|probe| OperatorProbe::new(probe, uploads));
        let ready = ready.map_err(|why| {
            ErrorReport::refused(ErrorCode::Probe, format!("cannot run the probe {name:?}: {why}"))
        })?;
        Ok(Some(crate::probe::probe(ready, socket.clone())))
    }

    fn judge(&self, done: &Done) -> Outcome {
        let report = match &done.result {
            Ok(Ended::Moved(report)) => report,
            Ok(other) => {
                return self.failed(&refused(format!("the order ended as {other:?}; this is a bug in reld")));
            }
            Err(error) => return self.failed(&report::error(error)),
        };
        let failure = report::failure(report);
        Outcome {
            why: failure.as_ref().map(ErrorReport::in_one_line),
            step: failure.and_then(|failure| serde_json::to_value(failure.step?).ok()),
            pause_us: Some(report.pause.max_us),
            report: self.number(),
            ..ended(ending(report), &self.slot, &now())
        }
    }

    fn failed(&self, why: &ErrorReport) -> Outcome {
        let step = why.step.as_ref().and_then(|step| serde_json::to_value(step).ok());
        let why = Some(why.in_one_line());
        Outcome { why, step, ..ended(Ending::Failed, &self.slot, &now()) }
    }

    /// Returns the number of the order in the node's history.
    fn number(&self) -> Option<u64> {
        let entries = self.daemon.operator.records().list();
        entries.iter().rfind(|entry| entry.rollout.as_ref() == Some(&self.rollout))?.number
    }
}

/// Judges a move.
///
/// | the release | ending |
/// |---|---|
/// | is installed and permanent | reached |
/// | is installed, or could not be taken back | failed, and the node has moved |
/// | otherwise | failed: the node is as before, or restarts into its permanent release |
fn ending(report: &Report) -> Ending {
    match report.outcome {
        Moved::Installed if report.permanent => Ending::Reached,
        Moved::Installed | Moved::NotTakenBack => Ending::FailedMoved,
        Moved::RolledBack | Moved::TakenBack | Moved::NeedsRestart => Ending::Failed,
    }
}

/// Returns the release from which a rollout has moved the node to the running one. Only the node's
/// own history counts, so that a client of etcd cannot choose the release.
fn home(history: &[HistoryEntry], rollout: &str, running: &str) -> Option<String> {
    let led_here = |entry: &&HistoryEntry| {
        entry.rollout.as_deref() == Some(rollout)
            && entry.kind != HistoryKind::Downgrade
            && entry.to == running
            && entry.from.as_deref() != Some(running)
    };
    history.iter().rfind(led_here)?.from.clone()
}

fn not_fetched(error: reld_source::Error) -> NoResult {
    let report = report::not_fetched(&error);
    match error {
        reld_source::Error::GivenUp { .. } => NoResult::Revoked,
        error if error.is_passing() => NoResult::Passing(report),
        _ => NoResult::Refused(report),
    }
}

fn refused(why: String) -> ErrorReport {
    ErrorReport::refused(ErrorCode::Refused, why)
}

#[cfg(test)]
mod tests {
    use std::io;

    use reld_api::response::Outcome;

    use super::*;

    #[test]
    fn the_way_back_is_the_one_of_the_history_and_only_from_the_running_release() {
        let entry = |rollout: &str, kind, from: Option<&str>, to: &str| HistoryEntry {
            number: Some(1),
            begun: String::new(),
            ended: None,
            kind,
            uid: None,
            rollout: Some(rollout.to_owned()),
            from: from.map(str::to_owned),
            to: to.to_owned(),
            outcome: Outcome::Installed,
            committed: true,
            report: None,
            failure: None,
        };
        let history = [
            entry("x", HistoryKind::Upgrade, None, "1.0.0"),
            entry("y", HistoryKind::Upgrade, Some("1.0.0"), "2.0.0"),
            entry("y", HistoryKind::Downgrade, Some("2.0.0"), "1.0.0"),
            entry("y", HistoryKind::Restart, Some("1.0.0"), "2.0.0"),
            entry("y", HistoryKind::Upgrade, Some("2.0.0"), "2.0.0"),
        ];
        assert_eq!(home(&history, "y", "2.0.0").as_deref(), Some("1.0.0"));
        assert_eq!(home(&history, "y", "1.0.0"), None, "it is home");
        assert_eq!(home(&history, "x", "1.0.0"), None, "it ran no release before");
        assert_eq!(home(&history, "x", "2.0.0"), None, "another rollout has moved it since");
    }

    #[test]
    fn a_reason_that_passes_is_no_failure() {
        let of = |code| NoResult::from(ErrorReport::refused(code, "cannot begin"));
        assert!(matches!(of(ErrorCode::LockedOut), NoResult::Passing(_)));
        assert!(matches!(of(ErrorCode::Busy), NoResult::Passing(_)));
        assert!(matches!(of(ErrorCode::Untrusted), NoResult::Refused(_)));
        let url = || "http://host/a.tar.gz".to_owned();
        let cut = reld_source::Error::Cut { url: url(), held: 5, source: io::Error::other("reset") };
        assert!(matches!(not_fetched(cut), NoResult::Passing(_)));
        let absent = reld_source::Error::Status { url: url(), status: 404 };
        assert!(matches!(not_fetched(absent), NoResult::Refused(_)));
    }
}
