//! The layout of files below `--root`.
//!
//! ```text
//! ROOT/
//!   lib/counter-0.1.1/        one folder per app version, shared by the releases that use it
//!     app.toml  appup.toml  schema.json  counter.so  priv/
//!   releases/
//!     RELEASES.toml           the status table
//!     1.1.0/                  manifest.toml  manifest.toml.minisig  release.toml  config.toml
//!                             relup.toml  keys.toml
//!   history/                  the history of the releases, one file per entry
//!   run/                      private copies of libraries, made by the loader
//!   staging/                  half-unpacked releases
//!   downloads/                parts of tarballs that are being fetched, for seven days
//!   config.toml               the configuration of this node, if any
//!   fleet.json                the node's part in a rollout of its fleet, if it has one
//!   boots.toml                the failed boots of the permanent release, if any
//!   reld.toml                 the mark of a root, with its format
//! ```
//!
//! The daemon locks the root folder itself (`claim.rs`). `lib/`, `releases/`, `run/` and `staging/`
//! belong to the daemon, which deletes everything there that no known release uses.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reld_plan::{AppName, Vsn};
use reld_trust::SEAL;

use crate::claim::own_folder;
use crate::disk::{Disk, RealDisk};
use crate::error::Error;
use crate::lifecycle::StatusTable;
use crate::manifest::MANIFEST;

pub(crate) const RELEASES: &str = "RELEASES.toml";

