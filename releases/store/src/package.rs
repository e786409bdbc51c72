//! Tarballs, `NAME-VSN.tar.gz`. They are written reproducibly, and read as untrusted input.
//!
//! ```text
//! manifest.toml             first, so that the rest can be verified while it streams
//! manifest.toml.minisig     its signatures, if it is signed
//! lib/counter-0.1.1/...     regular files only, sorted by path; folders follow from the paths
//! releases/1.1.0/...
//! ```
//!
//! All headers are plain ustar, so no extension can change a path or a size after the check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use reld_trust::{Ring, SEAL, SEAL_SIZE_MAX, Signed, Verdict};
use tar::{EntryType, Header};

use crate::digest::{self, Digest};
use crate::error::Error;
use crate::fault::{Failure, Fault};
use crate::manifest::{FileEntry, MANIFEST, MANIFEST_SIZE_MAX, Manifest};

/// The maximum padding after the end of the archive, in bytes: tar fills its last record.
const PADDING_MAX: u64 = 64 * 1024;

/// The size of a header, in bytes.
const BLOCK: usize = 512;

/// The beginning of a tarball.
#[derive(Debug)]
pub struct Head {
    /// The manifest.
    pub manifest: Manifest,
    /// The bytes of the manifest, which are signed.
    pub text: String,
    /// The text of its signatures, if it is signed.
    pub seal: Option<String>,
}

/// Reads the manifest of a tarball and its signatures, and verifies the whole tarball.
///
/// # Errors
/// [`Error::Tarball`] and [`Error::Io`].
pub fn head_of_tarball(tarball: &Path) -> Result<Head, Error> {
    let head = Tarball::open(tarball)?.head()?;
    Tarball::open(tarball)?.verify(&head.manifest)?;
    Ok(head)
}

/// Reads the manifest of a tarball and its signatures, and no further. `path` is only shown in
/// errors.
///
/// # Errors
/// [`Error::Tarball`].
pub fn head_of_stream(path: &Path, content: impl Read) -> Result<Head, Error> {
    Tarball::of(path, content).head()
}

impl Head {
    /// Judges the signatures.
    pub fn judge(&self, ring: &Ring, threshold: usize) -> Verdict {
        let (manifest, seal) = (self.text.as_bytes(), self.seal.as_deref());
        reld_trust::judge(ring, threshold, Signed { manifest, claim: &self.manifest.claim(), seal })
    }
}

/// A reader that computes the digest of its content.
pub(crate) struct Counted<R> {
    pub(crate) inner: R,
    pub(crate) hasher: digest::Hasher,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(block)?;
        self.hasher.update(&block[..n]);
        Ok(n)
    }
}

/// A tarball that is read sequentially.
pub(crate) struct Tarball<R: Read = File> {
    path: PathBuf,
    pub(crate) archive: tar::Archive<MultiGzDecoder<BufReader<R>>>,
}

/// One entry of a tarball: a regular file.
struct Entry<'a> {
    path: String,
    size: u64,
    header: Header,
    content: &'a mut dyn Read,
}

impl Tarball {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        Ok(Self::of(path, file))
    }
}

impl<R: Read> Tarball<R> {
    fn of(path: &Path, content: R) -> Self {
        let gzip = MultiGzDecoder::new(BufReader::with_capacity(digest::BLOCK, content));
        Self { path: path.to_owned(), archive: tar::Archive::new(gzip) }
    }

