//! Writes tarballs reproducibly.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::GzBuilder;
use flate2::write::GzEncoder;
use reld_trust::{SEAL, Seal};
use tar::{EntryType, Header};
use tempfile::NamedTempFile;

use crate::digest::{self, Digest};
use crate::error::Error;
use crate::fault::Failure;
use crate::layout::{MODE_EXECUTABLE, MODE_PLAIN};
use crate::manifest::{FileEntry, MANIFEST, Manifest};
use crate::package::{Counted, Tarball, check_manifest};
use crate::purpose::Purpose;

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
    purpose: Purpose,
) -> Result<(), Error> {
    let text = manifest.print();
    check_manifest(MANIFEST, text.len() as u64).map_err(|fault| Failure::of(output)(fault.into()))?;
    let failed = || Error::io("write", output);
    let mut new = new_beside(output)?;
    let mut tar = builder(&mut new, purpose);
    append(&mut tar, &plain_entry(MANIFEST, &text), &Source::Text(text), output)?;
    for file in manifest.files.iter().filter(|file| !file.not_carried) {
        append(&mut tar, file, &sources[&file.path], output)?;
    }
    finish(tar).map_err(failed())?;
    publish(new, output, purpose).map_err(failed())
}

/// Writes signatures into a tarball, in place of earlier ones. All other entries keep their bytes.
///
/// # Errors
/// [`Error::Tarball`] if the tarball is damaged, and [`Error::Io`]; then the file is unchanged.
pub fn reseal(tarball: &Path, seal: &Seal) -> Result<(), Error> {
    let manifest = Tarball::open(tarball)?.head()?.manifest;
    Tarball::open(tarball)?.verify(&manifest)?;
    let failed = || Error::io("write", tarball);
    let mut new = new_beside(tarball)?;
    let mut tar = builder(&mut new, Purpose::Keep);
    Tarball::open(tarball)?.raw(|path, header, content| {
        if path == SEAL {
            return Ok(());
        }
        tar.append(header, content).map_err(failed())?;
        if path == MANIFEST {
            let entry = plain_entry(SEAL, seal.text());
            append(&mut tar, &entry, &Source::Text(seal.text().to_owned()), tarball)?;
        }
        Ok(())
    })?;
    finish(tar).map_err(failed())?;
    publish(new, tarball, Purpose::Keep).map_err(failed())
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

/// A tarball that is being written.
type Writer<'a> = tar::Builder<io::BufWriter<GzEncoder<&'a mut File>>>;

/// Creates a file beside another one, so that it can be renamed to it.
fn new_beside(output: &Path) -> Result<NamedTempFile, Error> {
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    NamedTempFile::new_in(folder).map_err(Error::io("write", output))
}

fn builder(new: &mut NamedTempFile, purpose: Purpose) -> Writer<'_> {
    // The gzip header has no name, no time and a fixed operating system, so that the bytes are
    // reproducible.
    let gzip =
        GzBuilder::new().mtime(0).operating_system(255).write(new.as_file_mut(), purpose.compression());
    tar::Builder::new(io::BufWriter::with_capacity(digest::BLOCK, gzip))
}

fn finish(tar: Writer<'_>) -> io::Result<()> {
    let gzip = tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    gzip.finish()?;
    Ok(())
}

fn publish(new: NamedTempFile, output: &Path, purpose: Purpose) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // A temporary file is readable only by its owner, but other users read the tarball too.
    new.as_file().set_permissions(fs::Permissions::from_mode(MODE_PLAIN))?;
    if purpose.is_kept() {
        new.as_file().sync_all()?;
    }
    new.persist(output)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::fault::Fault;
    use crate::fixture;

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
            write(&output, &manifest, &sources, Purpose::Keep).unwrap();
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
        let error = write(&output, &manifest, &sources, Purpose::Keep).unwrap_err();
        assert!(matches!(error, Error::Tarball { source: Fault::TooLarge { .. }, .. }), "{error:?}");
        assert!(!output.exists());
    }

    #[test]
    fn headers_are_independent_of_the_packing_machine() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, sources) = release(folder.path());
        let output = folder.path().join("out.tar.gz");
        write(&output, &manifest, &sources, Purpose::Keep).unwrap();
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
            let error = write(&output, &manifest, &sources, Purpose::Keep).unwrap_err();
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
        let sources = BTreeMap::from([(path, source)]);
        let result = write(&folder.path().join("out"), &manifest, &sources, Purpose::Keep);
        assert!(matches!(result, Err(Error::PathTooLong { .. })), "{result:?}");
    }
}
