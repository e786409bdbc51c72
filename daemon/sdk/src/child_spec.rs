//! The spec returned by a supervisor's init: name, strategy, intensity and children.

use std::time::Duration;

use reld_wire::spec::{self as wire, Strategy};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec;
use crate::face::face;
use crate::time::milliseconds;

face! {
    /// The condition on which a supervisor ends after significant children have ended for good.
    /// OTP: `auto_shutdown`.
    #[derive(Default)]
    pub enum AutoShutdown = wire::AutoShutdown {
        /// The supervisor never ends for that reason. Then no child may be significant.
        #[default]
        Never,
        /// The supervisor ends when the first significant child has ended.
        AnySignificant,
        /// The supervisor ends when the last significant child has ended.
        AllSignificant,
    }
}

/// A supervisor's name, strategy, restart intensity and children. OTP: `{SupFlags, [ChildSpec]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SupervisorSpec(wire::SupervisorSpec);

impl SupervisorSpec {
    /// Restarts only the child that ended. The default intensity is 1 restart in 5 seconds, as in
    /// OTP.
    pub fn one_for_one() -> Self {
        Self::of(Strategy::OneForOne)
    }

    /// When a child ends, ends all other children and starts all of them again. Use it for children
    /// that depend on each other. Temporary children are not started again.
    pub fn one_for_all() -> Self {
        Self::of(Strategy::OneForAll)
    }

    /// When a child ends, ends the children that were started after it, and starts all of these
    /// again. Use it for children that depend on earlier ones. Temporary children are not started
    /// again.
    pub fn rest_for_one() -> Self {
        Self::of(Strategy::RestForOne)
    }

    /// Supervises any number of children of one kind. Each child is started by
    /// [`start_child_of`](crate::supervisor::start_child_of). The id of the template is not used.
    pub fn simple_one_for_one(template: ChildSpec) -> Self {
        Self::of(Strategy::SimpleOneForOne).child(template)
    }

    fn of(strategy: Strategy) -> Self {
        Self(wire::SupervisorSpec {
            name: None,
            strategy: Some(strategy),
            intensity: Some(1),
            period_ms: Some(5_000),
            auto_shutdown: None,
            children: Vec::new(),
        })
    }

    /// Registers the supervisor under this name before its children start, so that they and other
    /// processes can send it requests by name. If another process has the name, the supervisor does
    /// not start. A name is not empty, has no `/` and does not look like a pid. OTP:
    /// `supervisor:start_link({local, Name}, Module, Args)`.
    ///
    /// For `change = "supervisor"` in an appup, the name of the new spec replaces that of the old
    /// one at the moment when the new code becomes current. The upgrade fails, and is rolled back,
    /// if another process has the new name. A name that `init` has registered by itself stays.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.0.name = Some(name.to_owned());
        self
    }

    /// Sets the restart intensity. After more than `restarts` restarts in one `period` the
    /// supervisor ends, with all children.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.0.intensity = Some(restarts);
        self.0.period_ms = Some(milliseconds(period));
        self
    }

    /// Makes the supervisor end with `shutdown` when [significant](ChildSpec::significant) children
    /// have ended for good.
    #[must_use]
    pub fn auto_shutdown(mut self, when: AutoShutdown) -> Self {
        self.0.auto_shutdown = (when != AutoShutdown::Never).then(|| when.into());
        self
    }

    /// Adds a child. Children start in the order in which they are added, and stop in reverse
    /// order.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.0.children.push(child.0);
        self
    }

    /// Returns the spec as JSON; `None` if an id or a start argument has no JSON form.
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        let read = |value: &[u8]| codec::decode::<serde_json::Value>(value).ok();
        let mut json = serde_json::to_value(&self.0).ok()?;
        for (shown, child) in json["children"].as_array_mut()?.iter_mut().zip(&self.0.children) {
            shown["id"] = read(&child.id)?;
            shown["args"] = read(child.args.as_deref()?)?;
        }
        Some(json)
    }
}

face! {
    /// The condition on which a child is restarted.
    pub enum Restart = wire::Restart {
        /// The child is always restarted.
        Permanent,
        /// The child is restarted after an abnormal end, but not after `normal` and `shutdown`.
        Transient,
        /// The child is never restarted, and its spec is removed.
        Temporary,
    }
}

/// The way in which a supervisor stops a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "wire::Shutdown", from = "wire::Shutdown")]
pub enum Shutdown {
    /// Sends `shutdown`, and kills the child if it still runs after this time.
    Within(Duration),
    /// Sends `shutdown`, and waits for ever. Use it for supervisors.
    Infinity,
    /// Kills the child at once. OTP: `brutal_kill`.
    BrutalKill,
}

