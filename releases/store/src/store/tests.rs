use std::fs;
use std::path::Path;

use super::arrival::UnpackOptions;
use super::*;
use crate::boots::{ATTEMPTS_MAX, NextBoot};
use crate::disk::double::{Fault as DiskFault, FaultyDisk};
use crate::fixture::{self, Place};
use crate::lifecycle::Status;

fn vsn(text: &str) -> Vsn {
    text.parse().unwrap()
}

fn statuses(store: &Store) -> Vec<(String, Status)> {
    store.releases().releases.iter().map(|release| (release.version.to_string(), release.status)).collect()
}

/// Checks that every known release is complete and that there are no other files.
#[track_caller]
fn check_consistent(store: &Store) {
    let mut listed = 1; // RELEASES.toml
    let mut apps = std::collections::BTreeSet::new();
    for release in &store.releases().releases {
        let manifest = store.verify(&release.version).unwrap();
        listed += 1 + manifest.files_below(&format!("releases/{}", release.version)).count();
        for app in release.apps.iter().filter(|app| apps.insert(app.dir.clone())) {
            listed += manifest.files_below(&app.dir).count();
        }
    }
    let tree = fixture::tree(store.root().path());
    assert_eq!(tree.len(), listed, "{:?}", tree.keys());
}

const REPLACING: UnpackOptions = UnpackOptions { replaces: true, ignores_floor: false };

#[test]
fn an_unpacked_release_is_whole_and_has_its_documents() {
    let place = Place::new();
    let mut store = place.open();
    let unpacked = store.unpack(&place.old, &fixture::platform()).unwrap();
    assert!(unpacked.is_new);
    assert_eq!(statuses(&store), [("1.0.0".to_owned(), Status::Unpacked)]);
    check_consistent(&store);
    let documents = store.docs(&vsn("1.0.0")).unwrap();
    assert_eq!(documents.release.apps().len(), 2);
    assert_eq!(documents.config.release.apps[&"counter".parse().unwrap()]["limit"], 5);
    let library = store.root().library(&"counter".parse().unwrap(), &vsn("0.1.0"));
    assert_eq!(fs::read_to_string(library).unwrap(), "code 1");
}

#[test]
fn unpacking_the_same_release_again_changes_nothing() {
    let place = Place::new();
    let mut store = place.with_old();
    let before = fixture::tree(&place.root());
    let unpacked = store.unpack(&place.old, &fixture::platform()).unwrap();
    assert!(!unpacked.is_new);
    assert_eq!(unpacked.release.status, Status::Permanent);
    assert_eq!(fixture::tree(&place.root()), before);
}

#[test]
fn the_status_survives_a_restart_except_for_the_current_release() {
    let place = Place::new();
    let mut store = place.with_old();
    store.unpack(&place.new, &fixture::platform()).unwrap();
    store.install(&vsn("1.1.0")).unwrap();
    assert_eq!(store.releases().running().unwrap().version, vsn("1.1.0"));
    drop(store);

    let mut store = place.open();
    let expected = [("1.1.0".to_owned(), Status::Unpacked), ("1.0.0".to_owned(), Status::Permanent)];
    assert_eq!(statuses(&store), expected);
    store.install(&vsn("1.1.0")).unwrap();
    store.restart();
    assert_eq!(statuses(&store), expected);
    store.install(&vsn("1.1.0")).unwrap();
    store.make_permanent(&vsn("1.1.0")).unwrap();
    drop(store);

    let mut store = place.open();
    assert_eq!(
        statuses(&store),
        [("1.1.0".to_owned(), Status::Permanent), ("1.0.0".to_owned(), Status::Old)]
    );
    store.reboot_old(&vsn("1.0.0")).unwrap();
    drop(store);
    let expected = [("1.1.0".to_owned(), Status::Old), ("1.0.0".to_owned(), Status::Permanent)];
    assert_eq!(statuses(&place.open()), expected);
}

