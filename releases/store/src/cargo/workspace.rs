//! The cargo workspace of an app: its folders, and the compiler flags that hide them.

use std::collections::{BTreeSet, HashSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{Metadata, MetadataCommand, Package, PackageId};

use crate::digest::Digest;
use crate::error::Error;

const MEMBER_COMPILER: &str = include_str!("member.sh");

/// A cargo workspace, and the folder in which it is built.
#[derive(Debug, Clone)]
pub(super) struct Workspace {
    root: PathBuf,
    /// Cargo's folder for intermediate files.
    build: PathBuf,
    /// Whether crates that are no members lie in the workspace's folder.
    is_mixed: bool,
    /// The folders of the package and of the path dependencies that it is built with.
    crates: BTreeSet<PathBuf>,
    /// The files that describe it.
    documents: Vec<PathBuf>,
}

impl Workspace {
    /// Returns the workspace of a package. `stderr` is for cargo's errors.
    ///
    /// # Errors
    /// [`Error::CargoFailed`], [`Error::Io`].
    pub(super) fn of(cargo_toml: &Path, stderr: Stdio) -> Result<Self, Error> {
        let metadata = metadata(cargo_toml, stderr)?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let build = metadata.build_directory.as_ref().unwrap_or(&metadata.target_directory);
        let local = metadata.packages.iter().filter(|package| package.source.is_none());
        let documents = local.map(|package| package.manifest_path.clone().into_std_path_buf());
        let of_root = ["Cargo.toml", "Cargo.lock"].map(|name| root.join(name));
        Ok(Self {
            build: build.clone().into_std_path_buf(),
            is_mixed: metadata.packages.iter().any(|package| is_stranger(package, &metadata, &root)),
            crates: crates(&metadata),
            documents: documents.chain(of_root).collect(),
            root,
        })
    }

    /// Lets the workspace be built in the folder `shared`, unless the author has chosen a folder,
    /// or the workspace is mixed.
    pub(super) fn share(&mut self, shared: &Path) {
        let is_default = self.build == self.root.join("target");
        // A folder that cannot be made is no reason to fail: it only saves time.
        if is_default && !self.is_mixed && fs::create_dir_all(shared).is_ok() {
            shared.clone_into(&mut self.build);
        }
    }

    pub(super) fn documents(&self) -> &[PathBuf] {
        &self.documents
    }

    pub(super) fn into_crates(self) -> BTreeSet<PathBuf> {
        self.crates
    }

    /// Returns the flags for all crates. They are the same for all apps if the workspace is not
    /// mixed, so that cargo can use the libraries of dependencies again.
    pub(super) fn flags(&self) -> Vec<String> {
        let remap = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
        // The compiler uses the last prefix that fits; the other folders may lie in the workspace.
        let root = self.is_mixed.then(|| remap(&self.root, "/build"));
        let home = cargo_home().map(|home| remap(&home, "/cargo"));
        root.into_iter().chain(home).chain([remap(&self.build, "/target")]).collect()
    }

    /// Lets cargo build in the folder of this workspace, and its members with a compiler of its
    /// own.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn set_up(&self, command: &mut Command) -> Result<(), Error> {
        let compiler =
            self.build.join(".reld").join(Digest::of(self.root.as_os_str().as_encoded_bytes()).to_string());
        write_program(&compiler).map_err(Error::io("write", &compiler))?;
        command
            .env("CARGO_BUILD_BUILD_DIR", &self.build)
            .env("RUSTC_WORKSPACE_WRAPPER", compiler)
            .env("RELD_WORKSPACE", &self.root)
            .env("__CARGO_DEFAULT_LIB_METADATA", "reld");
        Ok(())
    }
}

/// Returns the folders of a package and of the path dependencies that it is built with.
fn crates(metadata: &Metadata) -> BTreeSet<PathBuf> {
    let Some(graph) = &metadata.resolve else { return BTreeSet::new() };
    let mut open: Vec<&PackageId> = graph.root.iter().collect();
    let mut used = HashSet::new();
    while let Some(id) = open.pop() {
        if used.insert(id) {
            open.extend(&graph[id].dependencies);
        }
    }
    let local = metadata.packages.iter().filter(|package| package.source.is_none());
    let folders = local.filter(|package| used.contains(&package.id));
    folders.filter_map(|package| Some(package.manifest_path.parent()?.into())).collect()
}

fn metadata(cargo_toml: &Path, stderr: Stdio) -> Result<Metadata, Error> {
    let folder = || cargo_toml.parent().unwrap_or(cargo_toml).to_owned();
    // That of the node: apps are built for this machine.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo())
        .args(["metadata", "--format-version", "1", "--filter-platform", &platform, "--manifest-path"])
        .arg(cargo_toml)
        .stdin(Stdio::null())
        .stderr(stderr)
        .output()
        .map_err(Error::io("run cargo for", cargo_toml))?;
    let parsed =
        output.status.success().then(|| MetadataCommand::parse(String::from_utf8_lossy(&output.stdout)));
    parsed.and_then(Result::ok).ok_or_else(|| Error::CargoFailed { folder: folder() })
}

/// Returns whether a crate lies in the workspace's folder and is no member, such as a vendored one.
/// Cargo takes such crates of two checkouts for the same.
fn is_stranger(package: &Package, metadata: &Metadata, root: &Path) -> bool {
    let path = package.manifest_path.as_std_path();
    let is_downloaded = cargo_home().is_some_and(|home| path.starts_with(home));
    path.starts_with(root) && !is_downloaded && !metadata.workspace_members.contains(&package.id)
}

/// Returns cargo's path from `CARGO`, which cargo sets for its subprocesses, or else `cargo` for a
/// lookup in `PATH`.
pub(super) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// Writes the compiler of members, unless it is there.
fn write_program(path: &Path) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == MEMBER_COMPILER.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let mut draft =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempfile_in(folder)?;
    draft.write_all(MEMBER_COMPILER.as_bytes())?;
    draft.persist(path)?;
    Ok(())
}
