//! `relctl new APP`: writes a complete app into a folder of its own.
//!
//! The templates are real files below `new/template`. In them `__app__` is the name of the app and
//! `__crate__` the same as a name in Rust and C; [`files`] lists the others.

mod sdk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reld_api::{ErrorCode, ErrorReport};
use reld_plan::AppName;
use serde_json::json;

use self::sdk::Sdk;
use super::pack;
use crate::args::{Lang, New};
use crate::error::Failure;
use crate::shown::Shown;

/// A path in the folder of the app, and the text of the file.
type File = (&'static str, &'static str);

macro_rules! file {
    ($path:literal, $template:literal) => {
        ($path, include_str!(concat!("new/template/", $template)))
    };
}

const COMMON: &[File] = &[
    file!("app.toml", "app.toml"),
    file!("release.toml", "release.toml"),
    file!(".gitignore", "gitignore"),
    file!("README.md", "README.md"),
];

const RUST: &[File] = &[file!("Cargo.toml", "rust/Cargo.toml"), file!("src/lib.rs", "rust/src/lib.rs")];

const C: &[File] = &[
    file!("Makefile", "c/Makefile"),
    file!("__crate__.__ending__", "c/app.c"),
    ("msgpack.h", include_str!("../../../examples/meter-1.0.0/msgpack.h")),
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
    Err(Failure::from(ErrorReport::refused(ErrorCode::Exists, message))
        .or_hint("move it away, choose another name, or call `relctl new` in another folder"))
}

/// Returns the paths and texts of all files of an app.
fn files(app: &AppName, lang: Lang, sdk: &Sdk) -> Result<Vec<(String, String)>, Failure> {
    let mut values = vec![
        ("__app__", app.to_string()),
        ("__crate__", crate_name(app)),
        ("__daemon__", pack::least_reld().to_string()),
    ];
    let own = match lang {
        Lang::Rust => {
            values.extend([
                ("__sdk__", sdk.requirement()),
                ("__check__", "cargo test  # the callbacks, without a node".into()),
                (
                    "__source__",
                    "`src/lib.rs` | the server, its supervisor, the application, and a test".into(),
                ),
            ]);
            RUST
        }
        Lang::C => {
            values.extend(of_make(app, "c", "$(CC)", "-std=c11"));
            C
        }
        Lang::Cpp => {
            values.extend(of_make(app, "cc", "$(CXX)", "-std=c++20"));
            C
        }
    };
    let fill =
        |text: &str| values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value));
    let mut files: Vec<_> = COMMON.iter().chain(own).map(|(path, text)| (fill(path), fill(text))).collect();
    if lang != Lang::Rust {
        files.extend(sdk.headers()?);
    }
    Ok(files)
}

fn of_make(app: &AppName, ending: &str, compiler: &str, standard: &str) -> [(&'static str, String); 5] {
    let source = format!("{}.{ending}", crate_name(app));
    [
        ("__ending__", ending.to_owned()),
        ("__compiler__", compiler.to_owned()),
        ("__std__", standard.to_owned()),
        ("__check__", "make  # the library alone".to_owned()),
        ("__source__", format!("`{source}` | the server, its supervisor, and the application")),
    ]
}

/// Returns the name of an app as a name in Rust, C and C++.
fn crate_name(app: &AppName) -> String {
    app.as_str().replace(['-', '.'], "_").to_lowercase()
}

/// Writes the folder at once: it is complete, or not there.
fn write(folder: &Path, files: &[(String, String)]) -> io::Result<()> {
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
        let sdk = Sdk::find(Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon"))).expect("it is there");
        let keys = ["app", "crate", "sdk", "daemon", "check", "source", "ending", "compiler", "std"];
        for lang in [Lang::Rust, Lang::C, Lang::Cpp] {
            for (path, text) in files(&app, lang, &sdk).expect("the SDK has a header") {
                let left = keys.iter().find(|key| format!("{path}{text}").contains(&format!("__{key}__")));
                assert_eq!(left, None, "{path}:\n{text}");
            }
        }
    }
}
