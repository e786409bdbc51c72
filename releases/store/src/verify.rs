//! Compares the files of releases with their manifests.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, fs, io, iter, thread};

use reld_trust::SEAL;

use crate::digest::Digest;
use crate::documents;
use crate::error::Error;
use crate::health::Health;
use crate::layout::{self, Root};
use crate::lifecycle::KnownRelease;
use crate::manifest::{FileEntry, MANIFEST, Manifest};
use crate::package::Head;

/// A file that differs from its entry in the manifest.
#[derive(Debug)]
pub struct Damage {
    /// The file, as a path below the root.
    pub path: PathBuf,
    /// The kind of damage.
    pub fault: Harm,
}

/// The kind of damage of a file.
#[derive(Debug)]
pub enum Harm {
    /// The file does not exist.
    Missing,
    /// The file has other content, is not a regular file, or is a program without execute
    /// permission.
    Changed,
    /// The manifest does not list the file.
    Stray,
    /// The operating system cannot read the file.
    Unreadable(io::Error),
}

impl Harm {
    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Stray => "remove it",
            _ => "`relctl unpack` with the release's tarball repairs it",
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Changed => f.write_str("changed"),
            Self::Stray => f.write_str("stray"),
            Self::Unreadable(error) => write!(f, "unreadable: {error}"),
        }
    }
}

/// The state of a release's files.
#[derive(Debug)]
pub struct Verified {
    /// The number of files.
    pub files: usize,
    /// The total size of the files.
    pub bytes: u64,
    /// The damaged files.
    pub damage: Vec<Damage>,
}

/// Compares every file of a known release with its manifest. Reads only, so no lock is needed.
///
/// # Errors
/// [`Error::Io`] if a folder cannot be read.
pub fn survey(root: &Root, release: &KnownRelease) -> Result<Verified, Error> {
    let (head, damage) = look(root, release)?;
    let (files, bytes) = head.map_or((0, 0), |head| (head.manifest.files.len(), head.manifest.size()));
    Ok(Verified { files, bytes, damage })
}

/// Returns the content of a file of a known release, exactly as the manifest lists it. `None` if
/// the manifest does not list it.
///
/// # Errors
/// [`Error::Io`], and [`Error::Tampered`] if the manifest or the file is not the unpacked one.
pub fn read_file(root: &Root, release: &KnownRelease, path: &str) -> Result<Option<Vec<u8>>, Error> {
    let manifest = manifest(root, release)?;
    let Some(file) = manifest.file(path) else { return Ok(None) };
    let place = root.path().join(path);
    let content = fs::read(&place).map_err(Error::io("read", &place))?;
    if Digest::of(&content) == file.sha256 {
        Ok(Some(content))
    } else {
        Err(tampered(root, release, Path::new(path), Harm::Changed))
    }
}

/// Returns the manifest of a known release and the damage of its files. If the manifest is damaged,
/// the other files cannot be checked.
fn look(root: &Root, release: &KnownRelease) -> Result<(Option<Head>, Vec<Damage>), Error> {
    match head(root, release) {
        Ok(head) => {
            let damage = damage(root, &release.folders(), &head.manifest)?;
            Ok((Some(head), damage))
        }
        Err(Error::Tampered { fault, .. }) => {
            Ok((None, vec![Damage { path: manifest_path(release), fault }]))
        }
        Err(error) => Err(error),
    }
}

/// Returns the damage of a known release, given its intact manifest.
pub(crate) fn damage_by(root: &Root, release: &KnownRelease, own: &Manifest) -> Result<Vec<Damage>, Error> {
    let mut found = damage(root, &release.folders(), own)?;
    if let Err(Error::Tampered { fault, .. }) = manifest(root, release) {
        found.push(Damage { path: manifest_path(release), fault });
    }
    Ok(found)
}

fn manifest_path(release: &KnownRelease) -> PathBuf {
    Path::new(&layout::release_dir(&release.version)).join(MANIFEST)
}

/// Compares every file of a known release with its manifest, which is returned with its signatures.
///
/// # Errors
/// [`Error::Tampered`] with the first file that differs, is missing or is not listed;
/// [`Error::Io`].
pub(crate) fn verify(root: &Root, release: &KnownRelease, health: &Health) -> Result<Head, Error> {
    let (head, damage) = look(root, release)?;
    health.note(&release.version, &damage);
    match damage.into_iter().next() {
        None => Ok(head.expect("a manifest that is not there is damage")),
        Some(Damage { path, fault: Harm::Unreadable(source) }) => {
            Err(Error::io("read", &root.path().join(path))(source))
        }
        Some(Damage { path, fault }) => Err(tampered(root, release, &path, fault)),
    }
}

/// Returns whether a manifest is the one of a known release. The identity covers the files, but
/// neither the name nor the serial.
pub(crate) fn is_of(manifest: &Manifest, release: &KnownRelease) -> bool {
    manifest.identity() == release.identity
        && manifest.name == release.name
        && manifest.serial == release.provenance.serial
}

