//! What a supervisor's init answers: its flags and its children. OTP: supervisor flags, child specification.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;

use crate::words::term;

/// How a supervisor acts on a child's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only that child is restarted.
    #[default]
    OneForOne,
    /// All others are ended, and all are started again.
    OneForAll,
    /// Those started after it are ended, and it and they are started again.
    RestForOne,
    /// One template, children by pid, started by request.
    SimpleOneForOne,
}

/// Whether a supervisor ends when significant children have ended by themselves for good. OTP: auto_shutdown, g.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// It does not; then no child may be significant.
    #[default]
    Never,
    /// When the first of them has.
    AnySignificant,
    /// When the last of them has.
    AllSignificant,
}

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Unless it ended normally or by shutdown.
    Transient,
    /// Never; its row goes.
    Temporary,
}

/// How a child is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// Told to shut down, and waited for.
    Infinity,
    /// Killed.
    BrutalKill,
    /// Told to shut down, killed after so many milliseconds.
    Ms(u64),
}

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Any process that is no supervisor.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}

/// One child of a supervisor. What is left out when it is read has OTP's default, g.2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Given")]
pub struct ChildSpec {
    /// Its name among its siblings: a MessagePack value.
    pub id: ByteBuf,
    /// The module that is started.
    pub module: String,
    /// The start argument: a MessagePack value.
    pub args: ByteBuf,
    /// When it is started again.
    pub restart: Restart,
    /// Whether its end for good counts for the supervisor's own: [`AutoShutdown`].
    pub significant: bool,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ChildType,
}

/// A child spec as it was given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(deserialize_with = "read_id")]
    id: ByteBuf,
    module: String,
    #[serde(default = "nil")]
    args: ByteBuf,
    #[serde(default)]
    restart: Restart,
    #[serde(default)]
    significant: bool,
    #[serde(default)]
    shutdown: Option<Shutdown>,
    #[serde(default, rename = "type")]
    kind: ChildType,
}

fn nil() -> ByteBuf {
    ByteBuf::from(term::encode(&()))
}

/// Reads an id in the form in which ids are compared.
pub(crate) fn read_id<'de, D: Deserializer<'de>>(given: D) -> Result<ByteBuf, D::Error> {
    let id = ByteBuf::deserialize(given)?;
    Ok(ByteBuf::from(term::shortest(&id)))
}

impl From<Given> for ChildSpec {
    fn from(given: Given) -> Self {
        let Given { id, module, args, restart, significant, shutdown, kind } = given;
        let shutdown = shutdown.unwrap_or_else(|| Shutdown::usual(kind));
        Self { id, module, args, restart, significant, shutdown, kind }
    }
}

impl Shutdown {
    /// Returns OTP's default: five seconds for a worker, as long as it takes for a supervisor.
    pub fn usual(kind: ChildType) -> Self {
        match kind {
            ChildType::Worker => Self::Ms(5000),
            ChildType::Supervisor => Self::Infinity,
        }
    }
}

impl ChildSpec {
    /// Checks whether a supervisor that shuts itself down so can have this child. OTP: `bad_combination`, g.2.
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

/// What a supervisor's init answers. What is left out when it is read has OTP's default, g.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorSpec {
    /// How it acts on a child's end.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many restarts are allowed in `period_ms`.
    #[serde(default = "usual_intensity")]
    pub intensity: u32,
    /// The time in which restarts are counted.
    #[serde(default = "usual_period_ms")]
    pub period_ms: u64,
    /// Whether it ends with its significant children.
    #[serde(default)]
    pub auto_shutdown: AutoShutdown,
    /// The children, in start order; for simple_one_for_one exactly one, the template.
    #[serde(default)]
    pub children: Vec<ChildSpec>,
}

fn usual_intensity() -> u32 {
    1
}

fn usual_period_ms() -> u64 {
    5000
}

impl SupervisorSpec {
    pub(crate) fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms)
    }

    /// Checks what OTP's `check_childspecs` checks, as far as types leave something open.
    pub(crate) fn check(&self) -> Result<(), String> {
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

/// Shows a child id, for errors and logs.
pub(crate) fn show_id(id: &[u8]) -> String {
    rmp_serde::from_slice::<serde::de::IgnoredAny>(id)
        .map_or_else(|_| format!("{id:?}"), |_| Shown(id).to_string())
}

/// A MessagePack scalar in JSON's spelling; ids are numbers and words nearly always.
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
            kind: ChildType::Worker,
        }
    }

    fn spec(strategy: Strategy, children: Vec<ChildSpec>) -> SupervisorSpec {
        SupervisorSpec {
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
    fn a_significant_child_needs_an_end_for_good_and_a_supervisor_that_cares() {
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
    fn an_id_is_the_same_in_however_many_bytes_it_was_written() {
        // str 16, as C might write it, and fixstr, as Rust does; 1 in nine bytes and in one.
        for (long, short) in [(&b"\xda\0\x01a"[..], encode(&"a")), (b"\xcf\0\0\0\0\0\0\0\x01", encode(&1))] {
            let request = rmpv::Value::Map(vec![("delete_child".into(), rmpv::Value::Binary(long.to_vec()))]);
            let read: crate::Request = term::decode(&encode(&request)).expect("it is a request");
            assert_eq!(read, crate::Request::DeleteChild(ByteBuf::from(short)));
        }
    }

    #[test]
    fn what_is_left_out_has_the_default_of_otp() {
        let id = || rmpv::Value::Binary(encode(&1_u32));
        let worker = rmpv::Value::Map(vec![("id".into(), id()), ("module".into(), "m".into())]);
        let read: ChildSpec = term::decode(&encode(&worker)).expect("nothing else is needed");
        assert_eq!(read, child(1));
        let supervisor =
            [("id".into(), id()), ("module".into(), "m".into()), ("type".into(), "supervisor".into())];
        let read: ChildSpec =
            term::decode(&encode(&rmpv::Value::Map(supervisor.to_vec()))).expect("it is whole");
        assert_eq!(read.shutdown, Shutdown::Infinity);
        let read: SupervisorSpec = term::decode(&encode(&rmpv::Value::Map(vec![]))).expect("it is whole");
        assert_eq!(read, spec(Strategy::OneForOne, vec![]));
    }

    #[test]
    fn a_bad_spec_is_refused_by_name() {
        check(Strategy::OneForOne, 5000, &[1, 2], Ok(()));
        check(Strategy::OneForOne, 5000, &[], Ok(()));
        check(Strategy::OneForOne, 5000, &[1, 2, 1], Err("duplicate_child_name: 1"));
        check(Strategy::OneForOne, 0, &[1], Err("period_ms is 0; it must be greater"));
        check(Strategy::SimpleOneForOne, 5000, &[1], Ok(()));
        let none = "simple_one_for_one takes one child spec, the template; 0 given";
        check(Strategy::SimpleOneForOne, 5000, &[], Err(none));
    }

    #[test]
    fn ids_are_shown_as_people_write_them() {
        assert_eq!(show_id(&encode(&10_000)), "10000");
        assert_eq!(show_id(&encode(&"keep")), "\"keep\"");
        assert_eq!(show_id(&[0xc1]), "[193]");
    }
}
