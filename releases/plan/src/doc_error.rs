//! Errors that point into a document.

use std::fmt;

use crate::read::{Fault, Span};

/// A mistake in a document, with its place and the line it stands in.
///
/// Prints as `path:line:column: message`, followed by the line and a caret below the mistake:
///
/// ```text
/// lib/counter-0.1.1/appup.toml:6:38: unknown word "sof", allowed are "soft", "supervisor" or { advanced = DATA }
///   6 |   { update = "counter", change = "sof" },
///     |                                  ^^^^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocError {
    /// The document's path as it is shown to people.
    pub path: String,
    /// Counts from 1.
    pub line: usize,
    /// Counts from 1, in characters.
    pub column: usize,
    /// What is wrong and which words are allowed instead.
    pub message: String,
    text: String,
    width: usize,
    class: &'static str,
}

impl DocError {
    /// Returns OTP's name for it, where the document is one of a release: an appup's mistakes have names of their own.
    pub const fn class(&self) -> &'static str {
        self.class
    }

    pub(crate) fn new(path: &str, text: &str, fault: &Fault) -> Self {
        let Span { start, end } = clamp(text, &fault.span);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        Self {
            path: path.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message: fault.message.clone(),
            text: text[line_start..line_end].trim_end().to_owned(),
            width: text[start..end.min(line_end).max(start)].chars().count().max(1),
            class: "error_reading",
        }
    }

    pub(crate) fn with_class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }
}

/// Moves both ends of a span onto character boundaries inside the text.
fn clamp(text: &str, span: &Span) -> Span {
    let floor = |at: usize| {
        let at = at.min(text.len());
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    floor(span.start)..floor(span.end.max(span.start))
}

impl fmt::Display for DocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, message, text, width, .. } = self;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands below the mistake whatever their width.
        let indent: String =
            text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{path}:{line}:{column}: {message}")?;
        writeln!(f, "  {number} | {text}")?;
        write!(f, "  {margin} | {indent}{}", "^".repeat(*width))
    }
}

impl std::error::Error for DocError {}