    /// Reads the manifest and its signatures, which are the first two entries.
    pub(crate) fn head(self) -> Result<Head, Error> {
        let path = self.path.clone();
        let mut head = Err(Fault::NoManifest);
        self.read(|entry| match &mut head {
            Err(_) => {
                head = read_manifest(entry);
                Ok(if head.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            }
            Ok(head) => {
                if entry.path == SEAL {
                    head.seal = Some(read_seal(entry)?);
                }
                Ok(ControlFlow::Break(()))
            }
        })
        .and_then(|()| Ok(head?))
        .map_err(Failure::of(&path))
    }

    /// Passes the content of every carried file to `take`, which must read all of it, and refuses
    /// any difference from the manifest. The content can be trusted only when this function has
    /// succeeded.
    pub(crate) fn files(
        self,
        manifest: &Manifest,
        mut take: impl FnMut(&FileEntry, &mut dyn Read) -> Result<(), Failure>,
    ) -> Result<(), Error> {
        let path = self.path.clone();
        let mut checklist = Checklist::new(manifest);
        self.read(|entry| {
            if let Some(file) = checklist.tick(entry)? {
                let mut content = Counted { inner: &mut *entry.content, hasher: digest::Hasher::default() };
                take(file, &mut content)?;
                check_digest(file, content.hasher.digest())?;
            }
            Ok(ControlFlow::Continue(()))
        })
        .and_then(|()| Ok(checklist.finish()?))
        .map_err(Failure::of(&path))
    }

    /// Verifies the whole tarball without storing anything.
    pub(crate) fn verify(self, manifest: &Manifest) -> Result<(), Error> {
        self.files(manifest, |_, content| {
            io::copy(content, &mut io::sink())?;
            Ok(())
        })
    }

    /// Passes every regular file of any tarball to `take`. Nothing is verified.
    pub(crate) fn plain_files(
        mut self,
        mut take: impl FnMut(&str, &mut dyn Read) -> Result<(), Failure>,
    ) -> Result<(), Error> {
        let mut files = || {
            for entry in self.archive.entries()? {
                let mut entry = entry?;
                let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                if entry.header().entry_type() == EntryType::Regular {
                    take(path.trim_start_matches("./"), &mut entry)?;
                }
            }
            Ok(())
        };
        files().map_err(Failure::of(&self.path))
    }

    /// Passes every entry to `take` with its header. The content is not verified.
    pub(crate) fn raw(
        self,
        mut take: impl FnMut(&str, &Header, &mut dyn Read) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.path.clone();
        self.read(|Entry { path, header, content, .. }| {
            take(path, header, content)?;
            Ok(ControlFlow::Continue(()))
        })
        .map_err(Failure::of(&path))
    }

    /// Passes every entry to `take`, and reads to the very end unless `take` breaks.
    fn read(
        mut self,
        mut take: impl FnMut(&mut Entry<'_>) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        // Raw entries: the tar library then interprets no extensions, and each extension is refused
        // as an unknown type.
        for entry in self.archive.entries()?.raw(true) {
            let mut tar_entry = entry?;
            let path = String::from_utf8_lossy(&tar_entry.path_bytes()).into_owned();
            check_kind(&path, tar_entry.header().entry_type())?;
            let (size, header) = (tar_entry.size(), tar_entry.header().clone());
            if take(&mut Entry { path, size, header, content: &mut tar_entry })?.is_break() {
                return Ok(());
            }
        }
        Ok(check_end(self.archive.into_inner())?)
    }
}

/// The files that the manifest lists and that have not been read yet.
struct Checklist<'a> {
    open: BTreeMap<&'a str, &'a FileEntry>,
    seen: BTreeSet<String>,
}

impl<'a> Checklist<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        let carried = manifest.files.iter().filter(|file| !file.not_carried);
        Self { open: carried.map(|file| (file.path.as_str(), file)).collect(), seen: BTreeSet::new() }
    }

    /// Returns the manifest's record of an entry, or `None` for the manifest itself and its
    /// signatures.
    fn tick(&mut self, entry: &Entry<'_>) -> Result<Option<&'a FileEntry>, Fault> {
        if !self.seen.insert(entry.path.clone()) {
            return Err(Fault::Twice(entry.path.clone()));
        }
        if entry.path == MANIFEST || (entry.path == SEAL && self.seen.len() == 2) {
            return Ok(None);
        }
        match self.open.remove(entry.path.as_str()) {
            None => Err(Fault::Unlisted(entry.path.clone())),
            Some(file) if file.size != entry.size => {
                Err(Fault::OtherSize { path: file.path.clone(), found: entry.size, listed: file.size })
            }
            Some(file) => Ok(Some(file)),
        }
    }

    fn finish(self) -> Result<(), Fault> {
        match self.open.into_keys().next() {
            Some(path) => Err(Fault::Missing(path.to_owned())),
            None => Ok(()),
        }
    }
}

