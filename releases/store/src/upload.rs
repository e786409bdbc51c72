//! Receives a tarball in chunks, and checks it as early as possible.
//!
//! ```text
//! first bytes     must be gzip
//! the manifest    the release must fit the node, and its files the disk
//! each chunk      must not exceed the possible size of such a tarball, nor touch the reserve
//! ```
//!
//! The first chunk with a fault is refused, and no file is left behind. A complete tarball is then
//! [unpacked](crate::Store::unpack), and the unpack verifies the whole tarball.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::write::MultiGzDecoder;
use tempfile::{NamedTempFile, TempPath};

use crate::digest::Digest;
use crate::disk::{Disk, RealDisk};
use crate::error::Error;
use crate::fault::{Failure, Fault};
use crate::manifest::{MANIFEST_SIZE_MAX, Manifest, Platform};
use crate::{package, room};

/// The number of compressed bytes that are decompressed at once. The result is at most about a
/// thousand times as large.
const PIECE: usize = 1024;

/// The number of bytes of a kept part that are checked at once.
const REPLAY: usize = 64 * 1024;

/// The number of received bytes after which the free space is checked again.
const STRIDE: u64 = 1 << 20;

/// An arriving tarball.
#[derive(Debug)]
pub struct Upload {
    file: NamedTempFile,
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    platform: Platform,
    /// The part of the manifest that has arrived; `None` after the manifest was parsed.
    head: Option<MultiGzDecoder<Vec<u8>>>,
    /// The identity of the release, once the manifest was parsed.
    identity: Option<Digest>,
    size: u64,
    size_max: u64,
    /// The size at which the free space is checked again.
    look_at: u64,
}

impl Upload {
    /// Begins an upload into a file below this folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(folder: &Path, platform: Platform) -> Result<Self, Error> {
        Self::begin_on(folder, platform, Arc::new(RealDisk::Durable))
    }

    fn begin_on(folder: &Path, platform: Platform, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let file = NamedTempFile::new_in(folder).map_err(Error::io("create a file below", folder))?;
        Ok(Self::new(file, folder, platform, disk))
    }

    fn new(file: NamedTempFile, folder: &Path, platform: Platform, disk: Arc<dyn Disk>) -> Self {
        Self {
            file,
            folder: folder.to_owned(),
            disk,
            platform,
            head: Some(MultiGzDecoder::new(Vec::new())),
            identity: None,
            size: 0,
            size_max: package::packed_size_max(MANIFEST_SIZE_MAX),
            look_at: 0,
        }
    }

    /// Continues an upload that [`keep`](Self::keep), or a crash, has left in a file. The content
    /// is checked like arriving chunks; content with a fault is dropped. A missing file is created.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn resume(path: &Path, platform: Platform) -> Result<Self, Error> {
        let unusable = || Error::io("open", path);
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(path);
        let path_of_file = TempPath::try_from_path(path).map_err(unusable())?;
        let file = NamedTempFile::from_parts(file.map_err(unusable())?, path_of_file);
        let folder = path.parent().unwrap_or(path);
        let mut upload = Self::new(file, folder, platform, Arc::new(RealDisk::Durable));
        if upload.replay().is_err() {
            upload.restart()?;
        }
        Ok(upload)
    }

    /// Checks the content of the file.
    fn replay(&mut self) -> Result<(), Failure> {
        let mut chunk = vec![0; REPLAY];
        loop {
            let length = self.file.read(&mut chunk).map_err(Error::io("read", self.file.path()))?;
            if length == 0 {
                return Ok(());
            }
            self.look(&chunk[..length])?;
        }
    }

    /// Drops everything that has arrived.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn restart(&mut self) -> Result<(), Error> {
        let cut = self.file.as_file().set_len(0).and_then(|()| self.file.rewind());
        cut.map_err(Error::io("cut", self.file.path()))?;
        self.head = Some(MultiGzDecoder::new(Vec::new()));
        (self.identity, self.size, self.look_at) = (None, 0, 0);
        self.size_max = package::packed_size_max(MANIFEST_SIZE_MAX);
        Ok(())
    }

    /// Ends the upload for now and leaves the file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn keep(self) -> Result<(), Error> {
        let path = self.file.path().to_owned();
        let kept = self.file.into_temp_path().keep();
        kept.map(drop).map_err(|fault| Error::io("keep", &path)(fault.error))
    }

    /// Returns the number of bytes that have arrived.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the identity of the release, once its manifest has arrived.
    pub const fn identity(&self) -> Option<Digest> {
        self.identity
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// [`Error::Tarball`] with the fault, [`Error::TooFull`] and [`Error::Io`]. After an error, the
    /// upload must not be continued.
    pub fn take(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.look(chunk).map_err(Failure::of(self.file.path()))?;
        self.file.write_all(chunk).map_err(Error::io("write below", &self.folder))
    }

    fn look(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.size += chunk.len() as u64;
        if let Some(head) = &mut self.head
            && let Some(manifest) = read(head, chunk)?
        {
            self.head = None;
            self.identity = Some(manifest.identity());
            manifest.check_platform(&self.platform)?;
            self.size_max = package::size_max(&manifest);
            room::check(&*self.disk, &self.folder, manifest.carried_size())?;
        }
        if self.size > self.size_max {
            return Err(Fault::TooMuch { max: self.size_max }.into());
        }
        if self.size >= self.look_at {
            self.look_at = self.size + STRIDE;
            room::check(&*self.disk, &self.folder, STRIDE)?;
        }
        Ok(())
    }

    /// Ends the upload and returns the file, which is deleted when the returned value is dropped.
    ///
    /// # Errors
    /// [`Error::Tarball`] if the manifest is incomplete.
    pub fn finish(self) -> Result<NamedTempFile, Error> {
        match self.head {
            None => Ok(self.file),
            Some(_) => {
                let cut = Fault::NotATarball(io::ErrorKind::UnexpectedEof.into());
                Err(Failure::of(self.file.path())(cut.into()))
            }
        }
    }
}

