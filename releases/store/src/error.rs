//! What can go wrong on disk, by name.

use std::io;
use std::path::{Path, PathBuf};

use reld_plan::{AppName, BootError, DocError, InstructionError, ModuleName, PlanError, Vsn};

use crate::fault::Fault;
use crate::lifecycle::Refusal;
use crate::verify::Harm;

/// Why the store did not do what it was asked to.
///
/// Whatever the variant, the status table and the files of every known release are as they were before, unless
/// the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused a step.
    #[error("can not {step} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        step: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The disk is too full for a boot.
    #[error("the disk of {} has {free} bytes left where a boot needs {needed}; make room", root.display())]
    NoRoom {
        /// The root.
        root: PathBuf,
        /// What is left.
        free: u64,
        /// What is needed.
        needed: u64,
    },
    /// Another daemon works on this root, or a process that it has left behind.
    #[error("{} is in use by {}; stop it or choose another --root", root.display(), listed(holders))]
    Locked {
        /// The root.
        root: PathBuf,
        /// The processes that hold it, where they can be seen.
        holders: Vec<String>,
    },
    /// The folder is no root, and is not empty.
    #[error(
        "{} is no root of a node and holds {}, which a node would delete; choose an empty folder as --root",
        root.display(),
        foreign.display()
    )]
    NotARoot {
        /// The folder.
        root: PathBuf,
        /// What lies there.
        foreign: PathBuf,
    },
    /// A later reld has made the root.
    #[error(
        "{} has format {format}, and this reld knows formats up to {known}; start the reld that has worked there",
        root.display()
    )]
    NewerRoot {
        /// The root.
        root: PathBuf,
        /// Its format.
        format: u32,
        /// The last format that is known here.
        known: u32,
    },
    /// The mark of the root is damaged.
    #[error("{} does not say the format of the root; restore it (this reld writes `format = {known}`)", path.display())]
    BadMark {
        /// Where it is.
        path: PathBuf,
        /// The last format that is known here.
        known: u32,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// A folder of the root is none.
    #[error("{} is a link, or no folder; put a folder there", path.display())]
    NotAFolder {
        /// Where it should be.
        path: PathBuf,
    },
    /// The status table is missing although the root holds releases.
    #[error("{} is missing although releases are unpacked there; restore it, or start with an empty root", path.display())]
    NoStatusTable {
        /// Where it should be.
        path: PathBuf,
    },
    /// The status table is not one of this version of reld.
    #[error("{} is none that this reld writes", path.display())]
    BadStatusTable {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// The status table is not the one that was written last.
    #[error("{} was changed by something else than reld; restore it, or start with an empty root", path.display())]
    ChangedStatusTable {
        /// Where it is.
        path: PathBuf,
    },
    /// The release's status does not allow the action.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A release's files are not those that were unpacked.
    #[error("release {vsn} is damaged on disk: {} is {fault}; {}", path.display(), fault.remedy())]
    Tampered {
        /// The release.
        vsn: Vsn,
        /// The first file that is damaged.
        path: PathBuf,
        /// What is wrong with it.
        fault: Harm,
    },
    /// The disk is too full for a tarball.
    #[error(
        "cannot write below {}: {needed} bytes are needed, {free} are free, and {reserve} bytes stay in reserve; \
         `relctl prune --keep 0` removes old releases",
        folder.display()
    )]
    TooFull {
        /// Where it was to be written.
        folder: PathBuf,
        /// How much.
        needed: u64,
        /// How much is free.
        free: u64,
        /// How much of that is not used.
        reserve: u64,
    },
    /// The release is out of the table, but some of its files could not be deleted; the next start does that.
    #[error(
        "removed {}, but not all of their files; the next start of reld deletes them",
        versions(releases)
    )]
    Leftover {
        /// The removed releases.
        releases: Vec<Vsn>,
        /// What stood in the way.
        source: Box<Self>,
    },
    /// A tarball can not be taken.
    #[error("{} can not be unpacked", path.display())]
    Tarball {
        /// The tarball.
        path: PathBuf,
        /// What is wrong with it.
        source: Fault,
    },
    /// A document is missing.
    #[error("{} is missing", path.display())]
    NoDocument {
        /// Where it should be.
        path: PathBuf,
    },
    /// A document is not what it should be; the error points into it.
    #[error(transparent)]
    Document(#[from] DocError),
    /// Instructions of an appup cannot be planned; each error points into it.
    #[error("{}", lines(mistakes))]
    Instructions {
        /// What is wrong, in file order.
        mistakes: Vec<InstructionError>,
    },
    /// The documents of a release do not belong together.
    #[error(transparent)]
    Release(Box<PlanError>),
    /// A document is not UTF-8 text.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// Where it is.
        path: PathBuf,
    },
    /// What should be a document is a folder, a FIFO or a device.
    #[error("cannot read {}: it is no plain file", path.display())]
    NotPlain {
        /// Where it is.
        path: PathBuf,
    },
    /// A document is too long to be one.
    #[error("cannot read {}: a document has at most {max} bytes", path.display())]
    TooLong {
        /// Where it is.
        path: PathBuf,
        /// The bound.
        max: u64,
    },
    /// A document speaks of something else than the place where it lies.
    #[error("{} is about {found}, expected {expected}", path.display())]
    OtherDocument {
        /// Where it is.
        path: PathBuf,
        /// Name and version that belong there.
        expected: String,
        /// Name and version that it has.
        found: String,
    },
    /// A release without apps.
    #[error("{} names no app", path.display())]
    NoApps {
        /// The `release.toml`.
        path: PathBuf,
    },
    /// No app folder has this name and version.
    #[error("no app.toml below {} has name \"{name}\" and version \"{version}\"{}", apps.display(), others(found))]
    NoApp {
        /// Where was looked.
        apps: PathBuf,
        /// The app.
        name: AppName,
        /// The version that the release wants.
        version: Vsn,
        /// The versions of this app that are there.
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
    #[error("app {name} can not be left out: it is not in the release")]
    NotInRelease {
        /// The app.
        name: AppName,
    },
    /// Nobody knows how to build an app.
    #[error("{} has neither a Cargo.toml nor a Makefile, so nothing says how to build it", folder.display())]
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
    /// The package made no library.
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
    /// `make` made something else.
    #[error(
        "make has built {} and there is no {} in it; the first target of its Makefile must be `$(LIBRARY)`",
        folder.display(),
        library.display()
    )]
    NoMadeLibrary {
        /// The app's folder.
        folder: PathBuf,
        /// Where the library was expected, below the folder.
        library: PathBuf,
    },
    /// A library could not be looked into.
    #[error("{} can not be probed", library.display())]
    Probe {
        /// The library.
        library: PathBuf,
        /// What the probe answered.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A library says that it is another app than its `app.toml` does.
    #[error("the library of {} is {library}, its app.toml says {document}", folder.display())]
    OtherLibrary {
        /// The app's folder.
        folder: PathBuf,
        /// Name and version in the library.
        library: String,
        /// Name and version in `app.toml`.
        document: String,
    },
    /// `start` of an `app.toml` names no application module of the app's library, or is missing though there is one.
    #[error("{}: {}", document.display(), start(named.as_ref(), applications))]
    Start {
        /// The `app.toml`.
        document: PathBuf,
        /// What it names.
        named: Option<ModuleName>,
        /// What it may name.
        applications: Vec<ModuleName>,
    },
    /// `modules` of an `app.toml` is not what the app's library has.
    #[error(
        "{}: modules {}; correct the list, or leave it empty: it is filled in from the library",
        document.display(),
        differ(strangers, unlisted)
    )]
    OtherModules {
        /// The `app.toml`.
        document: PathBuf,
        /// What it lists and the library does not have.
        strangers: Vec<ModuleName>,
        /// What the library has and it does not list.
        unlisted: Vec<ModuleName>,
    },
    /// An app has start phases and nothing that would go through them.
    #[error("{}: start_phases without `start`: an app without application goes through none; name it, or take them out", document.display())]
    PhasesWithoutStart {
        /// The `app.toml`.
        document: PathBuf,
    },
    /// The release would not boot.
    #[error("{}", lines(errors))]
    NotBootable {
        /// Everything that would keep it from that.
        errors: Vec<BootError>,
    },
    /// Instructions of an appup or a relup name modules that no app of the release has, or that are something else than they
    /// need; each error points into the document.
    #[error("{}", lines(places))]
    Misfits {
        /// Where, in file order.
        places: Vec<DocError>,
    },
    /// The release is for another daemon than the packer's.
    #[error("{} names daemon {named}; this is the packer of reld {packer}: write daemon = \"{packer}\", or use that of {named}", release.display())]
    OtherDaemon {
        /// The `release.toml`.
        release: PathBuf,
        /// The daemon that it names.
        named: Vsn,
        /// The packer's own version.
        packer: Vsn,
    },
    /// Two libraries of one release need different nodes.
    #[error("{} was built for {found}, the other apps of the release for {expected}", folder.display())]
    MixedPlatforms {
        /// The app's folder.
        folder: PathBuf,
        /// What it needs.
        found: String,
        /// What those before it need.
        expected: String,
    },
    /// A file's path does not fit into a tarball's header.
    #[error("the path {path} is too long for a tarball")]
    PathTooLong {
        /// The path below the root.
        path: String,
    },
    /// A file that is to be packed cannot be.
    #[error("cannot pack {}: {why}", path.display())]
    NotPackable {
        /// The path.
        path: PathBuf,
        /// Why not, and what to do about it.
        why: String,
    },
    /// A file was changed while it was packed.
    #[error("{} changed while it was packed; pack again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// Says whether files of a release are lost or not those that were unpacked. What the machine refuses to read may
    /// still be whole.
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

    /// Names a file below this folder by its path there: the folder is nobody's business.
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

