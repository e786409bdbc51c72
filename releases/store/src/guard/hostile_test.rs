//! Tarballs and keys of an author who may less than they try.

use std::fs;

use super::fixture::{Place, admit, brings, commit, key, sign, unpack, unpack_with, vsn};
use crate::store::Store;
use crate::store::arrival::UnpackOptions;

const REPLACE: UnpackOptions = UnpackOptions { replaces: true, ignores_floor: false };
const IGNORE_FLOOR: UnpackOptions = UnpackOptions { replaces: false, ignores_floor: true };

fn signed_by(store: &Store, minor: u64) -> Vec<String> {
    store.release(&vsn(minor)).unwrap().provenance.signed_by.clone()
}

#[track_caller]
fn refused(store: &mut Store, tarball: &std::path::Path, options: UnpackOptions, part: &str) {
    let words = unpack_with(store, tarball, options).unwrap_err();
    assert!(words.contains(part), "{words}");
}

#[test]
fn a_release_that_takes_the_place_of_another_brings_none_of_its_documents() {
    let [ours, thief] = [key(), key()];
    let place = Place::new("warn", &[("ci", &ours)]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, &brings("thief", &thief))).unwrap();
    let genuine = place.release(0, 0, "");
    sign(&genuine, &ours);
    unpack_with(&mut store, &genuine, REPLACE).unwrap();
    commit(&mut store, 0);
    assert!(store.releases().keys.is_empty(), "{:?}", store.releases().keys);
}

#[test]
fn only_files_of_apps_may_be_left_out_of_a_tarball() {
    let place = Place::new("off", &[]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, &brings("thief", &key()))).unwrap();
    let left_out = |path: &str| {
        place.release_with(0, 0, &brings("thief", &key()), |manifest| {
            manifest
                .files
                .iter_mut()
                .filter(|file| file.path == path)
                .for_each(|file| file.not_carried = true);
        })
    };
    let keys = left_out("releases/1.0.0/keys.toml");
    refused(&mut store, &keys, REPLACE, "leaves out releases/1.0.0/keys.toml");
    let config = left_out("releases/1.0.0/config.toml");
    refused(&mut store, &config, REPLACE, "leaves out releases/1.0.0/config.toml");
}

#[test]
fn s135_a_key_with_limits_signs_releases_but_changes_no_keys() {
    let [limited, free, next] = [key(), key(), key()];
    let place = Place::new("signed", &[("limited", &limited), ("free", &free)]);
    for limits in ["names = [\"shop\"]", "not_after = 90"] {
        let policy = format!("require = \"signed\"\n[keys.limited]\n{limits}\n");
        fs::write(place.path("trust.toml"), policy).unwrap();
        let mut store = place.open();
        let tarball = place.signed(0, 1, &brings("next", &next), &limited);
        let warnings = unpack(&mut store, &tarball).unwrap();
        commit(&mut store, 0);
        assert!(store.releases().keys.is_empty(), "{limits}: {:?}", store.releases().keys);
        assert!(warnings[0].contains("are ignored"), "{warnings:?}");
        drop(store);
        fs::remove_dir_all(place.path("root")).unwrap();
    }
    let mut store = place.open();
    let tarball = place.signed(0, 1, &brings("next", &next), &free);
    assert_eq!(unpack(&mut store, &tarball), Ok(Vec::new()));
    commit(&mut store, 0);
    assert_eq!(store.releases().keys.brought.len(), 1);
}

#[test]
fn s134_a_tarball_with_another_serial_or_name_is_no_known_release() {
    let place = Place::new("off", &[]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 47, "")).unwrap();
    let serial = place.release_with(0, 47, "", |manifest| manifest.serial = 48);
    refused(&mut store, &serial, UnpackOptions::default(), "is on this node with other content");
    let name = place.release_with(0, 47, "", |manifest| manifest.name = "plant".parse().unwrap());
    refused(&mut store, &name, UnpackOptions::default(), "is on this node with other content");
    assert_eq!(store.release(&vsn(0)).unwrap().provenance.serial, 47);

    let both = place.release_with(1, 48, "", |manifest| manifest.serial = 49);
    refused(&mut store, &both, UnpackOptions::default(), "serial 49, but its release.toml has 48");
}