/// Decompresses until the manifest is complete.
fn read(head: &mut MultiGzDecoder<Vec<u8>>, chunk: &[u8]) -> Result<Option<Manifest>, Fault> {
    for piece in chunk.chunks(PIECE) {
        head.write_all(piece)?;
        head.flush()?;
        if let Some(manifest) = package::first_manifest(head.get_ref())? {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::fs;

    use super::*;
    use crate::disk::double::FaultyDisk;
    use crate::fixture;
    use crate::room::Room;

    const SMALL: [(&str, &str, &str); 1] = [("counter", "0.1.0", "code")];
    const MUCH: Room = Room { free: 1 << 40, total: 1 << 40 };

    /// Sends chunks until one is refused. Returns the number of accepted chunks, and the refusal.
    fn send<'a>(room: Room, chunks: impl IntoIterator<Item = &'a [u8]>) -> (usize, Result<usize, String>) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::with_room(room));
        let mut upload = Upload::begin_on(folder.path(), fixture::platform(), disk).unwrap();
        let words = |error: &Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let mut taken = 0;
        for chunk in chunks {
            if let Err(error) = upload.take(chunk) {
                drop(upload);
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file may stay");
                return (taken, Err(words(&error)));
            }
            taken += 1;
        }
        let finished = upload.finish().map_err(|error| words(&error));
        (taken, finished.map(|file| fs::read(file.path()).unwrap().len()))
    }

    #[track_caller]
    fn check_refused<'a>(
        room: Room,
        chunks: impl IntoIterator<Item = &'a [u8]>,
        taken_max: usize,
        expected: &str,
    ) {
        let (taken, refusal) = send(room, chunks);
        let refusal = refusal.unwrap_err();
        assert!(refusal.contains(expected), "{refusal}");
        assert!(taken <= taken_max, "{taken} chunks were taken first");
    }

    fn tarball() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        fs::read(fixture::tarball(folder.path(), "1.0.0", &SMALL)).unwrap()
    }

    /// Returns a tarball with a manifest that lists a library of this size.
    fn claiming(size: u64) -> Vec<u8> {
        let files = fixture::files("1.0.0", &SMALL);
        let mut manifest = fixture::manifest("1.0.0", &files);
        manifest.files.iter_mut().find(|file| file.path.ends_with(".so")).unwrap().size = size;
        fixture::raw_tarball(&fixture::raw_entries(&manifest, &files))
    }

    #[test]
    fn a_valid_tarball_arrives_unchanged_in_chunks_of_any_size() {
        let bytes = tarball();
        let plain = fixture::unzipped(&bytes);
        let in_parts = plain.chunks(700).flat_map(fixture::zipped).collect();
        for bytes in [bytes, in_parts] {
            for size in [1, 7, 512, bytes.len()] {
                assert_eq!(send(MUCH, bytes.chunks(size)).1, Ok(bytes.len()));
            }
        }
    }

    #[test]
    fn a_kept_part_is_continued_and_one_with_a_fault_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.part");
        let resume = || Upload::resume(&path, fixture::platform()).unwrap();
        let bytes = tarball();
        let (begin, rest) = bytes.split_at(bytes.len() / 2);
        let mut upload = resume();
        upload.take(begin).unwrap();
        upload.keep().unwrap();
        let mut upload = resume();
        assert_eq!(upload.size(), begin.len() as u64);
        upload.take(rest).unwrap();
        assert!(upload.identity().is_some());
        let file = upload.finish().unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), bytes);
        drop(file);
        assert!(!path.exists());

        fs::write(&path, [0; 4096]).unwrap();
        assert_eq!(resume().size(), 0, "no tarball begins like this");
        let mut upload = resume();
        upload.take(&bytes).unwrap();
        upload.restart().unwrap();
        assert!(upload.identity().is_none());
        upload.take(&bytes).unwrap();
        assert_eq!(fs::read(upload.finish().unwrap().path()).unwrap(), bytes);
    }

    #[test]
    fn a_non_tarball_is_refused_at_its_first_chunk() {
        let zeros = vec![0; 64 * 1024];
        let expected = "not a complete gzip-compressed tar archive";
        check_refused(MUCH, std::iter::repeat_n(&zeros[..], 100), 0, expected);
        check_refused(MUCH, [], 0, expected);
        check_refused(MUCH, [&tarball()[..100]], 1, expected);
        let endless = fixture::zipped(&vec![0; 1 << 20]);
        check_refused(
            MUCH,
            std::iter::repeat_n(&endless[..], 100),
            0,
            "its first entry is not manifest.toml",
        );
    }

    #[test]
    fn a_tarball_without_a_manifest_is_refused_at_the_size_limit_of_one() {
        let begin = fixture::zipped(b"");
        // Empty deflate blocks.
        let nothing = [0, 0, 0, 0xff, 0xff].repeat(1 << 14);
        let chunks = [&begin[..10]].into_iter().chain(std::iter::repeat_n(&nothing[..], 1000));
        check_refused(MUCH, chunks, 300, "it is longer than the files");
    }

    #[test]
    fn a_release_for_another_machine_is_refused_at_its_manifest() {
        let files = fixture::files("1.0.0", &SMALL);
        let mut manifest = fixture::manifest("1.0.0", &files);
        manifest.target = "riscv64".to_owned();
        let bytes = fixture::raw_tarball(&fixture::raw_entries(&manifest, &files));
        check_refused(MUCH, [&bytes[..]], 0, "it was built for riscv64");
    }

    #[test]
    fn a_release_too_large_for_the_disk_is_refused_at_its_manifest() {
        let disk = Room { free: 3 << 30, total: 1 << 40 };
        check_refused(disk, [&claiming(3 << 30)[..]], 0, "bytes stay in reserve");
        send(disk, [&claiming((3 << 30) - (65 << 20))[..]]).1.unwrap();
        check_refused(MUCH, [&claiming(5 << 30)[..]], 0, "it claims 5368");
    }

    #[test]
    fn the_reserve_of_a_full_disk_is_not_touched() {
        let full = Room { free: 64 << 20, total: 1 << 40 };
        check_refused(full, [&tarball()[..1]], 0, "bytes stay in reserve");
        // A small disk reserves a twentieth, and some filesystems report no size.
        send(Room { free: 4 << 20, total: 40 << 20 }, [&tarball()[..]]).1.unwrap();
        send(Room { free: 0, total: 0 }, [&tarball()[..]]).1.unwrap();
    }

    #[test]
    fn more_than_the_manifest_lists_is_refused_before_it_is_stored() {
        let (head, more) = (tarball(), vec![7; 64 * 1024]);
        let chunks = [&head[..]].into_iter().chain(std::iter::repeat_n(&more[..], 100));
        check_refused(MUCH, chunks, 4, "it is longer than the files in its manifest.toml allow");
    }
}
