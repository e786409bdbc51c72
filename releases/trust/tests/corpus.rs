//! The corpus of the fuzzer of signatures, which has hostile variants of signatures and of their
//! comments.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::fs;
use std::path::Path;

#[path = "../../../tests/fuzz/checks/each.rs"]
mod each;
#[path = "../../../tests/fuzz/checks/seal.rs"]
mod seal;

#[test]
fn signatures() {
    each::each("seal", seal::check);
}

#[test]
fn s132_every_hostile_variant_is_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/seal");
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let is_sound = path.file_name().unwrap().to_string_lossy().starts_with("sound");
        assert_eq!(seal::check(&fs::read(&path).unwrap()), is_sound, "{}", path.display());
    }
}
