//! The history of a node's releases.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::look::Progress;
use super::release::{Outcome, Report};
use crate::error::ErrorReport;

/// The history, oldest entry first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryList {
    /// The entries.
    pub entries: Vec<HistoryEntry>,
}

/// One upgrade, downgrade, restart or boot. The history on disk has the same form.
///
/// ```json
/// {"number": 12, "begun": "2026-11-22T22:08:03Z", "kind": "upgrade", "uid": 1000, "from": "1.0.0", "to": "1.1.0",
///  "outcome": "installed", "committed": true, "report": {…}, "failure": null}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The number of the entry, counted from 1 on each node. Absent if the entry is not on disk.
    pub number: Option<u64>,
    /// The time at which the order began, in RFC 3339 format, in UTC.
    pub begun: String,
    /// The time at which the order ended, in the same format. Absent while the order is under way,
    /// and if the daemon ended first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The kind of order.
    pub kind: HistoryKind,
    /// The user who gave the order. Absent if the daemon acted by itself.
    pub uid: Option<u32>,
    /// The rollout that the order belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// The previous release; absent if the node was idle.
    pub from: Option<String>,
    /// The target release.
    pub to: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Whether the release was permanent afterwards.
    pub committed: bool,
    /// The report, if steps were executed.
    pub report: Option<Report>,
    /// The error that relctl printed, if the order failed. It contains the exit code.
    pub failure: Option<ErrorReport>,
}

/// The kind of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// A live upgrade.
    Upgrade,
    /// A live upgrade of a single app.
    UpgradeApp,
    /// An upgrade that restarted the node.
    Restart,
    /// A downgrade.
    Downgrade,
    /// An install without a commit.
    Install,
    /// A separate commit.
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

/// A part of the answer to [`Attach`](crate::request::Attach). The last part is
/// [`Idle`](Self::Idle) or [`Ended`](Self::Ended).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attached {
    /// The current step. Steps that end very quickly may be left out.
    Step(Progress),
    /// The upgrade has ended.
    Ended(Box<HistoryEntry>),
    /// No upgrade is under way.
    Idle {
        /// The last entry since the daemon started, if there is one.
        last: Option<Box<HistoryEntry>>,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use reld_error_codes::ErrorCode;

    use super::*;

    #[test]
    fn a_history_entry_round_trips_through_json() {
        let entry = HistoryEntry {
            number: Some(12),
            begun: "2026-11-22T22:08:03Z".to_owned(),
            ended: Some("2026-11-22T22:08:05Z".to_owned()),
            kind: HistoryKind::RebootOld,
            uid: Some(1000),
            rollout: None,
            from: Some("1.0.0".to_owned()),
            to: "1.1.0".to_owned(),
            outcome: Outcome::TakenBack,
            committed: false,
            report: None,
            failure: Some(ErrorReport::refused(ErrorCode::Unconfirmed, "release 1.1.0 was not installed")),
        };
        let expected = json!({
            "number": 12, "begun": "2026-11-22T22:08:03Z", "ended": "2026-11-22T22:08:05Z",
            "kind": "reboot_old", "uid": 1000, "from": "1.0.0", "to": "1.1.0",
            "outcome": "taken_back", "committed": false, "report": null,
            "failure": {"kind": "unconfirmed", "message": "release 1.1.0 was not installed", "exit_code": 1},
        });
        assert_eq!(serde_json::to_value(&entry).unwrap(), expected);
        assert_eq!(serde_json::from_value::<HistoryEntry>(expected).unwrap(), entry);
        let idle = json!({"idle": {"last": null}});
        assert_eq!(serde_json::to_value(Attached::Idle { last: None }).unwrap(), idle);
    }
}
