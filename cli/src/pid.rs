//! Pids on the command line, where their brackets are optional: a shell treats `<` and `>` as
//! redirections.

/// Returns the printed form of a pid, `<4.1>`, for its text with or without brackets; `None` for
/// any other text.
pub(crate) fn printed(text: &str) -> Option<String> {
    let bare = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let (slot, generation) = bare.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(slot) && is_number(generation)).then(|| format!("<{bare}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brackets_of_a_pid_are_optional() {
        for text in ["41.1", "<41.1>"] {
            assert_eq!(printed(text).as_deref(), Some("<41.1>"));
        }
        for text in ["41", "41.", ".1", "<41.1", "41.1>", "1.0.0", "counter", "-4.1", ""] {
            assert_eq!(printed(text), None, "{text:?}");
        }
    }
}
