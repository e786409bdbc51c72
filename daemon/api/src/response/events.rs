//! What a node reports as it happens: events, and lines of the log.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::release::Outcome;

/// An event of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one with each event. The first number of a daemon is the time of its start in
    /// microseconds, so two daemons share none.
    pub id: u64,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        /// What happened, by its `kind`. The log has it under the same name.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum What {
            $($(#[$doc])* #[serde(rename = $kind)] $name { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl What {
            /// Every kind.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// Returns its kind.
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
    /// The node runs what it has to run, or waits for its first release.
    Ready = "daemon.ready" {}
    /// The node stops.
    Stopping = "daemon.stopping" {}

    /// A step of an upgrade, a downgrade or a boot begins.
    Step = "release.install.step" {
        /// The release that is installed.
        #[serde(alias = "vsn")]
        version: String,
        /// The number of the step, from 1.
        step: u64,
        /// How many there are.
        of: u64,
        /// What it does.
        title: String,
    }
    /// A step failed. What was done before it is undone.
    Failed = "release.install.failed" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// The step that failed.
        step: u64,
        /// What it was to do.
        title: String,
        /// Why it failed.
        cause: String,
    }
    /// A step is undone.
    Undo = "release.install.undo" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// What is done.
        undo: String,
    }
    /// A step could not be undone.
    NotUndone = "release.install.not_undone" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// What was to be done.
        undo: String,
        /// Why it was not.
        error: String,
    }
    /// An install has ended.
    Done = "release.install.done" {
        /// The release that was to be installed.
        #[serde(alias = "vsn")]
        version: String,
        /// How it ended.
        outcome: Outcome,
    }
    /// A release is taken back that ran.
    TakeBack = "release.take_back" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
        /// Why.
        fault: String,
    }
    /// A release is no longer watched.
    Settled = "release.settled" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
        /// What came of it.
        outcome: Outcome,
    }
    /// A release became permanent.
    Committed = "release.committed" {
        /// The release.
        #[serde(alias = "vsn")]
        version: String,
    }

    /// An app runs.
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
        /// Why.
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
        /// The version of that.
        version: String,
        /// Why it ended.
        reason: String,
    }
    /// A supervisor has started a child again.
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
    /// A supervisor gives up: its children ended too often.
    Intensity = "supervisor.intensity" {
        /// The supervisor.
        pid: String,
        /// Its module.
        module: String,
        /// How many restarts it allows.
        intensity: u64,
        /// Within which time.
        period_ms: u64,
    }

    /// The library of an app was loaded.
    CodeLoaded = "code.loaded" {
        /// The app.
        app: String,
        /// Its version.
        version: String,
    }
    /// A version of a module was purged: no process runs it any more.
    CodePurged = "code.purged" {
        /// The module.
        module: String,
        /// The version.
        version: String,
        /// The app of the module.
        app: String,
    }
    /// A library that was purged has left the address space.
    CodeUnmapped = "code.unmapped" {
        /// The app.
        app: String,
        /// Its version.
        version: String,
    }

    /// `relctl status` shows an alarm that it did not show before.
    AlarmRaised = "alarm.raised" {
        /// What it is about: the same as when it is cleared.
        about: String,
        /// The alarm.
        text: String,
    }
    /// `relctl status` shows an alarm no more.
    AlarmCleared = "alarm.cleared" {
        /// What it was about.
        about: String,
        /// The alarm as it was last shown.
        text: String,
    }

    /// Not an event but the lack of some: the client was too slow, or comes back too late.
    Dropped = "dropped" {
        /// How many events of this daemon the client has missed here.
        missed: u64,
        /// Whether the daemon has restarted since the event after which the client asked. Events of
        /// the daemon before are not known any more.
        restarted: bool,
    }
}

/// The last lines of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogList {
    /// The oldest first.
    pub lines: Vec<LogLine>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Grows by one with each line; as [`Event::id`], of its own.
    pub id: u64,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// How serious it is.
    pub level: LogLevel,
    /// The part of the daemon that logged it; `app` for what apps print and log.
    pub target: String,
    /// The app that it is of or about, where that is known.
    pub app: Option<String>,
    /// The text.
    pub message: String,
    /// What was logged beside it: the module, the pid, …
    pub fields: Map<String, Value>,
}

/// How serious a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// For those who look for a fault.
    Debug,
    /// Everything.
    Trace,
}

/// What a client that follows the log is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Followed {
    /// A line.
    Line(LogLine),
    /// Some are missing here: as [`What::Dropped`], of all apps together.
    Dropped {
        /// How many lines of this daemon.
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
    fn an_event_is_read_from_the_fields_of_the_log_and_is_flat_on_the_wire() {
        let logged = json!({"kind": "release.committed", "vsn": "1.1.0", "message": "committed"});
        let what: What = serde_json::from_value(logged).unwrap();
        assert_eq!(what.kind(), "release.committed");
        let event = Event { id: 7, time: "now".to_owned(), what };
        let wire = json!({"id": 7, "time": "now", "kind": "release.committed", "version": "1.1.0"});
        assert_eq!(serde_json::to_value(&event).unwrap(), wire);
        assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), event);
    }
}
