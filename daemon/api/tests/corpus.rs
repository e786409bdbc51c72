//! What the fuzzers start from, as ordinary tests.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/checks/message.rs"]
mod message;

#[test]
fn every_message_of_the_corpus_is_shown_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/message");
    for entry in fs::read_dir(corpus).expect("the corpus is in the tree") {
        message::check(&fs::read(entry.expect("it can be listed").path()).expect("it can be read"));
    }
}
