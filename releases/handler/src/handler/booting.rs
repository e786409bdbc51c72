//! Boots the permanent release: how often a boot may fail, and which release runs instead.

use reld_plan::Vsn;
use reld_store::{Boots, GaveWay, NextBoot};

use super::ReleaseHandler;
use crate::candidate::chain;
use crate::error::Error;
use crate::event::Observer;
use crate::guard::guarded;
use crate::interrupt::Wish;
use crate::lineup::Lineup;
use crate::node::Node;
use crate::options::InstallOptions;
use crate::report::{Outcome, Report};

/// The result of an attempt to boot a release.
#[derive(Debug)]
enum Attempt {
    Runs,
    /// The daemon was stopped during the boot.
    CalledOff,
    /// The machine lacks a resource that a boot needs.
    NoRoom(Error),
    /// Files of the release are lost or changed, with this error.
    Damaged(String),
    /// The boot failed, and the release is the only possible cause.
    Failed,
}

impl Attempt {
    /// Returns the record of boots after the attempt; `None` if the record that was written before
    /// the attempt stays, so that the attempt counts as failed.
    fn noted(&self, begun: &Boots) -> Option<Boots> {
        match self {
            Self::Runs => Some(begun.succeeded()),
            Self::CalledOff | Self::NoRoom(_) | Self::Damaged(_) => Some(begun.called_off()),
            Self::Failed => None,
        }
    }
}

impl<N: Node> ReleaseHandler<N> {
    /// Boots the permanent release, as an upgrade of an idle node. Returns `None` if there is none:
    /// the node stays idle.
    ///
    /// Each attempt is counted on disk before it begins, and its result decides the next step:
    ///
    /// | attempt | counts | next step |
    /// |---|---|---|
    /// | succeeds | | the count restarts at zero |
    /// | is ended by a stop of the daemon | no | the next start tries again |
    /// | fails, and the disk has no room for a boot | no | [`Error::NoRoom`]; the caller tries again later |
    /// | fails, and files of the release are lost or changed | no | the previous release boots, for this start only |
    /// | the same, and the release is on trial after a restart | yes | the release gives way to the previous one for good |
    /// | fails otherwise | yes | the third failure in a row makes the release give way to the previous one for good |
    ///
    /// # Errors
    /// The errors of [`carry_out`](Self::carry_out), and [`Error::NoRoom`].
    pub fn boot(&mut self, observer: Observer<'_>) -> Result<Option<Report>, Error> {
        let booted = guarded(|| self.boot_next(observer));
        booted.unwrap_or_else(|panic| Err(self.broken(panic)))
    }

    /// Checks that the disk has room for the next boot.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn has_room_to_boot(&self) -> Result<(), Error> {
        self.boots_next().map_or(Ok(()), |vsn| self.has_room_for(&vsn))
    }

    fn has_room_for(&self, vsn: &Vsn) -> Result<(), Error> {
        self.store.has_room_to_boot(vsn).map_err(|lack| no_room(vsn, &lack))
    }

    fn boot_next(&mut self, observer: Observer<'_>) -> Result<Option<Report>, Error> {
        let mut boots = self.store.boots();
        let vsn = match boots.next(self.releases()) {
            NextBoot::Idle => return Ok(None),
            NextBoot::Permanent(vsn) => vsn,
            NextBoot::GiveWay(gave_way) => {
                let vsn = gave_way.to.clone();
                boots = self.store.give_way(gave_way)?;
                vsn
            }
        };
        boots = boots.begun(&vsn);
        // A full disk must not keep a node from booting, so a failed write loses only the count.
        let uncounted = self.store.note_boots(&boots).err();
        let booted = self.boot_of(vsn.clone(), InstallOptions::default(), observer);
        let attempt = self.attempt(&vsn, &boots, &booted);
        let unnoted = attempt.noted(&boots).and_then(|boots| self.store.note_boots(&boots).err());
        let unconfirmed = match attempt {
            Attempt::Runs => self.store.confirm(&vsn).unwrap_or_else(|error| Some(chain(&error))),
            _ => None,
        };
        let mut report = match attempt {
            Attempt::NoRoom(error) => return Err(error),
            Attempt::Damaged(damage) => self.stand_in(&vsn, &damage, observer).unwrap_or(booted)?,
            Attempt::Runs | Attempt::CalledOff | Attempt::Failed => booted?,
        };
        let failed = uncounted.into_iter().chain(unnoted).map(|error| chain(&error));
        report.warnings.extend(failed.chain(unconfirmed));
        Ok(Some(report))
    }

    /// Classifies the result of an attempt.
    fn attempt(&self, vsn: &Vsn, begun: &Boots, booted: &Result<Report, Error>) -> Attempt {
        if booted.as_ref().is_ok_and(|report| report.outcome == Outcome::Installed) {
            return Attempt::Runs;
        }
        if self.interrupt.wish() == Some(Wish::Stop) {
            return Attempt::CalledOff;
        }
        if let Err(error) = self.has_room_for(vsn) {
            return Attempt::NoRoom(error);
        }
        let is_trial = begun.back_to.is_some();
        match self.store.verify(vsn) {
            Err(error) if error.is_damage() && !is_trial => Attempt::Damaged(chain(&error)),
            Err(error) if error.is_damage() => Attempt::Failed,
            // A file exists but cannot be read, for example because too many files are open or its
            // mode was changed.
            Err(error @ reld_store::Error::Io { .. }) => Attempt::NoRoom(no_room(vsn, &error)),
            _ => Attempt::Failed,
        }
    }

    fn boot_of(
        &mut self,
        vsn: Vsn,
        options: InstallOptions,
        observer: Observer<'_>,
    ) -> Result<Report, Error> {
        let way = self.plan(Lineup::of(vsn, self.store.config().clone()), None, options)?;
        self.travel(way, observer)
    }

    /// Boots the release that ran before a damaged one, whatever the policy of signatures and the
    /// floor are now. The damaged release stays permanent. Returns `None` if there is no previous
    /// release or it is damaged too.
    fn stand_in(
        &mut self,
        damaged: &Vsn,
        damage: &str,
        observer: Observer<'_>,
    ) -> Option<Result<Report, Error>> {
        let before = self.releases().previous(damaged)?.clone();
        self.store.verify(&before).ok()?;
        let options = InstallOptions { goes_back: true, ..InstallOptions::default() };
        let booted = self.boot_of(before.clone(), options, observer);
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

    /// Returns the release that the next boot boots; `None` if no release is permanent.
    pub fn boots_next(&self) -> Option<Vsn> {
        match self.store.boots().next(self.releases()) {
            NextBoot::Idle => None,
            NextBoot::Permanent(vsn) => Some(vsn),
            NextBoot::GiveWay(gave_way) => Some(gave_way.to),
        }
    }

    /// Returns whether the permanent release failed so often that the next boot boots another one.
    pub fn gives_way(&self) -> bool {
        matches!(self.store.boots().next(self.releases()), NextBoot::GiveWay(_))
    }

    /// Returns the last release that gave way, until the next commit.
    pub fn gave_way(&self) -> Option<GaveWay> {
        self.store.boots().gave_way
    }
}

fn no_room(vsn: &Vsn, lack: &reld_store::Error) -> Error {
    Error::NoRoom { vsn: vsn.clone(), lack: chain(lack) }
}
