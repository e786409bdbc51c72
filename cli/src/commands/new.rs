//! `relctl new APP`: writes a complete app into a folder of its own.
//!
//! The templates are real files below `new/template`. In them `__app__` is the name of the app and
//! `__crate__` the same as a Rust name; `__sdk__` and `__daemon__` are the versions to depend on.

mod sdk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reld_api::ErrorReport;
use reld_plan::AppName;
use serde_json::json;

use self::sdk::Sdk;
use super::{Shown, pack};
use crate::args::{Lang, New};
use crate::error::Failure;

/// A path in the folder of the app, and the text of the file.
type File = (&'static str, &'static str);

macro_rules! file {
    ($path:literal) => {
        file!($path, $path)
    };
    ($path:literal, $template:literal) => {
        ($path, include_str!(concat!("new/template/", $template)))
    };
}

const COMMON: &[File] = &[file!("app.toml"), file!("release.toml"), file!(".gitignore", "gitignore")];

const RUST: &[File] = &[
    file!("Cargo.toml", "rust/Cargo.toml"),
    file!("README.md", "rust/README.md"),
    file!("src/lib.rs", "rust/src/lib.rs"),
];

pub(super) fn new(args: &New) -> Result<Shown, Failure> {
    let app = AppName::new(&*args.app).map_err(|error| Failure::usage(error.to_string()))?;
    let folder = Path::new(app.as_str());
    refuse_existing(folder)?;
    let sdk = Sdk::find(args.sdk.as_deref())?;
    let files = files(&app, args.lang, &sdk)?;
    write(folder, &files).map_err(|fault| Failure::io("write", folder.display(), &fault))?;
    let paths: Vec<_> = files.iter().map(|(path, _)| folder.join(path)).collect();
    let text = format!("wrote the app {app} 0.1.0 into {app}/; {app}/README.md has the first steps\n");
    Ok(Shown::new(&json!({ "app": app, "version": "0.1.0", "written": paths }), text))
}

fn refuse_existing(folder: &Path) -> Result<(), Failure> {
    // Not `exists`, which does not see a link to nothing.
    if fs::symlink_metadata(folder).is_err() {
        return Ok(());
    }
    let message = format!("cannot write the app: {} already exists; nothing was written", folder.display());
    Err(Failure::from(ErrorReport::refused("exists", message))
        .or_hint("move it away, choose another name, or call `relctl new` in another folder"))
}

fn files(app: &AppName, lang: Lang, sdk: &Sdk) -> Result<Vec<(&'static str, String)>, Failure> {
    let (own, requirement) = match lang {
        Lang::Rust => (RUST, sdk.requirement()),
    };
    let fill = |text: &str| {
        text.replace("__app__", app.as_str())
            .replace("__crate__", &crate_name(app))
            .replace("__sdk__", &requirement)
            .replace("__daemon__", &pack::least_reld().to_string())
    };
    Ok(COMMON.iter().chain(own).map(|(path, text)| (*path, fill(text))).collect())
}

/// Returns the name of an app as a name in Rust, C and C++.
fn crate_name(app: &AppName) -> String {
    app.as_str().replace(['-', '.'], "_").to_lowercase()
}

/// Writes the folder at once: it is complete, or not there.
fn write(folder: &Path, files: &[(&str, String)]) -> io::Result<()> {
    let scratch = tempfile::Builder::new().prefix(".relctl-new-").tempdir_in(".")?;
    let draft: PathBuf = scratch.path().join("app");
    for (path, text) in files {
        let path = draft.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&draft))?;
        fs::write(path, text)?;
    }
    fs::rename(draft, folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_dash_a_dot_or_a_capital_becomes_a_rust_name() {
        for (app, expected) in [("till", "till"), ("My-app.v2", "my_app_v2")] {
            assert_eq!(crate_name(&AppName::new(app).expect("it is a name")), expected);
        }
    }

    #[test]
    fn no_placeholder_is_left_in_a_written_file() {
        let app = AppName::new("till").expect("it is a name");
        for (path, text) in files(&app, Lang::Rust, &Sdk::Version("0.1.0".into())).expect("it fits") {
            assert!(!text.contains("__"), "{path}:\n{text}");
        }
    }
}
