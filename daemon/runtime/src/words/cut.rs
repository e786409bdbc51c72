//! Cuts fields out of an encoded state, before a version reads it that does not know them.
//!
//! A path names a field: names with dots between them, as in the SDK's `GenServer::DROPPED`. `[]`
//! stands for any item of an array, `*` for any entry of a map. A variant of an enum with data is
//! encoded as a map with its name as the key, and an option as its content, so neither needs a
//! notation.
//!
//! Cutting ends for any input, because no byte is read twice at one depth, and the longest path
//! limits the depth. A value that does not have the shape of a path is not changed. Bytes that are
//! not MessagePack stay unchanged too; the next reader reports them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The fields to cut out of a state. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut(Option<Arc<Tree>>);

/// A set of paths, by their first name. The value holds the rest of the paths; `None` is the end of
/// a path.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tree(BTreeMap<String, Option<Self>>);

/// Any item of an array.
const ITEM: &str = "[]";
/// Any entry of a map.
const ENTRY: &str = "*";

impl Cut {
    /// Cuts nothing.
    pub const NOTHING: Self = Self(None);

    /// Returns a cut of the fields with these paths.
    pub fn new<P: AsRef<str>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut tree = Tree::default();
        paths.into_iter().for_each(|path| tree.add(path.as_ref()));
        Self((!tree.0.is_empty()).then(|| Arc::new(tree)))
    }

    /// Returns a state without these fields. A state that has none of them is returned as it is.
    pub fn of<'a>(&self, state: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(tree) = &self.0 else { return Cow::Borrowed(state) };
        let mut walk = Walk { bytes: state, at: 0, edits: Vec::new() };
        match walk.value(tree) {
            Some(()) if !walk.edits.is_empty() => Cow::Owned(edited(state, &walk.edits)),
            _ => Cow::Borrowed(state),
        }
    }
}

impl Tree {
    fn add(&mut self, path: &str) {
        match path.split_once('.') {
            // An item of an array cannot be cut, because the later items would move.
            None if path == ITEM => {}
            None => drop(self.0.insert(path.to_owned(), None)),
            Some((name, rest)) => {
                let below = self.0.entry(name.to_owned()).or_insert_with(|| Some(Self::default()));
                // Below a field that is cut, no other path has an effect.
                if let Some(below) = below {
                    below.add(rest);
                }
            }
        }
    }

    /// Returns the paths below the map entry with this key.
    fn entry(&self, key: Option<&str>) -> Option<&Option<Self>> {
        let named = key.filter(|key| *key != ITEM).and_then(|key| self.0.get(key));
        named.or_else(|| self.0.get(ENTRY))
    }

    /// Returns the paths below each item of an array.
    fn items(&self) -> Option<&Self> {
        self.0.get(ITEM)?.as_ref()
    }
}

/// A change of the bytes: they are removed, or replaced by a map header with this number of
/// entries.
#[derive(Debug)]
struct Edit {
    range: Range<usize>,
    entries: Option<u32>,
}

/// A walk over the bytes of a value. Each step returns `None` at bytes that are not MessagePack.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The changes, in the order of the bytes.
    edits: Vec<Edit>,
}

/// The head of a value: its kind and length.
enum Head {
    Map(u32),
    Array(u32),
    /// A string of this many bytes.
    Text(usize),
    /// Another value of this many bytes.
    Leaf(usize),
}

impl<'a> Walk<'a> {
    /// Walks over a value and records the edits.
    fn value(&mut self, tree: &Tree) -> Option<()> {
        let begin = self.at;
        match self.head()? {
            Head::Map(entries) => {
                let (header, first) = (begin..self.at, self.edits.len());
                let left = self.entries(entries, tree)?;
                if left < entries {
                    self.edits.insert(first, Edit { range: header, entries: Some(left) });
                }
                Some(())
            }
            Head::Array(items) => match tree.items() {
                Some(below) => (0..items).try_for_each(|_| self.value(below)),
                None => self.skip(items.into()),
            },
            Head::Text(length) | Head::Leaf(length) => self.take(length).map(drop),
        }
    }

