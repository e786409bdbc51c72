//! Tests of the detection and repair of damage on the node, and of the removal of old releases.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reld_plan::Vsn;

use crate::disk::double::{Fault as DiskFault, FaultyDisk};
use crate::error::Error;
use crate::fault::Fault;
use crate::fixture::{self, NEW, OLD, Place};
use crate::store::Store;
use crate::{prune, verify};

const REGIS: &str = "lib/regis-1.0.0";

struct Node {
    place: Place,
    store: Store,
}

impl Node {
    fn new() -> Self {
        let place = Place::new();
        let store = place.with_old();
        Self { place, store }
    }

    fn unpack_old(&mut self) -> Result<Vec<String>, Error> {
        let unpacked = self.store.unpack(&self.place.old, &fixture::platform())?;
        assert!(!unpacked.is_new);
        Ok(names(unpacked.repaired))
    }
}

fn names(paths: Vec<PathBuf>) -> Vec<String> {
    paths.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
}

fn vsn(text: &str) -> Vsn {
    text.parse().unwrap()
}

/// Damages files below the root, and checks that the damage is found, repaired with the tarball,
/// and cleared.
#[track_caller]
fn check_repaired(harm: impl FnOnce(&Path), expected: &[&str]) {
    let mut node = Node::new();
    let before = fixture::tree(&node.place.root());
    harm(&node.place.root());
    node.store.verify(&vsn("1.0.0")).unwrap_err();
    assert_eq!(node.store.health().damaged(node.store.releases()).len(), 1);
    assert_eq!(node.unpack_old().unwrap(), expected);
    assert_eq!(fixture::tree(&node.place.root()), before);
    node.store.verify(&vsn("1.0.0")).unwrap();
    assert_eq!(node.store.health().damaged(node.store.releases()), []);
    assert_eq!(node.unpack_old().unwrap(), [""; 0]);
}

#[test]
fn the_tarball_of_a_known_release_repairs_only_damaged_files() {
    let file = format!("{REGIS}/regis.so");
    check_repaired(|root| fs::remove_file(root.join(&file)).unwrap(), &[&file]);
    check_repaired(|root| fs::write(root.join(&file), "regis cod3").unwrap(), &[&file]);
    let folder_for_file = |root: &Path| {
        fs::remove_file(root.join(&file)).unwrap();
        fs::create_dir_all(root.join(&file).join("deep")).unwrap();
    };
    check_repaired(folder_for_file, &[&file]);
    let documents = ["releases/1.0.0/release.toml", "releases/1.0.0/manifest.toml"];
    check_repaired(|root| fs::remove_file(root.join(documents[1])).unwrap(), &documents[1..]);
    check_repaired(|root| fs::write(root.join(documents[1]), "").unwrap(), &documents[1..]);
    check_repaired(|root| fs::write(root.join(documents[0]), "").unwrap(), &documents[..1]);
}

#[test]
fn lost_folders_are_restored_whether_replaced_or_not() {
    let page = format!("{REGIS}/priv/www/index.html");
    let folder = format!("{REGIS}/priv/www");
    check_repaired(|root| fs::remove_dir_all(root.join(&folder)).unwrap(), &[&page]);
    let replaced = |with: fn(&Path)| {
        let folder = folder.clone();
        move |root: &Path| {
            fs::remove_dir_all(root.join(&folder)).unwrap();
            with(&root.join(&folder));
        }
    };
    check_repaired(replaced(|path| fs::write(path, "").unwrap()), &[&folder, &page]);
    check_repaired(replaced(|path| symlink("/", path).unwrap()), &[&folder, &page]);
    let all = ["app.toml", "appup.toml", "priv/www/index.html", "regis.so"].map(|f| format!("{REGIS}/{f}"));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    check_repaired(|root| fs::remove_dir_all(root.join(REGIS)).unwrap(), &all);
}

#[test]
fn a_stray_file_blocks_the_repair_until_it_is_removed() {
    let mut node = Node::new();
    let [stray, lost] = ["priv/more", "regis.so"].map(|file| node.place.root().join(REGIS).join(file));
    fs::write(&stray, "all that is left of something").unwrap();
    fs::remove_file(&lost).unwrap();
    let error = node.unpack_old().unwrap_err();
    let words = error.source().unwrap().to_string();
    assert!(
        words.starts_with("lib/regis-1.0.0/priv/more is on this node but belongs to no release"),
        "{words}"
    );
    assert!(stray.exists() && !lost.exists());
    node.store.unpack(&node.place.new, &fixture::platform()).unwrap_err();
    fs::remove_file(stray).unwrap();
    assert_eq!(node.unpack_old().unwrap(), ["lib/regis-1.0.0/regis.so"]);
}

