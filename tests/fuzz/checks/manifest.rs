//! A manifest.toml is refused in words, or read and written and read again as the same.

use reld_store::Manifest;

/// Checks one input, and says whether it was taken.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    match Manifest::parse(text) {
        Ok(manifest) => {
            let written = manifest.print();
            assert_eq!(Manifest::parse(&written).expect("what was written is read"), manifest);
            true
        }
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            false
        }
    }
}
