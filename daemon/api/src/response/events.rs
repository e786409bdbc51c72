//! Events and log lines of a node.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::release::Outcome;

/// An event of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The number of the event. Numbers grow by one per event. The first number of a daemon is the
    /// time of its start in microseconds, so that two daemons never use the same number.
    pub id: u64,
    /// The time in RFC 3339 format, in UTC.
    pub time: String,
    /// The kind and the fields of the event.
    #[serde(flatten)]
    pub what: What,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        /// The kind and the fields of an event. The log uses the same names.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum What {
            $($(#[$doc])* #[serde(rename = $kind)] $name { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl What {
            /// The names of all kinds.
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
    /// The node has booted its release, or is ready for its first one.
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
    /// An earlier step is being undone.
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
        /// The cause of the failure.
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
    /// A release that has run is being taken back.
    TakeBack = "release.take_back" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
        /// The reason for taking it back.
        fault: String,
    }
    /// The checks of a release have ended.
    Settled = "release.settled" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
        /// The outcome of the checks.
        outcome: Outcome,
    }
    /// A release became permanent.
    Committed = "release.committed" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
    }

    /// The configuration of the node was changed.
    EnvChanged = "env.changed" {
        /// The keys that were set, and those that were removed, with a `-`. Empty after a reload.
        keys: String,
        /// The user who changed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
    }
    /// A change of the node's configuration was refused. Nothing changed.
    EnvRefused = "env.refused" {
        /// The keys, as in `env.changed`.
        keys: String,
        /// The user who wanted to change it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// The reason.
        error: String,
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
        /// The app of the process's module.
        app: String,
        /// The module of the process.
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
        /// The id of the child, as JSON text.
        child: String,
        /// The module of the child.
        module: String,
        /// The supervisor.
        supervisor: String,
    }
    /// A supervisor exceeded its restart intensity and terminates.
    Intensity = "supervisor.intensity" {
        /// The supervisor.
        pid: String,
        /// The module of the supervisor.
        module: String,
        /// The maximum number of restarts.
        intensity: u64,
        /// The period in which restarts are counted.
        period_ms: u64,
    }

    /// The library of an app was loaded.
    CodeLoaded = "code.loaded" {
        /// The app.
        app: String,
        /// Its version.
        version: String,
    }
    /// A version of a module was purged. No process runs it.
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

    /// An alarm was raised. `relctl status` shows it.
    AlarmRaised = "alarm.raised" {
        /// The subject of the alarm. The event that clears the alarm has the same subject.
        about: String,
        /// The text of the alarm.
        text: String,
    }
    /// An alarm was cleared. `relctl status` no longer shows it.
    AlarmCleared = "alarm.cleared" {
        /// The subject of the alarm.
        about: String,
        /// The last text of the alarm.
        text: String,
    }

    /// Events are missing, because the client was too slow or reconnected too late.
    Dropped = "dropped" {
        /// The number of missed events of this daemon.
        missed: u64,
        /// Whether the daemon has restarted since the event that the client named. If so, the
        /// events of the previous daemon are lost.
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
    /// The number of the line. Numbers are assigned like those of [`Event::id`], but lines and
    /// events are counted separately.
    pub id: u64,
    /// The time in RFC 3339 format, in UTC.
    pub time: String,
    /// The severity.
    pub level: LogLevel,
    /// The part of the daemon that logged the line. It is `app` for lines that apps print and log.
    pub target: String,
    /// The app that wrote the line, or that the line is about. Absent if unknown.
    pub app: Option<String>,
    /// The text.
    pub message: String,
    /// Further fields, such as the module and the pid.
    pub fields: Map<String, Value>,
}

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// A failure.
    Error,
    /// A condition that needs attention.
    Warn,
    /// A normal event.
    Info,
    /// Details for debugging.
    Debug,
    /// The finest details.
    Trace,
}

/// A part of a followed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Followed {
    /// A line of the log.
    Line(LogLine),
    /// Lines are missing, as in [`What::Dropped`]. The lines of all apps are counted.
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
