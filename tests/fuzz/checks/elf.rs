//! A library's file is refused in words or passes; nothing of it runs.

/// Checks one input, and says whether it was taken.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let checked = reld_loader::check(bytes);
    checked.inspect_err(|refusal| assert!(!refusal.to_string().is_empty())).is_ok()
}
