//! The dispatch of orders.

use reld_plan::Vsn;
use reld_store::{Action, Boots, next};

use super::{Life, ReleaseHandler, stands_still};
use crate::candidate::files;
use crate::check::{Bootable, bootable};
use crate::error::{Error, Obstacle};
use crate::event::{Event, Journey, Observer};
use crate::guard::guarded;
use crate::lineup::SingleApp;
use crate::node::Node;
use crate::options::InstallOptions;
use crate::order::{End, Ended, Meaning, Order};
use crate::report::{Outcome, Report, what};
use crate::settle::Settle;

impl<N: Node> ReleaseHandler<N> {
    /// Carries out an order to its end.
    ///
    /// The script is planned once. If it restarts the daemon, the order becomes a restart, unless
    /// the release is to stay uncommitted. While a release settles, only orders that
    /// [fit](Order::fits) are carried out.
    ///
    /// # Errors
    /// The reason why nothing was done: [`Error::Refused`] with every obstacle of the check,
    /// [`Error::Settles`], [`Error::NeedsRestart`], [`Error::NoPrevious`], [`Error::Idle`], or an
    /// error of the status table or the disk. A move that began and failed is not an error:
    /// [`Ended::Moved`] holds its report. [`Error::Bug`] for a panic.
    pub fn carry_out(&mut self, order: Order, observer: Observer<'_>) -> Result<Ended, Error> {
        let done = guarded(|| self.obey(order, observer));
        done.unwrap_or_else(|panic| Err(self.broken(panic)))
    }

    fn obey(&mut self, order: Order, observer: Observer<'_>) -> Result<Ended, Error> {
        if let Some(trip) = self.settling() {
            match order.meaning(trip) {
                Meaning::Keep => return self.keep(),
                Meaning::TakeBack => return self.take_settling_back(observer),
                Meaning::Disturb => return Err(Error::Settles { vsn: trip.to.clone() }),
                Meaning::Unrelated => {}
            }
        }
        match order {
            Order::Install { to, options } => self.move_to(to, options, End::Current, observer),
            Order::Upgrade { to, options, end } => self.move_to(to, options, end, observer),
            Order::Downgrade { to, options, end } => self.move_to(self.way_back(to)?, options, end, observer),
            Order::Commit { vsn } => self.commit_by_order(vsn),
            Order::Remove { vsn } => self.remove(vsn),
            Order::Prune { keep } => Ok(Ended::Pruned(self.store.prune(keep)?)),
            Order::RebootOld { vsn } => self.reboot_old(vsn),
            Order::App { app, options } => self.move_app(*app, options, observer),
        }
    }

    /// Records a panic of the handler itself. After a panic during a move, the state of the node is
    /// unknown.
    pub(super) fn broken(&mut self, panic: String) -> Error {
        let error = Error::Bug(panic);
        tracing::error!(name: "release.bug", %error);
        if std::mem::take(&mut self.is_moving) {
            self.life = Life::NeedsRestart;
            self.trouble = Some(format!("{error}; restart the node: it boots the permanent release"));
        }
        error
    }

    fn move_to(
        &mut self,
        to: Vsn,
        options: InstallOptions,
        end: End,
        observer: Observer<'_>,
    ) -> Result<Ended, Error> {
        let (commits, settles) = match &end {
            End::Commit(settle) => (true, settle.is_wanted()),
            End::Current => (false, false),
            End::Restart => return self.restart(to, options, observer),
        };
        let way = self.plan(self.target(&to)?, None, InstallOptions { settles, ..options })?;
        if commits && !settles && way.check().restarts && way.check().obstacles.is_empty() {
            return self.restart_into(to, options, observer);
        }
        let report = self.travel(way, observer)?;
        Ok(match end {
            End::Commit(settle) if report.outcome == Outcome::Installed && !report.permanent => {
                self.settle(settle, report, observer)
            }
            End::Commit(_) | End::Current | End::Restart => Ended::Moved(Box::new(report)),
        })
    }

    fn settle(&mut self, settle: Settle, mut report: Report, observer: Observer<'_>) -> Ended {
        if settle.is_wanted() {
            self.begin_to_settle(settle, report, observer);
            return Ended::Settles;
        }
        self.commit(&mut report);
        Ended::Moved(Box::new(report))
    }

    fn restart(&mut self, to: Vsn, options: InstallOptions, observer: Observer<'_>) -> Result<Ended, Error> {
        if self.running().is_some_and(|running| *running != to) {
            return self.restart_into(to, options, observer);
        }
        self.move_to(to, options, End::Commit(Settle::default()), observer)
    }

