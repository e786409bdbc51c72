//! A library file is refused with an error text or passes; no code of it runs.

/// Checks one input and returns whether it was accepted.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let checked = reld_loader::check(bytes);
    checked.inspect_err(|refusal| assert!(!refusal.to_string().is_empty())).is_ok()
}