#[test]
fn remove_deletes_the_files_that_no_other_release_uses() {
    let place = Place::new();
    let mut store = place.with_old();
    let before = fixture::tree(&place.root());
    store.unpack(&place.new, &fixture::platform()).unwrap();
    store.remove(&vsn("1.1.0")).unwrap();
    assert_eq!(fixture::tree(&place.root()), before);
    assert!(matches!(store.remove(&vsn("1.0.0")), Err(Error::Refused(Refusal::Permanent(_)))));
    assert!(matches!(store.remove(&vsn("1.1.0")), Err(Error::Refused(Refusal::NoSuchRelease(_)))));
    check_consistent(&store);
}

#[test]
fn a_changed_added_or_missing_file_is_found() {
    let changes: [fn(&Path); 4] = [
        |lib| fs::write(lib.join("counter.so"), "code X").unwrap(),
        |lib| fs::write(lib.join("more"), "").unwrap(),
        |lib| fs::remove_file(lib.join("priv/www/index.html")).unwrap(),
        |lib| {
            fs::remove_file(lib.join("appup.toml")).unwrap();
            std::os::unix::fs::symlink("app.toml", lib.join("appup.toml")).unwrap();
        },
    ];
    for change in changes {
        let place = Place::new();
        let store = place.with_old();
        change(&place.root().join("lib/counter-0.1.0"));
        assert!(matches!(store.verify(&vsn("1.0.0")), Err(Error::Tampered { .. })));
    }
}

#[test]
fn a_second_store_on_the_same_root_is_refused() {
    let place = Place::new();
    let _first = place.open();
    assert!(matches!(fixture::open(&place.root()), Err(Error::Locked { .. })));
}

type Statuses = Vec<(String, Status)>;

/// Runs `action` with a disk that fails at its first step, its second step, and so on until the
/// action succeeds. After each failure the node restarts, must find the old or the new table with
/// all files, and must be able to continue.
#[track_caller]
fn check_every_step(
    fault: DiskFault,
    prepare: fn(&Place),
    action: fn(&Place, &mut Store) -> Result<(), Error>,
) {
    let place = Place::new();
    let (before, after) = before_and_after(&place, prepare, action);
    for step in 0.. {
        place.clear();
        prepare(&place);
        let is_done = run_on(FaultyDisk::new(fault, step), &place, action).is_ok();
        let mut store = place.open();
        check_consistent(&store);
        let found = statuses(&store);
        if is_done {
            assert_eq!(found, after);
            assert!(step > 5, "only {step} steps were seen");
            return;
        }
        assert!(found == before || found == after, "step {step}: {found:?}");
        if found == before {
            action(&place, &mut store).unwrap();
            check_consistent(&store);
        }
    }
}

/// Returns the statuses that a restart finds before and after the action, without a failure.
fn before_and_after(
    place: &Place,
    prepare: fn(&Place),
    action: fn(&Place, &mut Store) -> Result<(), Error>,
) -> (Statuses, Statuses) {
    prepare(place);
    let before = statuses(&place.open());
    action(place, &mut place.open()).unwrap();
    (before, statuses(&place.open()))
}

