//! Returns the node to a previous release: from a faulty release, from a partly installed release,
//! or because an order requests it.
//!
//! | failure | states | way back |
//! |---|---|---|
//! | a step before the switch of the first or only window | restored | none: the saga has undone it |
//! | a start after the switch, or a settling release | converted back | the script to the previous release |
//! | a later window | those of this window restored, those of earlier windows converted back | the part of that script that concerns the moved modules |
//!
//! An app that ran before the upgrade and ended in the meantime is started again from the previous
//! release. Its states are lost, which the report notes. If the app does not start and its end
//! takes the node down, the node restarts.

use std::time::Instant;

use reld_plan::{AppName, StartType, Vsn, Windows};
use reld_store::{Refusal, Status};

use super::travel::Direction;
use super::{Apps, Before, Life, ReleaseHandler};
use crate::check::{Prepared, prepare_way_back};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::lineup::Lineup;
use crate::node::Node;
use crate::options::InstallOptions;
use crate::report::{Outcome, Report, what};

impl<N: Node> ReleaseHandler<N> {
    /// Returns the target of a downgrade: the named release, or else the release that ran before
    /// the running one.
    ///
    /// # Errors
    /// [`Error::NoPrevious`] if none is named and none is recorded; [`Refusal::BadStatus`] for a
    /// release that never ran.
    pub(crate) fn way_back(&self, named: Option<Vsn>) -> Result<Vsn, Error> {
        let Some(vsn) = named else { return self.previous() };
        match self.releases().get(&vsn).map(|release| release.status) {
            Some(status @ Status::Unpacked) => {
                let refusal = Refusal::BadStatus { vsn, status, needed: "one that ran before" };
                Err(reld_store::Error::from(refusal).into())
            }
            // An unknown release is left to the check, which reports it.
            _ => Ok(vsn),
        }
    }

    fn previous(&self) -> Result<Vsn, Error> {
        if let Some(vsn) = self.running().and_then(|running| self.releases().previous(running)) {
            return Ok(vsn.clone());
        }
        let old = self.releases().releases.iter().filter(|release| release.status == Status::Old);
        Err(Error::NoPrevious { candidates: old.map(|release| release.version.clone()).collect() })
    }

    /// Downgrades to the previous release without a restart of the node. Keeps the options of the
    /// upgrade, but goes in one window, one way, and does not settle.
    pub(super) fn take_back(&mut self, fault: &str, report: &mut Report, observer: Observer<'_>) {
        tracing::warn!(name: "release.take_back", vsn = %report.to, fault, "the release is taken back");
        let before = if report.changed { self.before.clone() } else { self.before_unchanged() };
        let apps = before.as_ref().map(|before| before.apps.clone()).unwrap_or_default();
        self.interrupt.go_back();
        let way_back = before.map(|Before { lineup, options, .. }| {
            observer(Event::GoesBack { to: &lineup.vsn });
            // The way back is one window, so it either succeeds or leaves the node unchanged.
            let options =
                InstallOptions { windows: Windows::Release, supersede: false, ..going_back(options) };
            let way = self.plan(lineup, None, options)?.without_obstacles()?;
            let mut way_back = self.go(way, observer);
            self.revive(&apps, &mut way_back);
            Ok(way_back)
        });
        self.taken_back(way_back, &apps, report);
    }

    /// Returns the previous state where the upgrade changed nothing because the release was already
    /// running.
    fn before_unchanged(&self) -> Option<Before> {
        let (vsn, apps) = (self.previous().ok()?, self.node.which_applications());
        let lineup = Lineup::of(vsn, self.store.config().clone());
        Some(Before { lineup, options: InstallOptions::default(), apps })
    }

    /// Takes back the first windows of an upgrade after a later window failed.
    pub(super) fn take_windows_back(
        &mut self,
        lineup: &Lineup,
        in_force: usize,
        (options, apps): (InstallOptions, &Apps),
        report: &mut Report,
        observer: Observer<'_>,
    ) {
        if report.outcome == Outcome::NeedsRestart {
            return;
        }
        tracing::warn!(name: "release.take_back", vsn = %report.to, in_force, fault = "a later window failed", "the first windows are taken back");
        self.interrupt.go_back();
        let way_back =
            self.go_back(lineup, in_force, going_back(options), report, observer).map(|mut way_back| {
                self.revive(apps, &mut way_back);
                way_back
            });
        self.taken_back(Some(way_back), apps, report);
        if report.outcome == Outcome::NotTakenBack {
            // The node runs a mixture of two releases, from which no script can be planned.
            self.life = Life::NeedsRestart;
        }
    }