/// Returns the manifest of a known release. It must be [its](is_of) manifest by the status table.
pub(crate) fn manifest(root: &Root, release: &KnownRelease) -> Result<Manifest, Error> {
    read_manifest(root, release).map(|(manifest, _)| manifest)
}

/// Returns the manifest of a known release with its bytes and its signatures.
pub(crate) fn head(root: &Root, release: &KnownRelease) -> Result<Head, Error> {
    let (manifest, text) = read_manifest(root, release)?;
    let path = root.seal_file(&release.version);
    // A file that cannot be read is no signature, which the judgement reports. The release itself
    // is intact, and a release that was permanent boots without signatures.
    let seal = documents::text_of_file(&path, &path).unwrap_or_else(|_| Some(String::new()));
    Ok(Head { manifest, text, seal })
}

fn read_manifest(root: &Root, release: &KnownRelease) -> Result<(Manifest, String), Error> {
    let path = root.manifest_file(&release.version);
    let text = match documents::text_of_file(&path, &path) {
        Ok(Some(text)) => text,
        Ok(None) => return Err(tampered(root, release, &path, Harm::Missing)),
        Err(error @ Error::Io { .. }) => return Err(error),
        Err(_) => return Err(tampered(root, release, &path, Harm::Changed)),
    };
    match Manifest::parse(&text) {
        Ok(manifest) if is_of(&manifest, release) => Ok((manifest, text)),
        _ => Err(tampered(root, release, &path, Harm::Changed)),
    }
}

fn tampered(root: &Root, release: &KnownRelease, path: &Path, fault: Harm) -> Error {
    Error::Tampered { vsn: release.version.clone(), path: root.path().join(path), fault }
}

/// Returns every file that differs between folders below the root and a manifest. Missing and
/// unlisted files come first.
pub(crate) fn damage(
    root: &Root,
    folders: &[impl AsRef<str>],
    manifest: &Manifest,
) -> Result<Vec<Damage>, Error> {
    let (mut there, mut found) = (Vec::new(), Vec::new());
    for folder in folders.iter().map(AsRef::as_ref) {
        let mut listed: BTreeMap<&Path, &FileEntry> =
            manifest.files_below(folder).map(|file| (Path::new(&file.path), file)).collect();
        for path in files(root.path(), folder)? {
            match listed.remove(path.as_path()) {
                Some(file) => there.push((path, file)),
                // A manifest lists neither itself nor its signatures.
                None if [MANIFEST, SEAL].iter().any(|own| path == Path::new(folder).join(own)) => {}
                None => found.push(Damage { path, fault: Harm::Stray }),
            }
        }
        let missing = listed.into_keys();
        found.extend(missing.map(|path| Damage { path: path.to_owned(), fault: Harm::Missing }));
    }
    found.extend(changed(root, &there));
    Ok(found)
}

/// Returns the files with other content than listed. Several files are read in parallel, because
/// reading them is the longest part of an install with few processes.
fn changed(root: &Root, files: &[(PathBuf, &FileEntry)]) -> Vec<Damage> {
    let next = AtomicUsize::new(0);
    let compare = || {
        iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
            .map_while(|at| files.get(at).map(|(path, file)| (at, path, file)))
            .filter_map(|(at, path, file)| {
                let fault = harm(&root.path().join(path), file)?;
                Some((at, Damage { path: path.clone(), fault }))
            })
            .collect::<Vec<_>>()
    };
    let others = thread::available_parallelism().map_or(1, usize::from).min(files.len()).saturating_sub(1);
    let mut found = thread::scope(|scope| {
        // If no thread can be spawned, the current thread reads all files.
        let others: Vec<_> =
            (0..others).filter_map(|_| thread::Builder::new().spawn_scoped(scope, compare).ok()).collect();
        let own = compare();
        let join = |other: thread::ScopedJoinHandle<'_, _>| {
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        others.into_iter().flat_map(join).chain(own).collect::<Vec<_>>()
    });
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, damage)| damage).collect()
}

fn harm(path: &Path, file: &FileEntry) -> Option<Harm> {
    match has_content(path, file) {
        Ok(true) => None,
        Ok(false) => Some(Harm::Changed),
        Err(error) => Some(Harm::Unreadable(error)),
    }
}

fn has_content(path: &Path, file: &FileEntry) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    let can_run = metadata.permissions().mode() & 0o100 != 0;
    if !metadata.is_file() || metadata.len() != file.size || file.executable && !can_run {
        return Ok(false);
    }
    let (_, digest) = Digest::of_file(path)?;
    Ok(digest == file.sha256)
}

/// Returns the paths below `top` of all files in a folder, of any kind except folders, sorted
/// within each folder. A missing folder counts as empty.
pub(crate) fn files(top: &Path, folder: &str) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let full = top.join(&folder);
        match fs::symlink_metadata(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            _ => {}
        }
        for name in layout::names(&full)? {
            let path = folder.join(name);
            let full = top.join(&path);
            let metadata = fs::symlink_metadata(&full).map_err(Error::io("read", &full))?;
            if metadata.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}
