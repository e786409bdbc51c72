//! The result of a supervisor's init: its name, its flags and its children. OTP: supervisor flags,
//! child specification.

use std::collections::HashSet;
use std::time::Duration;

use reld_wire::spec as wire;
pub(crate) use reld_wire::spec::{AutoShutdown, ChildType, Restart, Shutdown, Strategy};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::words::name::{NO_NAME, is_name};
use crate::words::term;

/// One child of a supervisor. Omitted members have OTP's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "wire::ChildSpec", into = "wire::ChildSpec")]
pub struct ChildSpec {
    /// The id of the child among its siblings: a MessagePack value in the shortest encoding, so
    /// that ids can be compared by their bytes.
    pub id: ByteBuf,
    /// The module to start.
    pub module: String,
    /// The start argument: a MessagePack value.
    pub args: ByteBuf,
    /// When the child is restarted.
    pub restart: Restart,
    /// Whether the final end of the child can shut down the supervisor, see [`AutoShutdown`].
    pub significant: bool,
    /// How the child is terminated.
    pub shutdown: Shutdown,
    /// Whether the child is a worker or a supervisor.
    pub child_type: ChildType,
}

/// Returns an id in the shortest encoding, so that ids can be compared by their bytes.
pub(crate) fn id(given: &[u8]) -> ByteBuf {
    ByteBuf::from(term::shortest(given))
}

impl From<wire::ChildSpec> for ChildSpec {
    fn from(given: wire::ChildSpec) -> Self {
        let wire::ChildSpec { id, module, args, restart, significant, shutdown, child_type } = given;
        let child_type = child_type.unwrap_or_default();
        Self {
            id: self::id(&id),
            module,
            args: args.unwrap_or_else(|| ByteBuf::from(term::encode(&()))),
            restart: restart.unwrap_or_default(),
            significant: significant.unwrap_or_default(),
            shutdown: shutdown.unwrap_or_else(|| usual_shutdown(child_type)),
            child_type,
        }
    }
}

/// Returns the default of OTP: five seconds for a worker, no limit for a supervisor.
fn usual_shutdown(child_type: ChildType) -> Shutdown {
    match child_type {
        ChildType::Worker => Shutdown::Ms(5000),
        ChildType::Supervisor => Shutdown::Infinity,
    }
}

/// The answer to `get_childspec`, which has all members.
impl From<ChildSpec> for wire::ChildSpec {
    fn from(spec: ChildSpec) -> Self {
        let ChildSpec { id, module, args, restart, significant, shutdown, child_type } = spec;
        Self {
            id,
            module,
            args: Some(args),
            restart: Some(restart),
            significant: Some(significant),
            shutdown: Some(shutdown),
            child_type: Some(child_type),
        }
    }
}

impl ChildSpec {
    /// Checks whether a supervisor with this `auto_shutdown` can have this child. OTP:
    /// `bad_combination`.
    pub(crate) fn check(&self, auto_shutdown: AutoShutdown) -> Result<(), String> {
        let refuse =
            |why: &str| Err(format!("bad_combination: child {} is significant, {why}", show_id(&self.id)));
        match (self.significant, self.restart, auto_shutdown) {
            (false, ..) => Ok(()),
            (true, Restart::Permanent, _) => refuse("but permanent: it never ends for good"),
            (true, _, AutoShutdown::Never) => refuse("but auto_shutdown is never"),
            (true, ..) => Ok(()),
        }
    }
}

/// The result of a supervisor's init. Omitted members have OTP's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "wire::SupervisorSpec", into = "wire::SupervisorSpec")]
pub struct SupervisorSpec {
    /// The name that it is registered under.
    pub name: Option<String>,
    /// The restart strategy.
    pub strategy: Strategy,
    /// How many restarts are allowed in `period_ms`.
    pub intensity: u32,
    /// The time in which restarts are counted.
    pub period_ms: u64,
    /// Whether the supervisor shuts down when significant children end.
    pub auto_shutdown: AutoShutdown,
    /// The children, in start order. A simple_one_for_one has exactly one entry, the template.
    pub children: Vec<ChildSpec>,
}

