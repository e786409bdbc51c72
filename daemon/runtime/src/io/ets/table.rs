//! The rows of one table.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use serde_bytes::ByteBuf;

use super::order::{prefix_key, sort_key};
use crate::words::term;
use reld_wire::table::{Error as TableError, Kind as TableKind, Reason, Wanted};

/// A row: the key and the value, with the bytes as they were written.
type Row = (ByteBuf, ByteBuf);

/// The rows of a table, by their sort keys.
#[derive(Debug)]
pub(crate) struct Rows {
    by_key: ByKey,
    /// The number of bytes in keys and values.
    bytes: usize,
}

#[derive(Debug)]
enum ByKey {
    Set(HashMap<Vec<u8>, Row>),
    Ordered(BTreeMap<Vec<u8>, Row>),
}

impl Rows {
    pub(crate) fn new(kind: TableKind) -> Self {
        let by_key = match kind {
            TableKind::Set => ByKey::Set(HashMap::new()),
            TableKind::OrderedSet => ByKey::Ordered(BTreeMap::new()),
        };
        Self { by_key, bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.by_key {
            ByKey::Set(rows) => rows.len(),
            ByKey::Ordered(rows) => rows.len(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn kind(&self) -> TableKind {
        match &self.by_key {
            ByKey::Set(_) => TableKind::Set,
            ByKey::Ordered(_) => TableKind::OrderedSet,
        }
    }

    fn at(&self, sorts: &[u8]) -> Option<&Row> {
        match &self.by_key {
            ByKey::Set(rows) => rows.get(sorts),
            ByKey::Ordered(rows) => rows.get(sorts),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<ByteBuf>, TableError> {
        Ok(self.at(&sorted(key)?).map(|(_, value)| value.clone()))
    }

    pub(crate) fn insert(&mut self, key: ByteBuf, value: ByteBuf) -> Result<(), TableError> {
        let sorts = sorted(&key)?;
        self.put(sorts, key, value);
        Ok(())
    }

    /// Inserts a row unless its key is present; returns whether the row was inserted.
    pub(crate) fn insert_new(&mut self, key: ByteBuf, value: ByteBuf) -> Result<bool, TableError> {
        let sorts = sorted(&key)?;
        let is_new = self.at(&sorts).is_none();
        if is_new {
            self.put(sorts, key, value);
        }
        Ok(is_new)
    }

    pub(crate) fn take(&mut self, key: &[u8]) -> Result<Option<ByteBuf>, TableError> {
        let sorts = sorted(key)?;
        let taken = match &mut self.by_key {
            ByKey::Set(rows) => rows.remove(&sorts),
            ByKey::Ordered(rows) => rows.remove(&sorts),
        };
        self.bytes -= taken.as_ref().map_or(0, size);
        Ok(taken.map(|(_, value)| value))
    }

    /// Replaces the value of a row if it is `old`; returns whether it was.
    pub(crate) fn replace(&mut self, key: ByteBuf, old: &[u8], new: ByteBuf) -> Result<bool, TableError> {
        let sorts = sorted(&key)?;
        let is_old = self.at(&sorts).is_some_and(|(_, value)| value.as_slice() == old);
        if is_old {
            self.put(sorts, key, new);
        }
        Ok(is_old)
    }

    pub(crate) fn count(&mut self, key: ByteBuf, by: i64, initial: Option<i64>) -> Result<i64, TableError> {
        let sorts = sorted(&key)?;
        let before = match (self.at(&sorts), initial) {
            (Some((_, value)), _) => {
                term::decode(value).map_err(|text| TableError::new(Reason::NotANumber, text))?
            }
            (None, Some(initial)) => initial,
            (None, None) => return Err(TableError::new(Reason::NoRow, "there is no row to count in")),
        };
        let sum = i64::checked_add(before, by);
        let sum =
            sum.ok_or_else(|| TableError::new(Reason::NotANumber, format!("{before} + {by} is too large")))?;
        self.put(sorts, key, ByteBuf::from(term::encode(&sum)));
        Ok(sum)
    }

    pub(crate) fn clear(&mut self) -> usize {
        let len = self.len();
        *self = Self::new(self.kind());
        len
    }

    fn put(&mut self, sorts: Vec<u8>, key: ByteBuf, value: ByteBuf) {
        let row = (key, value);
        self.bytes += size(&row);
        let before = match &mut self.by_key {
            ByKey::Set(rows) => rows.insert(sorts, row),
            ByKey::Ordered(rows) => rows.insert(sorts, row),
        };
        self.bytes -= before.as_ref().map_or(0, size);
    }

    /// Returns the selected rows, in the order of their keys if the table is ordered.
    pub(crate) fn select(&self, wanted: &Wanted) -> Result<Vec<Row>, TableError> {
        let limit = wanted.limit.unwrap_or(usize::MAX);
        let range = Range::of(wanted)?;
        match &self.by_key {
            ByKey::Ordered(_) if range.is_empty() => Ok(Vec::new()),
            ByKey::Ordered(rows) => {
                let from = rows.range::<[u8], _>((range.from.as_ref().map(Vec::as_slice), Bound::Unbounded));
                let wanted = from.take_while(|(sorts, _)| range.reaches(sorts));
                Ok(wanted.take(limit).map(|(_, row)| row.clone()).collect())
            }
            ByKey::Set(_) if wanted.after.is_some() || wanted.limit.is_some() => {
                Err(TableError::new(Reason::NotOrdered, "only an ordered_set can be read in parts"))
            }
            ByKey::Set(rows) => {
                let wanted = rows.iter().filter(|(sorts, _)| range.contains(sorts));
                Ok(wanted.map(|(_, row)| row.clone()).collect())
            }
        }
    }
}

/// The range of the selected keys.
struct Range {
    from: Bound<Vec<u8>>,
    to: Option<Vec<u8>>,
    prefix: Vec<u8>,
}

impl Range {
    fn of(wanted: &Wanted) -> Result<Self, TableError> {
        let sorts = |key: &Option<ByteBuf>| key.as_deref().map(sorted).transpose();
        let prefix = wanted
            .prefix
            .as_ref()
            .map(|prefix| prefix_key(prefix))
            .transpose()
            .map_err(bad_key)?
            .unwrap_or_default();
        let first = sorts(&wanted.from)?.into_iter().chain([prefix.clone()]).max().unwrap_or_default();
        let from = match sorts(&wanted.after)? {
            Some(after) if after >= first => Bound::Excluded(after),
            _ => Bound::Included(first),
        };
        Ok(Self { from, to: sorts(&wanted.to)?, prefix })
    }

    /// Returns whether the first key sorts after the last; `BTreeMap::range` would panic then.
    fn is_empty(&self) -> bool {
        let (Bound::Included(from) | Bound::Excluded(from)) = &self.from else { return false };
        self.to.as_ref().is_some_and(|to| from > to)
    }

    /// Returns whether a key that does not sort before the start is within the range.
    fn reaches(&self, sorts: &[u8]) -> bool {
        self.to.as_ref().is_none_or(|to| sorts <= to.as_slice()) && sorts.starts_with(&self.prefix)
    }

    fn contains(&self, sorts: &[u8]) -> bool {
        let is_behind = match &self.from {
            Bound::Included(from) => sorts >= from.as_slice(),
            Bound::Excluded(from) => sorts > from.as_slice(),
            Bound::Unbounded => true,
        };
        is_behind && self.reaches(sorts)
    }
}

fn size((key, value): &Row) -> usize {
    key.len() + value.len()
}

fn sorted(key: impl AsRef<[u8]>) -> Result<Vec<u8>, TableError> {
    sort_key(key.as_ref()).map_err(bad_key)
}

fn bad_key(text: String) -> TableError {
    TableError::new(Reason::BadRequest, format!("the key is not a MessagePack value: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<T: serde::Serialize>(value: &T) -> ByteBuf {
        ByteBuf::from(term::encode(value))
    }

    fn numbers(kind: TableKind) -> Rows {
        let mut rows = Rows::new(kind);
        for n in [300, -5, 7, 12] {
            rows.insert(bytes(&n), bytes(&format!("{n}"))).expect("it is a key");
        }
        rows
    }

    #[track_caller]
    fn check(rows: &Rows, wanted: &Wanted, expected: &[i64]) {
        let mut found: Vec<i64> = rows
            .select(wanted)
            .expect("it can be read")
            .iter()
            .map(|(key, _)| term::decode(key).expect("it is a number"))
            .collect();
        if rows.kind() == TableKind::Set {
            found.sort_unstable();
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn an_ordered_set_is_read_by_range_and_in_parts() {
        let rows = numbers(TableKind::OrderedSet);
        let wanted = Wanted::default;
        check(&rows, &wanted(), &[-5, 7, 12, 300]);
        check(&rows, &Wanted { from: Some(bytes(&7)), to: Some(bytes(&12)), ..wanted() }, &[7, 12]);
        check(&rows, &Wanted { from: Some(bytes(&8)), limit: Some(1), ..wanted() }, &[12]);
        check(&rows, &Wanted { after: Some(bytes(&7)), limit: Some(9), ..wanted() }, &[12, 300]);
        check(&rows, &Wanted { from: Some(bytes(&12)), to: Some(bytes(&7)), ..wanted() }, &[]);
    }

    #[test]
    fn a_set_is_read_by_range_but_not_in_parts() {
        let rows = numbers(TableKind::Set);
        check(&rows, &Wanted { from: Some(bytes(&7)), ..Wanted::default() }, &[7, 12, 300]);
        let refused = rows.select(&Wanted { limit: Some(1), ..Wanted::default() });
        assert_eq!(refused.map_err(|error| error.reason), Err(Reason::NotOrdered));
    }

    #[test]
    fn a_prefix_selects_what_begins_with_it() {
        let mut rows = Rows::new(TableKind::OrderedSet);
        for key in [("b", 1), ("a", 2), ("a", 1), ("c", 9)] {
            rows.insert(bytes(&key), bytes(&())).expect("it is a key");
        }
        let found = rows
            .select(&Wanted { prefix: Some(bytes(&("a",))), ..Wanted::default() })
            .expect("it can be read");
        let keys: Vec<(String, i64)> =
            found.iter().map(|(key, _)| term::decode(key).expect("a pair")).collect();
        assert_eq!(keys, [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    }

    #[test]
    fn rows_are_put_taken_and_counted() {
        for kind in [TableKind::Set, TableKind::OrderedSet] {
            let mut rows = Rows::new(kind);
            assert_eq!(rows.insert_new(bytes(&"k"), bytes(&1)), Ok(true));
            assert_eq!(rows.insert_new(bytes(&"k"), bytes(&2)), Ok(false));
            assert_eq!(rows.replace(bytes(&"k"), &bytes(&2), bytes(&3)), Ok(false));
            assert_eq!(rows.replace(bytes(&"k"), &bytes(&1), bytes(&3)), Ok(true));
            assert_eq!(rows.count(bytes(&"k"), -5, None), Ok(-2));
            assert_eq!(rows.count(bytes(&"new"), 1, Some(10)), Ok(11));
            assert_eq!(rows.count(bytes(&"none"), 1, None).map_err(|error| error.reason), Err(Reason::NoRow));
            assert_eq!(rows.get(&bytes(&"k")), Ok(Some(bytes(&-2))));
            rows.insert(bytes(&"text"), bytes(&"x")).expect("it is a key");
            let refused = rows.count(bytes(&"text"), 1, None).map_err(|error| error.reason);
            assert_eq!(refused, Err(Reason::NotANumber));
            assert_eq!(rows.take(&bytes(&"k")), Ok(Some(bytes(&-2))));
            assert_eq!(rows.take(&bytes(&"k")), Ok(None));
            assert_eq!(rows.clear(), 2);
            assert_eq!((rows.len(), rows.bytes()), (0, 0));
        }
    }
}
