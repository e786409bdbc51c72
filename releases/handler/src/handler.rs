//! The release handler: what it knows, and what can be asked of it. Its orders are in the files below.

mod carry_out;
mod settling;
mod travel;
mod way_back;

use std::collections::BTreeMap;
use std::path::Path;

use reld_plan::{AppName, PlanError, Vsn};
use reld_store::{Boots, GaveWay, NextBoot, Platform, StatusTable, Store, Unpacked};

use self::settling::Watch;
pub use self::settling::Watched;
use crate::check::{Check, Prepared, chain, other_daemon, prepare};
use crate::error::{Error, Obstacle};
use crate::event::Observer;
use crate::foresight::{Foresight, foresee_load};
use crate::guard::guarded;
use crate::interrupt::{Interrupt, Wish};
use crate::lineup::{Lineup, ReplacedApp, SingleApp};
use crate::node::{Library, Look, Node};
use crate::process::Pid;
use crate::program::InstallOptions;
use crate::renamed;
use crate::report::{Outcome, Report};
use crate::saga::Limits;
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

/// What a boot has failed of.
#[derive(Debug)]
enum Cause {
    /// The release, as far as is known.
    Release,
    /// Something that the machine does not give.
    Machine(Error),
    /// Files of the release are lost or changed, in this way.
    Damage(String),
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

    /// Boots the permanent release, by the road of an upgrade. `None` where there is none: the node stays idle.
    ///
    /// Each attempt is counted on disk before it begins, and what became of it decides what follows:
    ///
    /// | the attempt | counts | then |
    /// |---|---|---|
    /// | the release runs | | the count begins anew |
    /// | fails | yes | the third in a row has the release give way to the one before it, for good |
    /// | was called off by who stopped the daemon | no | the next start tries again |
    /// | fails, and the disk has no room for a boot | no | [`Error::NoRoom`]; the caller tries again later |
    /// | finds files of the release lost or changed | no; yes, where it is only tried | the release before it boots, for this start only |
    ///
    /// # Errors
    /// As [`carry_out`](Self::carry_out), and [`Error::NoRoom`].
    pub fn boot(&mut self, observer: Observer<'_>) -> Result<Option<Report>, Error> {
        let booted = guarded(|| self.boot_next(observer));
        booted.unwrap_or_else(|panic| Err(self.broken(panic)))
    }

    /// Checks that the disk has room for the boot that comes next.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn has_room_to_boot(&self) -> Result<(), Error> {
        let Some(vsn) = self.boots_next() else { return Ok(()) };
        self.store.has_room_to_boot(&vsn).map_err(|lack| Error::NoRoom { vsn, lack: chain(&lack) })
    }

    fn boot_next(&mut self, observer: Observer<'_>) -> Result<Option<Report>, Error> {
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
        let mut booted = self.boot_of(vsn.clone(), observer);
        let runs = booted.as_ref().is_ok_and(|report| report.outcome == Outcome::Installed);
        let is_called_off = self.interrupt.wish() == Some(Wish::Stop);
        let is_trial = boots.back_to.is_some();
        let cause = if runs || is_called_off { Cause::Release } else { self.cause(&vsn) };
        // What is only tried gives way for good to what ran.
        let cause = if is_trial && matches!(cause, Cause::Damage(_)) { Cause::Release } else { cause };
        let over = match &cause {
            Cause::Release if runs => Some(boots.succeeded()),
            Cause::Release if !is_called_off => None,
            Cause::Release | Cause::Machine(_) | Cause::Damage(_) => Some(boots.called_off()),
        };
        let unnoted = over.and_then(|boots| self.store.note_boots(&boots).err());
        match cause {
            Cause::Release => {}
            Cause::Machine(error) => return Err(error),
            Cause::Damage(damage) => booted = self.stand_in(&vsn, &damage, observer).unwrap_or(booted),
        }
        let mut report = booted?;
        report.warnings.extend(uncounted.into_iter().chain(unnoted).map(|error| chain(&error)));
        Ok(Some(report))
    }

    /// Finds out what a boot has failed of.
    fn cause(&self, vsn: &Vsn) -> Cause {
        let lacks = |lack| Error::NoRoom { vsn: vsn.clone(), lack: chain(&lack) };
        if let Err(lack) = self.store.has_room_to_boot(vsn) {
            return Cause::Machine(lacks(lack));
        }
        match self.store.verify(vsn) {
            Err(error) if error.is_damage() => Cause::Damage(chain(&error)),
            // A file that is there and cannot be read: too many are open, or their mode was changed.
            Err(error @ reld_store::Error::Io { .. }) => Cause::Machine(lacks(error)),
            _ => Cause::Release,
        }
    }

    fn boot_of(&mut self, vsn: Vsn, observer: Observer<'_>) -> Result<Report, Error> {
        let way = self.plan(Lineup::of(vsn), None, InstallOptions::default())?;
        self.travel(way, observer)
    }

    /// Boots the release before one that is damaged, which stays permanent. `None` where there is none that is whole.
    fn stand_in(
        &mut self,
        damaged: &Vsn,
        damage: &str,
        observer: Observer<'_>,
    ) -> Option<Result<Report, Error>> {
        let before = self.releases().previous(damaged)?.clone();
        self.store.verify(&before).ok()?;
        let booted = self.boot_of(before.clone(), observer);
        let trouble = format!(
            "cannot boot release {damaged}: {damage}; release {before} runs in its place until the next start; unpack \
             the tarball of {damaged} again to repair it"
        );
        self.trouble = Some(trouble.clone());
        Some(booted.map(|mut report| {
            report.warnings.push(trouble);
            report
        }))
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
