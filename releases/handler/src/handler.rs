//! The release handler: its state and its queries. The orders are in the submodules.

mod booting;
mod carry_out;
mod configuring;
mod settling;
mod travel;
mod way_back;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use reld_plan::{AppName, PlanError, Vsn};
use reld_store::{Platform, StatusTable, Store, UnpackOptions, Unpacked};
use reld_trust::{Key, Require};

use self::settling::Watch;
pub use self::settling::Watched;
use crate::check::{Check, Prepared, other_daemon, prepare};
use crate::error::{Error, Obstacle};
use crate::foresight::{Foresight, foresee_load};
use crate::interrupt::Interrupt;
use crate::limits::Limits;
use crate::lineup::{Lineup, ReplacedApp, SingleApp};
use crate::meeting::{Meetings, Seat};
use crate::node::{Library, Look, Node};
use crate::options::InstallOptions;
use crate::process::Pid;
use crate::renamed;
use crate::unconfirmed;

/// The release handler of one node. OTP: release_handler.
///
/// One thread calls the methods, one at a time. An upgrade is therefore plain sequential code, and
/// no caller can cancel it half-way. Only the handler knows the *current* release. The disk records
/// only the permanent release, so after a crash at any point the node boots the permanent release.
#[derive(Debug)]
pub struct ReleaseHandler<N> {
    node: N,
    store: Store,
    platform: Platform,
    limits: Limits,
    interrupt: Interrupt,
    /// The meetings with other nodes; `None` if the node has no fleet.
    meetings: Option<Arc<dyn Meetings>>,
    life: Life,
    /// The apps of the running release that were replaced by [`Order::App`](crate::Order::App).
    replaced: BTreeMap<AppName, SingleApp>,
    /// The state before the last change.
    before: Option<Before>,
    watch: Option<Watch>,
    /// Whether the node is between two releases right now.
    is_moving: bool,
    /// A problem that the operator has to know until the next install or commit.
    trouble: Option<String>,
}

/// A read-only snapshot of a release handler that checks installs.
#[derive(Debug)]
pub struct Checker<N>(ReleaseHandler<N>);

impl<N: Node> Checker<N> {
    /// Returns the policy of signatures: the consequence of insufficient ones with the number of
    /// keys that have to sign, and the keys. If the policy cannot be read, these are the keys of
    /// releases.
    pub fn keys(&self) -> (Result<(Require, usize), Error>, Vec<Key>) {
        let (policy, keys) = self.0.store.keys();
        (policy.map_err(Error::from), keys)
    }

    /// As [`ReleaseHandler::check_install`].
    ///
    /// # Errors
    /// The errors of that method.
    pub fn check_install(&self, vsn: &Vsn, options: InstallOptions) -> Result<Check, Error> {
        self.0.check_install(vsn, options)
    }

    /// As [`ReleaseHandler::check_install`], for the release that a downgrade goes to.
    ///
    /// # Errors
    /// The errors of that method, and of a downgrade without a release to go to.
    pub fn check_downgrade(&self, to: Option<Vsn>, options: InstallOptions) -> Result<Check, Error> {
        self.0.check_install(&self.0.way_back(to)?, options)
    }

    /// As [`ReleaseHandler::check_app`].
    ///
    /// # Errors
    /// The errors of that method.
    pub fn check_app(&self, app: SingleApp, options: InstallOptions) -> Result<Check, Error> {
        self.0.check_app(app, options)
    }
}

/// The state before a change.
#[derive(Debug, Clone)]
struct Before {
    lineup: Lineup,
    /// The options of the change.
    options: InstallOptions,
    apps: Apps,
}

/// The running apps, each with its process. If an app later has another process, it was restarted
/// and has lost its states.
type Apps = BTreeMap<AppName, Option<Pid>>;

/// The state of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// No release is booted.
    Idle,
    /// The node runs the running release of the status table.
    Running,
    /// Only a restart of the node is possible: another release was made permanent for it, or the
    /// state of the node is unknown after an incomplete rollback.
    NeedsRestart,
}

