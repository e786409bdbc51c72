//! Runs a check over the files that its fuzzer starts from. For tests of the houses, which include this file.

use std::fs;
use std::path::Path;

/// Checks each file of a corpus. Those whose names begin with `sound` have to be taken, of which each
/// corpus has one.
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
