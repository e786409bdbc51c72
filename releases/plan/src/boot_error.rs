//! Errors of apps that do not start when the release boots.

use reld_error_codes::ErrorCode;
use serde_json::{Value, json};

use crate::behaviours::with_article;
use crate::name::{AppName, ModuleName};
use crate::rel::StartType;

/// The reason why an app does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// The app's library does not have its start module.
    #[error(
        "{app} cannot start: its library has no module {module}; set `start` in its app.toml to its application module"
    )]
    NoStartModule {
        /// The app.
        app: AppName,
        /// The start module in its app.toml.
        module: ModuleName,
    },
    /// The app's start module does not have the application behaviour.
    #[error(
        "{app} cannot start: its start module {module} is {}, not an application; set `start` to its application module in \
         its app.toml",
        with_article(behaviour)
    )]
    NotAnApplication {
        /// The app.
        app: AppName,
        /// The start module in its app.toml.
        module: ModuleName,
        /// The behaviour of that module.
        behaviour: String,
    },
    /// The app needs another app that does not run at that point of the boot. OTP: `not_started`,
    /// which OTP reports only when the app starts.
    #[error("{app} cannot start: {}", not_started(app, needs, *start_type))]
    NotStarted {
        /// The app.
        app: AppName,
        /// The needed app.
        needs: AppName,
        /// The start type of the needed app.
        start_type: StartType,
    },
}

impl BootError {
    /// Returns the code of the error: OTP's name where OTP has one.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NoStartModule { .. } => ErrorCode::NoStartModule,
            Self::NotAnApplication { .. } => ErrorCode::NotAnApplication,
            Self::NotStarted { .. } => ErrorCode::NotStarted,
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

    /// Returns the start module, if the start module is the mistake.
    pub const fn module(&self) -> Option<&ModuleName> {
        match self {
            Self::NoStartModule { module, .. } | Self::NotAnApplication { module, .. } => Some(module),
            Self::NotStarted { .. } => None,
        }
    }

    /// Returns the names in the error's message.
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
        return "it needs itself; remove it from its own `applications`".to_owned();
    }
    format!(
        "it needs {needs}, which the release does not start (its type is {start_type}); give {needs} a type that starts, or \
         {app} the same one"
    )
}
