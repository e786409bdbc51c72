//! The release handler: the status table, and the road from one release to another.

mod way_back;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use reld_plan::{AppName, PlanError, Vsn};
use reld_store::{Boots, GaveWay, NextBoot, Platform, StatusTable, Store, Unpacked};

use crate::check::{Check, Prepared, bootable, chain, other_daemon, prepare};
use crate::error::{Error, Obstacle};
use crate::interrupt::{Interrupt, Wish};
use crate::lineup::{Lineup, ReplacedApp, SingleApp};
use crate::node::{Exited, Look, Node};
use crate::program::InstallOptions;
use crate::renamed;
use crate::report::{Outcome, Report, WindowReport, what};
use crate::saga::{self, Limits, Progress};
use crate::settle::{self, Settle, Trip, Verdict};
use crate::step::Program;
use crate::unconfirmed;

/// The release handler of one node. OTP: release_handler.
///
/// Its methods are called from one thread, one at a time: an upgrade is plain sequential code that nobody can drop
/// half-way. What is *current* is known to it alone; on disk only the permanent release is, so that a crash at any
/// point is answered by booting that one.
#[derive(Debug)]
pub struct ReleaseHandler<N> {
    node: N,
    store: Store,
    platform: Platform,
    limits: Limits,
    interrupt: Interrupt,
    life: Life,
    /// The apps of the running release that were replaced one by one.
    replaced: BTreeMap<AppName, SingleApp>,
    /// What ran before the last change, and what was chosen for that.
    before: Option<(Lineup, InstallOptions)>,
}

/// What the node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// No release is booted.
    Idle,
    /// It runs the running release of the status table.
    Running,
    /// A rollback was not complete; nothing is known about the node but that it has to restart.
    NeedsRestart,
}

/// Where windows lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    There,
    /// To what ran before, since something failed on the way there.
    Back,
}

/// Which release an upgrade goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one in this tarball.
    Tarball(PathBuf),
    /// One that is unpacked.
    Version(Vsn),
}

impl<N: Node> ReleaseHandler<N> {
    /// Returns the handler of an idle node over an opened root.
    pub fn new(node: N, store: Store, platform: Platform, limits: Limits) -> Self {
        Self {
            node,
            store,
            platform,
            limits,
            interrupt: Interrupt::default(),
            life: Life::Idle,
            replaced: BTreeMap::new(),
            before: None,
        }
    }

    /// Returns the node.
    pub const fn node(&self) -> &N {
        &self.node
    }

    /// Returns the node, for changes by hand between two upgrades.
    pub const fn node_mut(&mut self) -> &mut N {
        &mut self.node
    }

    /// Returns the handle by which an upgrade under way is asked to end early, from another thread.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Returns every known release with its status. OTP: `which_releases`.
    pub fn releases(&self) -> &StatusTable {
        self.store.releases()
    }

    /// Returns the release that runs; `None` while the node is idle.
    pub fn running(&self) -> Option<&Vsn> {
        match self.life {
            Life::Idle => None,
            Life::Running | Life::NeedsRestart => self.releases().running().map(|release| &release.version),
        }
    }

    /// Returns the version in which an app runs; `None` where it does not, or its release can not be read.
    pub fn runs(&self, app: &AppName) -> Option<Vsn> {
        let documents = self.lineup()?.documents(&self.store).ok()?;
        Some(documents.release.app(app)?.version().clone())
    }

    /// Returns what runs, replaced apps included.
    fn lineup(&self) -> Option<Lineup> {
        let replaced = self.replaced.clone();
        self.running().map(|vsn| Lineup { vsn: vsn.clone(), replaced })
    }

