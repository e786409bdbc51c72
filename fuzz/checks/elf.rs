//! A library's file is refused in words or passes; nothing of it runs.

/// Checks one input.
pub(crate) fn check(bytes: &[u8]) {
    if let Err(refusal) = reld_loader::check(bytes) {
        assert!(!refusal.to_string().is_empty());
    }
}
