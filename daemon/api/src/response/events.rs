//! Events and log lines of a node.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::release::Outcome;

/// An event of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The number, which grows by one per event. A daemon starts with the time of its start in
    /// microseconds, so that two daemons share no numbers.
    pub id: u64,
    /// The time, RFC 3339 in UTC.
    pub time: String,
    /// The event itself.
    #[serde(flatten)]
    pub what: What,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        /// An event by its `kind`. The log uses the same names.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum What {
            $($(#[$doc])* #[serde(rename = $kind)] $name { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl What {
            /// Every kind.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// Returns the kind of the event.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $kind,)*
                }
            }
        }
    };
}

kinds! {
    /// The node has booted its release, or waits for its first one.
    Ready = "daemon.ready" {}
    /// The node is stopping.
    Stopping = "daemon.stopping" {}

    /// A step of an upgrade, a downgrade or a boot begins.
    Step = "release.install.step" {
        /// The release that is installed.
        #[serde(alias = "vsn")]
        version: String,
        /// The number of the step, from 1.
        step: u64,
        /// The number of steps.
        of: u64,
        /// The step as text.
        title: String,
    }
    /// A step failed. The earlier steps are undone.
    Failed = "release.install.failed" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// The number of the failed step.
        step: u64,
        /// The step as text.
        title: String,
        /// The cause.
        cause: String,
    }
    /// A step is being undone.
    Undo = "release.install.undo" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// The undo action.
        undo: String,
    }
    /// A step could not be undone.
    NotUndone = "release.install.not_undone" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// The undo action.
        undo: String,
        /// Why the action failed.
        error: String,
    }
    /// An install has ended.
    Done = "release.install.done" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// The outcome.
        outcome: Outcome,
    }
    /// A release that ran is being taken back.
    TakeBack = "release.take_back" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
        /// The reason.
        fault: String,
    }
    /// A release has settled.
    Settled = "release.settled" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
        /// The outcome.
        outcome: Outcome,
    }
    /// A release became permanent.
    Committed = "release.committed" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
    }

    /// An app was started.
    AppStarted = "application.started" {
        /// The app.
        app: String,
        /// Its version.
        version: String,
    }
    /// An app was stopped.
    AppStopped = "application.stopped" {
        /// The app.
        app: String,
    }
    /// An app ended by itself.
    AppEnded = "application.ended" {
        /// The app.
        app: String,
        /// The exit reason.
        reason: String,
    }

    /// A process ended abnormally.
    Crash = "process.crash" {
        /// The process.
        pid: String,
        /// The app of its module.
        app: String,
        /// Its module.
        module: String,
        /// The version of the module.
        version: String,
        /// The exit reason.
        reason: String,
    }
    /// A supervisor has restarted a child.
    Restart = "supervisor.restart" {
        /// The new process.
        pid: String,
        /// The child's id, as JSON text.
        child: String,
        /// The child's module.
        module: String,
        /// The supervisor.
        supervisor: String,
    }
    /// A supervisor exceeded its restart intensity and terminates.
    Intensity = "supervisor.intensity" {
        /// The supervisor.
        pid: String,
        /// Its module.
        module: String,
        /// The maximum number of restarts.
        intensity: u64,
        /// The period of that maximum.
        period_ms: u64,
    }

    /// The library of an app was loaded.
    CodeLoaded = "code.loaded" {
        /// The app.
        app: String,
        /// Its version.
        version: String,
    }
    /// A version of a module was purged: no process runs it.
    CodePurged = "code.purged" {
        /// The module.
        module: String,
        /// The version.
        version: String,
        /// The app of the module.
        app: String,
    }
    /// A purged library was unmapped from the address space.
    CodeUnmapped = "code.unmapped" {
        /// The app.
        app: String,
        /// Its version.
        version: String,
    }

    /// `relctl status` shows a new alarm.
    AlarmRaised = "alarm.raised" {
        /// The subject, equal in the event that clears the alarm.
        about: String,
        /// The alarm.
        text: String,
    }
    /// `relctl status` no longer shows an alarm.
    AlarmCleared = "alarm.cleared" {
        /// The subject.
        about: String,
        /// The last text of the alarm.
        text: String,
    }

    /// Events are missing: the client was too slow, or reconnected too late.
    Dropped = "dropped" {
        /// The number of missed events of this daemon.
        missed: u64,
        /// Whether the daemon has restarted since the event that the client named. The events of
        /// the previous daemon are lost.
        restarted: bool,
    }
}

/// The last lines of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogList {
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The number, which grows by one per line; like [`Event::id`], but counted separately.
    pub id: u64,
    /// The time, RFC 3339 in UTC.
    pub time: String,
    /// The severity.
    pub level: LogLevel,
    /// The part of the daemon that logged it; `app` for lines that apps print and log.
    pub target: String,
    /// The app that wrote the line or that the line is about, if known.
    pub app: Option<String>,
    /// The text.
    pub message: String,
    /// Further fields: the module, the pid, …
    pub fields: Map<String, Value>,
}

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// A failure.
    Error,
    /// An unexpected condition.
    Warn,
    /// A normal event.
    Info,
    /// Details for debugging.
    Debug,
    /// Everything.
    Trace,
}

/// An item of a followed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Followed {
    /// A line.
    Line(LogLine),
    /// Lines are missing, as in [`What::Dropped`]; counts the lines of all apps.
    Dropped {
        /// The number of missed lines of this daemon.
        missed: u64,
        /// Whether the daemon has restarted.
        restarted: bool,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_parsed_from_log_fields_and_is_flat_in_json() {
        let logged = json!({"kind": "release.committed", "vsn": "1.1.0", "message": "committed"});
        let what: What = serde_json::from_value(logged).unwrap();
        assert_eq!(what.kind(), "release.committed");
        let event = Event { id: 7, time: "now".to_owned(), what };
        let wire = json!({"id": 7, "time": "now", "kind": "release.committed", "version": "1.1.0"});
        assert_eq!(serde_json::to_value(&event).unwrap(), wire);
        assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), event);
    }
}
