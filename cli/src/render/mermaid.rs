//! Escaping for mermaid drawings.

/// Escapes a text for mermaid: there `#` begins a character code, `;` ends a line, quotes end a
/// label, and angle brackets are markup.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '#' | ';' => escaped += &format!("#{};", u32::from(character)),
            '"' => escaped += "#quot;",
            '<' => escaped += "#lt;",
            '>' => escaped += "#gt;",
            '\n' | '\r' => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