impl<N: Node> ReleaseHandler<N> {
    /// Returns the handler of a node that has not booted a release, over its open store.
    pub fn new(node: N, store: Store, platform: Platform, limits: Limits) -> Self {
        Self {
            node,
            store,
            platform,
            limits,
            interrupt: Interrupt::default(),
            meetings: None,
            life: Life::Idle,
            replaced: BTreeMap::new(),
            before: None,
            watch: None,
            is_moving: false,
            trouble: None,
        }
    }

    /// Lets upgrades meet the other nodes of a fleet. Without this, the check refuses scripts with
    /// meetings.
    pub fn meet_by(&mut self, meetings: Arc<dyn Meetings>) {
        self.meetings = Some(meetings);
    }

    /// Returns the node.
    pub const fn node(&self) -> &N {
        &self.node
    }

    /// Returns the node for manual changes between two upgrades.
    pub const fn node_mut(&mut self) -> &mut N {
        &mut self.node
    }

    /// Returns the handle that lets another thread end the running upgrade early.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Returns every known release with its status. OTP: `which_releases`.
    pub fn releases(&self) -> &StatusTable {
        self.store.releases()
    }

    /// Returns the running release; `None` while the node is idle.
    pub fn running(&self) -> Option<&Vsn> {
        match self.life {
            Life::Idle => None,
            Life::Running | Life::NeedsRestart => self.releases().running().map(|release| &release.version),
        }
    }

    /// Returns a problem that the operator has to know until the next install or commit.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Returns the reason why the policy of signatures, as it is now, would not accept the
    /// permanent release.
    pub fn distrust(&self) -> Option<String> {
        let vsn = &self.releases().permanent()?.version;
        let fault = self.store.distrust(vsn)?;
        Some(format!("the permanent release {vsn} does not satisfy the policy of signatures: {fault}"))
    }

    /// Returns whether the node has to restart before anything else can be done.
    pub fn needs_restart(&self) -> bool {
        self.life == Life::NeedsRestart
    }

    /// Returns the running release with its replaced apps.
    fn lineup(&self) -> Option<Lineup> {
        let replaced = self.replaced.clone();
        let config = self.store.config().clone();
        self.running().map(|vsn| Lineup { vsn: vsn.clone(), replaced, config })
    }

    /// Returns the lineup of a release to move to, with the node's configuration as it is on disk.
    fn target(&self, vsn: &Vsn) -> Result<Lineup, Error> {
        Ok(Lineup::of(vsn.clone(), self.store.read_config()?.config))
    }

    /// Returns a snapshot that checks installs against `node`, on any thread.
    pub fn checker(&self, node: N) -> Checker<N> {
        let (store, platform, limits) = (self.store.clone(), self.platform.clone(), self.limits);
        let asked = Self {
            life: self.life,
            replaced: self.replaced.clone(),
            meetings: self.meetings.clone(),
            ..Self::new(node, store, platform, limits)
        };
        Checker(asked)
    }

    /// Unpacks a tarball. If the node already has the release with the same content, nothing
    /// changes except that damaged files are repaired. OTP: `unpack_release`.
    ///
    /// # Errors
    /// The tarball is invalid or the disk failed. No file of the tarball is left behind.
    pub fn unpack(&mut self, tarball: &Path) -> Result<Unpacked, Error> {
        Ok(self.store.unpack(tarball, &self.platform)?)
    }

    /// As [`unpack`](Self::unpack), with options. While a release settles, nothing is replaced: the
    /// node may go back to any release.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack).
    pub fn unpack_with(&mut self, tarball: &Path, options: UnpackOptions) -> Result<Unpacked, Error> {
        let replaces = options.replaces && self.settling().is_none();
        Ok(self.store.unpack_with(tarball, &self.platform, UnpackOptions { replaces, ..options })?)
    }

