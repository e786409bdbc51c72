//! Builds an app's library with cargo.
//!
//! Panic messages and debug information in a library contain paths of the build machine. Fixed
//! paths replace them, so that two build machines produce the same bytes: cargo's home, with the
//! sources of dependencies, becomes `/cargo`, and the package's workspace becomes `/build`.
//! Compiler flags are the only stable way to do this. They are *added* to the author's flags, which
//! cargo reads from several sources. When cargo first sees the added flags, it rebuilds the
//! dependencies once.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{CrateType, Message};

use crate::error::Error;

/// The separator of flags in `CARGO_ENCODED_RUSTFLAGS`.
const UNIT_SEPARATOR: &str = "\x1f";

/// Builds the package in `folder` with a cargo profile, and returns the path of its shared library.
///
/// Cargo's messages go to stderr. `CARGO_TARGET_DIR` and the other environment variables are
/// respected.
///
/// # Errors
/// [`Error::CargoFailed`], [`Error::NoLibrary`], [`Error::Io`].
pub(crate) fn build(folder: &Path, profile: &str) -> Result<PathBuf, Error> {
    let cargo_toml = folder.join("Cargo.toml");
    let cargo_toml = cargo_toml.canonicalize().map_err(Error::io("read", &cargo_toml))?;
    let output = command(&cargo_toml, profile)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io("run cargo for", folder))?;
    if !output.status.success() {
        return Err(Error::CargoFailed { folder: folder.to_owned() });
    }
    library(&output.stdout, &cargo_toml).ok_or_else(|| Error::NoLibrary { folder: folder.to_owned() })
}

fn command(cargo_toml: &Path, profile: &str) -> Command {
    let mut command = Command::new(cargo());
    command.args(["build", "--lib", "--message-format", "json-render-diagnostics", "--profile", profile]);
    command.arg("--manifest-path").arg(cargo_toml);
    remap(&mut command, &flags(cargo_toml));
    command
}

/// Adds compiler flags to those of the author. If the author sets flags in an environment variable,
/// cargo reads only that variable, so the flags are added there. Otherwise they are a setting on
/// the command line, which cargo merges with the configuration files.
fn remap(command: &mut Command, flags: &[String]) {
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

fn flags(cargo_toml: &Path) -> Vec<String> {
    let remap = |(path, name): (PathBuf, &str)| format!("--remap-path-prefix={}={name}", path.display());
    // The compiler uses the last match. The order would matter only if one path contained the
    // other, which does not happen in practice.
    let home = cargo_home().map(|home| (home, "/cargo"));
    home.into_iter().chain([(workspace(cargo_toml), "/build")]).map(remap).collect()
}

/// Returns the workspace of a package. If cargo fails, returns the folder of the package, and the
/// build reports the error.
fn workspace(cargo_toml: &Path) -> PathBuf {
    let own = || cargo_toml.parent().unwrap_or(cargo_toml).to_owned();
    let located = Command::new(cargo())
        .args(["locate-project", "--workspace", "--message-format", "plain", "--manifest-path"])
        .arg(cargo_toml)
        .stderr(Stdio::null())
        .output();
    let text = located.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let path = text.and_then(|text| String::from_utf8(text).ok()).map(|text| PathBuf::from(text.trim_end()));
    path.and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_else(own)
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// Returns cargo's path from `CARGO`, which cargo sets for its subprocesses, or else `cargo` for a
/// lookup in `PATH`.
fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
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
