//! The daemon's own file.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use anyhow::Context;
use reld_handler::Vsn;

/// Returns the daemon's file. One that was replaced since the start counts in its new form.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("the daemon's own file")?;
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// Returns the version of the daemon that a restart would execute.
pub(crate) fn installed() -> anyhow::Result<Vsn> {
    let program = program()?;
    let told = std::process::Command::new(&program).arg("--version").process_group(0).output();
    let told = told.with_context(|| format!("{} cannot be run", program.display()))?;
    let text = String::from_utf8_lossy(&told.stdout);
    let version = text.trim().strip_prefix("reld ").unwrap_or_default();
    version.parse().with_context(|| format!("{} does not say its version but {text:?}", program.display()))
}
