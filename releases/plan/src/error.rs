//! Errors of the planner.

use reld_error_codes::ErrorCode;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::boot_error::BootError;
use crate::check::CheckError;
use crate::doc_error::DocError;
use crate::instr::Mode;
use crate::name::{AppName, ModuleName};
use crate::reason::Reason;
use crate::script_print::Names;
use crate::syntax::InstructionError;
use crate::version::Vsn;

/// The reason why no plan exists. Serialises as `{"class", "message", "args"}`; the class is OTP's
/// name if OTP has one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A release.toml or app.toml cannot be parsed.
    #[error(transparent)]
    Document(#[from] DocError),
    /// The release names an app version without an app.toml.
    #[error("the release needs {app}-{vsn}, {}", found_versions(found))]
    NoValidVersion {
        /// The app.
        app: AppName,
        /// The version that the release names.
        vsn: Vsn,
        /// The versions with an app.toml.
        found: Vec<Vsn>,
    },
    /// The release's list of included apps names an app that the including app's own list lacks.
    #[error("the release lets {app} include {included}, which {app}'s app.toml does not")]
    OverrideInclude {
        /// The including app.
        app: AppName,
        /// The included one.
        included: AppName,
    },
    /// Apps that are used or included, but not in the release.
    #[error("not in the release: {}", pairs(missing))]
    UndefinedApplications {
        /// Pairs of a needing app and the needed one.
        missing: Vec<(AppName, AppName)>,
    },
    /// Apps that are in the release but not available when the start order needs them. Either an
    /// app lists a used app twice, or an included app includes and uses another app.
    #[error("needed earlier in the start order than available: {}", pairs(missing))]
    UnreachableApplications {
        /// Pairs of a needing app and the needed one.
        missing: Vec<(AppName, AppName)>,
    },
    /// Two apps register one name.
    #[error("{} and {} both register the name {name}", apps[0], apps[1])]
    DuplicateRegister {
        /// The name.
        name: String,
        /// The apps.
        apps: [AppName; 2],
    },
    /// Two apps include one app.
    #[error("{} and {} both include {app}", apps[0], apps[1])]
    DuplicateInclude {
        /// The included app.
        app: AppName,
        /// The including ones.
        apps: [AppName; 2],
    },
    /// Two apps have one module.
    #[error("{} and {} both have a module {module}", apps[0], apps[1])]
    DuplicateModules {
        /// The module.
        module: ModuleName,
        /// The apps.
        apps: [AppName; 2],
    },
    /// Apps that wait for each other to start.
    #[error("these apps depend on each other and cannot start: {}", Names(apps))]
    CircularDependencies {
        /// The apps of the cycle.
        apps: Vec<AppName>,
    },
    /// An app of the release does not start when it boots.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A required appup is missing.
    #[error("{app} changes from {from} to {to} but {app}-{} has no appup.toml", owner(*mode, from, to))]
    NoAppup {
        /// The app.
        app: AppName,
        /// The source version.
        from: Vsn,
        /// The target version.
        to: Vsn,
        /// The direction. Up: the target version must have the appup. Down: the source version must
        /// have it.
        mode: Mode,
    },
    /// A required appup cannot be used.
    #[error("{app} changes, but its appup cannot be parsed: {at}")]
    BrokenAppup {
        /// The app.
        app: AppName,
        /// The mistake and its place.
        at: Box<DocError>,
    },
    /// The appup of an app names another app.
    #[error("the appup of {app} names another app, {named}")]
    ForeignAppup {
        /// The app that has the appup.
        app: AppName,
        /// The app that it names.
        named: AppName,
    },
    /// No entry of an appup is for the other version.
    #[error("the appup of {app}-{} has no entry to go from {from} to {to}", owner(*mode, from, to))]
    NoRelup {
        /// The app.
        app: AppName,
        /// The source version.
        from: Vsn,
        /// The target version.
        to: Vsn,
        /// The direction. Up: the appup of the target version was read. Down: the appup of the
        /// source version was read.
        mode: Mode,
    },
    /// Neither version of a changed app has an appup.
    #[error("{app} changes from {from} to {to}, and neither version has an appup.toml")]
    NoAppupFound {
        /// The app.
        app: AppName,
        /// The running version.
        from: Vsn,
        /// The requested version.
        to: Vsn,
    },
    /// No appup leads from the running version to the target.
    #[error(
        "no appup leads {app} from {from} to {to}: {to} needs an up entry from {from}, or {from} a down entry to {to}"
    )]
    VersionNotInAppup {
        /// The app.
        app: AppName,
        /// The running version.
        from: Vsn,
        /// The requested version.
        to: Vsn,
    },
    /// More than one point of no return in one appup entry.
    #[error("{reason}: more than one point_of_no_return")]
    TooManyPointOfNoReturn {
        /// The origin of the entry.
        reason: Reason,
    },
    /// An instruction other than load_object_code and apply before a point of no return.
    #[error(
        "{reason}: {word} comes before point_of_no_return, where only load_object_code and apply are allowed"
    )]
    BadOpBeforePointOfNoReturn {
        /// The origin of the entry.
        reason: Reason,
        /// The instruction.
        word: String,
    },
    /// A wrong instruction.
    #[error(transparent)]
    Instruction(Box<InstructionError>),
    /// A load without a load_object_code for the module.
    #[error("load {module} without a load_object_code for it")]
    NoObjectCode {
        /// The module.
        module: ModuleName,
    },
    /// A suspend without a resume.
    #[error("suspended but not resumed: {}", Names(modules))]
    SuspendedNotResumed {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// A resume without a suspend.
    #[error("resumed but not suspended: {}", Names(modules))]
    ResumedNotSuspended {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// A start without a stop.
    #[error("started but not stopped: {}", Names(modules))]
    StartNotStop {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// A stop without a start.
    #[error("stopped but not started: {}", Names(modules))]
    StopNotStart {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// An instruction names an app that the release does not have.
    #[error("no application {app} in the release")]
    NoSuchApplication {
        /// The app.
        app: AppName,
    },
    /// An app to be removed is still in the release.
    #[error("remove_application {app}, but the target release has {app}")]
    RemovedApplicationPresent {
        /// The app.
        app: AppName,
    },
    /// Two instructions for one module.
    #[error("module {module} has more than one instruction")]
    MuldefModule {
        /// The module.
        module: ModuleName,
    },
    /// A dependency without an instruction.
    #[error("module {module} depends on {dependency}, which has no instruction of its own")]
    UndefModule {
        /// The module with the dependency.
        module: ModuleName,
        /// The dependency.
        dependency: ModuleName,
    },
    /// A module that no app has.
    #[error("no app of the target release has a module {module}")]
    NoSuchModule {
        /// The module.
        module: ModuleName,
    },
    /// Two versions of one app are loaded.
    #[error("two versions of {app} would be loaded, {} and {}", vsns[0], vsns[1])]
    ConflictingVersions {
        /// The app.
        app: AppName,
        /// The versions.
        vsns: [Vsn; 2],
    },
    /// A load_object_code for a library that the target release does not have, or that runs
    /// already.
    #[error(
        "load_object_code of {app}-{vsn}: the target release has no such library, or the library runs already"
    )]
    BadLibVsn {
        /// The app.
        app: AppName,
        /// The version.
        vsn: Vsn,
    },
    /// Dropping state fields is unsafe: a field of the newer version may be a renamed or moved
    /// field of the older version.
    #[error(
        "cannot carry the states of module {module} from {from} down to {to} unconverted: {} only in {from} and {} only in \
         {to}, which may be a rename or a move; write {{ update = \"{module}\", change = {{ advanced = {{}} }} }} and \
         convert them in change_code_down of {from}, or declare lost fields in the DROPPED of {from}",
        are(left),
        are(gone_to)
    )]
    StateMoved {
        /// The module.
        module: ModuleName,
        /// The source version.
        from: Vsn,
        /// The target version.
        to: Vsn,
        /// The places that only the source version has.
        left: Vec<String>,
        /// The places that only the target version has.
        gone_to: Vec<String>,
    },
    /// The script breaks one of its own rules.
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl PlanError {
    /// Returns the code of the error: OTP's name where OTP has one.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Document(at) => at.code(),
            // OTP wraps its `override_include` error in this class.
            Self::NoValidVersion { .. } | Self::OverrideInclude { .. } => ErrorCode::ErrorReading,
            Self::UndefinedApplications { .. } | Self::UnreachableApplications { .. } => {
                ErrorCode::UndefinedApplications
            }
            Self::DuplicateRegister { .. } => ErrorCode::DuplicateRegister,
            Self::DuplicateInclude { .. } => ErrorCode::DuplicateInclude,
            Self::DuplicateModules { .. } => ErrorCode::DuplicateModules,
            Self::CircularDependencies { .. } => ErrorCode::CircularDependencies,
            Self::Boot(error) => error.code(),
            Self::NoAppup { .. } | Self::BrokenAppup { .. } | Self::ForeignAppup { .. } => {
                ErrorCode::FileProblem
            }
            Self::NoRelup { .. } => ErrorCode::NoRelup,
            Self::NoAppupFound { .. } => ErrorCode::NoAppupFound,
            Self::VersionNotInAppup { .. } => ErrorCode::VersionNotInAppup,
            Self::TooManyPointOfNoReturn { .. } => ErrorCode::TooManyPointOfNoReturn,
            Self::BadOpBeforePointOfNoReturn { .. } => ErrorCode::BadOpBeforePointOfNoReturn,
            Self::Instruction(error) => error.code,
            Self::NoObjectCode { .. } => ErrorCode::NoObjectCode,
            Self::SuspendedNotResumed { .. } => ErrorCode::SuspendedNotResumed,
            Self::ResumedNotSuspended { .. } => ErrorCode::ResumedNotSuspended,
            Self::StartNotStop { .. } => ErrorCode::StartNotStop,
            Self::StopNotStart { .. } => ErrorCode::StopNotStart,
            Self::NoSuchApplication { .. } => ErrorCode::NoSuchApplication,
            Self::RemovedApplicationPresent { .. } => ErrorCode::RemovedApplicationPresent,
            Self::MuldefModule { .. } => ErrorCode::MuldefModule,
            Self::UndefModule { .. } => ErrorCode::UndefModule,
            Self::NoSuchModule { .. } => ErrorCode::NoSuchModule,
            Self::ConflictingVersions { .. } => ErrorCode::ConflictingVersions,
            Self::BadLibVsn { .. } => ErrorCode::BadLibVsn,
            Self::StateMoved { .. } => ErrorCode::StateMoved,
            Self::Check(_) => ErrorCode::BadScript,
        }
    }

    /// Returns the names, versions or data in the error's message.
    pub fn args(&self) -> Vec<Value> {
        match self {
            Self::Document(at) => vec![json!(at.path)],
            Self::NoValidVersion { app, vsn, found } => vec![json!(app), json!(vsn), json!(found)],
            Self::OverrideInclude { app, included } => vec![json!(app), json!(included)],
            Self::UndefinedApplications { missing } | Self::UnreachableApplications { missing } => {
                vec![json!(needed(missing))]
            }
            Self::DuplicateRegister { name, apps } => vec![json!(name), json!(apps)],
            Self::DuplicateInclude { app, apps } => vec![json!(app), json!(apps)],
            Self::DuplicateModules { module, apps } => vec![json!(module), json!(apps)],
            Self::CircularDependencies { apps } => vec![json!(apps)],
            Self::Boot(error) => error.args(),
            Self::NoAppup { app, mode, from, to } => vec![json!(app), json!(owner(*mode, from, to))],
            Self::BrokenAppup { app, at } => vec![json!(app), json!(at.path)],
            Self::ForeignAppup { app, named } => vec![json!(app), json!(named)],
            Self::NoRelup { app, from, to, .. }
            | Self::NoAppupFound { app, from, to }
            | Self::VersionNotInAppup { app, from, to } => vec![json!(app), json!(from), json!(to)],
            Self::TooManyPointOfNoReturn { .. } => Vec::new(),
            Self::BadOpBeforePointOfNoReturn { word, .. } => vec![json!(word)],
            Self::Instruction(error) => vec![error.value.clone()],
            Self::SuspendedNotResumed { modules }
            | Self::ResumedNotSuspended { modules }
            | Self::StartNotStop { modules }
            | Self::StopNotStart { modules } => vec![json!(modules)],
            Self::NoSuchApplication { app } | Self::RemovedApplicationPresent { app } => vec![json!(app)],
            Self::NoObjectCode { module } | Self::MuldefModule { module } | Self::NoSuchModule { module } => {
                vec![json!(module)]
            }
            Self::UndefModule { dependency, .. } => vec![json!(dependency)],
            Self::ConflictingVersions { app, vsns } => vec![json!(app), json!(vsns[0]), json!(vsns[1])],
            Self::BadLibVsn { app, vsn } => vec![json!(app), json!(vsn)],
            Self::StateMoved { module, left, gone_to, .. } => {
                vec![json!(module), json!(left), json!(gone_to)]
            }
            Self::Check(error) => vec![json!(error.step)],
        }
    }
}