/// What stops the reading of a tarball: the tarball, or the node that takes it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The tarball is at fault.
    Tarball(Fault),
    /// The node is.
    Node(Error),
}

impl Failure {
    /// Returns a closure for `map_err` that names the tarball.
    pub(crate) fn of(path: &Path) -> impl FnOnce(Self) -> Error {
        move |failure| match failure {
            Self::Tarball(source) => Error::Tarball { path: path.to_owned(), source },
            Self::Node(error) => error,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Tarball(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Tarball(Fault::NotATarball(error))
    }
}

// By hand, since the variant holds it boxed: it is large and rare.
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
        (Some(named), []) => format!("start names {named}, and the library has no application module"),
        (Some(named), has) => {
            format!("start names {named}, which is no application module; the library has {}", has.join(", "))
        }
        (None, has) => format!("start is missing; the library has the application module {}", has.join(", ")),
    }
}

fn differ(strangers: &[ModuleName], unlisted: &[ModuleName]) -> String {
    let named = |what: &str, modules: &[ModuleName]| {
        let names: Vec<&str> = modules.iter().map(ModuleName::as_str).collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let both = [named("lists, and the library does not have,", strangers), named("does not list", unlisted)];
    both.into_iter().flatten().collect::<Vec<_>>().join(", and ")
}

fn others(found: &[Vsn]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    format!("; that app is there as {}", found.join(", "))
}
