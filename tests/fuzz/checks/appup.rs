//! An appup.toml is refused with its place, or reads back unchanged after it was printed.

use reld_plan::Appup;

/// Checks one input and returns whether it was accepted.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    match Appup::parse("appup.toml", text) {
        Ok(read) => {
            let written = read.to_toml();
            assert_eq!(
                Appup::parse("appup.toml", &written).map(|again| again.to_toml()).as_ref(),
                Ok(&written)
            );
            true
        }
        Err(error) => {
            assert!(error.to_string().contains("appup.toml"), "{error}");
            false
        }
    }
}
