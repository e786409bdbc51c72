//! Orders: everything that a release handler is told to do to its node, and how each one ends.

use reld_plan::{AppName, Vsn};
use reld_store::Removal;

use crate::lineup::SingleApp;
use crate::options::InstallOptions;
use crate::report::Report;
use crate::settle::{Settle, Trip};

/// An order to the release handler.
#[derive(Debug)]
pub enum Order {
    /// Moves the node to a release, which is *current* then. OTP: `install_release`.
    Install {
        /// The release.
        to: Vsn,
        /// On which terms.
        options: InstallOptions,
    },
    /// Moves the node to a release. Asking for the release that runs is nothing to do.
    Upgrade {
        /// The release.
        to: Vsn,
        /// On which terms.
        options: InstallOptions,
        /// What becomes of the release.
        end: End,
    },
    /// Moves the node to a release that ran before.
    Downgrade {
        /// The release; `None` = the one from which the node came to the running one.
        to: Option<Vsn>,
        /// On which terms.
        options: InstallOptions,
        /// What becomes of the release.
        end: End,
    },
    /// Makes a release permanent and restarts the node into it; no appup is needed. An idle node boots it live.
    Restart {
        /// The release.
        to: Vsn,
        /// On which terms.
        options: InstallOptions,
    },
    /// Makes a release the one that the node boots. OTP: `make_permanent`.
    Commit {
        /// The release; `None` = the running one.
        vsn: Option<Vsn>,
    },
    /// Forgets a release and deletes its files. OTP: `remove_release`.
    Remove {
        /// The release.
        vsn: Vsn,
    },
    /// Forgets old releases and deletes their files.
    Prune {
        /// How many of them stay, the newest.
        keep: usize,
    },
    /// Makes an old release permanent and restarts the node into it. OTP: `reboot_old_release`.
    RebootOld {
        /// The release.
        vsn: Vsn,
    },
    /// Moves one app of the running release to another version. OTP: `upgrade_app`, `downgrade_app`.
    ///
    /// For development: the status table does not know of it, a restart of the node forgets it, and the next
    /// release that is installed replaces it. The release itself, installed again, takes it back.
    App {
        /// The app.
        app: Box<SingleApp>,
        /// On which terms.
        options: InstallOptions,
    },
}

/// What becomes of a release that was installed.
#[derive(Debug, Default)]
pub enum End {
    /// It stays current: a restart of the node goes back.
    #[default]
    Current,
    /// It becomes permanent, once it has settled.
    Commit(Settle),
}

/// What an order means for a release that settles.
///
/// | order | meaning |
/// |---|---|
/// | commit of the release | it is kept |
/// | downgrade to the release before, to be committed and not watched | it is taken back |
/// | removal of a release that is neither it nor the one before | none: carried out beside |
/// | any other | refused: it would disturb what is being judged |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Keep,
    TakeBack,
    Beside,
    Disturb,
}

impl Order {
    /// Says whether the order is carried out while a release settles.
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
            Self::Remove { vsn } if vsn != settling.to && Some(vsn) != settling.from => Meaning::Beside,
            _ => Meaning::Disturb,
        }
    }
}

/// How an order ended.
#[derive(Debug)]
pub enum Ended {
    /// The node was to move. The report says whether it did, or how it failed.
    Moved(Box<Report>),
    /// The release runs and settles. [`watch`](crate::ReleaseHandler::watch) gives the report in the end.
    Settles,
    /// The node has to restart, and boots the release then.
    Restarts {
        /// The release that ran.
        from: Option<Vsn>,
        /// The release that is permanent now.
        to: Vsn,
    },
    /// The release is permanent.
    Committed {
        /// The release.
        vsn: Vsn,
        /// The release that was permanent before.
        before: Option<Vsn>,
    },
    /// The release is forgotten.
    Removed {
        /// The release.
        vsn: Vsn,
        /// The app versions whose files went with it.
        apps: Vec<(AppName, Vsn)>,
    },
    /// The releases are forgotten.
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
    fn every_line_of_the_table() {
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
        let watched = Settle { window: Duration::from_secs(1), ..Settle::default() };
        check(&down(None, End::Commit(watched)), Meaning::Disturb);
        check(&Order::Upgrade { to: vsn(0), options, end: at_once() }, Meaning::Disturb);
        check(&Order::Remove { vsn: vsn(0) }, Meaning::Disturb);
        check(&Order::Remove { vsn: vsn(1) }, Meaning::Disturb);
        check(&Order::Remove { vsn: vsn(2) }, Meaning::Beside);
        check(&Order::Prune { keep: 1 }, Meaning::Disturb);
    }
}
