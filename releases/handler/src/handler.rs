//! The release handler: what it knows, and what can be asked of it. Its orders are in the files below.

mod booting;
mod carry_out;
mod settling;
mod travel;
mod way_back;

use std::collections::BTreeMap;
use std::path::Path;

use reld_plan::{AppName, PlanError, Vsn};
use reld_store::{Platform, StatusTable, Store, Unpacked};

use self::settling::Watch;
pub use self::settling::Watched;
use crate::check::{Check, Prepared, other_daemon, prepare};
use crate::error::{Error, Obstacle};
use crate::foresight::{Foresight, foresee_load};
use crate::interrupt::Interrupt;
use crate::limits::Limits;
use crate::lineup::{Lineup, ReplacedApp, SingleApp};
use crate::node::{Library, Look, Node};
use crate::options::InstallOptions;
use crate::process::Pid;
use crate::renamed;
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
    /// What ran before the last change.
    before: Option<Before>,
    watch: Option<Watch>,
    /// Whether the node is between two releases right now.
    is_moving: bool,
    /// What an operator has to know until something else is installed or committed.
    trouble: Option<String>,
}

/// Answers questions about installs, by what its handler knew when it was made. It changes nothing.
#[derive(Debug)]
pub struct Checker<N>(ReleaseHandler<N>);

impl<N: Node> Checker<N> {
    /// Asks [`ReleaseHandler::check_install`].
    ///
    /// # Errors
    /// Its errors.
    pub fn check_install(&self, vsn: &Vsn, options: InstallOptions) -> Result<Check, Error> {
        self.0.check_install(vsn, options)
    }

    /// Asks [`ReleaseHandler::check_app`].
    ///
    /// # Errors
    /// Its errors.
    pub fn check_app(&self, app: SingleApp, options: InstallOptions) -> Result<Check, Error> {
        self.0.check_app(app, options)
    }
}

/// What ran before a change.
#[derive(Debug, Clone)]
struct Before {
    lineup: Lineup,
    /// What was chosen for the change.
    options: InstallOptions,
    apps: Apps,
}

/// The apps that run, each with its process: one that has another process was started afresh.
type Apps = BTreeMap<AppName, Option<Pid>>;

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
            watch: None,
            is_moving: false,
            trouble: None,
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

    /// Returns what an operator has to know until something else is installed or committed.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Says whether the node has to restart before anything else is done.
    pub fn needs_restart(&self) -> bool {
        self.life == Life::NeedsRestart
    }

    /// Returns what runs, replaced apps included.
    fn lineup(&self) -> Option<Lineup> {
        let replaced = self.replaced.clone();
        self.running().map(|vsn| Lineup { vsn: vsn.clone(), replaced })
    }

    /// Returns what answers questions about installs as of now, over `node`, on any thread.
    pub fn checker(&self, node: N) -> Checker<N> {
        let (store, platform, limits) = (self.store.clone(), self.platform.clone(), self.limits);
        let asked = Self {
            life: self.life,
            replaced: self.replaced.clone(),
            ..Self::new(node, store, platform, limits)
        };
        Checker(asked)
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
        let mut check = self.prepare(&Lineup::of(vsn.clone()), options, Some(Look::Moment))?.check;
        if check.restarts {
            let release = self.store.docs(vsn)?.release;
            check.obstacles.extend(other_daemon(&release, self.node.successor()));
        }
        Ok(check)
    }

    /// Tells what [`Order::App`](crate::Order::App) would do and everything that stands in its way.
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

    /// Says what the code of a library would meet, were its modules to become current by hand. Looks only.
    pub fn foresee_load(&self, library: &Library) -> Foresight {
        foresee_load(&self.node, library)
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

    fn is_permanent(&self, vsn: &Vsn) -> bool {
        self.releases().permanent().is_some_and(|release| release.version == *vsn)
    }
}

/// OTP: an app is not upgraded to the version that runs, whatever its new library holds.
fn stands_still(replaced: &ReplacedApp) -> Option<Obstacle> {
    let ReplacedApp { app, from, to } = replaced.clone();
    (from == to).then_some(Obstacle::Plan(PlanError::VersionNotInAppup { app, from, to }))
}
