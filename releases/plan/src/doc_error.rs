//! Errors that point into a document.

use std::fmt;

use reld_error_codes::ErrorCode;

use crate::quote;
use crate::read::{Fault, Span};

/// A mistake in a document, with its place and line.
///
/// Prints as `path:line:column: message`, followed by the line and a caret below the mistake:
///
/// ```text
/// lib/counter-0.1.1/appup.toml:6:38: unknown word "sof"; allowed: "soft", "supervisor" or { advanced = DATA }
///   6 |   { update = "counter", change = "sof" },
///     |                                  ^^^^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocError {
    /// The path of the document, only for display.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The mistake and the allowed words.
    pub message: String,
    shown: Excerpt,
    code: ErrorCode,
}

/// The longest message, in characters.
const MESSAGE_MAX: usize = 2000;

/// The maximum numbers of characters shown: of a line, and of its part before the mistake.
const SHOWN_MAX: usize = 160;
const BEFORE_MAX: usize = 80;

/// The part of a line around a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// The number of characters before the mistake.
    before: usize,
    /// The number of characters of the mistake.
    width: usize,
}

impl Excerpt {
    fn of(line: &str, column: usize, width: usize) -> Self {
        let cut = if line.chars().count() > SHOWN_MAX { (column - 1).saturating_sub(BEFORE_MAX) } else { 0 };
        let mut text: String = if cut > 0 { "…".to_owned() } else { String::new() };
        let before = column - 1 - cut + text.chars().count();
        let mut rest = line.chars().skip(cut);
        text.extend(rest.by_ref().take(SHOWN_MAX));
        if rest.next().is_some() {
            text.push('…');
        }
        let width = width.min(SHOWN_MAX.saturating_sub(before)).max(1);
        Self { text, before, width }
    }
}

impl DocError {
    /// Returns OTP's name for the error of a release document. Mistakes in an appup have names of
    /// their own.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Converts an error of a TOML parser.
    pub fn of_toml(path: &str, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        Self::new(path, text, &Fault { span, message: error.message().to_owned() })
    }

    pub(crate) fn new(path: &str, text: &str, fault: &Fault) -> Self {
        let Span { start, end } = clamp(text, &fault.span);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let column = text[line_start..start].chars().count() + 1;
        let width = text[start..end.min(line_end).max(start)].chars().count().max(1);
        let shown = Excerpt::of(text[line_start..line_end].trim_end(), column, width);
        Self {
            path: path.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column,
            message: quote::bounded(&fault.message, MESSAGE_MAX).into_owned(),
            shown,
            code: ErrorCode::ErrorReading,
        }
    }

    pub(crate) fn with_code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }
}

/// Moves both ends of a span to character boundaries inside the text.
fn clamp(text: &str, span: &Span) -> Span {
    let floor = |at: usize| {
        let at = at.min(text.len());
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    floor(span.start)..floor(span.end.max(span.start))
}

impl fmt::Display for DocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, message, shown: Excerpt { text, before, width }, .. } = self;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret is below the mistake with any tab width.
        let indent: String = text.chars().take(*before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{path}:{line}:{column}: {message}")?;
        writeln!(f, "  {number} | {text}")?;
        write!(f, "  {margin} | {indent}{}", "^".repeat(*width))
    }
}

impl std::error::Error for DocError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, column: usize, shown: &str, caret: usize) {
        let start = line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at);
        let fault = Fault { span: start..start + 1, message: "wrong".to_owned() };
        let printed = DocError::new("a.toml", line, &fault).to_string();
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], format!("a.toml:1:{column}: wrong"));
        assert_eq!(lines[1], format!("  1 | {shown}"));
        assert_eq!(lines[2].chars().count(), "  1 | ".len() + caret);
    }

    #[test]
    fn the_line_is_shown_around_the_mistake_however_long_it_is() {
        check("a = 1", 5, "a = 1", 5);
        let long = "é".repeat(10_000);
        check(&long, 1, &format!("{}…", "é".repeat(160)), 1);
        check(&long, 5_000, &format!("…{}…", "é".repeat(160)), 82);
        check(&long, 10_000, &format!("…{}", "é".repeat(81)), 82);
    }

    #[test]
    fn a_mistake_as_long_as_the_document_and_its_message_are_bounded() {
        let line = "x".repeat(1 << 20);
        let fault = Fault { span: 0..line.len(), message: format!("unknown word {line}") };
        assert!(DocError::new("a.toml", &line, &fault).to_string().len() < 4 * 1024);
    }
}