    /// Walks over the entries of a map. Returns how many of them are kept.
    fn entries(&mut self, entries: u32, tree: &Tree) -> Option<u32> {
        let mut left = entries;
        for _ in 0..entries {
            let begin = self.at;
            let key = self.key()?;
            match tree.entry(key) {
                Some(None) => {
                    self.skip(1)?;
                    self.edits.push(Edit { range: begin..self.at, entries: None });
                    left -= 1;
                }
                Some(Some(below)) => self.value(below)?,
                None => self.skip(1)?,
            }
        }
        Some(left)
    }

    /// Walks over a key. Returns the key if it is a string.
    fn key(&mut self) -> Option<Option<&'a str>> {
        let begin = self.at;
        if let Head::Text(length) = self.head()? {
            return Some(str::from_utf8(self.take(length)?).ok());
        }
        self.at = begin;
        self.skip(1)?;
        Some(None)
    }

    /// Walks over this many values.
    fn skip(&mut self, values: u64) -> Option<()> {
        let mut pending = values;
        while pending > 0 {
            // Each value takes at least one byte.
            if pending > (self.bytes.len() - self.at) as u64 {
                return None;
            }
            pending -= 1;
            match self.head()? {
                Head::Map(entries) => pending += 2 * u64::from(entries),
                Head::Array(items) => pending += u64::from(items),
                Head::Text(length) | Head::Leaf(length) => drop(self.take(length)?),
            }
        }
        Some(())
    }

    fn head(&mut self) -> Option<Head> {
        let marker = *self.take(1)?.first()?;
        Some(match marker {
            0x80..=0x8f => Head::Map(u32::from(marker & 0x0f)),
            0x90..=0x9f => Head::Array(u32::from(marker & 0x0f)),
            0xa0..=0xbf => Head::Text(usize::from(marker & 0x1f)),
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Head::Leaf(0),
            0xc1 => return None,
            0xc4..=0xc6 => Head::Leaf(self.length(marker - 0xc4)?),
            // In an extension, the type byte comes before the data.
            0xc7..=0xc9 => Head::Leaf(self.length(marker - 0xc7)?.checked_add(1)?),
            0xca => Head::Leaf(4),
            0xcb => Head::Leaf(8),
            0xcc..=0xcf => Head::Leaf(1 << (marker - 0xcc)),
            0xd0..=0xd3 => Head::Leaf(1 << (marker - 0xd0)),
            0xd4..=0xd8 => Head::Leaf(1 + (1 << (marker - 0xd4))),
            0xd9..=0xdb => Head::Text(self.length(marker - 0xd9)?),
            0xdc | 0xdd => Head::Array(self.number(marker - 0xdb)?),
            0xde | 0xdf => Head::Map(self.number(marker - 0xdd)?),
        })
    }

    /// Reads a length of 1, 2 or 4 bytes, for a `size` of 0, 1 or 2.
    fn length(&mut self, size: u8) -> Option<usize> {
        usize::try_from(self.number(size)?).ok()
    }

    fn number(&mut self, size: u8) -> Option<u32> {
        let bytes = self.take(1 << size)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}

fn edited(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut edited = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for Edit { range, entries } in edits {
        edited.extend_from_slice(&bytes[from..range.start]);
        entries.iter().for_each(|entries| write_map(&mut edited, *entries));
        from = range.end;
    }
    edited.extend_from_slice(&bytes[from..]);
    edited
}

/// Writes the head of a map in the fewest bytes.
fn write_map(to: &mut Vec<u8>, entries: u32) {
    match (u8::try_from(entries), u16::try_from(entries)) {
        (Ok(few @ 0..=15), _) => to.push(0x80 | few),
        (_, Ok(some)) => {
            to.push(0xde);
            to.extend(some.to_be_bytes());
        }
        _ => {
            to.push(0xdf);
            to.extend(entries.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
