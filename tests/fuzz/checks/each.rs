//! Runs a check over the corpus of its fuzzer, in the tests of the crates that include this file.

use std::fs;
use std::path::Path;

/// Checks each file of a corpus. Files with names that begin with `sound` must be accepted; each
/// corpus has at least one.
pub(crate) fn each(target: &str, check: fn(&[u8]) -> bool) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let mut sound = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let is_taken = check(&fs::read(&path).unwrap());
        let is_sound = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sound"));
        assert!(is_taken || !is_sound, "{} was refused", path.display());
        sound += usize::from(is_sound);
    }
    assert!(sound > 0, "no sound file in {}", corpus.display());
}
