//! A manifest.toml is refused with an error text, or reads back unchanged after it was printed.

use reld_store::Manifest;

/// Checks one input and returns whether it was accepted.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    match Manifest::parse(text) {
        Ok(manifest) => {
            let written = manifest.print();
            assert_eq!(Manifest::parse(&written).expect("a printed manifest can be read"), manifest);
            true
        }
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            false
        }
    }
}