#[test]
fn s134_a_manifest_on_disk_with_another_serial_or_name_is_damage() {
    for (from, to) in [("serial = 47", "serial = 99"), ("name = \"shop\"", "name = \"plant\"")] {
        let place = Place::new("off", &[]);
        let mut store = place.open();
        unpack(&mut store, &place.release(0, 47, "")).unwrap();
        let path = place.path("root/releases/1.0.0/manifest.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let words = admit(&store, 0).unwrap_err();
        assert!(words.contains("manifest.toml is changed"), "{words}");
    }
}

#[test]
fn signatures_over_another_manifest_do_not_count_for_a_known_release() {
    let ours = key();
    let place = Place::new("warn", &[("ci", &ours)]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, "")).unwrap();
    let other = place.release_with(0, 0, "", |manifest| manifest.reld = "0.9.0".parse().unwrap());
    sign(&other, &ours);
    unpack(&mut store, &other).unwrap();
    assert_eq!(signed_by(&store, 0), [""; 0]);
    place.require("signed");
    assert!(admit(&store, 0).unwrap_err().contains("it has no signature"));
}

#[test]
fn a_release_that_failed_its_trial_boot_never_was_permanent() {
    let place = Place::new("off", &[]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, "")).unwrap();
    commit(&mut store, 0);
    unpack(&mut store, &place.release(1, 0, "")).unwrap();
    store.reboot_into(&vsn(1)).unwrap();
    // It did not boot, so the node gives way.
    drop(store);
    let mut store = place.open();
    store.reboot_into(&vsn(0)).unwrap();
    drop(store);
    let store = place.open();
    place.require("signed");
    assert!(admit(&store, 1).unwrap_err().contains("it has no signature"));
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
}

#[test]
fn a_release_that_was_permanent_is_judged_as_a_new_one_on_request() {
    let ours = key();
    let place = Place::new("off", &[("ci", &ours)]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, "")).unwrap();
    commit(&mut store, 0);
    unpack(&mut store, &place.signed(1, 46, "", &ours)).unwrap();
    commit(&mut store, 1);
    unpack(&mut store, &place.signed(2, 47, "", &ours)).unwrap();
    commit(&mut store, 2);
    place.require("signed");
    let as_new = |minor: u64| store.admit_as_new(&vsn(minor)).map_err(|error| error.to_string());
    assert!(as_new(0).unwrap_err().contains("it has no signature"));
    assert!(as_new(1).unwrap_err().contains("serial 47"), "it is below the floor");
    assert!(as_new(2).is_ok());
    assert_eq!((admit(&store, 0), admit(&store, 1)), (Ok(Vec::new()), Ok(Vec::new())));
}

#[test]
fn a_release_that_booted_after_a_restart_was_permanent() {
    let place = Place::new("off", &[]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, "")).unwrap();
    commit(&mut store, 0);
    unpack(&mut store, &place.release(1, 0, "")).unwrap();
    store.reboot_into(&vsn(1)).unwrap();
    drop(store);
    let mut store = place.open();
    store.confirm(&vsn(1)).unwrap();
    store.reboot_into(&vsn(0)).unwrap();
    drop(store);
    let store = place.open();
    place.require("signed");
    assert_eq!(admit(&store, 1), Ok(Vec::new()));
}

