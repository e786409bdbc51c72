//! The files of this project, as the tests of its form read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders of the top level.
pub(crate) const FOLDERS: [&str; 5] = ["daemon", "cli", "releases", "examples", "tests"];

/// Returns the files below a folder with one of these extensions, without build artifacts, each
/// with its text.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                open.extend(Some(path).filter(|path| !path.ends_with("target")));
            } else if extensions.iter().any(|extension| has_extension(&path, extension)) {
                let text = fs::read_to_string(&path).expect("sources and documents are text");
                found.push((path, text));
            }
        }
    }
    found
}

/// Reports whether a file has this extension.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
