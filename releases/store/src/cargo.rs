//! Builds an app's library with cargo.
//!
//! **Dependencies are compiled once**, for all apps, versions and checkouts, in a folder that they
//! share. Cargo was not made for that: it tells the members of two checkouts apart neither by their
//! names nor by their times, so one checkout would get the code of the other. Two settings mend
//! that, and cargo documents the first:
//!
//! - Cargo hashes the path of `RUSTC_WORKSPACE_WRAPPER` into the names of the members' files, so
//!   each workspace has a wrapper at a path of its own.
//! - `__CARGO_DEFAULT_LIB_METADATA` gives a shared library such a name too. The finished library
//!   has a plain name, and lies in a folder of its packing, where no other build replaces it.
//!
//! **Equal sources make equal bytes.** Panic messages and debug information contain paths of the
//! build machine, and fixed paths replace them: `/cargo` for cargo's home with the sources of
//! dependencies, `/target` for the folder of the build, `/build` for the workspace. The flags for
//! the first two go to all crates. They are *added* to the author's flags, which cargo reads from
//! several sources. The last is the task of the wrapper (`cargo/member.sh`), because this path
//! differs.

mod workspace;
mod workspaces;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{CrateType, Message};

use self::workspace::{Workspace, cargo};
pub use self::workspaces::Workspaces;
use crate::error::Error;
use crate::purpose::Purpose;

/// The separator of flags in `CARGO_ENCODED_RUSTFLAGS`.
const UNIT_SEPARATOR: &str = "\x1f";

/// The way to build a package.
pub(crate) struct Build<'a> {
    /// The cargo profile.
    pub(crate) profile: &'a str,
    /// The workspaces that are known from earlier builds.
    pub(crate) workspaces: &'a Workspaces,
    /// The folder in which dependencies are built. Without one, or if the author has chosen a
    /// folder with cargo's settings, cargo's own.
    pub(crate) shared: Option<&'a Path>,
    /// The folder of the finished library, where no other build replaces it.
    pub(crate) output: &'a Path,
    pub(crate) purpose: Purpose,
}

/// Builds the package in `folder`, and returns the path of its shared library.
///
/// Cargo's messages go to stderr. `CARGO_TARGET_DIR` and the other environment variables are
/// respected.
///
/// # Errors
/// [`Error::CargoFailed`], [`Error::NoLibrary`], [`Error::Io`].
pub(crate) fn build(folder: &Path, build: &Build<'_>) -> Result<PathBuf, Error> {
    let cargo_toml = folder.join("Cargo.toml");
    let cargo_toml = cargo_toml.canonicalize().map_err(Error::io("read", &cargo_toml))?;
    let mut workspace = build.workspaces.of(&cargo_toml, Stdio::inherit())?;
    build.shared.into_iter().for_each(|shared| workspace.share(shared));
    let output = command(&cargo_toml, &workspace, build)?
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io("run cargo for", folder))?;
    if !output.status.success() {
        return Err(Error::CargoFailed { folder: folder.to_owned() });
    }
    library(&output.stdout, &cargo_toml).ok_or_else(|| Error::NoLibrary { folder: folder.to_owned() })
}

fn command(cargo_toml: &Path, workspace: &Workspace, build: &Build<'_>) -> Result<Command, Error> {
    let mut command = Command::new(cargo());
    command.args(["rustc", "--lib", "--message-format", "json-render-diagnostics"]);
    command.args(["--profile", build.profile]);
    command.arg("--manifest-path").arg(cargo_toml).arg("--target-dir").arg(build.output);
    workspace.set_up(&mut command)?;
    add_flags(&mut command, &workspace.flags());
    command.arg("--").args(build.purpose.rustc_flags());
    Ok(command)
}

/// Adds compiler flags to those of the author. If the author sets flags in an environment variable,
/// cargo reads only that variable, so the flags are added there. Otherwise they are a setting on
/// the command line, which cargo merges with the configuration files.
fn add_flags(command: &mut Command, flags: &[String]) {
    let joined = |name: &str, separator: &str| {
        let given = env::var(name).ok().filter(|given| !given.is_empty())?;
        Some(given + separator + &flags.join(separator))
    };
    if let Some(value) = joined("CARGO_ENCODED_RUSTFLAGS", UNIT_SEPARATOR) {
        command.env("CARGO_ENCODED_RUSTFLAGS", value);
    } else if let Some(value) = joined("RUSTFLAGS", " ") {
        command.env("RUSTFLAGS", value);
    } else {
        let list = toml::Value::from(flags.to_vec());
        command.arg("--config").arg(format!("build.rustflags={list}"));
    }
}

/// Finds the library of one package among cargo's messages.
fn library(messages: &[u8], cargo_toml: &Path) -> Option<PathBuf> {
    let artifacts = Message::parse_stream(messages).filter_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) => Some(artifact),
        _ => None,
    });
    artifacts
        .filter(|artifact| artifact.manifest_path == cargo_toml)
        .filter(|artifact| artifact.target.crate_types.contains(&CrateType::CDyLib))
        .flat_map(|artifact| artifact.filenames)
        .find(|file| file.extension() == Some("so"))
        .map(PathBuf::from)
}
