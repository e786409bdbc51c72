//! Tarballs, `NAME-VSN.tar.gz`. They are written reproducibly, and read as untrusted input.
//!
//! ```text
//! manifest.toml             first, so that the rest can be verified while it streams
//! lib/counter-0.1.1/...     regular files only, sorted by path; folders follow from the paths
//! releases/1.1.0/...
//! ```
//!
//! All headers are plain ustar, so no extension can change a path or a size after the check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

use crate::digest::{self, Digest};
use crate::error::{Error, Failure};
use crate::fault::Fault;
use crate::layout::{MODE_EXECUTABLE, MODE_PLAIN};
use crate::manifest::{FileEntry, MANIFEST, MANIFEST_SIZE_MAX, Manifest};

/// The maximum padding after the end of the archive, in bytes: tar fills its last record.
const PADDING_MAX: u64 = 64 * 1024;

/// The size of a header, in bytes.
const BLOCK: usize = 512;

#[derive(Debug)]
pub(crate) enum Source {
    /// Text made by the packer.
    Text(String),
    /// A file to copy.
    File(PathBuf),
}

impl Source {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Text(text) => Box::new(text.as_bytes()),
            Self::File(path) => Box::new(File::open(path)?),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Text(_) => Path::new("a generated document"),
            Self::File(path) => path,
        }
    }

    /// Returns the file's entry for the manifest.
    pub(crate) fn entry(&self, path: &str, not_carried: bool) -> Result<FileEntry, Error> {
        let (size, sha256, executable) = match self {
            Self::Text(text) => (text.len() as u64, Digest::of(text.as_bytes()), false),
            Self::File(file) => {
                let (size, sha256) = Digest::of_file(file).map_err(Error::io("read", file))?;
                (size, sha256, is_executable(file)?)
            }
        };
        Ok(FileEntry { path: path.to_owned(), size, sha256, executable, not_carried })
    }
}

fn is_executable(file: &Path) -> Result<bool, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(file).map_err(Error::io("read", file))?;
    Ok(metadata.permissions().mode() & 0o100 != 0)
}

/// Writes a tarball next to `output` and renames it to `output`, so that a failure leaves the
/// previous file.
///
/// # Errors
/// [`Error::Io`], [`Error::PathTooLong`], and [`Error::Changed`] if a file no longer matches the
/// manifest.
pub(crate) fn write(
    output: &Path,
    manifest: &Manifest,
    sources: &BTreeMap<String, Source>,
) -> Result<(), Error> {
    let text = manifest.print();
    check_manifest(MANIFEST, text.len() as u64).map_err(|fault| Failure::of(output)(fault.into()))?;
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let failed = || Error::io("write", output);
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
    // The gzip header has no name, no time and a fixed operating system, so that the bytes are
    // reproducible.
    let gzip =
        GzBuilder::new().mtime(0).operating_system(255).write(new.as_file_mut(), Compression::default());
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(digest::BLOCK, gzip));
    append(&mut tar, &plain_entry(MANIFEST, &text), &Source::Text(text), output)?;
    for file in manifest.files.iter().filter(|file| !file.not_carried) {
        append(&mut tar, file, &sources[&file.path], output)?;
    }
    let gzip = tar.into_inner().map_err(failed())?.into_inner().map_err(|e| failed()(e.into_error()))?;
    gzip.finish().map_err(failed())?;
    publish(new, output).map_err(failed())
}

fn plain_entry(path: &str, text: &str) -> FileEntry {
    FileEntry {
        path: path.to_owned(),
        size: text.len() as u64,
        sha256: Digest::of(text.as_bytes()),
        executable: false,
        not_carried: false,
    }
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    file: &FileEntry,
    source: &Source,
    output: &Path,
) -> Result<(), Error> {
    let header = header(file)?;
    let content = source.open().map_err(Error::io("read", source.path()))?;
    let mut content = Counted { inner: content.take(file.size), hasher: digest::Hasher::default() };
    tar.append(&header, &mut content).map_err(Error::io("write", output))?;
    if content.hasher.digest() == file.sha256 {
        Ok(())
    } else {
        Err(Error::Changed { path: source.path().to_owned() })
    }
}

/// A reader that computes the digest of its content.
struct Counted<R> {
    inner: R,
    hasher: digest::Hasher,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(block)?;
        self.hasher.update(&block[..n]);
        Ok(n)
    }
}

fn header(file: &FileEntry) -> Result<Header, Error> {
    let mut header = Header::new_ustar();
    header.set_path(&file.path).map_err(|_| Error::PathTooLong { path: file.path.clone() })?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(file.size);
    header.set_mode(if file.executable { MODE_EXECUTABLE } else { MODE_PLAIN });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

fn publish(new: tempfile::NamedTempFile, output: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // A temporary file is readable only by its owner, but other users read the tarball too.
    new.as_file().set_permissions(fs::Permissions::from_mode(MODE_PLAIN))?;
    new.as_file().sync_all()?;
    new.persist(output)?;
    Ok(())
}

/// A tarball that is read sequentially.
pub(crate) struct Tarball {
    path: PathBuf,
    archive: tar::Archive<MultiGzDecoder<BufReader<File>>>,
}

/// One entry of a tarball: a regular file.
struct Entry<'a> {
    path: String,
    size: u64,
    content: &'a mut dyn Read,
}

