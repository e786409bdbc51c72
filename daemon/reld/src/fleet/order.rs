//! The order of a slot: the node moves to the release of a rollout, or back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reld_api::response::HistoryKind;
use reld_api::{ErrorCode, ErrorReport};
use reld_fleet::ledger::{Direction, Document, Ending, Outcome, Run, Slot, ended};
use reld_handler::{
    CrashPolicy, End, Ended, InstallOptions, KnownRelease, Order as Move, Outcome as Moved, Platform, Probe,
    Report, Settle, UnpackOptions, Vsn,
};
use reld_source::{Source, download};
use reld_store::Root;
use tokio::runtime::Handle;

use super::kept::{Kept, Part};
use super::probe;
use super::shared::{Shared, now};
use crate::alarms::Alarms;
use crate::history::Origin;
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
    /// The release that the node ran before the rollout.
    home: Option<String>,
    slot: Slot,
}

impl Order {
    pub(super) fn new(shared: &Arc<Shared>, daemon: &Arc<Daemon>, run: &Run, slot: Slot) -> Self {
        let home = run.forward.get(&slot.node).and_then(|outcome| outcome.value.from.clone());
        Self {
            shared: Arc::clone(shared),
            daemon: Arc::clone(daemon),
            rollout: run.id.clone(),
            document: run.document.clone(),
            settle: run.rollout.settle,
            probe: run.rollout.probe.clone(),
            home,
            slot,
        }
    }

    /// Carries the order out, and keeps its result on disk before the node may restart.
    ///
    /// | the daemon | result |
    /// |---|---|
    /// | restarts into the release | none: the next daemon is at the goal, or goes on with the slot |
    /// | stops before the goal | none: the next daemon goes on with the slot |
    /// | otherwise | that of the order |
    pub(super) fn carry_out(self, handle: &Handle, kept: &Mutex<Kept>) {
        let done = handle.block_on(self.go());
        let outcome = match &done {
            Ok(Done { result: Ok(Ended::Restarts { .. }), .. }) => return,
            Ok(done) => self.judge(done),
            Err(refused) => self.failed(refused),
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

    async fn go(&self) -> Result<Done, ErrorReport> {
        self.shared.membership.check_policy().map_err(|error| refused(format!("{error:#}")))?;
        let (order, kind, to) = match self.slot.direction {
            Direction::Forward => self.forward().await?,
            Direction::Back => self.back()?,
        };
        let entry = Entry::new(format!("{kind} to {to} in rollout {}", self.rollout), None, true);
        let origin = Origin { kind, uid: None, rollout: Some(self.rollout.clone()) };
        self.daemon.operator.carry_out(order, entry, origin).await
    }

    async fn forward(&self) -> Result<(Move, HistoryKind, Vsn), ErrorReport> {
        let release = match self.known() {
            Some(release) => release,
            None => self.fetch().await?,
        };
        let settle =
            Settle { window: self.settle, crashes: CrashPolicy::TakeBack, probe: self.probe(&release)? };
        let to = release.version;
        let order =
            Move::Upgrade { to: to.clone(), options: InstallOptions::default(), end: End::Commit(settle) };
        Ok((order, HistoryKind::Upgrade, to))
    }

    fn back(&self) -> Result<(Move, HistoryKind, Vsn), ErrorReport> {
        let home = self.home.as_deref().and_then(|home| home.parse().ok());
        let to: Vsn = home.ok_or_else(|| refused("the node ran no release before the rollout".to_owned()))?;
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
    async fn fetch(&self) -> Result<KnownRelease, ErrorReport> {
        let Document { source, identity, .. } = &self.document;
        let url = if source.starts_with('/') { format!("file://{source}") } else { source.clone() };
        let source = Source::parse(&url).map_err(|error| report::not_fetched(&error))?;
        let (folder, platform) = (self.daemon.root.downloads_dir(), self.daemon.platform.clone());
        // This thread may block: it has no other work.
        let file = download(&source, &folder, platform, Some(identity))
            .map_err(|error| report::not_fetched(&error))?;
        let entry = Entry::new(format!("the unpacking of rollout {}", self.rollout), None, true);
        let unpack = move |handler: &mut crate::node::Handler| {
            handler.unpack_with(file.path(), UnpackOptions::default())
        };
        let unpacked = self.daemon.operator.change_beside(entry, unpack).await?;
        unpacked.map_err(|error| report::not_unpacked_by(&error))?;
        self.known().ok_or_else(|| refused(format!("the release of {url} has not the identity {identity}")))
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

fn refused(why: String) -> ErrorReport {
    ErrorReport::refused(ErrorCode::Refused, why)
}
