//! A release that lies in a folder as it lies in a tarball: `releases/VSN/release.toml` and `lib/APP-VSN/{app,appup}.toml`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reld_api::ErrorReport;
use reld_plan::{AppDocs, DocError, PlanError, Rel, RelApp, Release, RelupFile};

use super::Read;
use crate::error::Failure;

/// Reads the one release of a folder. An app without its folder is the planner's to report.
pub(in crate::commands) fn release(folder: &Path) -> Result<Read, Failure> {
    let path = release_toml(folder)?;
    let text = read(&path)?;
    let rel = match Rel::parse(&path.to_string_lossy(), &text) {
        Ok(rel) => rel,
        Err(error) => return Ok(Err(error.into())),
    };
    let docs = rel.apps.iter().map(|app| docs(folder, app)).collect::<Result<Vec<_>, _>>()?;
    let docs: Result<Vec<_>, _> = docs.into_iter().flatten().collect();
    let relup = relup(&path.with_file_name("relup.toml"))?;
    let release = docs.and_then(|docs| Release::new(rel, docs));
    Ok(match relup {
        None => release,
        Some(relup) => release.and_then(|release| Ok(release.with_relup(relup?))),
    })
}

/// Reads the script that somebody wrote for the release, where there is one.
fn relup(path: &Path) -> Result<Option<Result<RelupFile, DocError>>, Failure> {
    let text = read_if_there(path)?;
    Ok(text.map(|text| RelupFile::parse(&path.to_string_lossy(), &text)))
}

/// Finds the `release.toml` below `releases/`, of which there has to be one: its version is in no other place.
fn release_toml(folder: &Path) -> Result<PathBuf, Failure> {
    let releases = folder.join("releases");
    let entries = fs::read_dir(&releases).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|fault| Failure::io("read", releases.display(), &fault))?;
    let paths = entries.into_iter().map(|entry| entry.path().join("release.toml"));
    let mut found: Vec<_> = paths.filter(|path| path.is_file()).collect();
    match (found.pop(), found.len()) {
        (Some(path), 0) => Ok(path),
        (None, _) => Err(no_document(&releases.join("VSN/release.toml"), "is missing")),
        (Some(_), _) => {
            Err(no_document(&releases, "holds more than one release; a plan needs a folder with one"))
        }
    }
}

/// Reads the documents of an app; `None` if it has no `app.toml`.
fn docs(folder: &Path, app: &RelApp) -> Result<Option<Result<AppDocs, PlanError>>, Failure> {
    let below = folder.join("lib").join(format!("{}-{}", app.name, app.version));
    let (path, appup_path) = (below.join("app.toml"), below.join("appup.toml"));
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    let appup = read_if_there(&appup_path)?;
    let (path, appup_path) = (path.to_string_lossy(), appup_path.to_string_lossy());
    let docs = AppDocs::parse((&path, &text), appup.as_deref().map(|text| (&*appup_path, text)));
    Ok(Some(docs.map_err(PlanError::from)))
}

fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(Failure::io("read", path.display(), &fault)),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))
}

fn no_document(path: &Path, what: &str) -> Failure {
    ErrorReport::refused("no_document", format!("{} {what}", path.display())).into()
}