    /// Makes a release permanent for the next boot of the node, on trial: if the first boot fails,
    /// the currently permanent release boots again.
    fn restart_into(
        &mut self,
        to: Vsn,
        options: InstallOptions,
        observer: Observer<'_>,
    ) -> Result<Ended, Error> {
        if self.life == Life::NeedsRestart {
            return Err(Error::NeedsRestart);
        }
        let Bootable { mut obstacles, warnings } = bootable(&self.node, &self.store, &to, options);
        obstacles.extend(self.unwanted(&to, options));
        let from = self.running().cloned();
        if !obstacles.is_empty() {
            return Err(Error::Refused { what: what(&to, None), running: from, obstacles });
        }
        warn(&to, &warnings);
        observer(Event::Begins(Journey { from: from.as_ref(), to: &to, app: None, restarts: true }));
        if let Some(permanent) = self.releases().permanent().filter(|release| release.version != to) {
            // The trial is written before the status table, because the daemon may end in between.
            // A trial of a release that is not permanent has no effect. But a permanent release
            // without its trial would not give way after one failed boot.
            self.store.note_boots(&self.store.boots().trial(to.clone(), permanent.version.clone()))?;
        }
        self.store.reboot_into(&to)?;
        self.life = Life::NeedsRestart;
        Ok(Ended::Restarts { from, to })
    }

    fn reboot_old(&mut self, to: Vsn) -> Result<Ended, Error> {
        next(self.releases(), &Action::RebootOld(to.clone())).map_err(reld_store::Error::from)?;
        let from = self.running().cloned();
        let mut obstacles: Vec<Obstacle> =
            self.node.successor().err().map(Obstacle::NoSuccessor).into_iter().collect();
        match self.store.admit(&to) {
            Ok((_, warnings)) => warn(&to, &warnings),
            Err(error) => obstacles.push(files(error)),
        }
        if !obstacles.is_empty() {
            return Err(Error::Refused { what: what(&to, None), running: from, obstacles });
        }
        self.store.reboot_old(&to)?;
        self.life = Life::NeedsRestart;
        Ok(Ended::Restarts { from, to })
    }

    fn commit_by_order(&mut self, named: Option<Vsn>) -> Result<Ended, Error> {
        if self.life == Life::NeedsRestart {
            return Err(Error::NeedsRestart);
        }
        let vsn = named.or_else(|| self.running().cloned()).ok_or(Error::NothingToCommit)?;
        let before = self.releases().permanent().map(|release| release.version.clone());
        let warning = self.make_permanent(&vsn)?;
        Ok(Ended::Committed { vsn, before, warning })
    }

    /// Makes a release permanent. Returns a warning about its keys.
    pub(super) fn make_permanent(&mut self, vsn: &Vsn) -> Result<Option<String>, Error> {
        let warning = self.store.make_permanent(vsn)?;
        self.trouble = None;
        // After a commit, earlier boot failures are no longer reported. If this write fails, they
        // are merely reported again.
        let _ = self.store.note_boots(&Boots::default());
        tracing::info!(name: "release.committed", %vsn, "the release is permanent");
        Ok(warning)
    }

    fn remove(&mut self, vsn: Vsn) -> Result<Ended, Error> {
        let apps = self.releases().get(&vsn).map(|release| release.apps.clone()).unwrap_or_default();
        self.store.remove(&vsn)?;
        let kept: Vec<_> = self.releases().releases.iter().flat_map(|release| &release.apps).collect();
        let gone = apps.into_iter().filter(|app| !kept.contains(&app));
        let apps = gone.map(|app| (app.name, app.version)).collect();
        Ok(Ended::Removed { vsn, apps })
    }

    fn move_app(
        &mut self,
        app: SingleApp,
        options: InstallOptions,
        observer: Observer<'_>,
    ) -> Result<Ended, Error> {
        let (lineup, replaced) = self.replacing(app)?;
        if let Some(obstacle) = stands_still(&replaced) {
            let (what, running) = (what(&lineup.vsn, Some(&replaced)), self.running().cloned());
            return Err(Error::Refused { what, running, obstacles: vec![obstacle] });
        }
        let way = self.plan(lineup, Some(replaced), options)?;
        Ok(Ended::Moved(Box::new(self.travel(way, observer)?)))
    }
}

/// Logs the warnings about a release that the node restarts into: the answer to such an order has
/// no place for them.
fn warn(vsn: &Vsn, warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(name: "release.restart", %vsn, "{warning}");
    }
}
