//! Reads TOML values together with their places in the text: every mistake is a [`Fault`] with a
//! place.
//!
//! Serde would need fewer lines, but it stops at the first mistake in a nested value without
//! reporting the place of that mistake. Besides, an appup must keep a wrong instruction as a value
//! (see [`Written`](crate::Written)).

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::keys::{Key, Table};
use crate::quote::Quoted;

/// Byte range in a document.
pub(crate) type Span = Range<usize>;

/// One TOML value and its place.
pub(crate) type Node<'a> = Spanned<DeValue<'a>>;

/// A mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn at(node: &Node<'_>, message: impl Into<String>) -> Self {
        Self { span: node.span(), message: message.into() }
    }

    fn expected(what: &str, node: &Node<'_>) -> Self {
        Self::at(node, format!("expected {what}, found {}", kind(node)))
    }
}

/// The entries of one table in source order; the reader removes them one by one.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    span: Span,
    entries: Vec<(Spanned<Cow<'a, str>>, Node<'a>)>,
}

impl<'a> Fields<'a> {
    /// Reads a whole document that may have only the keys of a table at its top level.
    pub(crate) fn document(text: &'a str, table: &Table) -> Result<Self, Fault> {
        let fields = Self::any_document(text)?;
        fields.only(table.keys)?;
        Ok(fields)
    }

    /// Reads a whole document with arbitrary keys.
    pub(crate) fn any_document(text: &'a str) -> Result<Self, Fault> {
        let table = DeTable::parse(text).map_err(|error| Fault {
            span: error.span().unwrap_or(0..0),
            message: error.message().to_owned(),
        })?;
        Ok(Self::collect(0..0, table.into_inner()))
    }

    /// Reads a table that may have only the keys of `table`.
    pub(crate) fn of(node: Node<'a>, table: &Table) -> Result<Self, Fault> {
        let fields = Self::any(node)?;
        fields.only(table.keys)?;
        Ok(fields)
    }

    /// Reads a table with arbitrary keys.
    pub(crate) fn any(node: Node<'a>) -> Result<Self, Fault> {
        let span = node.span();
        match node.into_inner() {
            DeValue::Table(table) => Ok(Self::collect(span, table)),
            other => Err(Fault::expected("a table", &Spanned::new(span, other))),
        }
    }

    fn collect(span: Span, table: DeTable<'a>) -> Self {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        Self { span, entries }
    }

    /// Refuses keys that are not in the list.
    pub(crate) fn only(&self, allowed: &[Key]) -> Result<(), Fault> {
        let is_allowed = |name: &str| allowed.iter().any(|key| key.name == name);
        let Some((key, _)) = self.entries.iter().find(|(key, _)| !is_allowed(key.get_ref())) else {
            return Ok(());
        };
        let key_name = Quoted(key.get_ref());
        let message = match allowed {
            [] => format!("key `{key_name}` has no meaning here"),
            allowed => {
                let names: Vec<&str> = allowed.iter().map(|key| key.name).collect();
                format!("unknown key `{key_name}`; allowed: {}", ticked(&names))
            }
        };
        Err(Fault { span: key.span(), message })
    }

    /// Returns the keys and their places, in source order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, Span)> {
        self.entries.iter().map(|(key, _)| (key.get_ref().as_ref(), key.span()))
    }

    /// Returns the keys and their values, in source order.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (Spanned<Cow<'a, str>>, Node<'a>)> {
        self.entries.into_iter()
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Node<'a>> {
        let at = self.entries.iter().position(|(name, _)| name.get_ref() == key)?;
        Some(self.entries.remove(at).1)
    }

    pub(crate) fn take_required(&mut self, key: &str) -> Result<Node<'a>, Fault> {
        let missing = Fault { span: self.span.clone(), message: format!("key `{key}` is missing") };
        self.take(key).ok_or(missing)
    }

    pub(crate) fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Node<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        read(self.take_required(key)?)
    }

    pub(crate) fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Node<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.take(key).map(read).transpose()
    }

    pub(crate) fn or_default<T: Default>(
        &mut self,
        key: &str,
        read: impl FnOnce(Node<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        Ok(self.optional(key, read)?.unwrap_or_default())
    }
}

pub(crate) fn string(node: Node<'_>) -> Result<String, Fault> {
    match node.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        _ => Err(Fault::expected("a string", &node)),
    }
}

/// Reads a number that is not negative.
pub(crate) fn number(node: Node<'_>) -> Result<u64, Fault> {
    let number = match node.get_ref() {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    number.ok_or_else(|| Fault::expected("a number that is not negative", &node))
}

pub(crate) fn yes_or_no(node: Node<'_>) -> Result<bool, Fault> {
    match node.get_ref() {
        DeValue::Boolean(yes) => Ok(*yes),
        _ => Err(Fault::expected("true or false", &node)),
    }
}

pub(crate) fn nodes(node: Node<'_>) -> Result<Vec<Node<'_>>, Fault> {
    let span = node.span();
    match node.into_inner() {
        DeValue::Array(items) => Ok(items.into_iter().collect()),
        other => Err(Fault::expected("an array", &Spanned::new(span, other))),
    }
}

/// Reads an array with one reader for all items.
pub(crate) fn list<'a, T>(
    read: impl Fn(Node<'a>) -> Result<T, Fault>,
) -> impl FnOnce(Node<'a>) -> Result<Vec<T>, Fault> {
    move |node| nodes(node)?.into_iter().map(read).collect()
}

/// Reads one of a few allowed words.
pub(crate) fn word<'a, T: Copy>(words: &[(&'static str, T)]) -> impl Fn(Node<'a>) -> Result<T, Fault> {
    move |node| {
        let text = string(node.clone())?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let allowed = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| Fault::at(&node, format!("unknown word {:?}; allowed: {allowed}", Quoted(&text))))
    }
}

/// Reads arbitrary data. Dates become strings; a number that JSON cannot represent (inf, nan,
/// beyond 64 bits) is refused.
pub(crate) fn data(node: Node<'_>) -> Result<Value, Fault> {
    let beyond = Fault::at(&node, "this number cannot be represented as data");
    Ok(match node.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Boolean(yes) => Value::Bool(yes),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Integer(int) => {
            Value::from(i64::from_str_radix(int.as_str(), int.radix()).map_err(|_| beyond)?)
        }
        DeValue::Float(float) => {
            float.as_str().parse().ok().and_then(Number::from_f64).map(Value::Number).ok_or(beyond)?
        }
        DeValue::Array(items) => Value::Array(items.into_iter().map(data).collect::<Result<_, _>>()?),
        DeValue::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, item)| Ok((key.into_inner().into_owned(), data(item)?)))
                .collect::<Result<Map<_, _>, Fault>>()?,
        ),
    })
}

/// Reads a table of arbitrary data.
pub(crate) fn data_table(node: Node<'_>) -> Result<Map<String, Value>, Fault> {
    let wrong = Fault::expected("a table", &node);
    match data(node)? {
        Value::Object(map) => Ok(map),
        _ => Err(wrong),
    }
}

/// Lists words for a message: `` `a`, `b` ``.
pub(crate) fn ticked(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn kind(node: &Node<'_>) -> &'static str {
    match node.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