#[test]
fn a_program_without_execute_permission_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = fixture::files("1.0.0", &OLD);
    let path = format!("{REGIS}/priv/run.sh");
    files.insert(path.clone(), "#!/bin/sh\n".to_owned());
    let mut manifest = fixture::manifest("1.0.0", &files);
    manifest.files.iter_mut().find(|file| file.path == path).unwrap().executable = true;
    let tarball = fixture::write(folder.path(), &manifest, &files);
    let mut store = fixture::open(&folder.path().join("root")).unwrap();
    store.unpack(&tarball, &fixture::platform()).unwrap();
    store.verify(&vsn("1.0.0")).unwrap();
    fs::set_permissions(store.root().path().join(&path), fs::Permissions::from_mode(0o644)).unwrap();
    store.verify(&vsn("1.0.0")).unwrap_err();
    assert_eq!(names(store.unpack(&tarball, &fixture::platform()).unwrap().repaired), [path]);
    store.verify(&vsn("1.0.0")).unwrap();
}

#[test]
fn a_damaged_tarball_of_a_known_release_is_refused() {
    let mut node = Node::new();
    let whole = fs::read(&node.place.old).unwrap();
    for at in [whole.len() / 2, whole.len() - 2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(&node.place.old, bytes).unwrap();
        let error = node.unpack_old().unwrap_err();
        assert!(matches!(error, Error::Tarball { .. }), "{error:?}");
    }
    fs::write(&node.place.old, &whole[..whole.len() - 1]).unwrap();
    node.unpack_old().unwrap_err();
}

#[test]
fn unpacking_another_release_repairs_a_shared_app_for_all() {
    let mut node = Node::new();
    let file = format!("{REGIS}/regis.so");
    fs::write(node.place.root().join(&file), "broken").unwrap();
    node.store.verify(&vsn("1.0.0")).unwrap_err();
    let unpacked = node.store.unpack(&node.place.new, &fixture::platform()).unwrap();
    assert!(unpacked.is_new);
    assert_eq!(names(unpacked.repaired), [file]);
    assert_eq!(node.store.health().damaged(node.store.releases()), []);
    for version in ["1.0.0", "1.1.0"] {
        node.store.verify(&vsn(version)).unwrap();
    }
}

#[test]
fn a_tarball_cannot_repair_the_files_that_it_leaves_out() {
    let mut node = Node::new();
    let mut files = fixture::files("1.1.0", &NEW);
    let mut manifest = fixture::manifest("1.1.0", &files);
    for file in manifest.files.iter_mut().filter(|file| file.path.starts_with(REGIS)) {
        file.not_carried = true;
        files.remove(&file.path);
    }
    let tarball = fixture::write(node.place.folder.path(), &manifest, &files);
    fs::write(node.place.root().join(format!("{REGIS}/regis.so")), "broken").unwrap();
    let before = fixture::tree(&node.place.root());
    let error = node.store.unpack(&tarball, &fixture::platform()).unwrap_err();
    assert!(matches!(&error, Error::Tarball { source: Fault::NotCarried(_), .. }), "{error:?}");
    let words = error.source().unwrap().to_string();
    assert!(words.starts_with("lib/regis-1.0.0/regis.so is damaged on this node"), "{words}");
    assert_eq!(fixture::tree(&node.place.root()), before);
}

/// Damages a node, and repairs it on a disk that fails at each step in turn.
#[track_caller]
fn check_every_step(fault: DiskFault) {
    for step in 0.. {
        let Node { place: Place { folder, old, .. }, store } = Node::new();
        let root = store.root().path().to_owned();
        let before = fixture::tree(&root);
        drop(store);
        fs::remove_dir_all(root.join("lib/counter-0.1.0")).unwrap();
        fs::remove_dir_all(root.join(REGIS).join("priv/www")).unwrap();
        symlink("/", root.join(REGIS).join("priv/www")).unwrap();
        fs::write(root.join(REGIS).join("regis.so"), "broken").unwrap();
        let done = Store::open_on(&root, Arc::new(FaultyDisk::new(fault, step)))
            .and_then(|mut store| store.unpack(&old, &fixture::platform()).map(drop));
        let mut store = fixture::open(&root).unwrap();
        if done.is_ok() {
            assert_eq!(fixture::tree(&root), before);
            assert!(step > 20, "only {step} steps were seen");
            return;
        }
        // The next repair completes a partial one.
        store.unpack(&old, &fixture::platform()).unwrap();
        store.verify(&vsn("1.0.0")).unwrap();
        assert_eq!(fixture::tree(&root), before, "step {step}");
        drop(folder);
    }
}

#[test]
fn a_repair_that_a_crash_cut_short_at_any_step_is_completed_by_the_next() {
    check_every_step(DiskFault::Dead);
}

#[test]
fn a_repair_that_a_full_disk_cut_short_at_any_step_is_completed_by_the_next() {
    check_every_step(DiskFault::Once);
}

