//! Unpacks a tarball into folders below the root: stages the files, compares them, and moves them
//! into place.
//!
//! Each file is verified while it streams into `staging/`. After that, whole folders are renamed
//! into place, and last the release is written into the status table. A failure or crash in between
//! leaves folders that no known release uses, and [`Root::sweep`] deletes exactly these folders.
//! (OTP extracts directly into the root without overwriting files. A failure therefore leaves
//! files, and an existing app version silently keeps its old files.)

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use reld_plan::{Rel, Vsn};
use reld_trust::{KeyChange, Provenance, SEAL};

use crate::digest;
use crate::documents::{self, Staged};
use crate::error::Error;
use crate::fault::{Failure, Fault};
use crate::layout::{self, MODE_EXECUTABLE, MODE_PLAIN, Root};
use crate::lifecycle::{KnownApp, KnownRelease, Status, StatusTable};
use crate::manifest::{FileEntry, MANIFEST, Manifest};
use crate::package::{Head, Tarball};
use crate::room;
use crate::verify::{self, Damage, Harm};

/// The result of an unpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The release.
    pub release: KnownRelease,
    /// Whether the release is new on the node.
    pub is_new: bool,
    /// Whether it took the place of a release with other content.
    pub replaced: bool,
    /// The repaired files, as paths below the root.
    pub repaired: Vec<PathBuf>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

/// A release in staging, with nothing left to decide.
pub(crate) struct Prepared {
    staged: PathBuf,
    pub(crate) release: KnownRelease,
    /// The keys in its `keys.toml`.
    pub(crate) keys: KeyChange,
    moves: Moves,
}

/// Unpacks a tarball into staging and decides the rest. Changes no release.
///
/// The root must have been swept. A folder that no release of `table` uses belongs to the release
/// whose place this one takes.
pub(crate) fn prepare(
    root: &Root,
    table: &StatusTable,
    tarball: &Path,
    head: &Head,
) -> Result<Prepared, Error> {
    let manifest = &head.manifest;
    check_left_out(root, manifest).map_err(|fault| Failure::of(tarball)(fault.into()))?;
    let staged = root.staging_dir(&manifest.version);
    stage(root, tarball, head, &staged).map_err(|error| error.below(&staged))?;
    let documents =
        documents::read(&Staged { staged: &staged, root: root.path(), manifest }, &manifest.version)?;
    let moves = decide(root, table, manifest, documents.release.rel()).map_err(Failure::of(tarball))?;
    let release = known(manifest, documents.release.rel());
    Ok(Prepared { staged, release, keys: documents.keys, moves })
}

/// Moves the files of a prepared release into place, and returns its entry for the status table.
///
/// The folders that it replaces must belong to no release of the status table on disk.
pub(crate) fn finish(root: &Root, tarball: &Path, prepared: Prepared) -> Result<Unpacked, Error> {
    let Prepared { staged, release, moves: Moves { folders, damage }, .. } = prepared;
    let repaired = put_in_place(root, &staged, damage).map_err(Failure::of(tarball))?;
    for folder in folders {
        let place = root.path().join(&folder);
        if place.exists() {
            root.remove(&place)?;
        }
        root.rename(&staged.join(&folder), &place)?;
    }
    root.sync(&root.path().join("lib"))?;
    root.sync(&root.path().join("releases"))?;
    Ok(Unpacked { release, is_new: true, replaced: false, repaired, warnings: Vec::new() })
}

/// Repairs damaged files of a known release from its tarball. Returns their paths below the root.
///
/// The root must have been swept.
pub(crate) fn repair(
    root: &Root,
    tarball: &Path,
    head: &Head,
    damage: Vec<Damage>,
) -> Result<Vec<PathBuf>, Error> {
    let staged = root.staging_dir(&head.manifest.version);
    stage(root, tarball, head, &staged).map_err(|error| error.below(&staged))?;
    put_in_place(root, &staged, damage).map_err(Failure::of(tarball))
}

