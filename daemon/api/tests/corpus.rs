//! The fuzzing corpus, run as ordinary tests.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

#[path = "../../../tests/fuzz/checks/each.rs"]
mod each;
#[path = "../../../tests/fuzz/checks/message.rs"]
mod message;

use each::each;

#[test]
fn every_message_of_the_corpus_is_shown_or_refused() {
    each("message", message::check);
}