#[test]
fn a_release_that_does_not_fit_on_the_disk_is_refused_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let tarball = fixture::tarball(folder.path(), "1.0.0", &OLD);
    let full = crate::room::Room { free: 64 << 20, total: 1 << 40 };
    let root = folder.path().join("root");
    let mut store = Store::open_on(&root, Arc::new(FaultyDisk::with_room(full))).unwrap();
    let error = store.unpack(&tarball, &fixture::platform()).unwrap_err();
    assert!(matches!(error, Error::TooFull { .. }), "{error:?}");
    assert_eq!(fs::read_dir(root.join("staging")).unwrap().count(), 0);
}

/// Returns a node that ran releases 1.0.0 to 1.5.0, now runs 1.5.0, and has 1.6.0 unpacked. All
/// releases share one app, and each pair of releases shares another app.
fn with_many() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = fixture::open(&folder.path().join("root")).unwrap();
    for minor in 0..=6 {
        let (version, app) = (format!("1.{minor}.0"), format!("0.{}.0", minor / 2));
        let apps = [("counter", app.as_str(), "code"), ("regis", "1.0.0", "regis code")];
        store.unpack(&fixture::tarball(folder.path(), &version, &apps), &fixture::platform()).unwrap();
        if minor < 6 {
            store.install(&vsn(&version)).unwrap();
            store.make_permanent(&vsn(&version)).unwrap();
        }
    }
    (folder, store)
}

#[track_caller]
fn check_prunable(store: &Store, keep: usize, expected: &[&str]) {
    let prunable = store.releases().prunable(keep);
    let prunable: Vec<String> = prunable.iter().map(|release| release.version.to_string()).collect();
    assert_eq!(prunable, expected, "keep {keep}");
}

#[test]
fn the_newest_old_releases_and_the_way_back_are_kept() {
    let (_folder, mut store) = with_many();
    check_prunable(&store, 2, &["1.2.0", "1.1.0", "1.0.0"]);
    check_prunable(&store, 0, &["1.3.0", "1.2.0", "1.1.0", "1.0.0"]);
    check_prunable(&store, 5, &[]);
    check_prunable(&store, usize::MAX, &[]);
    // 1.2.0 runs, uncommitted, and the permanent 1.5.0 would go back to 1.4.0.
    store.install(&vsn("1.2.0")).unwrap();
    check_prunable(&store, 0, &["1.3.0", "1.0.0"]);
}

#[test]
fn a_prune_removes_all_releases_at_once_and_reports_the_freed_size() {
    let (_folder, mut store) = with_many();
    let size = |store: &Store| -> usize {
        let files = fixture::tree(store.root().path());
        files.iter().filter(|(path, _)| !path.ends_with("RELEASES.toml")).map(|(_, file)| file.len()).sum()
    };
    let before = size(&store);
    let planned = prune::removals(store.root(), store.releases(), 1).unwrap();
    let removed = store.prune(1).unwrap();
    assert_eq!(removed, planned);
    let bytes: u64 = removed.iter().map(|removal| removal.bytes).sum();
    assert_eq!(before - size(&store), bytes as usize);
    let apps: Vec<Vec<String>> =
        removed.iter().map(|removal| removal.apps.iter().map(|app| app.dir.clone()).collect()).collect();
    let gone = |dirs: &[&str]| dirs.iter().map(|dir| (*dir).to_owned()).collect::<Vec<_>>();
    assert_eq!(apps, [gone(&["lib/counter-0.1.0"]), gone(&[]), gone(&["lib/counter-0.0.0"]), gone(&[])]);
    let left: Vec<String> = store.releases().releases.iter().map(|left| left.version.to_string()).collect();
    assert_eq!(left, ["1.6.0", "1.5.0", "1.4.0"]);
    for version in &left {
        store.verify(&vsn(version)).unwrap();
    }
    assert_eq!(store.prune(1).unwrap(), []);
}

#[test]
fn a_prune_that_is_cut_short_at_any_step_has_removed_all_or_nothing() {
    for fault in [DiskFault::Dead, DiskFault::Once] {
        for step in 0.. {
            let (folder, store) = with_many();
            drop(store);
            let root = folder.path().join("root");
            let done = Store::open_on(&root, Arc::new(FaultyDisk::new(fault, step)))
                .and_then(|mut store| store.prune(1).map(drop));
            let store = fixture::open(&root).unwrap();
            let left = store.releases().releases.len();
            assert!(left == 3 || left == 7 && done.is_err(), "step {step}: {left} releases");
            let folders = fs::read_dir(root.join("lib")).unwrap().count();
            assert_eq!(folders, if left == 3 { 3 } else { 5 }, "step {step}");
            for release in &store.releases().releases {
                assert!(verify::survey(store.root(), release).unwrap().damage.is_empty());
            }
            if done.is_ok() {
                break;
            }
        }
    }
}
