//! The description of a document, a table and a key.

/// A kind of document, with a manual page.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// The name of the file.
    pub name: &'static str,
    /// The purpose, as a phrase.
    pub purpose: &'static str,
    /// Paragraphs about the document as a whole.
    pub about: &'static [&'static str],
    /// The tables in it, the top level first.
    pub tables: &'static [&'static [Table]],
    /// A complete example.
    pub example: &'static str,
    /// The names of related manual pages.
    pub see_also: &'static [(&'static str, &'static str)],
}

/// A table of a document.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The form of the table's head, such as `[[app]]`; empty for the top level.
    pub head: &'static str,
    /// The meaning of the table.
    pub meaning: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// The form of its value.
    pub form: &'static str,
    /// The value that a missing key stands for; `None` if the key is required.
    pub default: Option<&'static str>,
    /// A value other than the default, as TOML.
    pub example: &'static str,
    /// The meaning.
    pub meaning: &'static str,
    /// The first version of reld that reads the key.
    pub since: &'static str,
}

impl Table {
    /// Returns whether the table is an instruction.
    pub fn is_instruction(&self) -> bool {
        self.head == INSTRUCTION
    }

    /// Returns the first key. It is the keyword of an instruction, and the other versions of an
    /// entry.
    pub(crate) const fn first(&self) -> &'static str {
        self.keys[0].name
    }
}

/// The head of the table of an instruction.
pub(super) const INSTRUCTION: &str = "{ .. }";

/// The first version of reld.
const FIRST: &str = "0.1.0";

impl Key {
    pub(super) const fn required(
        name: &'static str,
        form: &'static str,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, form, default: None, example, meaning, since: FIRST }
    }

    pub(super) const fn optional(
        name: &'static str,
        form: &'static str,
        default: &'static str,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, form, default: Some(default), example, meaning, since: FIRST }
    }
}
