//! The errors of the store.

use std::io;
use std::path::{Path, PathBuf};

use reld_plan::{AppName, BootError, DocError, InstructionError, ModuleName, PlanError, Vsn};

use crate::config_error::ConfigError;
use crate::fault::Fault;
use crate::lifecycle::Refusal;
use crate::verify::Harm;

/// An error of the store.
///
/// Unless a variant documents an exception, the status table and the files of every known release
/// are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system failed a step.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// The step, as a verb.
        step: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The policy of signatures cannot be read, so no release is accepted.
    #[error(transparent)]
    Policy(#[from] reld_trust::PolicyError),
    /// The policy does not let a release run.
    #[error("release {vsn} is not trusted: {fault}")]
    Untrusted {
        /// The release.
        vsn: Vsn,
        /// The reason.
        fault: Box<Fault>,
    },
    /// The node requires signatures, which code by hand does not have.
    #[error(
        "code that is loaded by hand has no signature, and this node requires one; upgrade to a signed release, or add --unsigned"
    )]
    ByHand,
    /// The disk is too full for a boot.
    #[error("the disk of {} has {free} bytes free, but a boot needs {needed}; make room", root.display())]
    NoRoom {
        /// The root.
        root: PathBuf,
        /// The free bytes.
        free: u64,
        /// The needed bytes.
        needed: u64,
    },
    /// Another daemon, or an OS process that outlived it, holds the lock on this root.
    #[error("{} is in use by {}; stop it or choose another --root", root.display(), listed(holders))]
    Locked {
        /// The root.
        root: PathBuf,
        /// The visible OS processes that hold the lock.
        holders: Vec<String>,
    },
    /// The folder is not a root and not empty.
    #[error(
        "{} is not the root of a node and contains {}, which a node would delete; choose an empty folder as --root",
        root.display(),
        foreign.display()
    )]
    NotARoot {
        /// The folder.
        root: PathBuf,
        /// A file or folder in it.
        foreign: PathBuf,
    },
    /// A newer reld made the root.
    #[error(
        "{} has format {format}, but this reld knows formats up to {known}; start the reld that last used it",
        root.display()
    )]
    NewerRoot {
        /// The root.
        root: PathBuf,
        /// Its format.
        format: u32,
        /// The latest format known here.
        known: u32,
    },
    /// The mark of the root is damaged.
    #[error("{} does not state the format of the root; restore it (this reld writes `format = {known}`)", path.display())]
    BadMark {
        /// Its path.
        path: PathBuf,
        /// The latest format known here.
        known: u32,
        /// The cause.
        source: Box<toml::de::Error>,
    },
    /// A folder of the root is a link or a file.
    #[error("{} is a link or not a folder; replace it with a folder", path.display())]
    NotAFolder {
        /// The expected path.
        path: PathBuf,
    },
    /// The status table is missing although the root holds releases.
    #[error("{} is missing although releases are unpacked; restore it, or start with an empty root", path.display())]
    NoStatusTable {
        /// The expected path.
        path: PathBuf,
    },
    /// The status table has a form unknown to this version of reld.
    #[error("{} is not a status table of this version of reld", path.display())]
    BadStatusTable {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: Box<toml::de::Error>,
    },
    /// The status table was changed after reld wrote it.
    #[error("{} was changed by something other than reld; restore it, or start with an empty root", path.display())]
    ChangedStatusTable {
        /// Its path.
        path: PathBuf,
    },
    /// The release's status does not allow the action.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The files of a release on disk differ from its manifest.
    #[error("release {vsn} is damaged on disk: {} is {fault}; {}", path.display(), fault.remedy())]
    Tampered {
        /// The release.
        vsn: Vsn,
        /// The first damaged file.
        path: PathBuf,
        /// The cause.
        fault: Harm,
    },
    /// The disk is too full for a tarball.
    #[error(
        "cannot write below {}: {needed} bytes are needed, {free} are free, and {reserve} bytes stay in reserve; \
         `relctl prune --keep 0` removes old releases",
        folder.display()
    )]
    TooFull {
        /// The target folder.
        folder: PathBuf,
        /// The needed bytes.
        needed: u64,
        /// The free bytes.
        free: u64,
        /// The number of free bytes that must stay in reserve.
        reserve: u64,
    },
    /// The releases were removed from the table, but some of their files could not be deleted; the
    /// next start deletes them.
    #[error(
        "removed {}, but not all of their files; the next start of reld deletes them",
        versions(releases)
    )]
    Leftover {
        /// The removed releases.
        releases: Vec<Vsn>,
        /// The cause.
        source: Box<Self>,
    },
    /// A tarball was refused.
    #[error("cannot unpack {}", path.display())]
    Tarball {
        /// The tarball.
        path: PathBuf,
        /// The cause.
        source: Fault,
    },
    /// A document is missing.
    #[error("{} is missing", path.display())]
    NoDocument {
        /// The expected path.
        path: PathBuf,
    },
    /// A document is invalid; the error points into it.
    #[error(transparent)]
    Document(#[from] DocError),
    /// The node's own configuration cannot be used.
    #[error(transparent)]
    NodeConfig(#[from] ConfigError),
    /// Instructions of an appup cannot be planned; each error points into it.
    #[error("{}", lines(mistakes))]
    Instructions {
        /// The errors, in file order.
        mistakes: Vec<InstructionError>,
    },
    /// The documents of a release do not fit together.
    #[error(transparent)]
    Release(Box<PlanError>),
    /// A document is not UTF-8 text.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// Its path.
        path: PathBuf,
    },
    /// A folder, a FIFO or a device has the path of a document.
    #[error("cannot read {}: it is not a regular file", path.display())]
    NotPlain {
        /// Its path.
        path: PathBuf,
    },
    /// A document exceeds the size limit.
    #[error("cannot read {}: a document has at most {max} bytes", path.display())]
    TooLong {
        /// Its path.
        path: PathBuf,
        /// The limit.
        max: u64,
    },
    /// A document describes another app or release than its path.
    #[error("{} is about {found}, expected {expected}", path.display())]
    OtherDocument {
        /// Its path.
        path: PathBuf,
        /// The name and version in the path.
        expected: String,
        /// The name and version in the document.
        found: String,
    },
    /// The release lists no apps.
    #[error("{} lists no apps", path.display())]
    NoApps {
        /// The `release.toml`.
        path: PathBuf,
    },
    /// No app folder has this name and version.
    #[error("no app.toml below {} has name \"{name}\" and version \"{version}\"{}", apps.display(), others(found))]
    NoApp {
        /// The searched folder.
        apps: PathBuf,
        /// The app.
        name: AppName,
        /// The version in the release.
        version: Vsn,
        /// The versions of this app that were found.
        found: Vec<Vsn>,
    },
    /// Two app folders have the same name and version.
    #[error("{name} {version} is both in {} and in {}", folders[0].display(), folders[1].display())]
    AppTwice {
        /// The app.
        name: AppName,
        /// Its version.
        version: Vsn,
        /// The two folders.
        folders: [PathBuf; 2],
    },
    /// An app to be left out is not in the release.
    #[error("cannot leave out app {name}: it is not in the release")]
    NotInRelease {
        /// The app.
        name: AppName,
    },
    /// An app folder has no build file.
    #[error("cannot build {}: it has neither a Cargo.toml nor a Makefile", folder.display())]
    NotBuildable {
        /// The app's folder.
        folder: PathBuf,
    },
    /// `cargo build` failed.
    #[error("cargo could not build {}", folder.display())]
    CargoFailed {
        /// The app's folder.
        folder: PathBuf,
    },
    /// The package builds no shared library.
    #[error("{} makes no shared library; its Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`", folder.display())]
    NoLibrary {
        /// The app's folder.
        folder: PathBuf,
    },
    /// `make` failed.
    #[error("make could not build {}", folder.display())]
    MakeFailed {
        /// The app's folder.
        folder: PathBuf,
    },
    /// `make` did not create the library.
    #[error(
        "make built {} without creating {}; the first target of its Makefile must be `$(LIBRARY)`",
        folder.display(),
        library.display()
    )]
    NoMadeLibrary {
        /// The app's folder.
        folder: PathBuf,
        /// The expected library, as a path below the folder.
        library: PathBuf,
    },
    /// A library could not be inspected.
    #[error("cannot probe {}", library.display())]
    Probe {
        /// The library.
        library: PathBuf,
        /// The error of the probe.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A library and its `app.toml` name different apps.
    #[error("the library of {} is {library}, but its app.toml names {document}", folder.display())]
    OtherLibrary {
        /// The app's folder.
        folder: PathBuf,
        /// The name and version in the library.
        library: String,
        /// The name and version in `app.toml`.
        document: String,
    },
    /// `start` of an `app.toml` does not name an application module of the app's library, or is
    /// missing although the library has such a module.
    #[error("{}: {}", document.display(), start(named.as_ref(), applications))]
    Start {
        /// The `app.toml`.
        document: PathBuf,
        /// The module in `start`.
        named: Option<ModuleName>,
        /// The application modules of the library.
        applications: Vec<ModuleName>,
    },
    /// `modules` of an `app.toml` differs from the modules of the app's library.
    #[error(
        "{}: modules {}; correct the list, or leave it empty: it is filled in from the library",
        document.display(),
        differ(strangers, unlisted)
    )]
    OtherModules {
        /// The `app.toml`.
        document: PathBuf,
        /// The listed modules that the library does not have.
        strangers: Vec<ModuleName>,
        /// The modules of the library that are not listed.
        unlisted: Vec<ModuleName>,
    },
    /// An app has start phases but no application module.
    #[error("{}: start_phases without `start`: only an application module goes through start phases; add `start`, or remove the phases", document.display())]
    PhasesWithoutStart {
        /// The `app.toml`.
        document: PathBuf,
    },
    /// The release would not boot.
    #[error("{}", lines(errors))]
    NotBootable {
        /// All errors that would prevent the boot.
        errors: Vec<BootError>,
    },
    /// Instructions of an appup or a relup name modules that no app of the release has, or modules
    /// with an unsuitable behaviour; each error points into the document.
    #[error("{}", lines(places))]
    Misfits {
        /// The errors, in file order.
        places: Vec<DocError>,
    },
    /// The release names another daemon version than the version of the packer.
    #[error("{} names daemon {named}, but this is the packer of reld {packer}; write daemon = \"{packer}\", or use the packer of reld {named}", release.display())]
    OtherDaemon {
        /// The `release.toml`.
        release: PathBuf,
        /// The daemon version in the release.
        named: Vsn,
        /// The packer's own version.
        packer: Vsn,
    },
    /// Two libraries of one release were built for different platforms.
    #[error("{} was built for {found}, the other apps of the release for {expected}", folder.display())]
    MixedPlatforms {
        /// The app's folder.
        folder: PathBuf,
        /// The platform of this app.
        found: String,
        /// The platform of the earlier apps.
        expected: String,
    },
    /// A file's path does not fit into a tarball's header.
    #[error("the path {path} is too long for a tarball")]
    PathTooLong {
        /// The path below the root.
        path: String,
    },
    /// A file cannot be packed.
    #[error("cannot pack {}: {why}", path.display())]
    NotPackable {
        /// The path.
        path: PathBuf,
        /// The reason and a remedy.
        why: String,
    },
    /// A file changed while it was packed.
    #[error("{} changed while it was packed; pack again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// Returns whether this error means that files of a release are lost or changed. An unreadable
    /// file does not count, because it may be intact.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Tampered { .. } | Self::NoDocument { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl Error {
    /// Returns a closure for `map_err` that names the step and its object.
    pub(crate) fn io(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { step, path: path.to_owned(), source }
    }

    /// Replaces the path of a file below this folder by its path relative to the folder, which is
    /// an internal detail.
    pub(crate) fn below(self, folder: &Path) -> Self {
        match self {
            Self::Io { step, path, source } => {
                let path = path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path);
                Self::Io { step, path, source }
            }
            other => other,
        }
    }
}