    /// Returns the script of an install and all its obstacles. OTP: `check_install_release`.
    ///
    /// Changes nothing. (OTP executes the script up to the point of no return, including `apply`.)
    ///
    /// # Errors
    /// The running release or the node's configuration cannot be read, or the node has to restart.
    pub fn check_install(&self, vsn: &Vsn, options: InstallOptions) -> Result<Check, Error> {
        let mut check = self.prepare(&self.target(vsn)?, options, Some(Look::Moment))?.check;
        if check.restarts {
            let release = self.store.docs(vsn)?.release;
            check.obstacles.extend(other_daemon(&release, self.node.successor()));
        }
        Ok(check)
    }

    /// Returns the script of [`Order::App`](crate::Order::App) and all its obstacles.
    ///
    /// # Errors
    /// [`Error::Idle`], and the errors of [`check_install`](Self::check_install).
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

    /// Decides whether a library may be loaded by hand, without a signature. Returns a warning.
    ///
    /// # Errors
    /// The node requires signatures, or its policy cannot be read.
    pub fn admit_by_hand(&self, unsigned: bool) -> Result<Option<String>, Error> {
        Ok(self.store.admit_by_hand(unsigned)?)
    }

    /// Predicts the effects of loading a library by hand. Changes nothing.
    pub fn foresee_load(&self, library: &Library) -> Foresight {
        foresee_load(&self.node, library)
    }

    /// Returns the running lineup with one app replaced, and the change of that app.
    fn replacing(&self, app: SingleApp) -> Result<(Lineup, ReplacedApp), Error> {
        let running = self.lineup().ok_or(Error::Idle)?;
        let (name, to) = (app.library.app.clone(), app.library.vsn.clone());
        let documents = running.documents(&self.store)?;
        let known = documents.release.app(&name).map(|known| known.version().clone());
        let Some(from) = known else {
            return Err(reld_store::Error::from(PlanError::NoSuchApplication { app: name }).into());
        };
        let lineup = Lineup { config: self.store.read_config()?.config, ..running.with(app) };
        Ok((lineup, ReplacedApp { app: name, from, to }))
    }

    fn prepare(&self, to: &Lineup, options: InstallOptions, look: Option<Look>) -> Result<Prepared, Error> {
        match (self.life, self.lineup()) {
            (Life::NeedsRestart, _) => Err(Error::NeedsRestart),
            (_, Some(running)) if running.is_same_code(to) => Ok(Prepared::new(Some(&to.vsn), &to.vsn)),
            (_, running) => {
                let seat = self.meetings.as_ref().map(|meetings| self.seat(meetings.node(), to));
                let mut prepared =
                    prepare(&self.node, &self.store, running.as_ref(), to, options, look, seat)?;
                prepared.check.obstacles.extend(self.unwanted(&to.vsn, options));
                Ok(prepared)
            }
        }
    }

    /// Returns the place of this node in the meetings of a move. Nodes with the same target meet.
    fn seat(&self, node: String, to: &Lineup) -> Seat {
        let release = self.releases().get(&to.vsn).map(|release| release.identity.to_string());
        let apps = to.replaced.values().map(|app| app.library.sha256.clone());
        Seat { node, identity: release.into_iter().chain(apps).collect::<Vec<_>>().join("+") }
    }

    /// Returns the obstacles that options can override: the running release is uncommitted, or the
    /// new release has another name.
    fn unwanted(&self, vsn: &Vsn, options: InstallOptions) -> impl Iterator<Item = Obstacle> + use<N> {
        let unconfirmed = unconfirmed::obstacle(self.releases(), vsn).filter(|_| !options.supersede);
        let renamed = renamed::obstacle(self.releases(), vsn).filter(|_| !options.rename);
        unconfirmed.into_iter().chain(renamed)
    }

    fn is_permanent(&self, vsn: &Vsn) -> bool {
        self.releases().permanent().is_some_and(|release| release.version == *vsn)
    }
}

/// Returns the obstacle if the app already runs in this version. OTP: such an app is not upgraded,
/// even if the new library differs.
fn stands_still(replaced: &ReplacedApp) -> Option<Obstacle> {
    let ReplacedApp { app, from, to } = replaced.clone();
    (from == to).then_some(Obstacle::Plan(PlanError::VersionNotInAppup { app, from, to }))
}