impl Serialize for PlanError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("class", self.code().as_str())?;
        map.serialize_entry("message", &self.to_string())?;
        map.serialize_entry("args", &self.args())?;
        map.end()
    }
}

/// Returns the version with the appup.
fn owner<'a>(mode: Mode, from: &'a Vsn, to: &'a Vsn) -> &'a Vsn {
    match mode {
        Mode::Up => to,
        Mode::Down => from,
    }
}

/// Formats places with a verb, as in "`a`, `b` are".
fn are(places: &[String]) -> String {
    let verb = if places.len() == 1 { "is" } else { "are" };
    let places: Vec<_> = places.iter().map(|place| format!("`{place}`")).collect();
    format!("{} {verb}", places.join(", "))
}

/// Returns each needed app once.
fn needed(missing: &[(AppName, AppName)]) -> Vec<&AppName> {
    let mut names: Vec<&AppName> = Vec::new();
    for (_, needed) in missing {
        if !names.contains(&needed) {
            names.push(needed);
        }
    }
    names
}

fn pairs(missing: &[(AppName, AppName)]) -> String {
    let needs: Vec<_> = missing.iter().map(|(app, needed)| format!("{needed} (needed by {app})")).collect();
    needs.join(", ")
}

fn found_versions(found: &[Vsn]) -> String {
    if found.is_empty() {
        return "whose app.toml was not found".to_owned();
    }
    format!("but only these versions were found: {}", Names(found))
}
