//! What a supervisor's init answers: strategy, intensity and children.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::milliseconds;
use crate::value::Value;

/// What a supervisor does when a child ends. OTP: strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    OneForOne,
    SimpleOneForOne,
}

/// A supervisor's strategy, restart intensity and children. OTP: `{SupFlags, [ChildSpec]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SupervisorSpec {
    strategy: Strategy,
    intensity: u32,
    period_ms: u64,
    children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// Restarts the child that ended, and only that. At most 1 restart in 5 seconds, as in OTP.
    pub fn one_for_one() -> Self {
        Self { strategy: Strategy::OneForOne, intensity: 1, period_ms: 5_000, children: Vec::new() }
    }

    /// Has any number of children of one kind, started by
    /// [`start_child_of`](crate::supervisor::start_child_of). The template's id is not used.
    pub fn simple_one_for_one(template: ChildSpec) -> Self {
        Self { strategy: Strategy::SimpleOneForOne, children: vec![template], ..Self::one_for_one() }
    }

    /// Gives up, with all children, when more than `restarts` fall into one `period`.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = restarts;
        self.period_ms = milliseconds(period);
        self
    }

    /// Adds a child. They start in this order and stop in reverse.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Returns the spec as JSON; `None` where an id or a start argument has no such form.
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        let mut json = serde_json::to_value(self).ok()?;
        for (shown, child) in json["children"].as_array_mut()?.iter_mut().zip(&self.children) {
            shown["id"] = child.id.read().ok()?;
            shown["args"] = child.args.read().ok()?;
        }
        Some(json)
    }
}

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always.
    Permanent,
    /// After a crash or a kill; not after `normal` and `shutdown`.
    Transient,
    /// Never, and its spec is forgotten.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Asked by `shutdown`, killed when it still runs after that time.
    Within(Duration),
    /// Asked by `shutdown`, waited for without end. For supervisors.
    Infinity,
    /// Killed at once. OTP: `brutal_kill`.
    BrutalKill,
}

impl Serialize for Shutdown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Wire {
            Ms(u64),
            Infinity,
            BrutalKill,
        }
        let wire = match self {
            Self::Within(time) => Wire::Ms(milliseconds(*time)),
            Self::Infinity => Wire::Infinity,
            Self::BrutalKill => Wire::BrutalKill,
        };
        wire.serialize(serializer)
    }
}

/// Whether a child is a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Any process that is not a supervisor.
    Worker,
    /// A supervisor.
    Supervisor,
}

/// How a supervisor starts, restarts and stops one child. OTP: child spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChildSpec {
    id: Value,
    module: String,
    args: Value,
    restart: Restart,
    shutdown: Shutdown,
    #[serde(rename = "type")]
    child_type: ChildType,
}

impl ChildSpec {
    /// A child of `module`, started with `args`; permanent, 5 seconds to stop.
    ///
    /// The id is any value; it is unique in its supervisor.
    ///
    /// # Panics
    /// When the `Serialize` of `id` or `args` refuses. The supervisor then fails to start, saying so.
    pub fn worker(id: impl Serialize, module: &str, args: impl Serialize) -> Self {
        Self {
            id: written("id", &id),
            module: module.to_owned(),
            args: written("start argument", &args),
            restart: Restart::Permanent,
            shutdown: Shutdown::Within(Duration::from_secs(5)),
            child_type: ChildType::Worker,
        }
    }

    /// A child that is a supervisor; permanent, any time to stop.
    ///
    /// # Panics
    /// As [`ChildSpec::worker`].
    pub fn supervisor(id: impl Serialize, module: &str, args: impl Serialize) -> Self {
        let worker = Self::worker(id, module, args);
        Self { shutdown: Shutdown::Infinity, child_type: ChildType::Supervisor, ..worker }
    }

    /// Sets when it is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets how it is stopped.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }
}

fn written(what: &str, value: &impl Serialize) -> Value {
    Value::write(value).unwrap_or_else(|error| panic!("the {what} of a child cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: &SupervisorSpec, expected: &str) {
        assert_eq!(crate::codec::shown(spec), expected);
    }

    #[test]
    fn a_spec_is_written_as_the_daemon_reads_it() {
        check(
            &SupervisorSpec::one_for_one()
                .intensity(3, Duration::from_secs(1))
                .child(ChildSpec::worker(5, "counter", ()).restart(Restart::Transient))
                .child(ChildSpec::supervisor(6, "sup", 7).shutdown(Shutdown::BrutalKill)),
            concat!(
                r#"{"strategy": "one_for_one", "intensity": 3, "period_ms": 1000, "children": ["#,
                r#"{"id": [5], "module": "counter", "args": [192], "restart": "transient", "shutdown": {"ms": 5000}, "#,
                r#""type": "worker"}, "#,
                r#"{"id": [6], "module": "sup", "args": [7], "restart": "permanent", "shutdown": "brutal_kill", "#,
                r#""type": "supervisor"}]}"#,
            ),
        );
        check(
            &SupervisorSpec::simple_one_for_one(
                ChildSpec::worker(5, "conn", 6).shutdown(Shutdown::Infinity).restart(Restart::Temporary),
            ),
            concat!(
                r#"{"strategy": "simple_one_for_one", "intensity": 1, "period_ms": 5000, "children": ["#,
                r#"{"id": [5], "module": "conn", "args": [6], "restart": "temporary", "shutdown": "infinity", "#,
                r#""type": "worker"}]}"#,
            ),
        );
    }
}