/// Replaces damaged files by staged ones.
///
/// Files are replaced one by one, because a running app may be using the intact ones. Whenever the
/// machine stops, each file is either the old or the new file, and the next repair continues. A
/// stray file may be the only copy of some data. It is therefore left in place and refused, unless
/// a folder of the release belongs at its path.
fn put_in_place(root: &Root, staged: &Path, damage: Vec<Damage>) -> Result<Vec<PathBuf>, Failure> {
    let (stray, lost): (Vec<_>, Vec<_>) =
        damage.into_iter().partition(|damage| matches!(damage.fault, Harm::Stray));
    if let Some(Damage { path, .. }) = lost.iter().find(|damage| !staged.join(&damage.path).exists()) {
        return Err(Fault::NotCarried(path.display().to_string()).into());
    }
    let is_in_the_way = |path: &Path| lost.iter().any(|damage| damage.path.starts_with(path));
    if let Some(Damage { path, .. }) = stray.iter().find(|damage| !is_in_the_way(&damage.path)) {
        return Err(Fault::Stray(path.display().to_string()).into());
    }
    // One barrier for all files: after a power cut, renamed files are complete.
    root.disk().sync_filesystem(staged).map_err(Error::io("sync", staged))?;
    // Stray files are removed first, because one may be a link to a folder, which the replacement
    // of files below it would follow.
    for Damage { path, .. } in &stray {
        root.remove(&root.path().join(path))?;
    }
    for Damage { path, .. } in &lost {
        put(root, &staged.join(path), &root.path().join(path))?;
    }
    if !stray.is_empty() || !lost.is_empty() {
        root.disk().sync_filesystem(root.path()).map_err(Error::io("sync", root.path()))?;
    }
    Ok(stray.into_iter().chain(lost).map(|damage| damage.path).collect())
}

/// Replaces the signatures of a release. The new file begins in staging: left in the folder of the
/// release by a crash, it would be a stray file and keep the release from booting.
pub(crate) fn replace_seal(root: &Root, vsn: &Vsn, seal: &str) -> Result<(), Error> {
    let (staged, place) = (root.staging_dir(vsn), root.seal_file(vsn));
    let new = staged.join(SEAL);
    root.create_dir(&staged)?;
    root.write(&new, seal)?;
    root.sync(&new)?;
    put(root, &new, &place)?;
    root.sync(&root.release_dir(vsn))
}

fn put(root: &Root, staged: &Path, place: &Path) -> Result<(), Error> {
    if let Some(folder) = place.parent() {
        root.create_dir(folder)?;
    }
    if place.is_dir() {
        root.remove(place)?;
    }
    root.rename(staged, place)
}

fn stage(root: &Root, tarball: &Path, head: &Head, staged: &Path) -> Result<(), Error> {
    let manifest = &head.manifest;
    room::check(root.disk(), root.path(), manifest.carried_size())?;
    let release = staged.join(layout::release_dir(&manifest.version));
    root.create_dir(&staged.join("lib"))?;
    root.create_dir(&release)?;
    // As they are in the tarball, because the signatures cover the bytes.
    root.write(&release.join(MANIFEST), &head.text)?;
    if let Some(seal) = &head.seal {
        root.write(&release.join(SEAL), seal)?;
    }
    Tarball::open(tarball)?
        .files(manifest, |file, content| write(root, &staged.join(&file.path), file, content))
}

fn write(root: &Root, path: &Path, file: &FileEntry, content: &mut dyn Read) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        root.create_dir(folder)?;
    }
    let mode = if file.executable { MODE_EXECUTABLE } else { MODE_PLAIN };
    let mut output = root.disk().create(path, mode).map_err(Error::io("create", path))?;
    digest::copy(content, |block| {
        root.disk().write(&mut output, block).map_err(Error::io("write", path)).map_err(Failure::from)
    })?;
    Ok(())
}

/// The changes that put a staged release into place.
#[derive(Default)]
struct Moves {
    /// The folders to move into place: those that no other release uses.
    folders: Vec<PathBuf>,
    /// The files to replace in folders that the node has.
    damage: Vec<Damage>,
}

