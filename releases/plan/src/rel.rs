//! `release.toml`: the apps of a release (OTP's `.rel`).

use std::fmt;

use reld_error_codes::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::doc_error::DocError;
use crate::keys;
use crate::name::AppName;
use crate::print::Printer;
use crate::read::{self, Fault, Fields, Node};
use crate::version::Vsn;

/// The release resource file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rel {
    /// The release's name.
    pub name: AppName,
    /// The release's version.
    pub version: Vsn,
    /// The daemon's version. If it differs from the running release's, the plan begins with
    /// `restart_new_daemon`.
    pub daemon: Vsn,
    /// Orders the releases of a name: nodes refuse a release with a lower serial than the last
    /// committed one. 0 without the key.
    pub serial: u64,
    /// The apps. The start order follows this order except where dependencies require another one.
    pub apps: Vec<RelApp>,
}

/// One app of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelApp {
    /// The app's name.
    pub name: AppName,
    /// The app's version in the release.
    pub version: Vsn,
    /// How the app is started.
    pub start_type: StartType,
    /// Overrides the app's own list of included apps; must be a subset of it.
    pub included: Option<Vec<AppName>>,
}

/// How an app of a release is started, and how its termination affects the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartType {
    /// The termination of the app stops the node.
    #[default]
    Permanent,
    /// An abnormal termination of the app stops the node.
    Transient,
    /// A termination of the app is only reported.
    Temporary,
    /// The app is loaded but not started.
    Load,
    /// Only the code of the app is loaded.
    None,
}

impl StartType {
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("permanent", Self::Permanent),
        ("transient", Self::Transient),
        ("temporary", Self::Temporary),
        ("load", Self::Load),
        ("none", Self::None),
    ];

    /// Returns the word used in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
            Self::Load => "load",
            Self::None => "none",
        }
    }

    /// Returns whether a boot starts an app of this type.
    pub const fn starts(self) -> bool {
        match self {
            Self::Permanent | Self::Transient | Self::Temporary => true,
            Self::Load | Self::None => false,
        }
    }
}

impl fmt::Display for StartType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Rel {
    /// Parses a `release.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// Unknown keys, misspelt words, wrong types, missing keys and an app named twice, each with
    /// its place.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        let error = |fault| DocError::new(path, text, &fault);
        let illegal = |fault| error(fault).with_code(ErrorCode::IllegalApplications);
        let mut fields = Fields::document(text, &keys::REL).map_err(error)?;
        let mut rel = Self::head(&mut fields).map_err(error)?;
        let nodes = fields.or_default("app", read::nodes).map_err(illegal)?;
        rel.apps = nodes.iter().cloned().map(read_app).collect::<Result<_, _>>().map_err(illegal)?;
        // OTP reports such an app as duplicate modules.
        named_once(&nodes, &rel.apps).map_err(|fault| error(fault).with_code(ErrorCode::DuplicateModules))?;
        Ok(rel)
    }

    /// Returns the release's entry for an app.
    pub fn app(&self, name: &AppName) -> Option<&RelApp> {
        self.apps.iter().find(|app| app.name == *name)
    }

    /// Reads everything except the apps.
    fn head(fields: &mut Fields<'_>) -> Result<Self, Fault> {
        Ok(Self {
            name: fields.required("name", AppName::read)?,
            version: fields.required("version", Vsn::read)?,
            daemon: fields.required("daemon", Vsn::read)?,
            serial: fields.or_default("serial", read_serial)?,
            apps: Vec::new(),
        })
    }

    /// Prints the release as a `release.toml` that parses back to the same value.
    pub fn to_toml(&self) -> String {
        let mut printer = Printer::default();
        printer
            .field("name", self.name.as_str())
            .field("version", self.version.to_string())
            .field("daemon", self.daemon.to_string());
        if self.serial > 0 {
            printer.field("serial", self.serial);
        }
        for app in &self.apps {
            printer
                .header("[[app]]")
                .field("name", app.name.as_str())
                .field("version", app.version.to_string())
                .field("type", app.start_type.as_str());
            if let Some(included) = &app.included {
                printer.field("included", included.iter().map(ToString::to_string).collect::<Vec<_>>());
            }
        }
        printer.finish()
    }
}

fn named_once(nodes: &[Node<'_>], apps: &[RelApp]) -> Result<(), Fault> {
    for (at, app) in apps.iter().enumerate() {
        if apps[..at].iter().any(|earlier| earlier.name == app.name) {
            return Err(Fault::at(&nodes[at], format!("app `{}` is named twice", app.name)));
        }
    }
    Ok(())
}

/// The highest serial. A floor of an enormous serial would end its name: no serial is higher.
const SERIAL_MAX: u64 = 1 << 53;

fn read_serial(node: Node<'_>) -> Result<u64, Fault> {
    let too_high = Fault::at(&node, format!("the highest serial is {SERIAL_MAX}"));
    read::number(node).and_then(|serial| if serial <= SERIAL_MAX { Ok(serial) } else { Err(too_high) })
}

fn read_app(node: Node<'_>) -> Result<RelApp, Fault> {
    let mut fields = Fields::of(node, &keys::REL_APP)?;
    Ok(RelApp {
        name: fields.required("name", AppName::read)?,
        version: fields.required("version", Vsn::read)?,
        start_type: fields.or_default("type", read::word(&StartType::WORDS))?,
        included: fields.optional("included", read::list(AppName::read))?,
    })
}
