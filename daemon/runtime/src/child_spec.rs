//! What a supervisor's init answers: its flags and its children. OTP: supervisor flags, child specification.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// How a supervisor acts on a child's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only that child is restarted.
    OneForOne,
    /// One template, children by pid, started by request.
    SimpleOneForOne,
}

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Any process that is no supervisor.
    Worker,
    /// A supervisor.
    Supervisor,
}

/// One child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildSpec {
    /// Its name among its siblings: a MessagePack value.
    pub id: ByteBuf,
    /// The module that is started.
    pub module: String,
    /// The start argument: a MessagePack value.
    pub args: ByteBuf,
    /// When it is started again.
    pub restart: Restart,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ChildType,
}

/// What a supervisor's init answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorSpec {
    /// How it acts on a child's end.
    pub strategy: Strategy,
    /// How many restarts are allowed in `period_ms`.
    pub intensity: u32,
    /// The time in which restarts are counted.
    pub period_ms: u64,
    /// The children, in start order; for simple_one_for_one exactly one, the template.
    pub children: Vec<ChildSpec>,
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
    use crate::term::encode;

    fn child(id: u32) -> ChildSpec {
        ChildSpec {
            id: ByteBuf::from(encode(&id)),
            module: "m".to_owned(),
            args: ByteBuf::from(encode(&())),
            restart: Restart::Permanent,
            shutdown: Shutdown::Ms(5000),
            kind: ChildType::Worker,
        }
    }

    #[track_caller]
    fn check(strategy: Strategy, period_ms: u64, ids: &[u32], expected: Result<(), &str>) {
        let children = ids.iter().map(|id| child(*id)).collect();
        let spec = SupervisorSpec { strategy, intensity: 1, period_ms, children };
        assert_eq!(spec.check(), expected.map_err(str::to_owned));
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