    fn go_back(
        &mut self,
        lineup: &Lineup,
        in_force: usize,
        options: InstallOptions,
        report: &Report,
        observer: Observer<'_>,
    ) -> Result<Report, Error> {
        let before = self.lineup().ok_or(Error::Idle)?;
        observer(Event::GoesBack { to: &before.vsn });
        let moved = report.script.as_ref().map(|script| script.moved(in_force)).unwrap_or_default();
        let Prepared { check, programs } =
            prepare_way_back(&self.node, &self.store, lineup, &before, &moved, options)?;
        if !check.obstacles.is_empty() {
            let (what, obstacles) = (what(&before.vsn, None), check.obstacles);
            return Err(Error::Refused { what, running: check.from, obstacles });
        }
        let mut way_back = Report::new(check.from, check.to);
        way_back.script = check.script;
        way_back.warnings = check.warnings;
        self.carry_windows(&programs, Direction::Back, options, &mut way_back, observer);
        Ok(way_back)
    }

    /// Restarts apps that ran before the upgrade and ended by themselves.
    fn revive(&mut self, ran: &Apps, report: &mut Report) {
        if report.outcome != Outcome::Installed {
            return;
        }
        let runs = self.node.which_applications();
        let release = self.store.docs(&report.to).map(|documents| documents.release);
        let apps = release.iter().flat_map(|release| release.start_order());
        let ended = apps.filter(|app| ran.contains_key(app.name()) && !runs.contains_key(app.name()));
        for app in ended {
            let ends_node = matches!(app.start_type, StartType::Permanent | StartType::Transient);
            match self.node.start_application(app.name(), Instant::now() + self.limits.start) {
                Ok(()) => report.restarted.append(&mut self.node.processes_of(app.name())),
                Err(error) if ends_node => {
                    report.not_undone.push(error.to_string());
                    report.outcome = Outcome::NeedsRestart;
                    self.life = Life::NeedsRestart;
                }
                Err(error) => report.warnings.push(error.to_string()),
            }
        }
    }

    /// Returns the apps that ran before the upgrade and now run with another process.
    pub(super) fn afresh(&self, ran: &Apps) -> Vec<AppName> {
        let runs = self.node.which_applications().into_iter();
        let other = |(app, process): &(AppName, _)| ran.get(app).is_some_and(|before| before != process);
        runs.filter(other).map(|(app, _)| app).collect()
    }

    /// Completes the report of an upgrade that was taken back, or should have been.
    fn taken_back(&mut self, way_back: Option<Result<Report, Error>>, ran: &Apps, report: &mut Report) {
        complete(way_back, report);
        if report.outcome == Outcome::TakenBack {
            report.afresh = self.afresh(ran);
            if let Some(way_back) = &mut report.way_back {
                way_back.afresh.clone_from(&report.afresh);
            }
        }
        if report.outcome == Outcome::NotTakenBack && !self.node.fallen().is_empty() {
            let fallen = self.node.fallen().into_iter();
            report.not_undone.extend(fallen.map(|(app, reason)| format!("app {app} ended: {reason}")));
            report.outcome = Outcome::NeedsRestart;
            self.life = Life::NeedsRestart;
        }
        self.note_trouble(report);
    }

    fn note_trouble(&mut self, report: &Report) {
        if report.outcome == Outcome::NotTakenBack {
            let why = report.not_undone.last().map(String::as_str).unwrap_or_default();
            self.trouble = Some(format!("{}: {why}", report.not_taken_back()));
        }
    }
}

/// Records the result of the way back in the report of the upgrade.
///
/// After a failed way back the release keeps running, uncommitted. A restart would lose every
/// state, so only the operator orders it.
fn complete(way_back: Option<Result<Report, Error>>, report: &mut Report) {
    let (outcome, failed) = match &way_back {
        Some(Ok(way_back)) if way_back.outcome == Outcome::Installed => (Outcome::TakenBack, None),
        Some(Ok(way_back)) if way_back.outcome == Outcome::NeedsRestart => {
            (Outcome::NeedsRestart, Some(format!("downgrade: {way_back}")))
        }
        Some(Ok(way_back)) => (Outcome::NotTakenBack, Some(format!("downgrade: {way_back}"))),
        Some(Err(error)) => (Outcome::NotTakenBack, Some(format!("downgrade: {error}"))),
        None => (Outcome::NotTakenBack, Some("downgrade: no release ran before".to_owned())),
    };
    report.outcome = outcome;
    report.not_undone.extend(failed);
    if let Some(Ok(way_back)) = way_back {
        if outcome == Outcome::TakenBack {
            // A failed start on the way back is only reported: there is nothing further to go back
            // to.
            report
                .warnings
                .extend(way_back.failure.iter().map(|failure| format!("on the way back: {}", failure.cause)));
        }
        report.way_back = Some(Box::new(way_back));
    }
}

/// Returns the options for the way back. Neither a missing way forward nor the policy of signatures
/// must prevent it.
fn going_back(options: InstallOptions) -> InstallOptions {
    InstallOptions { settles: false, one_way: true, goes_back: true, ..options }
}
