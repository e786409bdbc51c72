//! The fuzzing corpus, run as ordinary tests.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

#[path = "../../../tests/fuzz/checks/each.rs"]
mod each;
#[path = "../../../tests/fuzz/checks/manifest.rs"]
mod manifest;
#[path = "../../../tests/fuzz/checks/unpack.rs"]
mod unpack;

use each::each;

#[test]
fn every_manifest_of_the_corpus_is_read_or_refused() {
    each("manifest", manifest::check);
}

#[test]
fn every_tarball_of_the_corpus_is_unpacked_completely_or_not_at_all() {
    each("unpack", unpack::check);
}
