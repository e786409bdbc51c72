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

use reld_plan::Rel;

use crate::digest;
use crate::documents::{self, Staged};
use crate::error::{Error, Failure};
use crate::fault::Fault;
use crate::layout::{self, MODE_EXECUTABLE, MODE_PLAIN, Root};
use crate::lifecycle::{KnownApp, KnownRelease, Status, StatusTable};
use crate::manifest::{FileEntry, MANIFEST, Manifest};
use crate::package::Tarball;
use crate::room;
use crate::verify::{self, Damage, Harm};

/// The result of an unpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The release.
    pub release: KnownRelease,
    /// Whether the release is new on the node.
    pub is_new: bool,
    /// The repaired files, as paths below the root.
    pub repaired: Vec<PathBuf>,
}

/// Moves the files of a release into place, and returns its entry for the status table.
///
/// The root must have been swept, so that every existing folder belongs to a release of `table`.
pub(crate) fn unpack(
    root: &Root,
    table: &StatusTable,
    tarball: &Path,
    manifest: &Manifest,
) -> Result<Unpacked, Error> {
    check_left_out(root, manifest).map_err(|fault| Failure::of(tarball)(fault.into()))?;
    let staged = root.staging_dir(&manifest.version);
    stage(root, tarball, manifest, &staged).map_err(|error| error.below(&staged))?;
    let documents = documents::read(&Staged { staged: &staged, root: root.path() }, &manifest.version)?;
    let Moves { folders, damage } =
        decide(root, table, manifest, documents.release.rel()).map_err(Failure::of(tarball))?;
    let repaired = put_in_place(root, &staged, damage).map_err(Failure::of(tarball))?;
    for folder in folders {
        root.rename(&staged.join(&folder), &root.path().join(&folder))?;
    }
    root.sync(&root.path().join("lib"))?;
    root.sync(&root.path().join("releases"))?;
    Ok(Unpacked { release: known(manifest, documents.release.rel()), is_new: true, repaired })
}