impl Tarball {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let gzip = MultiGzDecoder::new(BufReader::with_capacity(digest::BLOCK, file));
        Ok(Self { path: path.to_owned(), archive: tar::Archive::new(gzip) })
    }

    pub(crate) fn manifest(self) -> Result<Manifest, Error> {
        let path = self.path.clone();
        let mut manifest = Err(Fault::NoManifest);
        self.read(|entry| {
            manifest = read_manifest(entry);
            Ok(ControlFlow::Break(()))
        })
        .and_then(|()| Ok(manifest?))
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
            let size = tar_entry.size();
            if take(&mut Entry { path, size, content: &mut tar_entry })?.is_break() {
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

    /// Returns the manifest's record of an entry, or `None` for the manifest itself.
    fn tick(&mut self, entry: &Entry<'_>) -> Result<Option<&'a FileEntry>, Fault> {
        if !self.seen.insert(entry.path.clone()) {
            return Err(Fault::Twice(entry.path.clone()));
        }
        if entry.path == MANIFEST {
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
    packed_size_max(entry(manifest.print().len() as u64) + carried.sum::<u64>())
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
    read_manifest(&mut Entry { path, size, content: &mut content }).map(Some)
}

fn check_manifest(path: &str, size: u64) -> Result<(), Fault> {
    match path {
        MANIFEST if size > MANIFEST_SIZE_MAX => Err(Fault::TooLarge { size, max: MANIFEST_SIZE_MAX }),
        MANIFEST => Ok(()),
        _ => Err(Fault::NoManifest),
    }
}

fn read_manifest(entry: &mut Entry<'_>) -> Result<Manifest, Fault> {
    check_manifest(&entry.path, entry.size)?;
    let mut text = String::new();
    entry.content.read_to_string(&mut text)?;
    Manifest::parse(&text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::fixture;

    const APPS: [(&str, &str, &str); 1] = [("counter", "0.1.0", "code")];

    /// Returns the sources and the manifest of a release with two files, one of them a program.
    fn release(folder: &Path) -> (Manifest, BTreeMap<String, Source>) {
        let program = folder.join("program");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let sources = BTreeMap::from([
            ("lib/counter-0.1.0/priv/program".to_owned(), Source::File(program)),
            ("releases/1.0.0/release.toml".to_owned(), Source::Text("name".to_owned())),
        ]);
        let mut manifest = fixture::manifest("1.0.0", &BTreeMap::new());
        manifest.files = sources.iter().map(|(path, source)| source.entry(path, false).unwrap()).collect();
        (manifest, sources)
    }

    #[test]
    fn equal_releases_make_equal_bytes() {
        let tarballs = [(); 2].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            let (manifest, sources) = release(folder.path());
            let output = folder.path().join("out.tar.gz");
            write(&output, &manifest, &sources).unwrap();
            fs::read(output).unwrap()
        });
        assert_eq!(tarballs[0], tarballs[1]);
        assert_eq!(tarballs[0][4..8], [0; 4], "the gzip header holds a time");
    }

    #[test]
    fn a_release_with_an_oversized_manifest_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut manifest, sources) = release(folder.path());
        manifest.target = "x".repeat(17 << 20);
        let output = folder.path().join("out.tar.gz");
        let error = write(&output, &manifest, &sources).unwrap_err();
        assert!(matches!(error, Error::Tarball { source: Fault::TooLarge { .. }, .. }), "{error:?}");
        assert!(!output.exists());
    }

    #[test]
    fn headers_are_independent_of_the_packing_machine() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, sources) = release(folder.path());
        let output = folder.path().join("out.tar.gz");
        write(&output, &manifest, &sources).unwrap();
        let mut archive = Tarball::open(&output).unwrap().archive;
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let header = entry.unwrap().header().clone();
            let times_and_owners = (header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap());
            assert_eq!(times_and_owners, (0, 0, 0));
            assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))));
            seen.push((header.path().unwrap().display().to_string(), header.mode().unwrap()));
        }
        let expected = [
            ("manifest.toml", 0o644),
            ("lib/counter-0.1.0/priv/program", 0o755),
            ("releases/1.0.0/release.toml", 0o644),
        ];
        assert_eq!(seen, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn a_file_that_changes_while_it_is_packed_is_an_error_and_leaves_the_earlier_tarball() {
        for change in ["#!/bin/zs\n", "", "longer than it was before"] {
            let folder = tempfile::tempdir().unwrap();
            let (manifest, sources) = release(folder.path());
            let output = folder.path().join("out.tar.gz");
            fs::write(&output, "earlier").unwrap();
            fs::write(folder.path().join("program"), change).unwrap();
            let error = write(&output, &manifest, &sources).unwrap_err();
            assert!(matches!(error, Error::Changed { .. }), "{change}: {error:?}");
            assert_eq!(fs::read_to_string(&output).unwrap(), "earlier");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_path_too_long_for_a_plain_header_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = format!("lib/counter-0.1.0/priv/{}", "x".repeat(200));
        let source = Source::Text(String::new());
        let mut manifest = fixture::manifest("1.0.0", &BTreeMap::new());
        manifest.files = vec![source.entry(&path, false).unwrap()];
        let result = write(&folder.path().join("out"), &manifest, &BTreeMap::from([(path, source)]));
        assert!(matches!(result, Err(Error::PathTooLong { .. })), "{result:?}");
    }

    #[test]
    fn every_carried_file_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let tarball = fixture::tarball(folder.path(), "1.0.0", &APPS);
        let manifest = Tarball::open(&tarball).unwrap().manifest().unwrap();
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
