//! Crashes, damage and a changed policy: a node keeps its permanent release and its way back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use reld_trust::PolicyFile;

use super::fixture::{Place, admit, brings, commit, committed, key, sign, unpack, vsn};
use crate::disk::double::{Fault, FaultyDisk};
use crate::store::Store;

#[test]
fn a_crash_at_any_step_of_a_new_signature_leaves_a_sound_release() {
    let ours = key();
    let place = Place::new("warn", &[("ci", &ours)]);
    let tarball = place.release(0, 0, "");
    unpack(&mut place.open(), &tarball).unwrap();
    sign(&tarball, &ours);
    for fault in [Fault::Dead, Fault::Once] {
        let seal = place.path("root/releases/1.0.0/manifest.toml.minisig");
        for step in 0.. {
            let _ = fs::remove_file(&seal);
            let faulty = Arc::new(FaultyDisk::new(fault, step));
            let is_done = Store::open_on(place.path("root"), faulty).is_ok_and(|mut store| {
                store.trust(PolicyFile::Usual(place.path("trust.toml")));
                unpack(&mut store, &tarball).is_ok()
            });
            let store = place.open();
            store.verify(&vsn(0)).unwrap_or_else(|error| panic!("{fault:?}, step {step}: {error}"));
            if is_done {
                assert!(step > 5, "only {step} steps were seen");
                break;
            }
        }
        assert_eq!(admit(&place.open(), 0), Ok(Vec::new()));
    }
}

#[test]
fn a_damaged_signature_file_blocks_no_permanent_release_and_is_repaired() {
    let ours = key();
    let place = Place::new("signed", &[("ci", &ours)]);
    let mut store = place.open();
    let tarball = place.signed(0, 0, "", &ours);
    unpack(&mut store, &tarball).unwrap();
    let seal = place.path("root/releases/1.0.0/manifest.toml.minisig");
    let damage = || fs::write(&seal, [0xff, 0xfe]).unwrap();
    damage();
    assert!(admit(&store, 0).unwrap_err().contains("is no signature of minisign"));
    unpack(&mut store, &tarball).unwrap();
    commit(&mut store, 0);
    damage();
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
    assert!(store.distrust(&vsn(0)).unwrap().contains("is no signature of minisign"));
    fs::remove_file(&seal).unwrap();
    fs::create_dir(&seal).unwrap();
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
    unpack(&mut store, &tarball).unwrap();
    assert_eq!(store.distrust(&vsn(0)), None);
}

#[test]
fn a_damaged_permanent_release_is_repaired_after_its_key_was_replaced() {
    let [old, new] = [key(), key()];
    let (place, mut store, tarball) = committed(&old, "");
    fs::remove_file(place.path("keys.d/ci.pub")).unwrap();
    fs::write(place.path("keys.d/new.pub"), new.pk.to_base64()).unwrap();
    let library = place.path("root/lib/counter-0.1.0/counter.so");
    for policy in ["signed", "sigend"] {
        place.require(policy);
        fs::write(&library, "code X").unwrap();
        let warnings = unpack(&mut store, &tarball).unwrap();
        assert!(warnings[0].contains(if policy == "signed" { "does not know" } else { "trust.toml:1:11" }));
        assert_eq!(fs::read_to_string(&library).unwrap(), "code 1");
        assert_eq!(admit(&store, 0), Ok(Vec::new()));
    }
}

#[test]
fn a_worse_signature_takes_no_place_of_a_better_one() {
    let [ours, other] = [key(), key()];
    let place = Place::new("warn", &[("ci", &ours)]);
    let mut store = place.open();
    let tarball = place.signed(0, 0, "", &ours);
    unpack(&mut store, &tarball).unwrap();
    let unsigned = place.release(0, 0, "");
    unpack(&mut store, &unsigned).unwrap();
    sign(&unsigned, &other);
    unpack(&mut store, &unsigned).unwrap();
    assert_eq!(store.release(&vsn(0)).unwrap().provenance.signed_by, ["ci"]);
    place.require("signed");
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
}

#[test]
fn a_deleted_policy_does_not_open_a_node_with_the_keys_of_releases_alone() {
    let [old, new] = [key(), key()];
    let (place, mut store, _) = committed(&old, &brings("new", &new));
    fs::remove_file(place.path("keys.d/ci.pub")).unwrap();
    fs::remove_file(place.path("trust.toml")).unwrap();
    let words = unpack(&mut store, &place.release(1, 0, "")).unwrap_err();
    assert!(words.contains("trust.toml does not exist, but the node has keys"), "{words}");
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
}

#[test]
fn a_tarball_that_is_not_trusted_makes_no_intact_file_executable() {
    let ours = key();
    let (place, mut store, _) = committed(&ours, "");
    let library = "lib/counter-0.1.0/counter.so";
    let forged = place.release_with(0, 0, "", |manifest| {
        manifest.files.iter_mut().filter(|file| file.path == library).for_each(|file| file.executable = true);
    });
    for policy in ["signed", "sigend"] {
        place.require(policy);
        unpack(&mut store, &forged).unwrap();
        let mode = fs::metadata(place.path("root").join(library)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0, "{policy}");
    }
}
