//! Moves the version of an app in the text of its files. Everything else in them stays as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reld_api::{ErrorCode, ErrorReport};
use reld_plan::{AppName, Vsn};
use serde::Deserialize;
use toml::{Spanned, Value};

use crate::error::Failure;

/// The endings of source files that may name the version of an app.
const SOURCES: [&str; 7] = ["rs", "c", "cc", "cpp", "cxx", "h", "hpp"];

/// The version of one app before and after.
pub(super) struct Versions<'a> {
    pub(super) app: &'a AppName,
    pub(super) from: &'a Vsn,
    pub(super) to: &'a Vsn,
}

/// The places of a version in `Cargo.toml`, `app.toml` and `release.toml`.
#[derive(Deserialize)]
struct Document {
    package: Option<Package>,
    version: Option<Spanned<Value>>,
    #[serde(default)]
    app: Vec<Entry>,
}

#[derive(Deserialize)]
struct Package {
    version: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: Spanned<Value>,
}

impl Versions<'_> {
    /// Returns the text of a file with the new version.
    pub(super) fn moved(&self, path: &Path, text: &str) -> Result<String, Failure> {
        if path.extension().is_some_and(|ending| ending == "toml") {
            let document = toml::from_str(text).map_err(|error| {
                ErrorReport::refused(
                    ErrorCode::ErrorReading,
                    format!("cannot read {}: {error}", path.display()),
                )
            })?;
            Ok(self.in_document(text, document))
        } else {
            Ok(text.split_inclusive('\n').map(|line| self.in_line(line)).collect())
        }
    }

    /// A release may count its versions on its own: its version moves if it equals that of the app.
    fn in_document(&self, text: &str, document: Document) -> String {
        let package = document.package.and_then(|package| package.version);
        let entries = document.app.into_iter().filter(|entry| entry.name == self.app.as_str());
        let entries = entries.map(|entry| entry.version);
        let places = [package, document.version].into_iter().flatten().chain(entries);
        let from = self.from.to_string();
        let mut places: Vec<_> =
            places.filter(|place| place.as_ref().as_str() == Some(&from)).map(|place| place.span()).collect();
        places.sort_by_key(|place| place.start);
        let mut moved = text.to_owned();
        for place in places.into_iter().rev() {
            moved.replace_range(place, &format!("\"{}\"", self.to));
        }
        moved
    }

    /// Changes `version: "1.0.0"` of `export_app!` and `.vsn` of a `reld_app`.
    fn in_line(&self, line: &str) -> String {
        let key = line.trim_start();
        if key.starts_with("version:") || key.starts_with(".vsn") {
            line.replace(&format!("\"{}\"", self.from), &format!("\"{}\"", self.to))
        } else {
            line.to_owned()
        }
    }
}

/// Returns the source files of an app: those in its folder, and all below `src`.
pub(super) fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.join("src")]);
    let is_source = |path: &Path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| SOURCES.contains(&ending)) && path.is_file()
    };
    found.extend(entries(folder)?.into_iter().filter(|path| is_source(path)));
    while let Some(folder) = open.pop().filter(|folder| folder.is_dir()) {
        let (folders, files): (Vec<_>, Vec<_>) =
            entries(&folder)?.into_iter().partition(|path| path.is_dir());
        open.extend(folders);
        found.extend(files.into_iter().filter(|path| is_source(path)));
    }
    found.sort();
    Ok(found)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &str) {
        let app = AppName::new("till").expect("it is a name");
        let versions = Versions { app: &app, from: &Vsn::new(0, 1, 0), to: &Vsn::new(0, 2, 0) };
        assert_eq!(versions.moved(Path::new(path), text).expect("it can be read"), expected);
    }

    #[test]
    fn a_dependency_of_the_same_version_keeps_it() {
        check(
            "Cargo.toml",
            "[package]\nversion = \"0.1.0\" # ours\n[dependencies]\nlog = { version = \"0.1.0\" }\n",
            "[package]\nversion = \"0.2.0\" # ours\n[dependencies]\nlog = { version = \"0.1.0\" }\n",
        );
    }

    #[test]
    fn a_version_of_the_workspace_stays() {
        let inherited = "[package]\nversion.workspace = true\n";
        check("Cargo.toml", inherited, inherited);
    }

    #[test]
    fn a_release_moves_with_its_app_and_leaves_the_others() {
        check(
            "release.toml",
            "version = '0.1.0'\ndaemon = \"0.1.0\"\n[[app]]\nname = \"till\"\nversion = \"0.1.0\"\n[[app]]\nname = \"log\"\nversion = \"0.1.0\"\n",
            "version = \"0.2.0\"\ndaemon = \"0.1.0\"\n[[app]]\nname = \"till\"\nversion = \"0.2.0\"\n[[app]]\nname = \"log\"\nversion = \"0.1.0\"\n",
        );
    }

    #[test]
    fn a_release_with_versions_of_its_own_keeps_its_version() {
        check(
            "release.toml",
            "version = \"7.0.0\"\n[[app]]\nname = \"till\"\nversion = \"0.1.0\"\n",
            "version = \"7.0.0\"\n[[app]]\nname = \"till\"\nversion = \"0.2.0\"\n",
        );
    }

    #[test]
    fn a_source_that_names_the_version_moves_it() {
        let other = "let version = \"0.1.0\";\n";
        check(
            "lib.rs",
            &format!("    version: \"0.1.0\",\n{other}"),
            &format!("    version: \"0.2.0\",\n{other}"),
        );
        check("till.c", "    .vsn = TEXT(\"0.1.0\"),\n", "    .vsn = TEXT(\"0.2.0\"),\n");
    }
}
