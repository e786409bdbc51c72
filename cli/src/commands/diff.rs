//! `relctl diff FROM TO`: what changes between two releases, and drafts of the appups for it, without a node.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use reld_api::ErrorReport;
use reld_plan::{AppName, PackedApp, PackedRelease, Release, Schemas};
use reld_store::{Documents, Manifest, Root, docs, docs_of_tarball};

use super::Shown;
use super::plan::documents;
use crate::args::Diff;
use crate::error::Failure;

pub(super) fn diff(args: &Diff) -> Result<Shown, Failure> {
    let diff = reld_plan::diff(&read(&args.from)?, &read(&args.to)?);
    let written = args.write.as_deref().map(|folder| write(folder, &diff)).transpose()?.unwrap_or_default();
    let lines: String = written.iter().map(|path| format!("wrote {}\n", path.display())).collect();
    let mut shown = Shown::new(&diff, format!("{diff}{lines}"));
    shown.json["written"] = written.iter().map(|path| path.to_string_lossy()).collect();
    Ok(shown)
}

/// Reads a release with what its packer recorded.
fn read(path: &Path) -> Result<PackedRelease, Failure> {
    if path.is_dir() {
        // A folder says in no other place which release it holds.
        let release = documents::release(path)??;
        return packed(path, docs(&Root::new(documents::root(path)), release.version())?, None);
    }
    let (manifest, documents) = docs_of_tarball(path)?;
    packed(path, documents, Some(&manifest))
}

fn packed(path: &Path, documents: Documents, manifest: Option<&Manifest>) -> Result<PackedRelease, Failure> {
    let apps = apps(path, &documents.release, &documents.schemas, manifest)?;
    Ok(PackedRelease { release: documents.release, config: documents.config, apps })
}

fn apps(
    path: &Path,
    release: &Release,
    schemas: &BTreeMap<AppName, String>,
    manifest: Option<&Manifest>,
) -> Result<BTreeMap<AppName, PackedApp>, Failure> {
    let mut apps = BTreeMap::new();
    for app in release.apps() {
        let (name, version) = (app.name(), app.version());
        let shown = path.join(format!("lib/{name}-{version}/schema.json"));
        let parse = |text: &String| Schemas::parse(&shown.to_string_lossy(), text);
        let schemas = schemas.get(name).map(parse).transpose()?.unwrap_or_default();
        let library = manifest.and_then(|manifest| manifest.library(name, version));
        apps.insert(name.clone(), PackedApp { schemas, library: library.map(|digest| digest.to_string()) });
    }
    Ok(apps)
}

/// Writes all drafts, or none: a file that is there may be one that somebody has worked on.
fn write(folder: &Path, diff: &reld_plan::Diff) -> Result<Vec<PathBuf>, Failure> {
    let drafts = diff.apps.iter().filter_map(|app| {
        let (version, draft) = (app.to.as_ref()?, app.draft.as_ref()?);
        Some((folder.join(format!("{}-{version}.appup.toml", app.app)), draft))
    });
    let drafts: Vec<_> = drafts.collect();
    if let Some((path, _)) = drafts.iter().find(|(path, _)| path.exists()) {
        let message = format!("{} is there already, and nothing was written", path.display());
        return Err(Failure::from(ErrorReport::refused("exists", message))
            .or_hint("move it away, or name another folder"));
    }
    fs::create_dir_all(folder).map_err(|fault| Failure::io("make", folder.display(), &fault))?;
    for (path, draft) in &drafts {
        create(path, draft).map_err(|fault| Failure::io("write", path.display(), &fault))?;
    }
    Ok(drafts.into_iter().map(|(path, _)| path).collect())
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
