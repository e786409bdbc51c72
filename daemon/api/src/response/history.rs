//! What happened to the releases of a node.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::look::Progress;
use super::release::{Outcome, Report};
use crate::error::ErrorReport;

/// What happened, the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryList {
    /// One entry each.
    pub entries: Vec<HistoryEntry>,
}

/// One thing that happened. On disk it stands in the same words.
///
/// ```json
/// {"number": 12, "begun": "2026-11-22T22:08:03Z", "kind": "upgrade", "uid": 1000, "from": "1.0.0", "to": "1.1.0",
///  "outcome": "installed", "committed": true, "report": {…}, "failure": null}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Counts from 1 for each node; absent where it is not on disk.
    pub number: Option<u64>,
    /// When it began: RFC 3339, UTC.
    pub begun: String,
    /// What was asked for.
    pub kind: HistoryKind,
    /// The user who asked; absent where the daemon did it by itself.
    pub uid: Option<u32>,
    /// The release that ran before; absent when the node was idle.
    pub from: Option<String>,
    /// The release gone to.
    pub to: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the release was permanent afterwards.
    pub committed: bool,
    /// What was done, where something was.
    pub report: Option<Report>,
    /// What relctl said and how it exited, where it did not go well.
    pub failure: Option<ErrorReport>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// A live upgrade.
    Upgrade,
    /// A live upgrade of one app by itself.
    UpgradeApp,
    /// An upgrade by a restart of the node.
    Restart,
    /// A downgrade.
    Downgrade,
    /// An install without a commit.
    Install,
    /// A commit by itself.
    Commit,
    /// A restart into an old release.
    RebootOld,
    /// A boot of the permanent release.
    Boot,
}

impl fmt::Display for HistoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Upgrade => "upgrade",
            Self::UpgradeApp => "upgrade-app",
            Self::Restart => "restart",
            Self::Downgrade => "downgrade",
            Self::Install => "install",
            Self::Commit => "commit",
            Self::RebootOld => "reboot-old",
            Self::Boot => "boot",
        })
    }
}

/// What is seen of an upgrade by whoever follows it. [`Idle`](Self::Idle) and [`Ended`](Self::Ended) come last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attached {
    /// How far it is. Steps that are over before they are seen are left out.
    Step(Progress),
    /// How it ended.
    Ended(Box<HistoryEntry>),
    /// Nothing is under way.
    Idle {
        /// What ended last since the daemon started.
        last: Option<Box<HistoryEntry>>,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_reads_as_it_was_written() {
        let entry = HistoryEntry {
            number: Some(12),
            begun: "2026-11-22T22:08:03Z".to_owned(),
            kind: HistoryKind::RebootOld,
            uid: Some(1000),
            from: Some("1.0.0".to_owned()),
            to: "1.1.0".to_owned(),
            outcome: Outcome::TakenBack,
            committed: false,
            report: None,
            failure: Some(ErrorReport::refused("unconfirmed", "release 1.1.0 was not installed")),
        };
        let expected = json!({
            "number": 12, "begun": "2026-11-22T22:08:03Z", "kind": "reboot_old", "uid": 1000, "from": "1.0.0",
            "to": "1.1.0", "outcome": "taken_back", "committed": false, "report": null,
            "failure": {"kind": "unconfirmed", "message": "release 1.1.0 was not installed", "exit_code": 1},
        });
        assert_eq!(serde_json::to_value(&entry).unwrap(), expected);
        assert_eq!(serde_json::from_value::<HistoryEntry>(expected).unwrap(), entry);
        let idle = json!({"idle": {"last": null}});
        assert_eq!(serde_json::to_value(Attached::Idle { last: None }).unwrap(), idle);
    }
}
