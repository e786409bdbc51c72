//! `relctl diff FROM TO`: the changes between two releases and drafts of the appups for them,
//! without a node.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_plan::{PackedRelease, ReleaseApp};
use reld_store::{Error, Fault, Manifest, docs_of_tarball};

use super::plan::documents;
use crate::args::Diff;
use crate::error::Failure;
use crate::input::Input;
use crate::shown::Shown;

pub(super) fn diff(args: &Diff) -> Result<Shown, Failure> {
    let [from, to] = Input::pair(&args.from, &args.to)?;
    let diff = reld_plan::diff(&read(from.path())?, &read(to.path())?);
    let written = args.write.as_deref().map(|folder| write(folder, &diff)).transpose()?.unwrap_or_default();
    let lines: String = written.iter().map(|path| format!("wrote {}\n", path.display())).collect();
    let mut shown = Shown::new(&diff, format!("{diff}{lines}"));
    if args.exit_code && !diff.findings.is_empty() {
        shown.exit_code = ExitCode::Refused;
    }
    shown.json["written"] = written.iter().map(|path| path.to_string_lossy()).collect();
    Ok(shown)
}

/// Reads a release with the digests of its libraries. A tarball made by `relctl pack` is verified
/// and has these digests; other sources do not.
fn read(path: &Path) -> Result<PackedRelease, Failure> {
    let mut packed = documents::packed(path)??;
    let manifest = if path.is_dir() { None } else { manifest(path)? };
    let library = |app: &ReleaseApp| {
        let digest = manifest.as_ref()?.library(app.name(), app.version())?;
        Some((app.name().clone(), digest.to_string()))
    };
    packed.libraries = packed.release.apps().iter().filter_map(library).collect();
    Ok(packed)
}

/// Verifies a tarball and returns its manifest; `None` for a tarball of another tool, which has no
/// manifest.
fn manifest(tarball: &Path) -> Result<Option<Manifest>, Failure> {
    match docs_of_tarball(tarball) {
        Ok((manifest, _)) => Ok(Some(manifest)),
        Err(Error::Tarball { source: Fault::NoManifest | Fault::NotAFile { .. }, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes all drafts. If one of the files exists, none is written, because that file may have been
/// edited.
fn write(folder: &Path, diff: &reld_plan::Diff) -> Result<Vec<PathBuf>, Failure> {
    let drafts = diff.apps.iter().filter_map(|app| {
        let (version, draft) = (app.to.as_ref()?, app.draft.as_ref()?);
        Some((folder.join(format!("{}-{version}.appup.toml", app.app)), draft))
    });
    let drafts: Vec<_> = drafts.collect();
    if let Some((path, _)) = drafts.iter().find(|(path, _)| path.exists()) {
        let message = format!("{} already exists; nothing was written", path.display());
        return Err(Failure::from(ErrorReport::refused(ErrorCode::Exists, message))
            .or_hint("move it away, or choose another folder"));
    }
    fs::create_dir_all(folder).map_err(|fault| Failure::io("create", folder.display(), &fault))?;
    for (path, draft) in &drafts {
        create(path, draft).map_err(|fault| Failure::io("write", path.display(), &fault))?;
    }
    Ok(drafts.into_iter().map(|(path, _)| path).collect())
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
