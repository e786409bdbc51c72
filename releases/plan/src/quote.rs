//! Shortens and escapes text from documents in messages, so that messages are readable and harmless
//! to a terminal.

use std::borrow::Cow;
use std::fmt;

/// The maximum length of a quoted word, in characters.
const WORD_MAX: usize = 100;

/// A word of a document in a message. `{}` prints it unquoted, `{:?}` in quotes; both cut it after
/// [`WORD_MAX`] characters.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bounded(self.0, WORD_MAX))
    }
}

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*bounded(self.0, WORD_MAX), f)
    }
}

/// Escapes a text for a terminal or a log, in JSON's notation (`\u001b`), so that JSON stays valid.
///
/// It escapes control characters, except tabs and line ends, and characters that change the
/// direction of a line or break it invisibly.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

const fn is_obeyed(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => false,
    }
}

/// Cuts a text after `max` characters and appends the number of omitted characters.
pub fn bounded(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let more = text[end..].chars().count();
            Cow::Owned(format!("{}… ({more} more characters)", &text[..end]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        let plain = "tabs\tand lines\nand 世界 and ß";
        assert!(matches!(printable(plain), Cow::Borrowed(text) if text == plain));
        let nasty = "\u{1b}[2J\u{9b}31m\r\u{7f}\u{202e}gnp.exe\u{2066}\u{85}\u{2028}\0";
        assert_eq!(
            printable(nasty),
            "\\u001b[2J\\u009b31m\\u000d\\u007f\\u202egnp.exe\\u2066\\u0085\\u2028\\u0000"
        );
    }

    #[test]
    fn json_stays_what_it_is() {
        let value = serde_json::json!({"\u{1b}key": "\u{9b}\u{202e}\"\u{7f}"});
        let shown = printable(&format!("{value:#}")).into_owned();
        assert!(shown.is_ascii());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_long_word_is_quoted_by_its_begin() {
        assert_eq!(format!("{} {:?}", Quoted("abc"), Quoted("a\tb")), "abc \"a\\tb\"");
        let long = "é".repeat(150);
        let short = format!("{}… (50 more characters)", "é".repeat(100));
        assert_eq!(Quoted(&long).to_string(), short);
        assert_eq!(format!("{:?}", Quoted(&long)), format!("\"{short}\""));
    }
}
