//! Builds an app's library with make, for apps that are not written in Rust.
//!
//! The packer calls `make LIBRARY=PATH PROFILE=NAME` in the app's folder, and then takes the file
//! at `PATH`. The first target of a Makefile must therefore be `$(LIBRARY)`. `PATH` is in the
//! folder `target` of the app, as with cargo. The Makefile is also responsible for reproducible
//! bytes: `-ffile-prefix-map` keeps the folder's name out of a library, and the packer sets
//! `SOURCE_DATE_EPOCH` to keep the time out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reld_plan::AppName;

use crate::error::Error;

/// Builds the app in `folder` and returns the path of its shared library. The output of make goes
/// to stderr.
///
/// # Errors
/// [`Error::MakeFailed`], [`Error::NoMadeLibrary`], [`Error::Io`].
pub(crate) fn build(folder: &Path, app: &AppName, profile: &str) -> Result<PathBuf, Error> {
    let library = Path::new("target").join(profile).join(format!("{app}.so"));
    let built = folder.join(&library);
    let home = built.parent().unwrap_or(folder);
    fs::create_dir_all(home).map_err(Error::io("create", home))?;
    let status = Command::new("make")
        .arg("--directory")
        .arg(folder)
        .arg(format!("LIBRARY={}", library.display()))
        .arg(format!("PROFILE={profile}"))
        .env("SOURCE_DATE_EPOCH", "0")
        .stdin(Stdio::null())
        // Stdout is reserved for the packer's own output.
        .stdout(io::stderr())
        .status()
        .map_err(Error::io("run make in", folder))?;
    if !status.success() {
        return Err(Error::MakeFailed { folder: folder.to_owned() });
    }
    if built.is_file() { Ok(built) } else { Err(Error::NoMadeLibrary { folder: folder.to_owned(), library }) }
}
