//! What the fuzzers start from, as ordinary tests.

use std::fs;
use std::path::Path;

#[path = "../../../../fuzz/checks/app.rs"]
mod app;
#[path = "../../../../fuzz/checks/appup.rs"]
mod appup;

fn each(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    for entry in fs::read_dir(corpus).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn every_document_of_the_corpus_is_read_or_refused_with_its_place() {
    each("app", app::check);
    each("appup", appup::check);
}
