//! What the fuzzers start from, as ordinary tests.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../../fuzz/checks/manifest.rs"]
mod manifest;
#[path = "../../../fuzz/checks/unpack.rs"]
mod unpack;

fn corpus(target: &str) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_manifest_of_the_corpus_is_read_or_refused() {
    corpus("manifest").iter().for_each(|file| manifest::check(&fs::read(file).unwrap()));
}

#[test]
fn every_tarball_of_the_corpus_is_unpacked_whole_or_not_at_all() {
    corpus("unpack").iter().for_each(|file| unpack::check(&fs::read(file).unwrap()));
}
