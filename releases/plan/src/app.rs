//! `app.toml`: the description of an app (OTP's `.app`).

use serde_json::{Map, Value};

use crate::doc_error::DocError;
use crate::keys;
use crate::name::{AppName, ModuleName};
use crate::print::Printer;
use crate::read::{self, Fault, Fields, Node};
use crate::version::Vsn;

/// The application resource file of one app version.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// The app's name.
    pub name: AppName,
    /// The app's version, which is the version of all its modules.
    pub version: Vsn,
    /// Every module of the app's library. The packer writes it from the library itself.
    pub modules: Vec<ModuleName>,
    /// The module with the application behaviour; `None` for a library app, which has no processes.
    pub start: Option<ModuleName>,
    /// Apps that must run before this one.
    pub applications: Vec<AppName>,
    /// Those of `applications` that a release may lack.
    pub optional_applications: Vec<AppName>,
    /// Apps that are loaded with this one and started by it.
    pub included_applications: Vec<AppName>,
    /// Names that the app's processes register; unique in a release.
    pub registered: Vec<String>,
    /// Whether the library starts threads of its own and ends them when it is unloaded. Without
    /// this declaration, the library is not replaced while such a thread runs.
    pub threads: bool,
    /// The phases that the application runs, in this order, after its tree has started.
    pub start_phases: Vec<StartPhase>,
    /// Configuration; the release's `config.toml` takes precedence.
    pub env: Map<String, Value>,
}

/// A phase of an application's start.
#[derive(Debug, Clone, PartialEq)]
pub struct StartPhase {
    /// Its name.
    pub name: String,
    /// The argument passed to the application.
    pub arg: Value,
}

impl StartPhase {
    fn read(node: Node<'_>) -> Result<Self, Fault> {
        let mut fields = Fields::of(node, &keys::START_PHASE)?;
        Ok(Self {
            name: fields.required("name", read::string)?,
            arg: fields.optional("arg", read::data)?.unwrap_or_default(),
        })
    }
}

impl App {
    /// Parses an `app.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// Unknown keys, wrong types and missing `name` or `version`, each with its place.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        Self::read(text).map_err(|fault| DocError::new(path, text, &fault))
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let mut fields = Fields::document(text, &keys::APP)?;
        Ok(Self {
            name: fields.required("name", AppName::read)?,
            version: fields.required("version", Vsn::read)?,
            modules: fields.or_default("modules", read::list(ModuleName::read))?,
            start: fields.optional("start", ModuleName::read)?,
            applications: fields.or_default("applications", read::list(AppName::read))?,
            optional_applications: fields.or_default("optional_applications", read::list(AppName::read))?,
            included_applications: fields.or_default("included_applications", read::list(AppName::read))?,
            registered: fields.or_default("registered", read::list(read::string))?,
            threads: fields.or_default("threads", read::yes_or_no)?,
            start_phases: fields.or_default("start_phases", read::list(StartPhase::read))?,
            env: fields.or_default("env", read::data_table)?,
        })
    }

    /// Prints the app as an `app.toml` that parses back to the same value.
    pub fn to_toml(&self) -> String {
        let mut printer = Printer::default();
        printer
            .field("name", self.name.as_str())
            .field("version", self.version.to_string())
            .names("modules", &self.modules);
        if let Some(start) = &self.start {
            printer.field("start", start.as_str());
        }
        printer
            .names("applications", &self.applications)
            .names("optional_applications", &self.optional_applications)
            .names("included_applications", &self.included_applications)
            .names("registered", &self.registered);
        if self.threads {
            printer.field("threads", true);
        }
        for phase in &self.start_phases {
            printer.header("[[start_phases]]").field("name", phase.name.as_str());
            if !phase.arg.is_null() {
                printer.field("arg", phase.arg.clone());
            }
        }
        if !self.env.is_empty() {
            printer.header("[env]");
        }
        for (key, value) in &self.env {
            printer.field(key, value.clone());
        }
        printer.finish()
    }
}
