//! Builds the daemon and the example's libraries, which `cargo run --bin relctl` does not build.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reld_store::{Order, Purpose, Workspaces};
use serde_json::Value;
use tokio::process::Command;

use crate::commands::pack;
use crate::commands::probe::ReldProbe;
use crate::error::Failure;

/// The profile that relctl was built with, so that cargo can reuse most artifacts.
const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

/// The files that the demo uses.
#[derive(Debug)]
pub(super) struct Built {
    /// The daemon.
    pub(super) reld: PathBuf,
    /// The tarball to boot.
    pub(super) first: PathBuf,
    /// The tarball to upgrade to.
    pub(super) second: PathBuf,
}

pub(super) async fn build(folder: &Path, [first, second]: [&str; 2]) -> Result<Built, Failure> {
    let workspace = sources()?;
    let reld = daemon(&workspace).await?;
    let examples = workspace.join("examples");
    let first = release(&examples, first, folder, &reld).await?;
    let second = release(&examples, second, folder, &reld).await?;
    Ok(Built { reld, first, second })
}

/// Returns the clone that the working folder or `relctl` itself lies in.
fn sources() -> Result<PathBuf, Failure> {
    let here = env::current_dir().map_err(|fault| Failure::io("find", "the working folder", &fault))?;
    let program = env::current_exe().map_err(|fault| Failure::io("find", "the path of relctl", &fault))?;
    let is_clone = |folder: &&Path| folder.join("examples/releases/shop-1.0.0.toml").is_file();
    let found = here.ancestors().chain(program.ancestors()).find(is_clone);
    found.map(Path::to_owned).ok_or_else(|| {
        let message =
            format!("cannot build the demo: {} is not in a clone of reld's repository", here.display());
        Failure::usage(message).or_hint("call `relctl demo` in a clone")
    })
}

async fn daemon(workspace: &Path) -> Result<PathBuf, Failure> {
    let args = ["build", "--package", "reld", "--bin", "reld", "--profile", PROFILE];
    let format = ["--message-format", "json-render-diagnostics"];
    let messages = cargo(&[&args[..], &format[..]].concat(), workspace).await?;
    let found = messages.lines().filter_map(executable).next_back();
    found.ok_or_else(|| super::failed("cargo built the daemon but did not report its path".to_owned()))
}

/// Returns the executable that a message of cargo names, if it names one.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    message.get("executable")?.as_str().map(PathBuf::from)
}

async fn release(examples: &Path, name: &str, folder: &Path, reld: &Path) -> Result<PathBuf, Failure> {
    let order = Order {
        release: examples.join("releases").join(format!("{name}.toml")),
        apps: examples.to_owned(),
        output: Some(folder.join(format!("{name}.tar.gz"))),
        profile: PROFILE.to_owned(),
        shared_build: pack::shared_build(),
        workspaces: Workspaces::default(),
        purpose: Purpose::Keep,
        without: [].into(),
        reld: pack::least_reld(),
    };
    Ok(pack::build(order, ReldProbe::new(Some(reld.to_owned()))).await?.tarball)
}

/// Runs cargo and returns its stdout; its progress goes to stderr.
async fn cargo(args: &[&str], folder: &Path) -> Result<String, Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    // `Command::output` would capture stderr as well, and so hide the progress.
    let running = Command::new(cargo)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let not_run = |fault| Failure::io("run", "cargo", &fault);
    let output = running.map_err(not_run)?.wait_with_output().await.map_err(not_run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(super::failed(format!("`cargo {}` failed", args.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_found_among_cargos_messages() {
        assert_eq!(
            executable(r#"{"reason": "compiler-artifact", "executable": "/t/reld"}"#),
            Some("/t/reld".into())
        );
        assert_eq!(executable(r#"{"reason": "compiler-artifact", "executable": null}"#), None);
        assert_eq!(executable("warning"), None);
    }
}