fn check_kind(path: &str, kind: EntryType) -> Result<(), Fault> {
    match kind {
        EntryType::Regular => Ok(()),
        _ => Err(Fault::NotAFile { path: path.to_owned(), kind: kind.as_byte().into() }),
    }
}

fn check_digest(file: &FileEntry, found: Digest) -> Result<(), Fault> {
    if found == file.sha256 { Ok(()) } else { Err(Fault::OtherDigest(file.path.clone())) }
}

/// Reads to the end, which verifies the gzip checksum and detects a truncated file.
fn check_end(gzip: impl Read) -> Result<(), Fault> {
    let mut tail = Vec::new();
    gzip.take(PADDING_MAX + 1).read_to_end(&mut tail)?;
    let is_padding = tail.len() as u64 <= PADDING_MAX && tail.iter().all(|byte| *byte == 0);
    if is_padding { Ok(()) } else { Err(Fault::Trailing) }
}

/// Returns the maximum size of a release's tarball, in bytes.
pub(crate) fn size_max(manifest: &Manifest) -> u64 {
    let entry = |size: u64| BLOCK as u64 + size.next_multiple_of(BLOCK as u64);
    let carried = manifest.files.iter().filter(|file| !file.not_carried).map(|file| entry(file.size));
    packed_size_max(entry(manifest.print().len() as u64) + entry(SEAL_SIZE_MAX) + carried.sum::<u64>())
}

/// Returns the maximum compressed size of an archive, in bytes: incompressible content grows a
/// little.
pub(crate) const fn packed_size_max(archive: u64) -> u64 {
    archive + archive / 8 + PADDING_MAX
}

/// Reads the manifest at the beginning of a tar archive; `None` until it is complete.
pub(crate) fn first_manifest(archive: &[u8]) -> Result<Option<Manifest>, Fault> {
    let Some(header) = archive.get(..BLOCK) else { return Ok(None) };
    let header = Header::from_byte_slice(header);
    let path = String::from_utf8_lossy(&header.path_bytes()).into_owned();
    check_manifest(&path, 0)?;
    let size = header.entry_size()?;
    check_manifest(&path, size)?;
    check_kind(&path, header.entry_type())?;
    let end = BLOCK + usize::try_from(size).unwrap_or(usize::MAX);
    let Some(mut content) = archive.get(BLOCK..end) else { return Ok(None) };
    read_manifest(&mut Entry { path, size, header: header.clone(), content: &mut content })
        .map(|head| Some(head.manifest))
}

pub(crate) fn check_manifest(path: &str, size: u64) -> Result<(), Fault> {
    match path {
        MANIFEST if size > MANIFEST_SIZE_MAX => Err(Fault::TooLarge { size, max: MANIFEST_SIZE_MAX }),
        MANIFEST => Ok(()),
        _ => Err(Fault::NoManifest),
    }
}

fn read_manifest(entry: &mut Entry<'_>) -> Result<Head, Fault> {
    check_manifest(&entry.path, entry.size)?;
    let mut text = String::new();
    entry.content.read_to_string(&mut text)?;
    Ok(Head { manifest: Manifest::parse(&text)?, text, seal: None })
}

fn read_seal(entry: &mut Entry<'_>) -> Result<String, Fault> {
    if entry.size > SEAL_SIZE_MAX {
        return Err(Fault::TooLarge { size: entry.size, max: SEAL_SIZE_MAX });
    }
    let mut bytes = Vec::new();
    entry.content.read_to_end(&mut bytes)?;
    // Bytes that are no text are no signature, which the judgement reports.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const APPS: [(&str, &str, &str); 1] = [("counter", "0.1.0", "code")];

    #[test]
    fn every_carried_file_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let tarball = fixture::tarball(folder.path(), "1.0.0", &APPS);
        let manifest = Tarball::open(&tarball).unwrap().head().unwrap().manifest;
        let mut sizes = 0;
        Tarball::open(&tarball)
            .unwrap()
            .files(&manifest, |file, content| {
                sizes += io::copy(content, &mut io::sink())?;
                assert!(!file.not_carried);
                Ok(())
            })
            .unwrap();
        assert_eq!(sizes, manifest.files.iter().map(|file| file.size).sum::<u64>());
    }
}
