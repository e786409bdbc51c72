//! Orders of the chaos test, and the states that a restart may find after each.

use std::collections::BTreeMap;
use std::fmt;

use reld_api::response::{Pruned, ReleaseStatus};

use crate::build::release;
use crate::node::Node;

/// The releases. Each upgrade leads from one to the next.
const VERSIONS: [&str; 3] = ["1.0.0", "2.0.0", "3.0.0"];

/// Actions on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Unpack,
    Upgrade,
    Downgrade,
    /// Switches to a release without a commit.
    Install,
    Commit,
    Restart,
    RebootOld,
    Remove,
    Prune,
    Repair,
    /// Restarts the daemon without any order.
    Reboot,
}

const VERBS: [Verb; 11] = [
    Verb::Unpack,
    Verb::Upgrade,
    Verb::Downgrade,
    Verb::Install,
    Verb::Commit,
    Verb::Restart,
    Verb::RebootOld,
    Verb::Remove,
    Verb::Prune,
    Verb::Repair,
    Verb::Reboot,
];

/// A verb and its release. A prune concerns all old releases, a reboot the permanent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) verb: Verb,
    pub(super) version: &'static str,
}

impl Order {
    /// Returns the arguments for relctl, or none for a verb without an order.
    pub(super) fn args(self) -> Vec<String> {
        let tarball = || release(&format!("stage-{}", self.version));
        let version = self.version.to_owned();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        match self.verb {
            Verb::Unpack | Verb::Repair => vec!["unpack".to_owned(), tarball()],
            Verb::Upgrade => vec!["upgrade".to_owned(), tarball()],
            Verb::Restart => [words(&["upgrade", "--mode", "restart"]), vec![version]].concat(),
            Verb::Prune => words(&["prune", "--keep", "0"]),
            Verb::Reboot => Vec::new(),
            verb => vec![verb.to_string(), version],
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.version)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unpack => "unpack",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Install => "install",
            Self::Commit => "commit",
            Self::Restart => "restart",
            Self::RebootOld => "reboot-old",
            Self::Remove => "remove",
            Self::Prune => "prune",
            Self::Repair => "repair",
            Self::Reboot => "reboot",
        })
    }
}

/// The releases that a node knows, and the one that it boots.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) permanent: Option<String>,
    known: BTreeMap<String, ReleaseStatus>,
}

impl Picture {
    /// Reads the picture of a node.
    pub(super) fn of(node: &Node) -> Self {
        let known = node.releases().into_iter().map(|row| (row.version, row.status)).collect();
        Self { permanent: node.status().permanent, known }
    }

    /// Returns whether both pictures have the same releases and boot the same one.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.permanent == other.permanent && self.known.keys().eq(other.known.keys())
    }

    /// Returns every order that is legal while the permanent release runs, or while there is none.
    pub(super) fn legal(&self) -> Vec<Order> {
        let of = |verb| VERSIONS.map(|version| Order { verb, version });
        VERBS.into_iter().flat_map(of).filter(|order| self.allows(*order)).collect()
    }

    fn allows(&self, Order { verb, version }: Order) -> bool {
        let place = |version: &str| VERSIONS.iter().position(|one| *one == version);
        // The number of upgrades from the permanent release to this one.
        let way = self.permanent.as_deref().and_then(place).zip(place(version));
        let way = way.map(|(from, to)| to.cast_signed() - from.cast_signed());
        let status = self.known.get(version);
        let ran = status == Some(&ReleaseStatus::Old);
        match verb {
            Verb::Unpack => status.is_none(),
            Verb::Upgrade => way.is_none_or(|way| way == 1),
            Verb::Downgrade => ran && way == Some(-1),
            Verb::Install | Verb::Commit => status.is_some() && matches!(way, Some(-1 | 1)),
            Verb::Restart => status.is_some() && way.is_some_and(|way| way != 0),
            Verb::RebootOld | Verb::Prune => ran,
            Verb::Remove | Verb::Repair => status.is_some() && way != Some(0),
            Verb::Reboot => way == Some(0),
        }
    }

    /// Returns the pictures that a start may find after an interrupted order. The first is the
    /// picture before the order, the last the one after it.
    pub(super) fn stages(&self, order: Order, node: &Node) -> Vec<Self> {
        let mut after = self.clone();
        let mut stages = vec![self.clone()];
        match order.verb {
            Verb::Unpack | Verb::Upgrade => {
                after.known.entry(order.version.to_owned()).or_insert(ReleaseStatus::Unpacked);
                stages.push(after.clone());
            }
            Verb::Remove => drop(after.known.remove(order.version)),
            Verb::Prune => {
                let gone: Pruned = node.read(&["prune", "--keep", "0", "--dry-run"]);
                after.known.retain(|known, _| !gone.releases.iter().any(|release| release.version == *known));
            }
            _ => {}
        }
        if matches!(
            order.verb,
            Verb::Upgrade | Verb::Downgrade | Verb::Commit | Verb::Restart | Verb::RebootOld
        ) {
            after.permanent = Some(order.version.to_owned());
        }
        stages.push(after);
        stages
    }
}