impl From<wire::SupervisorSpec> for SupervisorSpec {
    fn from(given: wire::SupervisorSpec) -> Self {
        let wire::SupervisorSpec { name, strategy, intensity, period_ms, auto_shutdown, children } = given;
        Self {
            name,
            strategy: strategy.unwrap_or_default(),
            intensity: intensity.unwrap_or(1),
            period_ms: period_ms.unwrap_or(5000),
            auto_shutdown: auto_shutdown.unwrap_or_default(),
            children: children.into_iter().map(ChildSpec::from).collect(),
        }
    }
}

impl From<SupervisorSpec> for wire::SupervisorSpec {
    fn from(spec: SupervisorSpec) -> Self {
        let SupervisorSpec { name, strategy, intensity, period_ms, auto_shutdown, children } = spec;
        Self {
            name,
            strategy: Some(strategy),
            intensity: Some(intensity),
            period_ms: Some(period_ms),
            auto_shutdown: Some(auto_shutdown),
            children: children.into_iter().map(wire::ChildSpec::from).collect(),
        }
    }
}

impl SupervisorSpec {
    pub(crate) fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms)
    }

    /// Makes those checks of OTP's `check_childspecs` that the types do not make already.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(name) = self.name.as_deref().filter(|name| !is_name(name)) {
            return Err(format!("its name is {name:?}; {NO_NAME}"));
        }
        if self.period_ms == 0 {
            return Err("period_ms is 0; it must be greater".to_owned());
        }
        if self.strategy == Strategy::SimpleOneForOne && self.children.len() != 1 {
            return Err(format!(
                "simple_one_for_one takes one child spec, the template; {} given",
                self.children.len()
            ));
        }
        self.children.iter().try_for_each(|child| child.check(self.auto_shutdown))?;
        let mut seen = HashSet::new();
        match self.children.iter().find(|child| !seen.insert(&child.id)) {
            Some(twice) => Err(format!("duplicate_child_name: {}", show_id(&twice.id))),
            None => Ok(()),
        }
    }
}

/// Formats a child id for errors and logs.
pub(crate) fn show_id(id: &[u8]) -> String {
    rmp_serde::from_slice::<serde::de::IgnoredAny>(id)
        .map_or_else(|_| format!("{id:?}"), |_| Shown(id).to_string())
}