fn run_on(
    disk: FaultyDisk,
    place: &Place,
    action: fn(&Place, &mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    let fault = disk.fault;
    let mut store = Store::open_on(place.root(), Arc::new(disk))?;
    let result = action(place, &mut store);
    if matches!(fault, DiskFault::Once) {
        check_memory(&store);
    }
    result
}

/// Checks that the store in memory and on disk have the same releases, so that it can continue
/// without a restart.
#[track_caller]
fn check_memory(store: &Store) {
    let on_disk = releases_file::read(store.root()).unwrap();
    assert_eq!(on_disk, Some(store.releases().without_current()));
    for release in &store.releases().releases {
        store.verify(&release.version).unwrap();
    }
}

fn with_old(place: &Place) {
    place.with_old();
}

fn with_both(place: &Place) {
    place.with_old().unpack(&place.new, &fixture::platform()).unwrap();
}

fn unpack(place: &Place, store: &mut Store) -> Result<(), Error> {
    store.unpack(&place.new, &fixture::platform()).map(drop)
}

fn remove(_: &Place, store: &mut Store) -> Result<(), Error> {
    store.remove(&vsn("1.1.0"))
}

fn commit(_: &Place, store: &mut Store) -> Result<(), Error> {
    store.install(&vsn("1.1.0"))?;
    store.make_permanent(&vsn("1.1.0")).map(drop)
}

#[test]
fn a_crash_at_any_step_of_the_first_unpack_leaves_a_consistent_root() {
    check_every_step(DiskFault::Dead, |_| (), unpack);
}

#[test]
fn a_crash_at_any_step_of_an_unpack_leaves_a_consistent_root() {
    check_every_step(DiskFault::Dead, with_old, unpack);
}

#[test]
fn a_full_disk_at_any_step_of_an_unpack_leaves_a_consistent_root() {
    check_every_step(DiskFault::Once, with_old, unpack);
}

#[test]
fn a_crash_at_any_step_of_a_remove_leaves_a_consistent_root() {
    check_every_step(DiskFault::Dead, with_both, remove);
}

#[test]
fn a_full_disk_at_any_step_of_a_remove_leaves_a_consistent_root() {
    check_every_step(DiskFault::Once, with_both, remove);
}

#[test]
fn a_crash_at_any_step_of_a_commit_leaves_a_consistent_root() {
    check_every_step(DiskFault::Dead, with_both, commit);
}

#[test]
fn a_full_disk_at_any_step_of_a_commit_leaves_a_consistent_root() {
    check_every_step(DiskFault::Once, with_both, commit);
}

/// Performs the writes of a restart into a release: first the trial, then the table.
fn reboot(_: &Place, store: &mut Store) -> Result<(), Error> {
    store.note_boots(&store.boots().trial(vsn("1.1.0"), vsn("1.0.0")))?;
    store.reboot_into(&vsn("1.1.0"))
}

#[test]
fn a_crash_at_any_step_of_a_restart_into_a_release_leaves_a_consistent_root() {
    check_every_step(DiskFault::Dead, with_both, reboot);
}

#[test]
fn a_full_disk_at_any_step_of_a_restart_into_a_release_leaves_a_consistent_root() {
    check_every_step(DiskFault::Once, with_both, reboot);
}

/// 1.1.0 is permanent, 1.0.0 ran before it, and its boot attempts are used up.
fn failed(place: &Place) {
    with_both(place);
    let mut store = place.open();
    commit(place, &mut store).unwrap();
    let failed = Boots { release: Some(vsn("1.1.0")), failed: ATTEMPTS_MAX, ..Boots::default() };
    store.note_boots(&failed).unwrap();
}

fn give_way(_: &Place, store: &mut Store) -> Result<(), Error> {
    match store.boots().next(store.releases()) {
        NextBoot::GiveWay(gave_way) => store.give_way(gave_way).map(drop),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_crash_at_any_step_of_giving_way_leaves_a_consistent_root() {
    check_every_step(DiskFault::Dead, failed, give_way);
}

#[test]
fn after_an_interrupted_restart_into_a_release_the_node_boots_one_of_the_two() {
    let place = Place::new();
    let mut booted = std::collections::BTreeSet::new();
    for step in 0.. {
        with_both(&place);
        let is_done = run_on(FaultyDisk::new(DiskFault::Dead, step), &place, reboot).is_ok();
        let store = place.open();
        let next = store.boots().next(store.releases());
        let NextBoot::Permanent(vsn) = next else { panic!("step {step}: {next:?}") };
        assert_eq!(store.releases().permanent().map(|release| &release.version), Some(&vsn));
        booted.insert(vsn.to_string());
        drop(store);
        place.clear();
        if is_done {
            break;
        }
    }
    assert_eq!(booted.into_iter().collect::<Vec<_>>(), ["1.0.0", "1.1.0"]);
}

#[test]
fn a_failed_unpack_leaves_no_files_even_without_a_restart() {
    let place = Place::new();
    drop(place.with_old());
    let before = fixture::tree(&place.root());
    // The first steps open the store and the last steps write the table. The steps in between
    // unpack.
    for step in 8..30 {
        let mut store =
            Store::open_on(place.root(), Arc::new(FaultyDisk::new(DiskFault::Once, step))).unwrap();
        store.unpack(&place.new, &fixture::platform()).unwrap_err();
        assert_eq!(fixture::tree(&place.root()), before, "step {step}");
    }
}

/// Other content under the version of [`Place::new`].
const OTHER: [(&str, &str, &str); 2] = [("counter", "0.1.1", "code 3"), ("regis", "0.1.0", "registry")];

fn other(place: &Place) -> PathBuf {
    let folder = place.root().with_file_name("other");
    fs::create_dir_all(&folder).unwrap();
    fixture::tarball(&folder, "1.1.0", &OTHER)
}

fn counter(store: &Store) -> String {
    let library = store.root().library(&"counter".parse().unwrap(), &vsn("0.1.1"));
    fs::read_to_string(library).unwrap()
}

#[test]
fn other_content_takes_the_place_of_a_release_that_never_was_permanent() {
    let place = Place::new();
    let mut store = place.with_old();
    store.unpack(&place.new, &fixture::platform()).unwrap();
    let (other, before) = (other(&place), fixture::tree(&place.root()));
    store.unpack(&other, &fixture::platform()).unwrap_err();
    assert_eq!(fixture::tree(&place.root()), before);
    let unpacked = store.unpack_with(&other, &fixture::platform(), REPLACING).unwrap();
    assert!(unpacked.is_new && unpacked.replaced);
    assert_eq!(counter(&store), "code 3");
    check_consistent(&store);
    check_memory(&store);
    // The same content again replaces nothing.
    let again = store.unpack_with(&other, &fixture::platform(), REPLACING).unwrap();
    assert!(!again.is_new && !again.replaced);
    // It is permanent now.
    store.install(&vsn("1.1.0")).unwrap();
    store.make_permanent(&vsn("1.1.0")).unwrap();
    store.unpack_with(&place.new, &fixture::platform(), REPLACING).unwrap_err();
    assert_eq!(counter(&store), "code 3");
}

#[test]
fn a_replacement_that_another_release_contradicts_changes_nothing() {
    let place = Place::new();
    let mut store = place.with_old();
    store.unpack(&place.new, &fixture::platform()).unwrap();
    let folder = place.root().with_file_name("contrary");
    fs::create_dir_all(&folder).unwrap();
    let contrary = fixture::tarball(&folder, "1.1.0", &[("counter", "0.1.0", "other code")]);
    let before = fixture::tree(&place.root());
    store.unpack_with(&contrary, &fixture::platform(), REPLACING).unwrap_err();
    assert_eq!(fixture::tree(&place.root()), before);
    check_consistent(&store);
}

#[test]
fn a_failure_at_any_step_of_a_replacement_leaves_the_old_content_the_new_one_or_neither() {
    let place = Place::new();
    let other = other(&place);
    let mut seen = std::collections::BTreeSet::new();
    for (fault, step) in (0..).flat_map(|step| [(DiskFault::Dead, step), (DiskFault::Once, step)]) {
        if place.root().exists() {
            place.clear();
        }
        with_both(&place);
        let mut store = Store::open_on(place.root(), Arc::new(FaultyDisk::new(fault, step)));
        let replaced = store.as_mut().map(|store| store.unpack_with(&other, &fixture::platform(), REPLACING));
        let is_done = replaced.is_ok_and(|replaced| replaced.is_ok());
        if let (Ok(store), DiskFault::Once) = (&store, fault) {
            check_memory(store);
        }
        drop(store);
        let mut store = place.open();
        check_consistent(&store);
        let content = store.release(&vsn("1.1.0")).is_ok().then(|| counter(&store));
        assert_eq!(store.releases().permanent().unwrap().version, vsn("1.0.0"));
        store.unpack_with(&other, &fixture::platform(), REPLACING).unwrap();
        assert_eq!(counter(&store), "code 3", "step {step}");
        seen.insert(content);
        if is_done {
            break;
        }
    }
    assert_eq!(seen, [None, Some("code 2".to_owned()), Some("code 3".to_owned())].into());
}
