//! Remembers workspaces between packings: cargo takes up to a tenth of a second to describe one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::workspace::Workspace;
use crate::error::Error;

/// The cargo workspaces of apps that are packed again and again. A workspace is described anew when
/// one of its `Cargo.toml` or its `Cargo.lock` has changed.
#[derive(Debug, Clone, Default)]
pub struct Workspaces(Arc<Mutex<BTreeMap<PathBuf, Known>>>);

#[derive(Debug)]
struct Known {
    workspace: Workspace,
    stamps: Vec<Stamp>,
}

/// The time and the size of a file; `None` for a missing file.
type Stamp = Option<(SystemTime, u64)>;

impl Workspaces {
    /// Returns the folders of the crates on this machine that an app is built from: its own, and
    /// those of path dependencies. An app without a `Cargo.toml` has none. Cargo's errors are not
    /// printed.
    ///
    /// # Errors
    /// [`Error::CargoFailed`], [`Error::Io`].
    pub fn crates(&self, app: &Path) -> Result<BTreeSet<PathBuf>, Error> {
        match app.join("Cargo.toml").canonicalize() {
            Ok(cargo_toml) => Ok(self.of(&cargo_toml, Stdio::null())?.into_crates()),
            Err(_) => Ok(BTreeSet::new()),
        }
    }

    /// Returns the workspace of a package. `stderr` is for cargo's errors.
    ///
    /// # Errors
    /// [`Error::CargoFailed`], [`Error::Io`].
    pub(super) fn of(&self, cargo_toml: &Path, stderr: Stdio) -> Result<Workspace, Error> {
        // Two callers at the same time would describe the same.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(cargo_toml)
            && known.stamps == stamps(&known.workspace)
        {
            return Ok(known.workspace.clone());
        }
        let begun = SystemTime::now();
        let workspace = Workspace::of(cargo_toml, stderr)?;
        let stamps = stamps(&workspace);
        // A file that changes while cargo reads may be described by its old content.
        if stamps.iter().flatten().all(|(changed, _)| *changed < begun) {
            all.insert(cargo_toml.to_owned(), Known { workspace: workspace.clone(), stamps });
        }
        Ok(workspace)
    }
}

fn stamps(workspace: &Workspace) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let facts = fs::metadata(path).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    };
    workspace.documents().iter().map(stamp).collect()
}