/// A node's root folder, which knows the paths of its files.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Root {
    /// Returns the root at a path, without accessing the disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::on(path, Arc::new(RealDisk::Durable))
    }

    pub(crate) fn on(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Self {
        Self { path: path.into(), disk }
    }

    /// Returns the root folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of an app version.
    pub fn app_dir(&self, app: &AppName, vsn: &Vsn) -> PathBuf {
        self.path.join(app_dir(app, vsn))
    }

    /// Returns the library of an app version. The loader opens a private copy, never this file.
    pub fn library(&self, app: &AppName, vsn: &Vsn) -> PathBuf {
        self.path.join(library(app, vsn))
    }

    /// Returns the folder of a release.
    pub fn release_dir(&self, vsn: &Vsn) -> PathBuf {
        self.path.join(release_dir(vsn))
    }

    /// Returns the folder for private copies of libraries. It is empty when the daemon starts.
    pub fn run_dir(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Returns the path of the status table.
    pub fn releases_file(&self) -> PathBuf {
        self.path.join("releases").join(RELEASES)
    }

    /// Returns the folder for parts of tarballs. No sweep empties it.
    pub fn downloads_dir(&self) -> PathBuf {
        self.path.join("downloads")
    }

    pub(crate) fn history_dir(&self) -> PathBuf {
        self.path.join("history")
    }

    pub(crate) fn boots_file(&self) -> PathBuf {
        self.path.join("boots.toml")
    }

    /// Returns the path of the node's own configuration.
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Returns the path of the node's part in a rollout of its fleet.
    pub fn fleet_file(&self) -> PathBuf {
        self.path.join("fleet.json")
    }

    pub(crate) fn manifest_file(&self, vsn: &Vsn) -> PathBuf {
        self.release_dir(vsn).join(MANIFEST)
    }

    pub(crate) fn seal_file(&self, vsn: &Vsn) -> PathBuf {
        self.release_dir(vsn).join(SEAL)
    }

    pub(crate) fn staging_dir(&self, vsn: &Vsn) -> PathBuf {
        self.path.join("staging").join(vsn.to_string())
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Deletes all files that no release of the table uses: the remains of incomplete unpacks and
    /// removals.
    ///
    /// This is the only recovery after a failure, a crash or a power cut. The caller must hold the
    /// lock.
    ///
    /// # Errors
    /// [`Error::Io`]; another call resumes the deletion.
    pub(crate) fn sweep(&self, table: &StatusTable) -> Result<(), Error> {
        let apps = table.releases.iter().flat_map(|release| &release.apps).map(|app| app.dir.clone());
        let releases = table.releases.iter().map(|release| release_dir(&release.version));
        let mut kept: BTreeSet<PathBuf> = apps.chain(releases).map(PathBuf::from).collect();
        kept.insert(Path::new("releases").join(RELEASES));
        ["staging", "lib", "releases"].iter().try_for_each(|folder| self.clear(folder, &kept))
    }

    /// Deletes the private copies left by an earlier daemon. Must be called before a library is
    /// loaded.
    pub(crate) fn clear_run(&self) -> Result<(), Error> {
        self.clear("run", &BTreeSet::new())
    }

    fn clear(&self, folder: &str, kept: &BTreeSet<PathBuf>) -> Result<(), Error> {
        own_folder(&self.path.join(folder))?;
        for name in names(&self.path.join(folder))? {
            let below_root = Path::new(folder).join(name);
            if !kept.contains(&below_root) {
                self.remove(&self.path.join(below_root))?;
            }
        }
        Ok(())
    }

    pub(crate) fn create_dir(&self, path: &Path) -> Result<(), Error> {
        self.disk.create_dir(path).map_err(Error::io("create", path))
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        self.disk.remove(path).map_err(Error::io("delete", path))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.disk.rename(from, to).map_err(Error::io("move into place", to))
    }

    pub(crate) fn sync(&self, path: &Path) -> Result<(), Error> {
        self.disk.sync(path).map_err(Error::io("sync", path))
    }

    /// Replaces a file atomically. After an error, the old content is kept or, if only the last
    /// step failed, the new content is in place.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn replace(&self, path: &Path, content: &str) -> Result<(), Error> {
        self.replace_as(path, content, MODE_PLAIN)
    }

    /// As [`replace`](Self::replace), with another access mode.
    pub(crate) fn replace_as(&self, path: &Path, content: &str, mode: u32) -> Result<(), Error> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        if new.exists() {
            self.disk.remove(&new).map_err(Error::io("delete", &new))?;
        }
        self.write_as(&new, content, mode)?;
        self.sync(&new)?;
        self.rename(&new, path)?;
        self.sync(path.parent().unwrap_or(&self.path))
    }

    /// Deletes a file and syncs its folder. Without the sync, the file could reappear after a power
    /// cut and count as valid.
    pub(crate) fn delete(&self, path: &Path) -> Result<(), Error> {
        match self.disk.remove(path) {
            Ok(()) => self.sync(path.parent().unwrap_or(&self.path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("delete", path)(error)),
        }
    }

    pub(crate) fn write(&self, path: &Path, content: &str) -> Result<(), Error> {
        self.write_as(path, content, MODE_PLAIN)
    }

    fn write_as(&self, path: &Path, content: &str, mode: u32) -> Result<(), Error> {
        let mut file = self.disk.create(path, mode).map_err(Error::io("create", path))?;
        self.disk.write(&mut file, content.as_bytes()).map_err(Error::io("write", path))
    }
}

/// The access mode of files, independent of the umask.
pub(crate) const MODE_PLAIN: u32 = 0o644;

/// The access mode of programs, independent of the umask.
pub(crate) const MODE_EXECUTABLE: u32 = 0o755;

/// Returns the folder of an app version, as a path below the root.
pub(crate) fn app_dir(app: &AppName, vsn: &Vsn) -> String {
    format!("lib/{app}-{vsn}")
}

/// Returns the library of an app version, as a path below the root.
pub(crate) fn library(app: &AppName, vsn: &Vsn) -> String {
    format!("{}/{app}.so", app_dir(app, vsn))
}

/// Returns the file with the schemas of an app version's modules, as a path below the root.
/// Tarballs of earlier packers do not have it.
pub(crate) fn schemas(app: &AppName, vsn: &Vsn) -> String {
    format!("{}/schema.json", app_dir(app, vsn))
}

/// Returns the folder of a release, as a path below the root.
pub(crate) fn release_dir(vsn: &Vsn) -> String {
    format!("releases/{vsn}")
}

/// Returns the names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    let mut names = read().map_err(Error::io("read", folder))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path().join("not/yet/there"));
        root.create().unwrap();
        (folder, root)
    }

    #[test]
    fn a_sweep_deletes_what_no_release_uses_and_follows_no_link() {
        let (folder, root) = root();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "kept").unwrap();
        for left in ["lib/a-1.0.0/priv", "releases/1.0.0", "staging/1.0.0/lib"] {
            fs::create_dir_all(root.path().join(left)).unwrap();
        }
        fs::write(root.path().join("releases/RELEASES.toml.new"), "half").unwrap();
        fs::write(root.releases_file(), "").unwrap();
        std::os::unix::fs::symlink(&outside, root.path().join("lib/link")).unwrap();

        root.sweep(&StatusTable::default()).unwrap();

        assert_eq!(names(&root.path().join("lib")).unwrap().len(), 0);
        assert_eq!(names(&root.path().join("staging")).unwrap().len(), 0);
        assert_eq!(names(&root.path().join("releases")).unwrap(), [RELEASES]);
        assert!(outside.join("file").exists());
    }
}
