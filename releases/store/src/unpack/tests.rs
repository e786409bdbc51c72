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
    check_entries(|entries| entries[0] = raw("manifest.toml", "name = 1"), "its manifest.toml is damaged");
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
    check_files(|files| drop(files.remove("lib/counter-0.1.1/counter.so")), "counter.so is listed in its");
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
    check_files(replace(appup, "\"counter\"", "\"regis\""), "is about regis 0.1.1, expected counter 0.1.1");
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
    check_manifest(other, "its manifest.toml names the release plant, but its release.toml names it shop");
}

#[test]
fn a_release_for_another_machine_is_refused() {
    check_manifest(|manifest| manifest.target = "riscv64".to_owned(), "it was built for riscv64");
}

#[test]
fn an_app_that_is_left_out_must_be_on_the_node_with_its_digest() {
    let left_out = |library: &str| {
        let mut files = fixture::files("1.1.0", &[("counter", "0.1.0", library), ("regis", "1.0.0", "r")]);
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