impl From<Shutdown> for wire::Shutdown {
    fn from(shutdown: Shutdown) -> Self {
        match shutdown {
            Shutdown::Within(time) => Self::Ms(milliseconds(time)),
            Shutdown::Infinity => Self::Infinity,
            Shutdown::BrutalKill => Self::BrutalKill,
        }
    }
}

impl From<wire::Shutdown> for Shutdown {
    fn from(wire: wire::Shutdown) -> Self {
        match wire {
            wire::Shutdown::Ms(ms) => Self::Within(Duration::from_millis(ms)),
            wire::Shutdown::Infinity => Self::Infinity,
            wire::Shutdown::BrutalKill => Self::BrutalKill,
        }
    }
}

face! {
    /// Whether a child is a supervisor.
    pub enum ChildType = wire::ChildType {
        /// Any process that is not a supervisor.
        Worker,
        /// A supervisor.
        Supervisor,
    }
}

/// How a supervisor starts, restarts and stops one child. OTP: child spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChildSpec(pub(crate) wire::ChildSpec);

/// Converts a spec from the daemon, which writes `significant` for each child; only `true` is kept.
impl From<wire::ChildSpec> for ChildSpec {
    fn from(spec: wire::ChildSpec) -> Self {
        let significant = spec.significant.filter(|is| *is);
        Self(wire::ChildSpec { significant, ..spec })
    }
}

impl ChildSpec {
    /// The spec of a worker that runs `module`, started with `args`. It is permanent and has 5
    /// seconds to stop.
    ///
    /// The id is any value that is unique in the worker's supervisor.
    ///
    /// # Panics
    /// If `id` or `args` cannot be serialized. The start of the supervisor then fails with that
    /// panic.
    pub fn worker(id: impl Serialize, module: &str, args: impl Serialize) -> Self {
        Self(wire::ChildSpec {
            id: written("id", &id),
            module: module.to_owned(),
            args: Some(written("start argument", &args)),
            restart: Some(wire::Restart::Permanent),
            significant: None,
            shutdown: Some(Shutdown::Within(Duration::from_secs(5)).into()),
            child_type: Some(wire::ChildType::Worker),
        })
    }

    /// The spec of a supervisor that runs `module`, started with `args`. It is permanent and has
    /// unlimited time to stop.
    ///
    /// # Panics
    /// The same as for [`ChildSpec::worker`].
    pub fn supervisor(id: impl Serialize, module: &str, args: impl Serialize) -> Self {
        let Self(worker) = Self::worker(id, module, args);
        let (shutdown, child_type) = (Some(wire::Shutdown::Infinity), Some(wire::ChildType::Supervisor));
        Self(wire::ChildSpec { shutdown, child_type, ..worker })
    }

    /// Sets when the child is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.0.restart = Some(restart.into());
        self
    }

    /// Makes the end of the child count for [`SupervisorSpec::auto_shutdown`]. Use it only for a
    /// transient or temporary child, because a permanent one never ends for good. OTP:
    /// `significant`.
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.0.significant = Some(true);
        self
    }

    /// Sets how the child is stopped.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.0.shutdown = Some(shutdown.into());
        self
    }
}

fn written(what: &str, value: &impl Serialize) -> ByteBuf {
    let written = codec::encode(value).map(ByteBuf::from);
    written.unwrap_or_else(|error| panic!("the {what} of a child cannot be serialized: {error}"))
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
        let significant = ChildSpec::worker(5, "m", 6).restart(Restart::Temporary).significant();
        check(
            &SupervisorSpec::rest_for_one().auto_shutdown(AutoShutdown::AllSignificant).child(significant),
            concat!(
                r#"{"strategy": "rest_for_one", "intensity": 1, "period_ms": 5000, "auto_shutdown": "all_significant", "#,
                r#""children": [{"id": [5], "module": "m", "args": [6], "restart": "temporary", "significant": true, "#,
                r#""shutdown": {"ms": 5000}, "type": "worker"}]}"#,
            ),
        );
        check(
            &SupervisorSpec::one_for_all(),
            r#"{"strategy": "one_for_all", "intensity": 1, "period_ms": 5000, "children": []}"#,
        );
        check(
            &SupervisorSpec::one_for_all().named("sup"),
            r#"{"name": "sup", "strategy": "one_for_all", "intensity": 1, "period_ms": 5000, "children": []}"#,
        );
    }

    #[test]
    fn a_child_spec_is_read_as_it_is_written() {
        let spec = ChildSpec::supervisor("a", "m", (1, "x")).restart(Restart::Transient).significant();
        let bytes = crate::codec::encode(&spec).expect("encodes");
        assert_eq!(crate::codec::decode(&bytes), Ok(spec));
    }
}