/// Repairs damaged files of a known release from its tarball. Returns their paths below the root.
///
/// The root must have been swept.
pub(crate) fn repair(
    root: &Root,
    tarball: &Path,
    manifest: &Manifest,
    damage: Vec<Damage>,
) -> Result<Vec<PathBuf>, Error> {
    let staged = root.staging_dir(&manifest.version);
    stage(root, tarball, manifest, &staged).map_err(|error| error.below(&staged))?;
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

fn put(root: &Root, staged: &Path, place: &Path) -> Result<(), Error> {
    if let Some(folder) = place.parent() {
        root.create_dir(folder)?;
    }
    if place.is_dir() {
        root.remove(place)?;
    }
    root.rename(staged, place)
}

fn stage(root: &Root, tarball: &Path, manifest: &Manifest, staged: &Path) -> Result<(), Error> {
    room::check(root.disk(), root.path(), manifest.carried_size())?;
    let release = staged.join(layout::release_dir(&manifest.version));
    root.create_dir(&staged.join("lib"))?;
    root.create_dir(&release)?;
    root.write(&release.join(MANIFEST), &manifest.print())?;
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
    /// The folders to move into place: those that the node does not have yet.
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
        if !damage.is_empty() && !is_known(root, table, manifest, &folder) {
            return Err(Fault::OtherContent(folder).into());
        }
        moves.damage.extend(damage);
    }
    moves.folders.push(layout::release_dir(&rel.version).into());
    Ok(moves)
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

/// Checks that the node has the folders that the tarball leaves out.
fn check_left_out(root: &Root, manifest: &Manifest) -> Result<(), Fault> {
    let left_out = manifest.files.iter().filter(|file| file.not_carried);
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
        apps: rel.apps.iter().map(known_app).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::error::Error as _;
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{self, RawEntry, raw};

    type Files = BTreeMap<String, String>;

    const APPS: [(&str, &str, &str); 1] = [("counter", "0.1.0", "code 1")];

    /// Unpacks bytes as a tarball into a root with release 1.0.0, and checks that they are refused
    /// without changes.
    #[track_caller]
    fn check_refused(bytes: &[u8], expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = fixture::open(&folder.path().join("root")).unwrap();
        let good = fixture::tarball(folder.path(), "1.0.0", &APPS);
        store.unpack(&good, &fixture::platform()).unwrap();
        let before = fixture::tree(store.root().path());
        let hostile = folder.path().join("hostile.tar.gz");
        fs::write(&hostile, bytes).unwrap();

        let error = store.unpack(&hostile, &fixture::platform()).unwrap_err();

        let words = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        assert!(words.contains(expected), "{words}");
        assert!(!words.contains("staging") && !words.contains("/root/"), "{words}");
        assert_eq!(fixture::tree(store.root().path()), before);
        assert!(!folder.path().join("evil").exists());
    }

    /// The same with changed entries of a valid tarball of release 1.1.0.
    #[track_caller]
    fn check_entries(change: impl FnOnce(&mut Vec<RawEntry>), expected: &str) {
        let files = fixture::files("1.1.0", &[("counter", "0.1.1", "code 2")]);
        let mut entries = fixture::raw_entries(&fixture::manifest("1.1.0", &files), &files);
        change(&mut entries);
        check_refused(&fixture::raw_tarball(&entries), expected);
    }

    /// The same with files changed before the manifest is made.
    #[track_caller]
    fn check_files(change: impl FnOnce(&mut Files), expected: &str) {
        let mut files = fixture::files("1.1.0", &[("counter", "0.1.1", "code 2")]);
        change(&mut files);
        let entries = fixture::raw_entries(&fixture::manifest("1.1.0", &files), &files);
        check_refused(&fixture::raw_tarball(&entries), expected);
    }

    /// The same with a changed manifest.
    #[track_caller]
    fn check_manifest(change: impl FnOnce(&mut Manifest), expected: &str) {
        let files = fixture::files("1.1.0", &[("counter", "0.1.1", "code 2")]);
        let mut manifest = fixture::manifest("1.1.0", &files);
        change(&mut manifest);
        check_refused(&fixture::raw_tarball(&fixture::raw_entries(&manifest, &files)), expected);
    }

    #[test]
    fn entries_that_the_manifest_does_not_list_are_refused() {
        for path in ["../evil", "/tmp/evil", "lib/counter-0.1.1/more", "lib/counter-0.1.1/../../../evil"] {
            check_entries(|entries| entries.push(raw(path, "x")), "is not listed in its manifest.toml");
        }
    }

    #[test]
    fn a_manifest_with_a_path_that_leaves_the_root_is_refused() {
        for path in ["../evil", "/tmp/evil", "lib/../../evil", "run/a/b"] {
            let add = |files: &mut Files| {
                files.insert(path.to_owned(), "x".to_owned());
            };
            check_files(add, "which is not below lib/ or releases/");
        }
    }

    #[test]
    fn links_devices_folders_and_extensions_are_refused() {
        for kind in *b"123456LKxgSV" {
            let change = |entries: &mut Vec<RawEntry>| entries[1].kind = kind;
            check_entries(change, "is not a regular file");
        }
    }

    #[test]
    fn the_manifest_must_come_first_once_and_be_readable() {
        check_entries(|entries| drop(entries.remove(0)), "its first entry is not manifest.toml");
        check_entries(|entries| entries.swap(0, 1), "its first entry is not manifest.toml");
        check_entries(|entries| entries.push(entries[0].clone()), "\"manifest.toml\" appears twice");
        check_entries(
            |entries| entries[0] = raw("manifest.toml", "name = 1"),
            "its manifest.toml is damaged",
        );
        check_refused(&fixture::raw_tarball(&[]), "its first entry is not manifest.toml");
    }

    #[test]
    fn a_missing_a_double_and_a_changed_entry_are_refused() {
        check_entries(|entries| drop(entries.pop()), "is listed in its manifest.toml but missing");
        check_entries(|entries| entries.push(entries[1].clone()), "appears twice");
        check_entries(|entries| entries[1].content[0] ^= 1, "has another SHA-256 digest");
        check_entries(|entries| entries[1].content.push(b' '), "bytes, but its manifest.toml lists");
    }

    #[test]
    fn huge_claims_are_refused_before_anything_is_written() {
        check_entries(|entries| entries[0].size = Some(1 << 40), "it claims 1099511627776 bytes");
        check_entries(
            |entries| entries[1].size = Some(1 << 40),
            "has 1099511627776 bytes, but its manifest.toml lists",
        );
        check_manifest(|manifest| manifest.files[0].size = 1 << 40, "it claims");
    }

    #[test]
    fn a_tarball_that_is_cut_short_anywhere_is_refused() {
        let files = fixture::files("1.1.0", &[("counter", "0.1.1", "code 2")]);
        let whole = fixture::raw_tarball(&fixture::raw_entries(&fixture::manifest("1.1.0", &files), &files));
        for length in (0..whole.len()).step_by(29).chain([whole.len() - 1]) {
            let mut cut = whole.clone();
            cut.truncate(length);
            check_refused(&cut, "it is");
        }
    }

    #[test]
    fn data_after_the_end_is_refused() {
        let files = fixture::files("1.1.0", &[("counter", "0.1.1", "code 2")]);
        let whole = fixture::raw_tarball(&fixture::raw_entries(&fixture::manifest("1.1.0", &files), &files));
        check_refused(&[&whole[..], &whole[..]].concat(), "data follows its end");
        check_refused(&[&whole[..], b"junk"].concat(), "not a complete gzip-compressed tar archive");
        check_refused(b"junk", "not a complete gzip-compressed tar archive");
    }

    #[test]
    fn a_release_must_contain_its_apps_and_nothing_else() {
        check_files(
            |files| drop(files.remove("lib/counter-0.1.1/counter.so")),
            "counter.so is listed in its",
        );
        check_files(|files| drop(files.remove("lib/counter-0.1.1/app.toml")), "app.toml is missing");
        check_files(|files| drop(files.remove("releases/1.1.0/release.toml")), "release.toml is missing");
        for path in ["lib/other-1.0.0/other.so", "releases/1.2.0/release.toml"] {
            let add = |files: &mut Files| {
                files.insert(path.to_owned(), "x".to_owned());
            };
            check_files(add, "belongs to no app of the release");
        }
    }

    #[test]
    fn documents_must_match_their_paths() {
        let replace = |path: &'static str, from: &'static str, to: &'static str| {
            move |files: &mut Files| {
                let text = files[path].replace(from, to);
                files.insert(path.to_owned(), text);
            }
        };
        let app = "lib/counter-0.1.1/app.toml";
        check_files(replace(app, "0.1.1", "0.1.2"), "is about counter 0.1.2, expected counter 0.1.1");
        let appup = "lib/counter-0.1.1/appup.toml";
        check_files(
            replace(appup, "\"counter\"", "\"regis\""),
            "is about regis 0.1.1, expected counter 0.1.1",
        );
        let rel = "releases/1.1.0/release.toml";
        check_files(replace(rel, "\"1.1.0\"", "\"1.2.0\""), "is about release 1.2.0, expected release 1.1.0");
        check_files(replace(rel, "daemon", "demon"), "demon");
        check_files(replace("releases/1.1.0/config.toml", "=", "is"), "expected");
        let named = "lib/counter-0.1.1/app.toml is about counter 0.1.2";
        check_files(replace(app, "0.1.1", "0.1.2"), named);
    }

    #[test]
    fn the_same_version_with_other_content_is_refused() {
        let other = |version: &str, vsn: &str| {
            let files = fixture::files(version, &[("counter", vsn, "other code")]);
            fixture::raw_tarball(&fixture::raw_entries(&fixture::manifest(version, &files), &files))
        };
        check_refused(&other("1.0.0", "0.1.0"), "release 1.0.0 is on this node with other content");
        check_refused(&other("1.1.0", "0.1.0"), "lib/counter-0.1.0 is on this node with other content");
    }

    #[test]
    fn a_release_has_one_name() {
        let other = |manifest: &mut Manifest| manifest.name = "plant".parse().unwrap();
        check_manifest(
            other,
            "its manifest.toml names the release plant, but its release.toml names it shop",
        );
    }

    #[test]
    fn a_release_for_another_machine_is_refused() {
        check_manifest(|manifest| manifest.target = "riscv64".to_owned(), "it was built for riscv64");
    }

    #[test]
    fn an_app_that_is_left_out_must_be_on_the_node_with_its_digest() {
        let left_out = |library: &str| {
            let mut files =
                fixture::files("1.1.0", &[("counter", "0.1.0", library), ("regis", "1.0.0", "r")]);
            let mut manifest = fixture::manifest("1.1.0", &files);
            for file in manifest.files.iter_mut().filter(|file| file.path.starts_with("lib/counter")) {
                file.not_carried = true;
                files.remove(&file.path);
            }
            (manifest, files)
        };
        let (manifest, files) = left_out("other code");
        let bytes = fixture::raw_tarball(&fixture::raw_entries(&manifest, &files));
        check_refused(&bytes, "lib/counter-0.1.0 is on this node with other content");

        let folder = tempfile::tempdir().unwrap();
        let (manifest, files) = left_out("code 1");
        let tarball = fixture::write(folder.path(), &manifest, &files);
        let mut store = fixture::open(&folder.path().join("root")).unwrap();
        let error = store.unpack(&tarball, &fixture::platform()).unwrap_err();
        assert!(matches!(error, Error::Tarball { source: Fault::NotHere(_), .. }), "{error:?}");
        store.unpack(&fixture::tarball(folder.path(), "1.0.0", &APPS), &fixture::platform()).unwrap();
        store.unpack(&tarball, &fixture::platform()).unwrap();
        store.verify(&"1.1.0".parse().unwrap()).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn a_corrupted_tarball_is_refused_without_changes_or_matches_its_manifest(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            kept in prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
            is_packed in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut store = fixture::open(&folder.path().join("root")).unwrap();
            let good = fixture::tarball(folder.path(), "1.0.0", &APPS);
            // Half of the tarballs are corrupted before compression, because gzip would detect most
            // changes after it.
            let mut bytes = fs::read(&good).unwrap();
            if !is_packed {
                bytes = fixture::unzipped(&bytes);
            }
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(kept.map_or(usize::MAX, |kept| kept.index(bytes.len())));
            if !is_packed {
                bytes = fixture::zipped(&bytes);
            }
            let corrupted = folder.path().join("corrupted.tar.gz");
            fs::write(&corrupted, bytes).unwrap();
            let before = fixture::tree(store.root().path());
            match store.unpack(&corrupted, &fixture::platform()) {
                Ok(unpacked) => prop_assert!(store.verify(&unpacked.release.version).is_ok()),
                Err(error) => {
                    prop_assert!(!error.to_string().is_empty());
                    prop_assert_eq!(fixture::tree(store.root().path()), before);
                }
            }
        }
    }
}