#[test]
fn s135_keys_are_judged_again_at_the_commit() {
    let [ours, next] = [key(), key()];
    let place = Place::new("warn", &[("ci", &ours)]);
    let mut store = place.open();
    let tarball = place.signed(0, 0, &brings("next", &next), &ours);
    unpack(&mut store, &tarball).unwrap();
    // Meanwhile the key was stolen.
    fs::remove_file(place.path("keys.d/ci.pub")).unwrap();
    commit(&mut store, 0);
    assert!(store.releases().keys.is_empty(), "{:?}", store.releases().keys);
    let ours = ours.pk.to_base64();
    fs::write(place.path("keys.d/ci.pub"), ours).unwrap();
    store.confirm(&vsn(0)).unwrap();
    assert!(store.releases().keys.is_empty(), "they were refused for good");
}

#[test]
fn s135_keys_wait_for_a_readable_policy() {
    let [ours, next] = [key(), key()];
    let place = Place::new("signed", &[("ci", &ours)]);
    let mut store = place.open();
    let tarball = place.signed(0, 0, &brings("next", &next), &ours);
    unpack(&mut store, &tarball).unwrap();
    place.require("sigend");
    commit(&mut store, 0);
    assert!(store.releases().keys.is_empty(), "{:?}", store.releases().keys);
    drop(store);
    let mut store = place.open();
    place.require("signed");
    store.confirm(&vsn(0)).unwrap();
    assert_eq!(store.releases().keys.brought.len(), 1);
}

#[test]
fn s134_a_release_below_the_floor_changes_no_keys() {
    let [ours, next] = [key(), key()];
    let place = Place::new("signed", &[("ci", &ours)]);
    let mut store = place.open();
    let signed = |minor, serial, keys: &str| place.signed(minor, serial, keys, &ours);
    unpack(&mut store, &signed(0, 47, "")).unwrap();
    commit(&mut store, 0);
    let late = signed(1, 46, &brings("next", &next));
    let warnings = unpack_with(&mut store, &late, IGNORE_FLOOR).unwrap();
    assert!(warnings[0].contains("are ignored"), "{warnings:?}");
    commit(&mut store, 1);
    assert!(store.releases().keys.is_empty(), "{:?}", store.releases().keys);
}

#[test]
fn s134_an_ignored_floor_is_ignored_up_to_its_height_at_that_time() {
    let place = Place::new("off", &[]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 47, "")).unwrap();
    commit(&mut store, 0);
    unpack_with(&mut store, &place.release(1, 46, ""), IGNORE_FLOOR).unwrap();
    assert!(admit(&store, 1).unwrap()[0].contains("serial 47"));
    unpack(&mut store, &place.release(2, 60, "")).unwrap();
    commit(&mut store, 2);
    let words = admit(&store, 1).unwrap_err();
    assert!(words.contains("serial 60"), "{words}");
    unpack_with(&mut store, &place.release(1, 46, ""), IGNORE_FLOOR).unwrap();
    assert!(admit(&store, 1).unwrap()[0].contains("serial 60"));
}

#[test]
fn s134_an_insufficiently_signed_release_raises_no_floor_where_the_policy_warns() {
    let ours = key();
    let place = Place::new("warn", &[("ci", &ours)]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 1 << 53, "")).unwrap();
    commit(&mut store, 0);
    store.confirm(&vsn(0)).unwrap();
    assert_eq!(store.releases().floors, []);
    let tarball = place.signed(1, 47, "", &ours);
    unpack(&mut store, &tarball).unwrap();
    place.require("sigend");
    commit(&mut store, 1);
    assert_eq!(store.releases().floors, [], "the policy cannot be read");
    place.require("signed");
    store.confirm(&vsn(1)).unwrap();
    assert_eq!(store.releases().floors[0].serial, 47);
}

#[test]
fn s134_a_serial_that_would_end_its_name_is_refused() {
    let place = Place::new("off", &[]);
    let mut store = place.open();
    let words = unpack(&mut store, &place.release(0, (1 << 53) + 1, "")).unwrap_err();
    assert!(words.contains("the highest serial is 9007199254740992"), "{words}");
}
