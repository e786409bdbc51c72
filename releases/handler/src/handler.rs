//! The release handler: the status table, and the road from one release to another.

use std::path::{Path, PathBuf};
use std::time::Instant;

use reld_plan::Vsn;
use reld_store::{Platform, Refusal, Status, StatusTable, Store, Unpacked};

use crate::check::{Check, Prepared, chain, prepare};
use crate::error::Error;
use crate::node::Node;
use crate::program::InstallOptions;
use crate::report::{Outcome, Report};
use crate::saga::{self, Limits, Progress};

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
    life: Life,
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
    pub const fn new(node: N, store: Store, platform: Platform, limits: Limits) -> Self {
        Self { node, store, platform, limits, life: Life::Idle }
    }

    /// Returns the node.
    pub const fn node(&self) -> &N {
        &self.node
    }

    /// Returns the node, for changes by hand between two upgrades.
    pub const fn node_mut(&mut self) -> &mut N {
        &mut self.node
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

    /// Boots the permanent release, by the road of an upgrade. `None` where there is none: the node stays idle.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    pub fn boot(&mut self, observer: &mut dyn FnMut(Progress<'_>)) -> Result<Option<Report>, Error> {
        let Some(vsn) = self.releases().permanent().map(|release| release.version.clone()) else {
            return Ok(None);
        };
        self.install(&vsn, InstallOptions::default(), observer).map(Some)
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
        Ok(self.prepare(vsn, options)?.check)
    }

    /// Moves the node to an unpacked release, which is *current* then, in memory only. OTP: `install_release`.
    ///
    /// An idle node boots it. Where it runs already there is nothing to do. The observer is told each step before it
    /// is done, inside the pause too, so it must not wait.
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
        let begin = Instant::now();
        let Prepared { check, program } = self.prepare(vsn, options)?;
        let Check { from, to, obstacles, .. } = check;
        if !obstacles.is_empty() {
            return Err(Error::Refused { vsn: to, running: from, obstacles });
        }
        let mut report = Report::new(from, to);
        report.script = check.script;
        report.warnings = check.warnings;
        if check.changed {
            let limits =
                Limits { convert: options.code_change.unwrap_or(self.limits.convert), ..self.limits };
            saga::run(&mut self.node, &program, limits, &mut report, observer);
            self.note(&mut report);
        }
        report.permanent = self.is_permanent(vsn) && report.outcome == Outcome::Installed;
        report.duration_us = begin.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        Ok(report)
    }

    /// Makes the running release the one that the node boots. OTP: `make_permanent`.
    ///
    /// # Errors
    /// The status does not allow it, or the disk failed; the node runs on in either case.
    pub fn make_permanent(&mut self, vsn: &Vsn) -> Result<(), Error> {
        Ok(self.store.make_permanent(vsn)?)
    }

    /// Unpacks, checks, installs and commits: the whole road.
    ///
    /// # Errors
    /// Those of the parts; whatever was unpacked stays unpacked.
    pub fn upgrade(
        &mut self,
        target: &Target,
        options: InstallOptions,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        let vsn = match target {
            Target::Tarball(path) => self.unpack(path)?.release.version,
            Target::Version(vsn) => vsn.clone(),
        };
        let mut report = self.install(&vsn, options, observer)?;
        if report.outcome == Outcome::Installed && !report.permanent {
            self.commit(&vsn, &mut report);
        }
        Ok(report)
    }

    /// Returns the release that a downgrade goes to: the named one, else the one from which the node came to the
    /// running one. It is gone to by the road of [`upgrade`](Self::upgrade) or [`install`](Self::install).
    ///
    /// # Errors
    /// [`Error::NoPrevious`] where none is named and none was before; [`Refusal::BadStatus`] for one that never ran.
    pub fn way_back(&self, named: Option<Vsn>) -> Result<Vsn, Error> {
        let Some(vsn) = named else { return self.previous() };
        match self.releases().get(&vsn).map(|release| release.status) {
            Some(status @ Status::Unpacked) => {
                let refusal = Refusal::BadStatus { vsn, status, needed: "one that ran before" };
                Err(reld_store::Error::from(refusal).into())
            }
            // One that is not here at all is told by the check.
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

    fn prepare(&self, vsn: &Vsn, options: InstallOptions) -> Result<Prepared, Error> {
        match (self.life, self.running()) {
            (Life::NeedsRestart, _) => Err(Error::NeedsRestart),
            (_, Some(running)) if running == vsn => Ok(Prepared::new(Some(vsn), vsn)),
            (_, running) => prepare(&self.node, &self.store, running, vsn, options),
        }
    }

    /// Brings the status table in line with how an upgrade ended.
    fn note(&mut self, report: &mut Report) {
        match report.outcome {
            Outcome::Installed => self.installed(report),
            Outcome::RolledBack => (),
            Outcome::NeedsRestart => self.life = Life::NeedsRestart,
        }
        report.residents = self.node.residents();
        tracing::info!(name: "release.install.done", vsn = %report.to, outcome = ?report.outcome);
    }

    fn installed(&mut self, report: &mut Report) {
        let was_idle = self.life == Life::Idle;
        self.life = Life::Running;
        // The permanent release of a node that was idle is its running one in the table already.
        if was_idle && self.is_permanent(&report.to) {
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
