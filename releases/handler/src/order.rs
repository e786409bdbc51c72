//! The orders to a release handler, and their results.

use reld_plan::{AppName, Vsn};
use reld_store::Removal;

use crate::lineup::SingleApp;
use crate::options::InstallOptions;
use crate::report::Report;
use crate::settle::{Settle, Trip};

/// An order to the release handler.
#[derive(Debug)]
pub enum Order {
    /// Moves the node to a release and makes it *current*. OTP: `install_release`.
    Install {
        /// The release.
        to: Vsn,
        /// The options.
        options: InstallOptions,
    },
    /// Moves the node to a release. Does nothing if the release is already running.
    Upgrade {
        /// The release.
        to: Vsn,
        /// The options.
        options: InstallOptions,
        /// Whether the release is committed.
        end: End,
    },
    /// Moves the node to a release that ran before.
    Downgrade {
        /// The release; `None` for the release that ran before the running one.
        to: Option<Vsn>,
        /// The options.
        options: InstallOptions,
        /// Whether the release is committed.
        end: End,
    },
    /// Makes the node boot this release from now on. OTP: `make_permanent`.
    Commit {
        /// The release; `None` for the running one.
        vsn: Option<Vsn>,
    },
    /// Removes a release and its files. OTP: `remove_release`.
    Remove {
        /// The release.
        vsn: Vsn,
    },
    /// Removes old releases and their files.
    Prune {
        /// The number of old releases to keep, the newest first.
        keep: usize,
    },
    /// Makes an old release permanent and restarts the node into it. OTP: `reboot_old_release`.
    RebootOld {
        /// The release.
        vsn: Vsn,
    },
    /// Moves one app of the running release to another version. OTP: `upgrade_app`,
    /// `downgrade_app`.
    ///
    /// For development only: the status table does not record the change, a restart of the node
    /// drops it, and the next installed release replaces it. An install of the running release
    /// undoes the change.
    App {
        /// The app.
        app: Box<SingleApp>,
        /// The options.
        options: InstallOptions,
    },
}

/// Whether an installed release is committed.
#[derive(Debug, Default)]
pub enum End {
    /// The release stays current: a restart of the node goes back.
    #[default]
    Current,
    /// The release becomes permanent once it has settled.
    Commit(Settle),
    /// The release becomes permanent, and the node restarts into it; no appup is needed. An idle
    /// node boots it live.
    Restart,
}

/// The meaning of an order for a settling release.
///
/// | order | meaning |
/// |---|---|
/// | commit of the settling release | the release is kept |
/// | downgrade to the previous release, to be committed without settling | the release is taken back |
/// | removal of any other release than these two | none: carried out in parallel |
/// | any other | refused: it would disturb the watch |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Keep,
    TakeBack,
    Unrelated,
    Disturb,
}

impl Order {
    /// Returns whether the order is carried out while a release settles.
    pub fn fits(&self, settling: Trip<'_>) -> bool {
        self.meaning(settling) != Meaning::Disturb
    }

    pub(crate) fn meaning(&self, settling: Trip<'_>) -> Meaning {
        match self {
            Self::Commit { vsn } if vsn.as_ref().is_none_or(|vsn| vsn == settling.to) => Meaning::Keep,
            Self::Downgrade { to, end: End::Commit(settle), .. }
                if !settle.is_wanted() && (to.is_none() || to.as_ref() == settling.from) =>
            {
                Meaning::TakeBack
            }
            Self::Remove { vsn } if vsn != settling.to && Some(vsn) != settling.from => Meaning::Unrelated,
            _ => Meaning::Disturb,
        }
    }
}

/// The result of an order.
#[derive(Debug)]
pub enum Ended {
    /// The report of a move, installed or failed.
    Moved(Box<Report>),
    /// The release runs and settles. [`watch`](crate::ReleaseHandler::watch) returns the report
    /// when the settling ends.
    Settles,
    /// The node has to restart into the release.
    Restarts {
        /// The release that ran.
        from: Option<Vsn>,
        /// The release that is now permanent.
        to: Vsn,
    },
    /// The release is permanent.
    Committed {
        /// The release.
        vsn: Vsn,
        /// The release that was permanent before.
        before: Option<Vsn>,
        /// The reason why the node does not take over the keys of the release, if it brings any.
        warning: Option<String>,
    },
    /// The release is removed.
    Removed {
        /// The release.
        vsn: Vsn,
        /// The app versions that were removed with it.
        apps: Vec<(AppName, Vsn)>,
    },
    /// The releases are removed.
    Pruned(Vec<Removal>),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(order: &Order, expected: Meaning) {
        let (from, to) = (Vsn::new(1, 0, 0), Vsn::new(1, 1, 0));
        let trip = Trip { from: Some(&from), to: &to };
        assert_eq!(order.meaning(trip), expected, "{order:?}");
        assert_eq!(order.fits(trip), expected != Meaning::Disturb);
    }

    #[test]
    fn every_row_of_the_table() {
        let vsn = |minor| Vsn::new(1, minor, 0);
        let options = InstallOptions::default();
        let down = |to, end| Order::Downgrade { to, options, end };
        let at_once = || End::Commit(Settle::default());
        check(&Order::Commit { vsn: None }, Meaning::Keep);
        check(&Order::Commit { vsn: Some(vsn(1)) }, Meaning::Keep);
        check(&Order::Commit { vsn: Some(vsn(0)) }, Meaning::Disturb);
        check(&down(None, at_once()), Meaning::TakeBack);
        check(&down(Some(vsn(0)), at_once()), Meaning::TakeBack);
        check(&down(Some(vsn(2)), at_once()), Meaning::Disturb);
        check(&down(None, End::Current), Meaning::Disturb);
        check(&down(None, End::Restart), Meaning::Disturb);
        let watched = Settle { window: Duration::from_secs(1), ..Settle::default() };
        check(&down(None, End::Commit(watched)), Meaning::Disturb);
        check(&Order::Upgrade { to: vsn(0), options, end: at_once() }, Meaning::Disturb);
        check(&Order::Remove { vsn: vsn(0) }, Meaning::Disturb);
        check(&Order::Remove { vsn: vsn(1) }, Meaning::Disturb);
        check(&Order::Remove { vsn: vsn(2) }, Meaning::Unrelated);
        check(&Order::Prune { keep: 1 }, Meaning::Disturb);
    }
}
