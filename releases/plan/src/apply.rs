//! Calls of the built-in modules `supervisor` and `application`, for the planner and the node.
//!
//! | call | arguments | when | if it fails |
//! |---|---|---|---|
//! | `supervisor:rename_child` | supervisor, id, new id | before the gate | is undone |
//! | `supervisor:start_child` | supervisor, spec | after the switch, before the resume if possible | the upgrade is reverted |
//! | `supervisor:restart_child` | supervisor, id | after the switch, before the resume if possible | the upgrade is reverted |
//! | `supervisor:terminate_child`, `delete_child` | supervisor, id | after the switch | a warning |
//! | `application:start`, `load` | app | after the switch | the upgrade is reverted |
//! | `application:stop`, `unload` | app | after the switch | a warning |
//!
//! A supervisor is given by its registered name or by its tree path: `"shop/till_sup"` is the child
//! `till_sup` of the root of the app `shop`, and `"shop"` is the root itself. Unlike OTP, an appup
//! can therefore address a supervisor without a registered name. `To` in the SDK describes paths.

use std::fmt;

use serde_json::Value;

use crate::instr::{Apply, SyncWith};
use crate::name::AppName;
use crate::print::inline;

/// A call of a built-in module.
#[derive(Debug, Clone, PartialEq)]
pub enum BuiltIn {
    /// Adds a child and starts it.
    StartChild {
        /// The supervisor.
        supervisor: String,
        /// A table with `id` and `module`, and optionally the other parts of a child spec.
        spec: Value,
    },
    /// Starts a child that has a child spec but does not run.
    RestartChild {
        /// The supervisor.
        supervisor: String,
        /// The child.
        id: Value,
    },
    /// Terminates a child; its child spec stays.
    TerminateChild {
        /// The supervisor.
        supervisor: String,
        /// The child.
        id: Value,
    },
    /// Removes the child spec of a child that does not run.
    DeleteChild {
        /// The supervisor.
        supervisor: String,
        /// The child.
        id: Value,
    },
    /// Changes the id of a running child. OTP treats a changed id as another child.
    RenameChild {
        /// The supervisor.
        supervisor: String,
        /// The child.
        id: Value,
        /// Its new id.
        new: Value,
    },
    /// Starts an app.
    StartApplication(AppName),
    /// Loads an app.
    LoadApplication(AppName),
    /// Stops an app.
    StopApplication(AppName),
    /// Unloads a stopped app.
    UnloadApplication(AppName),
}

impl BuiltIn {
    /// Returns whether the call terminates something, which cannot be undone.
    pub const fn ends(&self) -> bool {
        matches!(
            self,
            Self::TerminateChild { .. }
                | Self::DeleteChild { .. }
                | Self::StopApplication(_)
                | Self::UnloadApplication(_)
        )
    }

    /// Returns whether the call starts a child of a supervisor.
    pub const fn starts_child(&self) -> bool {
        matches!(self, Self::StartChild { .. } | Self::RestartChild { .. })
    }

    /// Returns the call that undoes a renaming. The other calls run after the switch, where nothing
    /// is undone.
    pub fn undo(&self) -> Option<Self> {
        match self {
            Self::RenameChild { supervisor, id, new } => {
                Some(Self::RenameChild { supervisor: supervisor.clone(), id: new.clone(), new: id.clone() })
            }
            _ => None,
        }
    }
}

impl Apply {
    /// Parses the call of a built-in module; `None` for a module of an app.
    ///
    /// # Errors
    /// The text of the mistake in the call.
    pub fn built_in(&self) -> Option<Result<BuiltIn, String>> {
        let module = self.module.as_str();
        matches!(module, "supervisor" | "application").then(|| match module {
            "supervisor" => self.of_supervisor(),
            _ => self.of_application(),
        })
    }

    fn of_supervisor(&self) -> Result<BuiltIn, String> {
        let supervisor = || match self.args.first() {
            Some(Value::String(place)) => Ok(place.clone()),
            _ => Err("the first argument must be the supervisor: its name, or its place as \"app/child\""
                .to_owned()),
        };
        match (self.function.as_str(), self.args.get(1..).unwrap_or_default()) {
            ("start_child", [spec]) if spec.get("id").is_some() && spec.get("module").is_some() => {
                Ok(BuiltIn::StartChild { supervisor: supervisor()?, spec: spec.clone() })
            }
            ("start_child", _) => {
                Err("the arguments must be the supervisor and a table with id and module".to_owned())
            }
            ("restart_child", [id]) => {
                Ok(BuiltIn::RestartChild { supervisor: supervisor()?, id: id.clone() })
            }
            ("terminate_child", [id]) => {
                Ok(BuiltIn::TerminateChild { supervisor: supervisor()?, id: id.clone() })
            }
            ("delete_child", [id]) => Ok(BuiltIn::DeleteChild { supervisor: supervisor()?, id: id.clone() }),
            ("rename_child", [id, new]) => {
                Ok(BuiltIn::RenameChild { supervisor: supervisor()?, id: id.clone(), new: new.clone() })
            }
            ("restart_child" | "terminate_child" | "delete_child", _) => {
                Err("the arguments must be the supervisor and the child's id".to_owned())
            }
            ("rename_child", _) => {
                Err("the arguments must be the supervisor, the child's id and its new id".to_owned())
            }
            (function, _) => Err(format!(
                "supervisor has no {function}; it has start_child, restart_child, terminate_child, delete_child and rename_child"
            )),
        }
    }

