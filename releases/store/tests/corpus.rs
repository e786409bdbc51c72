//! What the fuzzers start from, as ordinary tests.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::fs;
use std::path::Path;

#[path = "../../../tests/fuzz/checks/manifest.rs"]
mod manifest;
#[path = "../../../tests/fuzz/checks/unpack.rs"]
mod unpack;

/// Checks each file of a corpus; those whose names begin with `sound` have to be taken.
fn each(target: &str, check: fn(&[u8]) -> bool) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let is_taken = check(&fs::read(&path).unwrap());
        let is_sound = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sound"));
        assert!(is_taken || !is_sound, "{} was refused", path.display());
    }
}

#[test]
fn every_manifest_of_the_corpus_is_read_or_refused() {
    each("manifest", manifest::check);
}

#[test]
fn every_tarball_of_the_corpus_is_unpacked_whole_or_not_at_all() {
    each("unpack", unpack::check);
}
