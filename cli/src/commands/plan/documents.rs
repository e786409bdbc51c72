//! The documents of a release in a folder or a tarball: `releases/VSN/{release,relup,config}.toml`
//! and `lib/APP-VSN/{app.toml,appup.toml,schema.json}`. No other file is read, so the release need
//! not be packed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use reld_api::{ErrorCode, ErrorReport};
use reld_plan::{AppDocs, Config, PackedRelease, PlanError, Rel, RelApp, Release, RelupFile, Schemas};
use reld_store::texts_of_tarball;

use super::Read;
use crate::error::Failure;

/// Reads the only release of a folder or tarball, or that of `FOLDER/releases/VSN`, with the
/// records of its packer.
pub(in crate::commands) fn packed(path: &Path) -> Result<Read, Failure> {
    let (place, document) = find(path)?;
    let (release, config) = match read(&place, &document)? {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(PackedRelease { release, config, libraries: BTreeMap::new() }))
}

/// Finds the only release by its `release.toml`.
fn find(path: &Path) -> Result<(Place<'_>, String), Failure> {
    if is_release(path) {
        let version = path.file_name().unwrap_or_default().display();
        return Ok((Place::Folder(root(path)), format!("releases/{version}/release.toml")));
    }
    let place = if path.is_dir() {
        Place::Folder(path)
    } else {
        Place::Tarball { path, texts: texts_of_tarball(path)? }
    };
    let found = place.releases()?;
    match found.as_slice() {
        [one] => Ok((place, one.clone())),
        [] => Err(refused(format!("{} is missing", place.shown("releases/VSN/release.toml")))),
        [one, ..] => {
            let example = place.shown(one.trim_end_matches("/release.toml"));
            Err(refused(format!("{} contains more than one release", place.shown("releases")))
                .or_hint(format!("name one of them, such as {example}")))
        }
    }
}

/// Returns the root folder of the release at a path.
fn root(path: &Path) -> &Path {
    let root = path.ancestors().nth(2).filter(|_| is_release(path));
    root.map_or(path, |root| if root.as_os_str().is_empty() { Path::new(".") } else { root })
}

fn is_release(path: &Path) -> bool {
    path.join("release.toml").is_file() && path.parent().is_some_and(|folder| folder.ends_with("releases"))
}

/// The location of documents, which are addressed by their paths in a tarball.
enum Place<'a> {
    Folder(&'a Path),
    Tarball { path: &'a Path, texts: BTreeMap<String, String> },
}

impl Place<'_> {
    /// Returns the path of a document for error messages.
    fn shown(&self, document: &str) -> String {
        match self {
            Self::Folder(path) | Self::Tarball { path, .. } => path.join(document).display().to_string(),
        }
    }

    fn find(&self, document: &str) -> Result<Option<String>, Failure> {
        match self {
            Self::Tarball { texts, .. } => Ok(texts.get(document).cloned()),
            Self::Folder(path) => match fs::read_to_string(path.join(document)) {
                Ok(text) => Ok(Some(text)),
                Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(fault) => Err(Failure::io("read", self.shown(document), &fault)),
            },
        }
    }

    /// Returns the path of every `release.toml` below `releases/`. The path contains the version of
    /// the release.
    fn releases(&self) -> Result<Vec<String>, Failure> {
        let is_release = |path: &&String| path.starts_with("releases/") && path.ends_with("/release.toml");
        match self {
            Self::Tarball { texts, .. } => Ok(texts.keys().filter(is_release).cloned().collect()),
            Self::Folder(path) => {
                let entries =
                    fs::read_dir(path.join("releases")).and_then(Iterator::collect::<io::Result<Vec<_>>>);
                let entries = entries.map_err(|fault| Failure::io("read", self.shown("releases"), &fault))?;
                let names = entries.iter().map(|entry| entry.file_name().display().to_string());
                let mut found: Vec<_> = names.map(|name| format!("releases/{name}/release.toml")).collect();
                found.retain(|document| path.join(document).is_file());
                found.sort();
                Ok(found)
            }
        }
    }
}

/// Reads a release and its configuration. The planner reports apps without documents.
fn read(place: &Place<'_>, document: &str) -> Result<Result<(Release, Config), PlanError>, Failure> {
    let text = place.find(document)?.unwrap_or_default();
    let [relup, config] =
        ["relup.toml", "config.toml"].map(|beside| document.replace("release.toml", beside));
    let rel = match Rel::parse(&place.shown(document), &text) {
        Ok(rel) => rel,
        Err(error) => return Ok(Err(error.into())),
    };
    let docs = rel.apps.iter().map(|app| docs(place, app)).collect::<Result<Vec<_>, _>>()?;
    let docs: Result<Vec<_>, _> = docs.into_iter().flatten().collect();
    let relup = place.find(&relup)?.map(|text| RelupFile::parse(&place.shown(&relup), &text));
    let config = place.find(&config)?.map(|text| Config::parse(&place.shown(&config), &text)).transpose();
    let release = docs.and_then(|docs| Release::new(rel, docs)).and_then(|release| {
        // No script depends on the configuration, but a node refuses a release with a broken
        // configuration.
        let config = config?.unwrap_or_default();
        let release = match relup {
            None => release,
            Some(relup) => release.with_relup(relup?),
        };
        Ok((release, config))
    });
    Ok(release)
}

/// Reads the documents of an app; `None` if it has no `app.toml`.
fn docs(place: &Place<'_>, app: &RelApp) -> Result<Option<Result<AppDocs, PlanError>>, Failure> {
    let [path, appup_path, schema_path] = ["app.toml", "appup.toml", "schema.json"]
        .map(|name| format!("lib/{}-{}/{name}", app.name, app.version));
    let Some(text) = place.find(&path)? else { return Ok(None) };
    let (appup, schemas) = (place.find(&appup_path)?, place.find(&schema_path)?);
    let (path, appup_path) = (place.shown(&path), place.shown(&appup_path));
    let schemas = schemas.map(|text| Schemas::parse(&place.shown(&schema_path), &text)).transpose();
    let docs = AppDocs::parse((&path, &text), appup.as_deref().map(|text| (appup_path.as_str(), text)));
    let docs = docs.and_then(|docs| Ok(docs.with_schemas(schemas?.unwrap_or_default())));
    Ok(Some(docs.map_err(PlanError::from)))
}

fn refused(message: String) -> Failure {
    ErrorReport::refused(ErrorCode::NoDocument, message).into()
}
