//! What the planner knows of the built-in modules `supervisor` and `application`.

use std::fmt;

use serde_json::Value;

use crate::instr::{Apply, SyncWith};
use crate::print::inline;

impl Apply {
    /// Returns whether the call ends a child or forgets its spec: it cannot be taken back and is held until after the
    /// switch.
    pub fn ends_child(&self) -> bool {
        self.module.as_str() == "supervisor"
            && matches!(self.function.as_str(), "terminate_child" | "delete_child")
    }

    /// Returns whether the call ends an app, which cannot be taken back either.
    pub fn ends_application(&self) -> bool {
        self.module.as_str() == "application" && matches!(self.function.as_str(), "stop" | "unload")
    }

    /// Returns whether the daemon itself knows how to take the call back.
    pub fn has_known_undo(&self) -> bool {
        let function = self.function.as_str();
        match self.module.as_str() {
            "supervisor" => matches!(function, "start_child" | "restart_child" | "rename_child"),
            "application" => matches!(function, "start" | "load"),
            _ => false,
        }
    }

    /// Returns the supervisor or app that a built-in call is about.
    pub(crate) fn object(&self) -> Option<&Value> {
        matches!(self.module.as_str(), "supervisor" | "application").then(|| self.args.first()).flatten()
    }
}

impl fmt::Display for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<_> = self.args.iter().map(inline).collect();
        write!(f, "{}:{}({})", self.module, self.function, args.join(", "))?;
        self.undo.iter().try_for_each(|undo| write!(f, ", undo {undo}"))
    }
}

impl fmt::Display for SyncWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(nodes) => write!(f, "with [{}]", nodes.join(" ")),
            Self::From(call) => write!(f, "with the nodes of {call}"),
        }
    }
}
