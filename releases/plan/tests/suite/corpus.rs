//! Runs the fuzzers' corpora as ordinary tests.

#[path = "../../../../tests/fuzz/checks/app.rs"]
mod app;
#[path = "../../../../tests/fuzz/checks/appup.rs"]
mod appup;
#[path = "../../../../tests/fuzz/checks/each.rs"]
mod each;

use each::each;

#[test]
fn every_document_of_the_corpus_is_read_or_refused_with_its_place() {
    each("app", app::check);
    each("appup", appup::check);
}