// Written by hand, because the variant boxes the large error.
impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Self::Release(Box::new(error))
    }
}

fn lines<T: ToString>(errors: &[T]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn listed(holders: &[String]) -> String {
    if holders.is_empty() { "another process".to_owned() } else { holders.join(", ") }
}

fn versions(releases: &[Vsn]) -> String {
    releases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn start(named: Option<&ModuleName>, applications: &[ModuleName]) -> String {
    let has: Vec<&str> = applications.iter().map(ModuleName::as_str).collect();
    match (named, has.as_slice()) {
        (Some(named), []) => format!("start names {named}, but the library has no application module"),
        (Some(named), has) => {
            format!(
                "start names {named}, which is not an application module; the library has {}",
                has.join(", ")
            )
        }
        (None, has) => format!("start is missing; the library has the application module {}", has.join(", ")),
    }
}

fn differ(strangers: &[ModuleName], unlisted: &[ModuleName]) -> String {
    let names = |modules: &[ModuleName]| {
        let names: Vec<&str> = modules.iter().map(ModuleName::as_str).collect();
        names.join(", ")
    };
    let lists = (!strangers.is_empty())
        .then(|| format!("lists {}, which the library does not have", names(strangers)));
    let misses = (!unlisted.is_empty()).then(|| format!("does not list {}", names(unlisted)));
    lists.into_iter().chain(misses).collect::<Vec<_>>().join(", and ")
}

fn others(found: &[Vsn]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    format!("; found versions: {}", found.join(", "))
}
