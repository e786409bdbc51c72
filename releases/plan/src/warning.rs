//! What a person should know before an upgrade, though it stops nothing.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::instr::Mode;
use crate::name::{AppName, ModuleName};
use crate::script_print::Names;
use crate::version::Vsn;

/// A remark of the planner. Serialises as `{"class", "message", "args"}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// OTP: `bad_vsn`.
    #[error("the appup of {app}-{version} says that it belongs to version {appup}")]
    BadVsn {
        /// The app.
        app: AppName,
        /// The app's version.
        version: Vsn,
        /// The appup's.
        appup: Vsn,
    },
    /// OTP: `erts_vsn_changed`.
    #[error("the daemon changes from {from} to {to}: the node restarts")]
    DaemonChanged {
        /// The daemon's version in the release left.
        from: Vsn,
        /// The daemon's version in the release gone to.
        to: Vsn,
    },
    /// Legal in OTP without a word; file order decides what is loaded first.
    #[error("{} depend on each other: their order is that of the appups", Names(modules))]
    DependencyCycle {
        /// The modules, in this order.
        modules: Vec<ModuleName>,
    },
    /// An update or removal of a module that does not run: legal in OTP, where nothing happens.
    #[error("{word} {module}: the release that is left has no such module, so there is nothing to do")]
    NothingToDo {
        /// The instruction.
        word: &'static str,
        /// The module.
        module: ModuleName,
    },
    /// A module kept on purpose keeps its library.
    #[error(
        "module {module} is kept: library {app}-{vsn} stays mapped for it, and what it calls in there is the old code"
    )]
    Kept {
        /// The module.
        module: ModuleName,
        /// The library's app.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
    },
    /// A forgotten `delete_module`.
    #[error(
        "module {module} is gone from {app} but no instruction deletes it: library {app}-{vsn} stays mapped"
    )]
    NotDeleted {
        /// The module.
        module: ModuleName,
        /// The library's app.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
    },
    /// No code of the author converts a state that differs.
    #[error(
        "module {module} {to} may not read the states of {from} as they are, unless it has an alias, which schemas do not \
         show: {}; convert them in {} of {}, or declare in DROPPED what is meant to be lost",
        why.join("; "),
        converter(*mode),
        if *mode == Mode::Up { to } else { from }
    )]
    StateNotRead {
        /// The module.
        module: ModuleName,
        /// The version left.
        from: Vsn,
        /// The version gone to.
        to: Vsn,
        /// Whose code could convert them.
        mode: Mode,
        /// What differs.
        why: Vec<String>,
    },
    /// What would be found on the way back, which a release that does badly takes.
    #[error("on the way back to {to}: {problem}")]
    WayBack {
        /// The release that is left.
        to: Vsn,
        /// An error or a warning of that plan.
        problem: String,
    },
}

const fn converter(mode: Mode) -> &'static str {
    match mode {
        Mode::Up => "change_code",
        Mode::Down => "change_code_down",
    }
}

impl Warning {
    /// Returns the warning's class, OTP's name where OTP has it.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::BadVsn { .. } => "bad_vsn",
            Self::DaemonChanged { .. } => "erts_vsn_changed",
            Self::DependencyCycle { .. } => "dependency_cycle",
            Self::NothingToDo { .. } => "nothing_to_do",
            Self::Kept { .. } => "kept",
            Self::NotDeleted { .. } => "not_deleted",
            Self::StateNotRead { .. } => "state_not_read",
            Self::WayBack { .. } => "way_back",
        }
    }

    /// Returns what the warning is about.
    pub fn args(&self) -> Vec<Value> {
        match self {
            Self::BadVsn { app, version, appup } => vec![json!(app), json!(version), json!(appup)],
            Self::DaemonChanged { from, to } => vec![json!(from), json!(to)],
            Self::DependencyCycle { modules } => vec![json!(modules)],
            Self::NothingToDo { word, module } => vec![json!(word), json!(module)],
            Self::Kept { module, app, vsn } | Self::NotDeleted { module, app, vsn } => {
                vec![json!(module), json!(app), json!(vsn)]
            }
            Self::StateNotRead { module, from, to, .. } => vec![json!(module), json!(from), json!(to)],
            Self::WayBack { to, problem } => vec![json!(to), json!(problem)],
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("class", self.class())?;
        map.serialize_entry("message", &self.to_string())?;
        map.serialize_entry("args", &self.args())?;
        map.end()
    }
}
