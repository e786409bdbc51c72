//! The executable file of the daemon.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use reld_handler::Vsn;

/// Returns the path of the daemon's executable. If the file was replaced since the start, this is
/// the path of the new file.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("cannot find the daemon's executable")?;
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// Returns the path of the daemon's executable if another file was installed there since the start.
pub(crate) fn replaced() -> Option<PathBuf> {
    let installed = program().ok()?;
    let id = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    let running = id(Path::new("/proc/self/exe"))?;
    id(&installed).is_some_and(|file| file != running).then_some(installed)
}

/// Returns the version of the daemon that a restart would execute.
pub(crate) fn installed() -> anyhow::Result<Vsn> {
    let program = program()?;
    let output = std::process::Command::new(&program).arg("--version").process_group(0).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().strip_prefix("reld ").unwrap_or_default();
    version
        .parse()
        .with_context(|| format!("{} --version printed no version but {text:?}", program.display()))
}