/// Formats a MessagePack scalar as JSON. Nearly all ids are numbers or strings.
struct Shown<'a>(&'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Ok(number) = rmp_serde::from_slice::<i64>(self.0) {
            return write!(f, "{number}");
        }
        if let Ok(number) = rmp_serde::from_slice::<u64>(self.0) {
            return write!(f, "{number}");
        }
        match rmp_serde::from_slice::<String>(self.0) {
            Ok(word) => write!(f, "{word:?}"),
            Err(_) => write!(f, "{:02x?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::term::encode;

    fn child(id: u32) -> ChildSpec {
        ChildSpec {
            id: ByteBuf::from(encode(&id)),
            module: "m".to_owned(),
            args: ByteBuf::from(encode(&())),
            restart: Restart::Permanent,
            significant: false,
            shutdown: Shutdown::Ms(5000),
            child_type: ChildType::Worker,
        }
    }

    fn spec(strategy: Strategy, children: Vec<ChildSpec>) -> SupervisorSpec {
        SupervisorSpec {
            name: None,
            strategy,
            intensity: 1,
            period_ms: 5000,
            auto_shutdown: AutoShutdown::Never,
            children,
        }
    }

    #[track_caller]
    fn check(strategy: Strategy, period_ms: u64, ids: &[u32], expected: Result<(), &str>) {
        let children = ids.iter().map(|id| child(*id)).collect();
        let spec = SupervisorSpec { period_ms, ..spec(strategy, children) };
        assert_eq!(spec.check(), expected.map_err(str::to_owned));
    }

    #[track_caller]
    fn check_significant(auto_shutdown: AutoShutdown, restart: Restart, expected: Result<(), &str>) {
        let child = ChildSpec { significant: true, restart, ..child(1) };
        let spec = SupervisorSpec { auto_shutdown, ..spec(Strategy::OneForOne, vec![child]) };
        let expected = expected.map_err(|why| format!("bad_combination: child 1 is significant, {why}"));
        assert_eq!(spec.check(), expected);
    }

    #[test]
    fn a_significant_child_must_not_be_permanent_and_needs_auto_shutdown() {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        for auto in [AnySignificant, AllSignificant] {
            check_significant(auto, Restart::Transient, Ok(()));
            check_significant(auto, Restart::Temporary, Ok(()));
            check_significant(auto, Restart::Permanent, Err("but permanent: it never ends for good"));
        }
        check_significant(Never, Restart::Transient, Err("but auto_shutdown is never"));
        check_significant(Never, Restart::Permanent, Err("but permanent: it never ends for good"));
    }

    #[test]
    fn an_id_is_the_same_in_every_encoding() {
        // The text is a str 16, as C might write it, and a fixstr, as Rust writes it. The number 1
        // takes nine bytes and one byte.
        for (long, short) in [(&b"\xda\0\x01a"[..], encode(&"a")), (b"\xcf\0\0\0\0\0\0\0\x01", encode(&1))] {
            assert_eq!(id(long), ByteBuf::from(short.clone()));
            let spec = rmpv::Value::Map(vec![("id".into(), long.into()), ("module".into(), "m".into())]);
            let read: ChildSpec = term::decode(&encode(&spec)).expect("the spec is complete");
            assert_eq!(read.id, ByteBuf::from(short));
        }
    }

    #[test]
    fn an_unknown_member_is_refused_by_name() {
        let child = [
            ("id", rmpv::Value::Binary(encode(&1))),
            ("module", "m".into()),
            ("restrat", "permanent".into()),
        ];
        let child = rmpv::Value::Map(child.map(|(name, value)| (name.into(), value)).to_vec());
        let spec = rmpv::Value::Map(vec![("children".into(), rmpv::Value::Array(vec![child.clone()]))]);
        let read = term::decode_known::<SupervisorSpec>(&encode(&spec));
        assert_eq!(read, Err("unknown field `children.0.restrat`".to_owned()));
        let request = rmpv::Value::Map(vec![("start_child".into(), child)]);
        let read = term::decode_known::<reld_wire::supervisor::Request>(&encode(&request));
        assert!(read.is_err_and(|why| why.ends_with(".restrat`")));
        let nil = rmpv::Value::Map(vec![("strategy".into(), rmpv::Value::Nil)]);
        assert!(term::decode_known::<SupervisorSpec>(&encode(&nil)).is_err(), "nil is not a strategy");
    }

    #[test]
    fn omitted_members_have_the_defaults_of_otp() {
        let id = || rmpv::Value::Binary(encode(&1_u32));
        let worker = rmpv::Value::Map(vec![("id".into(), id()), ("module".into(), "m".into())]);
        let read: ChildSpec = term::decode(&encode(&worker)).expect("id and module suffice");
        assert_eq!(read, child(1));
        let supervisor =
            [("id".into(), id()), ("module".into(), "m".into()), ("type".into(), "supervisor".into())];
        let read: ChildSpec =
            term::decode(&encode(&rmpv::Value::Map(supervisor.to_vec()))).expect("the spec is complete");
        assert_eq!(read.shutdown, Shutdown::Infinity);
        let read: SupervisorSpec =
            term::decode(&encode(&rmpv::Value::Map(vec![]))).expect("the spec is complete");
        assert_eq!(read, spec(Strategy::OneForOne, vec![]));
    }

    #[test]
    fn a_bad_spec_is_refused_with_the_reason() {
        check(Strategy::OneForOne, 5000, &[1, 2], Ok(()));
        check(Strategy::OneForOne, 5000, &[], Ok(()));
        check(Strategy::OneForOne, 5000, &[1, 2, 1], Err("duplicate_child_name: 1"));
        check(Strategy::OneForOne, 0, &[1], Err("period_ms is 0; it must be greater"));
        check(Strategy::SimpleOneForOne, 5000, &[1], Ok(()));
        let none = "simple_one_for_one takes one child spec, the template; 0 given";
        check(Strategy::SimpleOneForOne, 5000, &[], Err(none));
        let unnamed = SupervisorSpec { name: Some(String::new()), ..spec(Strategy::OneForOne, vec![]) };
        assert_eq!(unnamed.check(), Err(format!("its name is \"\"; {NO_NAME}")));
    }

    #[test]
    fn ids_are_formatted_as_json() {
        assert_eq!(show_id(&encode(&10_000)), "10000");
        assert_eq!(show_id(&encode(&"keep")), "\"keep\"");
        assert_eq!(show_id(&[0xc1]), "[193]");
    }
}
