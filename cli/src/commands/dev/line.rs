//! The line that a round prints for each app.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::render::counted;
use crate::render::duration;

/// The result of a round for one app. With `--json` the line is this document.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// The app; for a boot, the release.
    pub(super) app: String,
    /// The version that was built. Absent if the build failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    pub(super) outcome: Outcome,
    /// The time for building and packing.
    pub(super) build_ms: u64,
    /// The time for sending the app to the node and loading it.
    pub(super) load_ms: u64,
    /// The number of processes of the app that kept their pids.
    pub(super) kept: u64,
    /// The number of processes of the app that started.
    pub(super) anew: u64,
    /// The number of processes of the app that ended and were not started again.
    pub(super) ended: u64,
    /// The reasons for a failure, for old code that runs on, or for processes that started anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasons: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The release was booted on an idle node.
    Booted,
    /// The new code runs.
    Reloaded,
    /// The build gave the code that runs already.
    Unchanged,
    /// The new code does not take all states, and the old code runs on.
    KeptOld,
    /// The build or the load failed, and the node is as before.
    Failed,
}

impl Line {
    pub(super) fn new(app: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            version: None,
            outcome: Outcome::Failed,
            build_ms: 0,
            load_ms: 0,
            kept: 0,
            anew: 0,
            ended: 0,
            reasons: Vec::new(),
        }
    }

    /// Counts the processes of an app from its pids before and after it was loaded.
    pub(super) fn reloaded(&mut self, before: &BTreeSet<String>, after: &BTreeSet<String>) {
        self.outcome = Outcome::Reloaded;
        self.kept = before.intersection(after).count() as u64;
        self.anew = after.len() as u64 - self.kept;
        self.ended = (before.len() as u64 - self.kept).saturating_sub(self.anew);
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a line has only text keys") + "\n"
    }

    pub(super) fn text(&self) -> String {
        let name =
            self.version.as_ref().map_or(self.app.clone(), |version| format!("{} {version}", self.app));
        let [build, load] = [self.build_ms, self.load_ms].map(|ms| duration::us(ms * 1000));
        let why =
            if self.reasons.is_empty() { String::new() } else { format!(": {}", self.reasons.join("; ")) };
        match self.outcome {
            Outcome::Booted => format!("{name} booted: build {build}, load {load}\n"),
            Outcome::Reloaded => {
                format!("{name} reloaded: build {build}, load {load}, {}{why}\n", self.processes())
            }
            Outcome::Unchanged => format!("{name} unchanged: build {build}\n"),
            Outcome::KeptOld => format!("{name} not loaded: build {build}; the old code runs{why}\n"),
            Outcome::Failed => format!("{name} failed; the node is as before\n"),
        }
    }

    fn processes(&self) -> String {
        let mut text = format!("{} kept", counted(self.kept, "process", "processes"));
        for (count, what) in [(self.anew, "started anew"), (self.ended, "ended")] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        text
    }
}

pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
