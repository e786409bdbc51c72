//! Remarks to read before an upgrade. They do not prevent it.

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
    #[error("the appup of {app}-{version} names another version, {appup}")]
    BadVsn {
        /// The app.
        app: AppName,
        /// The app's version.
        version: Vsn,
        /// The version that the appup names.
        appup: Vsn,
    },
    /// OTP: `erts_vsn_changed`.
    #[error("the daemon changes from {from} to {to}: the node restarts")]
    DaemonChanged {
        /// The daemon's version in the source release.
        from: Vsn,
        /// The daemon's version in the target release.
        to: Vsn,
    },
    /// Modules that depend on each other. OTP allows them without a warning; the order of the
    /// instructions in the appups decides which module is loaded first.
    #[error("{} depend on each other: their order is that of the appups", Names(modules))]
    DependencyCycle {
        /// The modules, in this order.
        modules: Vec<ModuleName>,
    },
    /// An update or removal of a module that the source release does not have. OTP allows the
    /// instruction and does nothing.
    #[error("{word} {module}: nothing to do, the source release has no such module")]
    NothingToDo {
        /// The instruction.
        word: &'static str,
        /// The module.
        module: ModuleName,
    },
    /// A module kept on purpose keeps its library mapped.
    #[error(
        "module {module} is kept: library {app}-{vsn} stays mapped, and its calls into that library run old code"
    )]
    Kept {
        /// The module.
        module: ModuleName,
        /// The library's app.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
    },
    /// A module is gone from its app, but no `delete_module` names it.
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
    /// A call is written between the start of a child or an app and a conversion, and one window
    /// cannot keep both orders: the conversion comes before the switch, the start after it.
    #[error(
        "apply {call} is written after {start} but runs before it, because it may prepare code_change {module}; \
         write it after the update of {module}, or upgrade with --group-windows"
    )]
    CallBeforeStart {
        /// The call.
        call: String,
        /// The start, as it is printed.
        start: String,
        /// The converted module.
        module: ModuleName,
    },
    /// The types of a module's state differ between the versions, and no code of the author
    /// converts the state.
    #[error(
        "module {module} {to} may be unable to read the states of {from} (schemas do not show aliases): {}; convert them in \
         {} of {}, or declare lost fields in DROPPED",
        why.join("; "),
        converter(*mode),
        if *mode == Mode::Up { to } else { from }
    )]
    StateNotRead {
        /// The module.
        module: ModuleName,
        /// The source version.
        from: Vsn,
        /// The target version.
        to: Vsn,
        /// The direction, which selects the code that could convert the states.
        mode: Mode,
        /// The differences.
        why: Vec<String>,
    },
    /// If the new release fails, no downgrade can return to the source release.
    #[error("there is no way back to {to}: {why}")]
    NoWayBack {
        /// The source release.
        to: Vsn,
        /// The reason why no plan exists.
        why: String,
    },
    /// A state may be unreadable on the way back.
    #[error("on the way back to {to}: {problem}")]
    WayBack {
        /// The source release.
        to: Vsn,
        /// A warning of the plan for the way back.
        problem: String,
    },
    /// Running apps that the release does not start would be gone after a restart.
    #[error("a restart would not start these running apps: {}", reasons(apps))]
    NotRestarted {
        /// The apps, each with the reason.
        apps: Vec<(AppName, String)>,
    },
    /// Apps that were stopped by hand, or have ended, would run again after a restart.
    #[error("a restart would start apps that do not run now: {}", names(apps))]
    RestartStarts {
        /// The apps.
        apps: Vec<AppName>,
    },
    /// A restart would start a running app with another application module. Until then, the app
    /// keeps the module that started it.
    #[error("a restart would start {app} with module {to}; {}", by(from.as_ref()))]
    OtherStart {
        /// The app.
        app: AppName,
        /// The module that started it.
        from: Option<ModuleName>,
        /// The module that would start it.
        to: ModuleName,
    },
    /// A running app has new start phases. No upgrade runs them, but a restart would.
    #[error("a restart would run the start phases {} of {app}, which no upgrade runs", Names(phases))]
    StartPhases {
        /// The app.
        app: AppName,
        /// The phases.
        phases: Vec<String>,
    },
    /// Only the script starts these children: restarted supervisors would not start them.
    #[error(
        "a restart would not start children that only the script starts: {}; add them to the supervisor's init",
        children_of(children)
    )]
    UnnamedChildren {
        /// Pairs of the supervisor's name in the script and the child's id.
        children: Vec<(String, Value)>,
    },
    /// A supervisor names a child that cannot start, so the supervisor would not start. This is
    /// only a warning, because the supervisor may name other children in its actual environment.
    #[error("{supervisor} of {app} names a child {child} that could not be started: {problem}")]
    UnfitChild {
        /// The supervisor's app.
        app: AppName,
        /// The supervisor.
        supervisor: ModuleName,
        /// The child's id.
        child: Value,
        /// Why the child could not be started.
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
    /// Returns the warning's class, OTP's name if OTP has one.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::BadVsn { .. } => "bad_vsn",
            Self::DaemonChanged { .. } => "erts_vsn_changed",
            Self::DependencyCycle { .. } => "dependency_cycle",
            Self::NothingToDo { .. } => "nothing_to_do",
            Self::Kept { .. } => "kept",
            Self::NotDeleted { .. } => "not_deleted",
            Self::CallBeforeStart { .. } => "call_before_start",
            Self::StateNotRead { .. } => "state_not_read",
            Self::NoWayBack { .. } => "no_way_back",
            Self::WayBack { .. } => "way_back",
            Self::NotRestarted { .. } => "not_restarted",
            Self::RestartStarts { .. } => "restart_starts",
            Self::OtherStart { .. } => "other_start",
            Self::StartPhases { .. } => "start_phases",
            Self::UnnamedChildren { .. } => "unnamed_children",
            Self::UnfitChild { .. } => "unfit_child",
        }
    }

    /// Returns the names and values in the warning's message.
    pub fn args(&self) -> Vec<Value> {
        match self {
            Self::BadVsn { app, version, appup } => vec![json!(app), json!(version), json!(appup)],
            Self::DaemonChanged { from, to } => vec![json!(from), json!(to)],
            Self::DependencyCycle { modules } => vec![json!(modules)],
            Self::NothingToDo { word, module } => vec![json!(word), json!(module)],
            Self::Kept { module, app, vsn } | Self::NotDeleted { module, app, vsn } => {
                vec![json!(module), json!(app), json!(vsn)]
            }
            Self::CallBeforeStart { call, start, module } => vec![json!(call), json!(start), json!(module)],
            Self::StateNotRead { module, from, to, .. } => vec![json!(module), json!(from), json!(to)],
            Self::NoWayBack { to, why: what } | Self::WayBack { to, problem: what } => {
                vec![json!(to), json!(what)]
            }
            Self::NotRestarted { apps } => vec![json!(apps.iter().map(|(app, _)| app).collect::<Vec<_>>())],
            Self::RestartStarts { apps } => vec![json!(apps)],
            Self::OtherStart { app, from, to } => vec![json!(app), json!(from), json!(to)],
            Self::StartPhases { app, phases } => vec![json!(app), json!(phases)],
            Self::UnnamedChildren { children } => vec![json!(children)],
            Self::UnfitChild { app, supervisor, child, .. } => {
                vec![json!(app), json!(supervisor), child.clone()]
            }
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

fn reasons(apps: &[(AppName, String)]) -> String {
    apps.iter().map(|(app, why)| format!("{app} ({why})")).collect::<Vec<_>>().join(", ")
}

fn children_of(children: &[(String, Value)]) -> String {
    let named = children.iter().map(|(supervisor, id)| format!("child {id} of {supervisor}"));
    named.collect::<Vec<_>>().join(", ")
}

fn names(apps: &[AppName]) -> String {
    apps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn by(module: Option<&ModuleName>) -> String {
    module.map_or_else(|| "it runs without one".to_owned(), |module| format!("it runs with {module}"))
}