    /// Boots the permanent release, by the road of an upgrade. `None` where there is none: the node stays idle.
    ///
    /// Each attempt is counted on disk before it begins. One that failed too often gives way first to the release
    /// before it.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    pub fn boot(&mut self, observer: &mut dyn FnMut(Progress<'_>)) -> Result<Option<Report>, Error> {
        let mut boots = self.store.boots();
        let vsn = match boots.next(self.releases()) {
            NextBoot::Idle => return Ok(None),
            NextBoot::Permanent(vsn) => vsn,
            NextBoot::GiveWay(gave_way) => {
                self.store.reboot_into(&gave_way.to)?;
                let vsn = gave_way.to.clone();
                boots = Boots::given_way(gave_way);
                vsn
            }
        };
        boots = boots.begun(&vsn);
        // A full disk must not keep a node from booting; what is lost is the count.
        let uncounted = self.store.note_boots(&boots).err();
        let mut report = self.install(&vsn, InstallOptions::default(), observer)?;
        let over = match report.outcome {
            Outcome::Installed => Some(boots.succeeded()),
            _ if self.interrupt.wish() == Some(Wish::Stop) => Some(boots.called_off()),
            _ => None,
        };
        let unnoted = over.and_then(|boots| self.store.note_boots(&boots).err());
        report.warnings.extend(uncounted.into_iter().chain(unnoted).map(|error| chain(&error)));
        Ok(Some(report))
    }

    /// Returns the release that the next boot boots; `None` where none is permanent.
    pub fn boots_next(&self) -> Option<Vsn> {
        match self.store.boots().next(self.releases()) {
            NextBoot::Idle => None,
            NextBoot::Permanent(vsn) => Some(vsn),
            NextBoot::GiveWay(gave_way) => Some(gave_way.to),
        }
    }

    /// Says whether the next boot would boot another release than the permanent one, which failed too often.
    pub fn gives_way(&self) -> bool {
        matches!(self.store.boots().next(self.releases()), NextBoot::GiveWay(_))
    }

    /// Returns the release that gave way last, until another one is committed.
    pub fn gave_way(&self) -> Option<GaveWay> {
        self.store.boots().gave_way
    }

    /// Makes a release the one that the node boots; the caller restarts the node, with the daemon of version
    /// `installed`. No script is needed. If it does not boot at its first attempt, the release that is permanent now
    /// steps in.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything that stands in the way, [`Error::NeedsRestart`], or the disk failed.
    pub fn restart_into(&mut self, vsn: &Vsn, installed: &Vsn, options: InstallOptions) -> Result<(), Error> {
        if self.life == Life::NeedsRestart {
            return Err(Error::NeedsRestart);
        }
        let mut obstacles = bootable(&self.node, &self.store, vsn, installed);
        obstacles.extend(self.unwanted(vsn, options));
        if !obstacles.is_empty() {
            return Err(Error::Refused {
                what: what(vsn, None),
                running: self.running().cloned(),
                obstacles,
            });
        }
        if let Some(permanent) = self.releases().permanent().filter(|release| release.version != *vsn) {
            // Written first: a trial of what is not permanent says nothing, a permanent release without trial does.
            self.store.note_boots(&self.store.boots().trial(vsn.clone(), permanent.version.clone()))?;
        }
        self.store.reboot_into(vsn)?;
        self.life = Life::NeedsRestart;
        Ok(())
    }

    /// Says whether the script to a release restarts the daemon: then the way there is
    /// [`restart_into`](Self::restart_into). False where something stands in the way, which an install tells.
    ///
    /// # Errors
    /// As [`check_install`](Self::check_install).
    pub fn restarts(&self, vsn: &Vsn, options: InstallOptions) -> Result<bool, Error> {
        let check = self.prepare(&Lineup::of(vsn.clone()), options, None)?.check;
        Ok(check.restarts && check.obstacles.is_empty())
    }

    /// Unpacks a tarball. One that is here already, with the same content, is left alone. OTP: `unpack_release`.
    ///
    /// # Errors
    /// What is wrong with the tarball; nothing is left of it then.
    pub fn unpack(&mut self, tarball: &Path) -> Result<Unpacked, Error> {
        Ok(self.store.unpack(tarball, &self.platform)?)
    }

    /// Tells what an install would do and everything that stands in its way. OTP: `check_install_release`.
    ///
    /// Looks only. (OTP runs the part before the point of no return, applies included.)
    ///
    /// # Errors
    /// The release that runs can not be read, or the node has to restart.
    pub fn check_install(&self, vsn: &Vsn, options: InstallOptions) -> Result<Check, Error> {
        Ok(self.prepare(&Lineup::of(vsn.clone()), options, Some(Look::Moment))?.check)
    }

    /// Completes a check of a script that restarts the daemon by what stands against executing the one that is installed.
    ///
    /// # Errors
    /// The release can not be read.
    pub fn check_daemon(&self, check: &mut Check, installed: &Vsn) -> Result<(), Error> {
        let release = self.store.docs(&check.to)?.release;
        check.obstacles.extend(other_daemon(&release, installed));
        Ok(())
    }

    /// Moves the node to an unpacked release, which is *current* then, in memory only. OTP: `install_release`.
    ///
    /// An idle node boots it. Where it runs already there is nothing to do. Where something does not start after the
    /// switch, the node goes back. The observer is told each step before it is done, inside the pause too, so it must
    /// not wait.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything that the check found; nothing was done. An upgrade that began and failed is
    /// told by the report.
    pub fn install(
        &mut self,
        vsn: &Vsn,
        options: InstallOptions,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        self.go_or_back(&Lineup::of(vsn.clone()), None, options, observer)
    }

    /// Tells what [`upgrade_app`](Self::upgrade_app) would do and everything that stands in its way.
    ///
    /// # Errors
    /// [`Error::Idle`], and those of [`check_install`](Self::check_install).
    pub fn check_app(&self, app: SingleApp, options: InstallOptions) -> Result<Check, Error> {
        let (lineup, replaced) = self.replacing(app)?;
        match stands_still(&replaced) {
            Some(obstacle) => {
                let mut check = Prepared::new(Some(&lineup.vsn), &lineup.vsn).check;
                check.obstacles.push(obstacle);
                Ok(check)
            }
            None => Ok(self.prepare(&lineup, options, Some(Look::Moment))?.check),
        }
    }

    /// Moves one app of the running release to another version, in whichever direction its appups lead. OTP:
    /// `upgrade_app`, `downgrade_app`.
    ///
    /// For development: the status table does not know of it, a restart of the node forgets it, and the next release that
    /// is installed replaces it. The release itself, installed again, takes it back.
    ///
    /// # Errors
    /// [`Error::Idle`], and those of [`install`](Self::install); `version_not_in_appup` for the version that runs.
    pub fn upgrade_app(
        &mut self,
        app: SingleApp,
        options: InstallOptions,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        let (lineup, replaced) = self.replacing(app)?;
        if let Some(obstacle) = stands_still(&replaced) {
            let (what, running) = (what(&lineup.vsn, Some(&replaced)), self.running().cloned());
            return Err(Error::Refused { what, running, obstacles: vec![obstacle] });
        }
        self.go_or_back(&lineup, Some(replaced), options, observer)
    }

    /// Returns what runs with one app replaced, and what that changes.
    fn replacing(&self, app: SingleApp) -> Result<(Lineup, ReplacedApp), Error> {
        let running = self.lineup().ok_or(Error::Idle)?;
        let (name, to) = (app.library.app.clone(), app.library.vsn.clone());
        let documents = running.documents(&self.store)?;
        let known = documents.release.app(&name).map(|known| known.version().clone());
        let Some(from) = known else {
            return Err(reld_store::Error::from(PlanError::NoSuchApplication { app: name }).into());
        };
        Ok((running.with(app), ReplacedApp { app: name, from, to }))
    }

    /// Goes, and goes back where something does not start after the switch.
    fn go_or_back(
        &mut self,
        lineup: &Lineup,
        replaced: Option<ReplacedApp>,
        options: InstallOptions,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        let mut report = self.go(lineup, replaced, options, observer)?;
        if let Some(failure) = report.failure.clone().filter(|_| report.outcome == Outcome::Installed) {
            self.take_back(&failure.cause, &mut report, observer);
        }
        Ok(report)
    }

    /// Carries the script to a lineup out.
    fn go(
        &mut self,
        lineup: &Lineup,
        replaced: Option<ReplacedApp>,
        options: InstallOptions,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        let begin = Instant::now();
        let Prepared { check, programs } = self.prepare(lineup, options, Some(Look::Tree))?;
        let Check { from, to, mut obstacles, .. } = check;
        obstacles.extend(check.restarts.then_some(Obstacle::Restarts));
        if !obstacles.is_empty() {
            return Err(Error::Refused { what: what(&to, replaced.as_ref()), running: from, obstacles });
        }
        let mut report = Report::new(from, to);
        report.app = replaced;
        report.script = check.script;
        report.warnings = check.warnings;
        if check.changed {
            let in_force = self.carry_out(&programs, Direction::There, options, &mut report, observer);
            if (1..programs.len()).contains(&in_force) {
                self.take_windows_back(lineup, in_force, options, &mut report, observer);
            } else if in_force > 1 {
                let crashes = crashes(&self.node, self.releases(), &report);
                report.warnings.extend((!crashes.is_empty()).then(|| settle::crashed(&crashes)));
            }
            self.note(lineup, options, &mut report);
        }
        let is_packed = self.is_permanent(&lineup.vsn) && lineup.replaced.is_empty();
        report.permanent = is_packed && report.outcome == Outcome::Installed;
        report.duration_us = begin.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        Ok(report)
    }

    /// Carries windows out, one after the other, until one fails; returns how many are in force.
    fn carry_out(
        &mut self,
        programs: &[Program],
        direction: Direction,
        options: InstallOptions,
        report: &mut Report,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> usize {
        let limits = Limits { convert: options.code_change.unwrap_or(self.limits.convert), ..self.limits };
        for (number, program) in (1..).zip(programs) {
            let mut part = Report::new(report.from.clone(), report.to.clone());
            // OTP goes on with the next window, whatever became of the processes of the one before.
            let counts = number > 1 && direction == Direction::There;
            let crashes = |node: &N| {
                let crashes = if counts { crashes(node, self.store.releases(), report) } else { Vec::new() };
                options.crashes.counting(&crashes).to_vec()
            };
            saga::run(&mut self.node, program, limits, &self.interrupt, &crashes, &mut part, observer);
            let (outcome, has_failed) = (part.outcome, part.failure.is_some());
            if programs.len() > 1 {
                let (pause, converted) = (part.pause, part.converted);
                let modules = program.modules();
                report.windows.push(WindowReport { window: number, modules, outcome, pause, converted });
            }
            report.add(part);
            match outcome {
                // On the way back, what does not start is told; going on and on would not help.
                Outcome::Installed if !has_failed || direction == Direction::Back => {}
                Outcome::Installed => return number,
                _ => return number - 1,
            }
        }
        programs.len()
    }

    /// Makes the running release the one that the node boots. OTP: `make_permanent`.
    ///
    /// # Errors
    /// The status does not allow it, or the disk failed; the node runs on in either case.
    pub fn make_permanent(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.store.make_permanent(vsn)?;
        // A release is committed: what failed to boot before is told no more. What stays on disk is told again.
        let _ = self.store.note_boots(&Boots::default());
        Ok(())
    }

    /// Unpacks, checks, installs and commits.
    ///
    /// # Errors
    /// Those of the parts; whatever was unpacked stays unpacked.
    pub fn upgrade(
        &mut self,
        target: &Target,
        options: InstallOptions,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        self.upgrade_settled(target, options, Settle::default(), observer)
    }

    /// Unpacks, checks, installs, watches how the release does, and commits it or takes it back: the whole road.
    ///
    /// # Errors
    /// Those of the parts; whatever was unpacked stays unpacked. A release that was taken back is told by the report.
    pub fn upgrade_settled(
        &mut self,
        target: &Target,
        options: InstallOptions,
        settle: Settle,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        let vsn = match target {
            Target::Tarball(path) => self.unpack(path)?.release.version,
            Target::Version(vsn) => vsn.clone(),
        };
        let mut report = self.install(&vsn, options, observer)?;
        self.settle(settle, &mut report, observer);
        Ok(report)
    }

    /// Watches how a release does that was just installed, and commits it, takes it back, or leaves it as it is where the
    /// daemon stops. What follows [`install`](Self::install), whose report it completes; nothing where that failed.
    pub fn settle(&mut self, settle: Settle, report: &mut Report, observer: &mut dyn FnMut(Progress<'_>)) {
        if report.outcome != Outcome::Installed || report.permanent {
            return;
        }
        let vsn = report.to.clone();
        match self.watch(settle, report, observer) {
            Verdict::TakeBack(fault) => self.take_back(&fault, report, observer),
            Verdict::Leave => {
                report.warnings.push(format!("release {vsn} is not committed: the daemon stops"));
            }
            Verdict::Keep | Verdict::Watch(_) | Verdict::Probe => self.commit(&vsn, report),
        }
    }

    fn watch(
        &self,
        mut settle: Settle,
        report: &mut Report,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Verdict {
        if !settle.is_wanted() {
            return Verdict::Keep;
        }
        let step = report.steps.last().map_or(0, |step| step.step);
        let mut tell = |title: &str| observer(Progress { step, steps: step, title });
        let trip = Trip { from: report.from.as_ref(), to: &report.to };
        let crashes = || crashes(&self.node, self.releases(), report);
        let (verdict, settled) = settle::watch(&mut settle, trip, &self.interrupt, crashes, &mut tell);
        tracing::info!(name: "release.settled", vsn = %report.to, ?verdict);
        report.settled = Some(settled);
        verdict
    }

    /// Makes an old release the one that the node boots; the caller restarts the node. OTP: `reboot_old_release`.
    ///
    /// # Errors
    /// The status does not allow it, or the disk failed.
    pub fn reboot_old(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.store.reboot_old(vsn)?;
        self.life = Life::NeedsRestart;
        Ok(())
    }

    /// Forgets a release and deletes its files. OTP: `remove_release`.
    ///
    /// # Errors
    /// The status does not allow it, or the disk failed.
    pub fn remove(&mut self, vsn: &Vsn) -> Result<(), Error> {
        Ok(self.store.remove(vsn)?)
    }

    fn prepare(&self, to: &Lineup, options: InstallOptions, look: Option<Look>) -> Result<Prepared, Error> {
        match (self.life, self.lineup()) {
            (Life::NeedsRestart, _) => Err(Error::NeedsRestart),
            (_, Some(running)) if running == *to => Ok(Prepared::new(Some(&to.vsn), &to.vsn)),
            (_, running) => {
                let mut prepared = prepare(&self.node, &self.store, running.as_ref(), to, options, look)?;
                prepared.check.obstacles.extend(self.unwanted(&to.vsn, options));
                Ok(prepared)
            }
        }
    }

    /// Returns what stands against another release, whatever that is made of, unless it is to be.
    fn unwanted(&self, vsn: &Vsn, options: InstallOptions) -> impl Iterator<Item = Obstacle> + use<N> {
        let unconfirmed = unconfirmed::obstacle(self.releases(), vsn).filter(|_| !options.supersede);
        let renamed = renamed::obstacle(self.releases(), vsn).filter(|_| !options.rename);
        unconfirmed.into_iter().chain(renamed)
    }

    /// Brings the status table in line with how an upgrade ended.
    fn note(&mut self, lineup: &Lineup, options: InstallOptions, report: &mut Report) {
        match report.outcome {
            Outcome::Installed => self.installed(lineup, options, report),
            // What is taken back is installed first, and is so here.
            Outcome::RolledBack | Outcome::TakenBack => (),
            Outcome::NeedsRestart => self.life = Life::NeedsRestart,
        }
        report.residents = self.node.residents();
        tracing::info!(name: "release.install.done", vsn = %report.to, outcome = ?report.outcome);
    }

    fn installed(&mut self, lineup: &Lineup, options: InstallOptions, report: &mut Report) {
        let was_idle = self.life == Life::Idle;
        let stays = self.running() == Some(&lineup.vsn);
        self.before = self.lineup().map(|before| (before, options));
        self.replaced = lineup.replaced.clone();
        self.life = Life::Running;
        // The permanent release of a node that was idle is its running one in the table already.
        if stays || was_idle && self.is_permanent(&report.to) {
            return;
        }
        if let Err(error) = self.store.install(&report.to) {
            report.warnings.push(chain(&error));
        }
    }

    fn commit(&mut self, vsn: &Vsn, report: &mut Report) {
        match self.make_permanent(vsn) {
            Ok(()) => (report.permanent, report.changed) = (true, true),
            Err(error) => report.commit_error = Some(chain(&error)),
        }
    }

    fn is_permanent(&self, vsn: &Vsn) -> bool {
        self.releases().permanent().is_some_and(|release| release.version == *vsn)
    }
}

/// Returns the processes of the release's apps that crashed, but for those that the upgrade itself ended.
fn crashes<N: Node>(node: &N, releases: &StatusTable, report: &Report) -> Vec<Exited> {
    let mut crashes = node.crashes();
    let apps = releases.get(&report.to).map(|release| release.apps.as_slice()).unwrap_or_default();
    let is_ours = |crash: &Exited| apps.iter().any(|app| app.name == crash.process.app);
    let was_killed = |crash: &Exited| report.killed.iter().any(|killed| killed.pid == crash.process.pid);
    crashes.retain(|crash| is_ours(crash) && !was_killed(crash));
    crashes
}

/// OTP: an app is not upgraded to the version that runs, whatever its new library holds.
fn stands_still(replaced: &ReplacedApp) -> Option<Obstacle> {
    let ReplacedApp { app, from, to } = replaced.clone();
    (from == to).then_some(Obstacle::Plan(PlanError::VersionNotInAppup { app, from, to }))
}
