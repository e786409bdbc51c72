//! The files of one download: the part that has arrived, and the mark of its version.
//!
//! ```text
//! FOLDER/3f2a….part    the beginning of a tarball
//! FOLDER/3f2a….tag     the mark of the version that it is a part of
//! ```
//!
//! The name is a digest of the URL without its query, because a presigned URL has another query
//! each time. The mark is written before the first byte, so a part never has the mark of a later
//! version.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::source::Source;

/// The age at which the files of an abandoned download are deleted.
const OLD: Duration = Duration::from_secs(7 * 86_400);

/// The number of bytes of the digest in a name.
const NAME: usize = 8;

/// The parts that are being written. Only one daemon uses a folder, because it holds the lock of
/// the root.
static TAKEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn taken() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The files of one download, which no other download uses until this value is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    part: PathBuf,
}

impl Place {
    pub(crate) fn take(source: &Source, folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let digest = Sha256::digest(source.to_string());
        let name: String = digest.iter().take(NAME).map(|byte| format!("{byte:02x}")).collect();
        let part = folder.join(name + ".part");
        if !taken().insert(part.clone()) {
            return Err(Error::Busy { url: source.to_string() });
        }
        let place = Self { part };
        forget_old(folder).map_err(Error::io(folder))?;
        Ok(place)
    }

    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    /// Returns the mark of the version that the part belongs to.
    pub(crate) fn tag(&self) -> Option<String> {
        fs::read_to_string(self.tag_file()).ok()
    }

    /// Notes the mark of the version that is written next, into an empty part.
    pub(crate) fn set_tag(&self, tag: Option<&str>) -> Result<(), Error> {
        let file = self.tag_file();
        match tag {
            Some(tag) => fs::write(&file, tag).map_err(Error::io(&file)),
            None => self.forget_tag(),
        }
    }

    pub(crate) fn forget_tag(&self) -> Result<(), Error> {
        let file = self.tag_file();
        absent(fs::remove_file(&file)).map_err(Error::io(&file))
    }

    fn tag_file(&self) -> PathBuf {
        self.part.with_extension("tag")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        taken().remove(&self.part);
    }
}

/// Deletes the files of downloads that were abandoned long ago.
fn forget_old(folder: &Path) -> io::Result<()> {
    let is_old = |path: &Path| {
        let changed =
            path.metadata().and_then(|facts| facts.modified()).unwrap_or_else(|_| SystemTime::now());
        SystemTime::now().duration_since(changed).is_ok_and(|age| age > OLD)
    };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_old(&path) && !taken().contains(&path.with_extension("part")) {
            absent(fs::remove_file(&path))?;
        }
    }
    Ok(())
}

/// Takes the absence of a file as its deletion.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|fault| if fault.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(fault) })
}
