//! An appup.toml is refused with its place, or read and written and read again as the same.

use reld_plan::Appup;

/// Checks one input.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Appup::parse("appup.toml", text) {
        Ok(read) => {
            let written = read.to_toml();
            assert_eq!(Appup::parse("appup.toml", &written).map(|again| again.to_toml()).as_ref(), Ok(&written));
        }
        Err(error) => assert!(error.to_string().contains("appup.toml"), "{error}"),
    }
}