    /// Reads a call of `application`. OTP's `start` also takes a start type; here `release.toml`
    /// has the start type.
    fn of_application(&self) -> Result<BuiltIn, String> {
        let app = match self.args.first().map(|name| name.as_str().map(str::parse::<AppName>)) {
            Some(Some(Ok(app))) => Ok(app),
            _ => Err("the first argument must be the app's name".to_owned()),
        };
        match (self.function.as_str(), self.args.len()) {
            ("start", 1 | 2) => app.map(BuiltIn::StartApplication),
            ("load", 1) => app.map(BuiltIn::LoadApplication),
            ("stop", 1) => app.map(BuiltIn::StopApplication),
            ("unload", 1) => app.map(BuiltIn::UnloadApplication),
            ("start" | "load" | "stop" | "unload", _) => {
                Err("the argument must be the app's name".to_owned())
            }
            (function, _) => {
                Err(format!("application has no {function}; it has start, load, stop and unload"))
            }
        }
    }

    /// Returns whether the call starts a child of a supervisor.
    pub fn starts_child(&self) -> bool {
        self.built_in().is_some_and(|call| call.is_ok_and(|call| call.starts_child()))
    }

    /// Returns whether the call gives a child another id.
    pub(crate) fn renames_child(&self) -> bool {
        self.module.as_str() == "supervisor" && self.function == "rename_child"
    }
}

impl fmt::Display for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<_> = self.args.iter().map(inline).collect();
        write!(f, "{}:{}({})", self.module, self.function, args.join(", "))?;
        self.undo.iter().try_for_each(|undo| write!(f, ", undo {undo}"))
    }
}

impl fmt::Display for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartChild { supervisor, spec } => {
                write!(f, "supervisor:start_child({supervisor:?}, {})", inline(spec))
            }
            Self::RestartChild { supervisor, id } => {
                write!(f, "supervisor:restart_child({supervisor:?}, {})", inline(id))
            }
            Self::TerminateChild { supervisor, id } => {
                write!(f, "supervisor:terminate_child({supervisor:?}, {})", inline(id))
            }
            Self::DeleteChild { supervisor, id } => {
                write!(f, "supervisor:delete_child({supervisor:?}, {})", inline(id))
            }
            Self::RenameChild { supervisor, id, new } => {
                write!(f, "supervisor:rename_child({supervisor:?}, {}, {})", inline(id), inline(new))
            }
            Self::StartApplication(app) => write!(f, "application:start({app})"),
            Self::LoadApplication(app) => write!(f, "application:load({app})"),
            Self::StopApplication(app) => write!(f, "application:stop({app})"),
            Self::UnloadApplication(app) => write!(f, "application:unload({app})"),
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(module: &str, function: &str, args: Value) -> Apply {
        let Value::Array(args) = args else { panic!("arguments are an array") };
        Apply { module: module.parse().unwrap(), function: function.to_owned(), args, undo: None }
    }

    #[track_caller]
    fn check(module: &str, function: &str, args: Value, expected: Result<&str, &str>) {
        let read = apply(module, function, args).built_in().expect("a built-in module");
        let read = read.map(|call| call.to_string());
        assert_eq!(read.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn a_call_of_a_built_in_module_is_understood_or_says_what_it_lacks() {
        let of_child = "the arguments must be the supervisor and the child's id";
        check(
            "supervisor",
            "restart_child",
            json!(["shop/sup", 7]),
            Ok("supervisor:restart_child(\"shop/sup\", 7)"),
        );
        check("supervisor", "restart_child", json!(["sup"]), Err(of_child));
        check("supervisor", "delete_child", json!([]), Err(of_child));
        let rename = "supervisor:rename_child(\"sup\", \"a\", \"b\")";
        check("supervisor", "rename_child", json!(["sup", "a", "b"]), Ok(rename));
        check(
            "supervisor",
            "restart_child",
            json!([1, "a"]),
            Err("the first argument must be the supervisor: its name, or its place as \"app/child\""),
        );
        check(
            "supervisor",
            "start_child",
            json!(["sup", {"id": 1}]),
            Err("the arguments must be the supervisor and a table with id and module"),
        );
        check(
            "supervisor",
            "stop",
            json!(["sup"]),
            Err(
                "supervisor has no stop; it has start_child, restart_child, terminate_child, delete_child and rename_child",
            ),
        );
        check("application", "start", json!(["till", "permanent"]), Ok("application:start(till)"));
        check("application", "stop", json!([7]), Err("the first argument must be the app's name"));
        check(
            "application",
            "info",
            json!(["till"]),
            Err("application has no info; it has start, load, stop and unload"),
        );
    }

    #[test]
    fn a_call_of_an_app_is_none_of_them() {
        assert_eq!(apply("till", "stop", json!(["sup"])).built_in(), None);
    }

    #[test]
    fn a_renaming_is_taken_back_by_the_opposite_one() {
        let call = apply("supervisor", "rename_child", json!(["sup", "a", "b"])).built_in().unwrap().unwrap();
        let back = call.undo().unwrap();
        assert_eq!(back.to_string(), "supervisor:rename_child(\"sup\", \"b\", \"a\")");
        assert_eq!(back.undo(), Some(call));
    }
}
