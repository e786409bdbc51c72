//! The names that processes can have.

use crate::words::pid::from_either;

/// The rule of [`is_name`].
pub(crate) const NO_NAME: &str = "it must not be empty, contain `/`, or look like a pid";

/// Returns whether a process can be registered under this name. A name must not look like a path or
/// a pid.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('/') && from_either(text).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_empty_nor_a_path_nor_a_pid() {
        assert!(["till", "a.b", "4", "1.0.0"].into_iter().all(is_name));
        assert!(!["", "a/b", "/", "4.1", "<4.1>"].into_iter().any(is_name));
    }
}