fn decide(root: &Root, table: &StatusTable, manifest: &Manifest, rel: &Rel) -> Result<Moves, Failure> {
    check_rel(manifest, rel)?;
    let mut moves = Moves::default();
    for app in &rel.apps {
        let folder = layout::app_dir(&app.name, &app.version);
        if !root.path().join(&folder).exists() {
            moves.folders.push(folder.into());
            continue;
        }
        let damage = verify::damage(root, &[&folder], manifest)?;
        if !damage.is_empty() && !is_used(table, &folder) {
            if manifest.files_below(&folder).any(|file| file.not_carried) {
                return Err(Fault::NotHere(folder).into());
            }
            moves.folders.push(folder.into());
            continue;
        }
        if !damage.is_empty() && !is_known(root, table, manifest, &folder) {
            return Err(Fault::OtherContent(folder).into());
        }
        moves.damage.extend(damage);
    }
    moves.folders.push(layout::release_dir(&rel.version).into());
    Ok(moves)
}

fn is_used(table: &StatusTable, folder: &str) -> bool {
    table.releases.iter().any(|known| known.apps.iter().any(|app| app.dir == folder))
}

/// Returns whether the manifest of a known release lists the same files in a folder.
fn is_known(root: &Root, table: &StatusTable, manifest: &Manifest, folder: &str) -> bool {
    let same = |known: &Manifest| {
        let one = known.files_below(folder).map(|file| (&file.path, file.sha256));
        one.eq(manifest.files_below(folder).map(|file| (&file.path, file.sha256)))
    };
    let owners = table.releases.iter().filter(|known| known.apps.iter().any(|app| app.dir == folder));
    owners.filter_map(|known| verify::manifest(root, known).ok()).any(|known| same(&known))
}

/// Checks that the tarball leaves out only files of apps that the node has.
fn check_left_out(root: &Root, manifest: &Manifest) -> Result<(), Fault> {
    let left_out = manifest.files.iter().filter(|file| file.not_carried);
    if let Some(file) = left_out.clone().find(|file| !file.path.starts_with("lib/")) {
        return Err(Fault::LeftOut(file.path.clone()));
    }
    let mut folders = left_out.map(|file| file.path.split('/').take(2).collect::<Vec<_>>().join("/"));
    match folders.find(|folder| !root.path().join(folder).exists()) {
        Some(folder) => Err(Fault::NotHere(folder)),
        None => Ok(()),
    }
}

/// Compares the manifest with the `release.toml`: every app must have its library and its
/// `app.toml`, and files outside of the release's folders are refused.
fn check_rel(manifest: &Manifest, rel: &Rel) -> Result<(), Fault> {
    if manifest.name != rel.name {
        return Err(Fault::OtherName { manifest: manifest.name.clone(), release: rel.name.clone() });
    }
    if manifest.serial != rel.serial {
        return Err(Fault::OtherSerial { manifest: manifest.serial, release: rel.serial });
    }
    let apps = rel.apps.iter().map(|app| layout::app_dir(&app.name, &app.version));
    let folders: BTreeSet<String> = apps.chain([layout::release_dir(&rel.version)]).collect();
    manifest.check_folders(&folders)?;
    let libraries = rel.apps.iter().map(|app| layout::library(&app.name, &app.version));
    let documents = rel.apps.iter().map(|app| layout::app_dir(&app.name, &app.version) + "/app.toml");
    match libraries.chain(documents).find(|path| manifest.file(path).is_none()) {
        Some(path) => Err(Fault::Missing(path)),
        None => Ok(()),
    }
}

fn known(manifest: &Manifest, rel: &Rel) -> KnownRelease {
    let known_app = |app: &reld_plan::RelApp| KnownApp {
        name: app.name.clone(),
        version: app.version.clone(),
        dir: layout::app_dir(&app.name, &app.version),
    };
    KnownRelease {
        name: rel.name.clone(),
        version: rel.version.clone(),
        status: Status::Unpacked,
        identity: manifest.identity(),
        previous: None,
        tried: false,
        unconfirmed: false,
        provenance: Provenance::default(),
        apps: rel.apps.iter().map(known_app).collect(),
    }
}

#[cfg(test)]
mod tests;
