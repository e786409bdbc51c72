//! What the fuzzers start from, as ordinary tests.

use std::fs;
use std::path::Path;

#[path = "../../../../tests/fuzz/checks/app.rs"]
mod app;
#[path = "../../../../tests/fuzz/checks/appup.rs"]
mod appup;

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
fn every_document_of_the_corpus_is_read_or_refused_with_its_place() {
    each("app", app::check);
    each("appup", appup::check);
}
