//! Why an app of a release does not start when the release boots.

use serde_json::{Value, json};

use crate::behaviours::a;
use crate::name::{AppName, ModuleName};
use crate::rel::StartType;

/// Why an app does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// It is started by a module that its library does not have.
    #[error(
        "{app} cannot start: its library has no module {module}; name its application module as `start` in its app.toml"
    )]
    NoStartModule {
        /// The app.
        app: AppName,
        /// What its app.toml names.
        module: ModuleName,
    },
    /// It is started by a module that is no application.
    #[error(
        "{app} cannot start: its start module {module} is {} and no application; name its application module as `start` in \
         its app.toml",
        a(behaviour)
    )]
    NotAnApplication {
        /// The app.
        app: AppName,
        /// What its app.toml names.
        module: ModuleName,
        /// What that is.
        behaviour: String,
    },
    /// It needs an app that does not run when it starts. OTP: `not_started`, which is told at the start only.
    #[error("{app} cannot start: {}", not_started(app, needs, *start_type))]
    NotStarted {
        /// The app.
        app: AppName,
        /// What it needs.
        needs: AppName,
        /// How the release starts that.
        start_type: StartType,
    },
}

impl BootError {
    /// Returns the error's class, OTP's name where OTP has one.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::NoStartModule { .. } => "no_start_module",
            Self::NotAnApplication { .. } => "not_an_application",
            Self::NotStarted { .. } => "not_started",
        }
    }

    /// Returns the app.
    pub const fn app(&self) -> &AppName {
        match self {
            Self::NoStartModule { app, .. }
            | Self::NotAnApplication { app, .. }
            | Self::NotStarted { app, .. } => app,
        }
    }

    /// Returns the module by which it is to be started, where that is what is wrong.
    pub const fn module(&self) -> Option<&ModuleName> {
        match self {
            Self::NoStartModule { module, .. } | Self::NotAnApplication { module, .. } => Some(module),
            Self::NotStarted { .. } => None,
        }
    }

    /// Returns what the error is about: the names of its message.
    pub(crate) fn args(&self) -> Vec<Value> {
        match self {
            Self::NoStartModule { app, module } => vec![json!(app), json!(module)],
            Self::NotAnApplication { app, module, behaviour } => {
                vec![json!(app), json!(module), json!(behaviour)]
            }
            Self::NotStarted { app, needs, .. } => vec![json!(app), json!(needs)],
        }
    }
}

fn not_started(app: &AppName, needs: &AppName, start_type: StartType) -> String {
    if app == needs {
        return "it needs itself; take it out of its own `applications`".to_owned();
    }
    format!(
        "it needs {needs}, which the release does not start (its type is {start_type}); give {needs} a type that starts, or \
         {app} the same one"
    )
}
