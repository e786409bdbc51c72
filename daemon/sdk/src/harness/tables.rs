//! Shared tables under test: those that the process creates, and those that the test lends it.

mod key;

use std::collections::BTreeMap;

use reld_wire::Reply;
use reld_wire::table::{Access, Error, Kind, Options, Reason, Request, TableId, Wanted};
use serde::Serialize;
use serde_bytes::ByteBuf;

use self::key::Key;
use crate::body::Body;
use crate::codec;

/// A key and a value, as they were written.
type Row = (ByteBuf, ByteBuf);

/// The tables that the process under test can see.
#[derive(Default)]
pub(super) struct Tables {
    last: u64,
    tables: BTreeMap<TableId, Table>,
}

/// The owner of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The process under test.
    Me,
    /// Another process.
    Other,
}

struct Table {
    options: Options,
    owner: Owner,
    rows: BTreeMap<Key, Row>,
}

impl Tables {
    /// Answers a request of the process under test. `None` stands for a request that no SDK sends.
    pub(super) fn ask(&mut self, request: &[u8]) -> Option<Body> {
        match codec::decode::<Request>(request).ok()? {
            Request::New(options) => answer(self.create(options, Owner::Me)),
            Request::Whereis { name } => answer(Ok(self.find(&name))),
            Request::Insert { table, key, value } => {
                answer(self.write(table).and_then(|table| table.insert(key, value)))
            }
            Request::InsertNew { table, key, value } => {
                answer(self.write(table).and_then(|table| table.insert_new(key, value)))
            }
            Request::Lookup { table, key } => answer(self.read(table).and_then(|table| table.get(&key))),
            Request::Take { table, key } => answer(self.write(table).and_then(|table| table.take(&key))),
            Request::Replace { table, key, old, new } => {
                answer(self.write(table).and_then(|table| table.replace(key, &old, new)))
            }
            Request::UpdateCounter { table, key, by, initial } => {
                answer(self.write(table).and_then(|table| table.count(key, by, initial)))
            }
            Request::Select { table, wanted } => {
                answer(self.read(table).and_then(|table| table.select(&wanted)))
            }
            Request::Clear { table } => {
                answer(self.write(table).map(|table| std::mem::take(&mut table.rows).len()))
            }
            Request::Size { table } => answer(self.read(table).map(|table| table.rows.len())),
            Request::Drop { table } => {
                let dropped = self.owned(table).map(drop);
                answer(dropped.inspect(|()| drop(self.tables.remove(&table))))
            }
            Request::GiveAway { table, .. } => {
                answer(self.owned(table).map(|table| table.owner = Owner::Other))
            }
            Request::SetHeir { table, heir } => {
                answer(self.owned(table).map(|table| table.options.heir = heir))
            }
        }
    }

    pub(super) fn create(&mut self, options: Options, owner: Owner) -> Result<TableId, Error> {
        if let Some(name) = options.name.as_deref().filter(|name| self.find(name).is_some()) {
            return Err(Error::new(Reason::NameTaken, format!("the name {name:?} is taken")));
        }
        self.last += 1;
        let id = TableId(self.last);
        self.tables.insert(id, Table { options, owner, rows: BTreeMap::new() });
        Ok(id)
    }

    pub(super) fn insert(&mut self, table: TableId, key: ByteBuf, value: ByteBuf) -> Result<(), Error> {
        self.table(table)?.insert(key, value)
    }

    /// Returns all rows of a table in the order of their keys.
    pub(super) fn rows(&self, name: &str) -> Option<Vec<Row>> {
        let table = self.tables.get(&self.find(name)?)?;
        Some(table.rows.values().cloned().collect())
    }

    fn find(&self, name: &str) -> Option<TableId> {
        let mut tables = self.tables.iter();
        tables.find(|(_, table)| table.options.name.as_deref() == Some(name)).map(|(id, _)| *id)
    }

    fn table(&mut self, id: TableId) -> Result<&mut Table, Error> {
        let none = || Error::new(Reason::NoTable, format!("there is no table {}", id.0));
        self.tables.get_mut(&id).ok_or_else(none)
    }

    fn read(&mut self, id: TableId) -> Result<&mut Table, Error> {
        self.permitted(id, |access| access != Access::Private)
    }

    fn write(&mut self, id: TableId) -> Result<&mut Table, Error> {
        self.permitted(id, |access| access == Access::Public)
    }

    /// Returns a table that the process under test owns, or may use as others may.
    fn permitted(&mut self, id: TableId, others: impl Fn(Access) -> bool) -> Result<&mut Table, Error> {
        let table = self.table(id)?;
        let access = table.options.access;
        if table.owner == Owner::Me || others(access) {
            return Ok(table);
        }
        let text = format!("table {} is {access:?} and belongs to another process", id.0);
        Err(Error::new(Reason::NoAccess, text))
    }

    fn owned(&mut self, id: TableId) -> Result<&mut Table, Error> {
        let table = self.table(id)?;
        if table.owner == Owner::Me {
            return Ok(table);
        }
        Err(Error::new(Reason::NotOwner, format!("table {} belongs to another process", id.0)))
    }
}

impl Table {
    fn get(&self, key: &[u8]) -> Result<Option<ByteBuf>, Error> {
        Ok(self.rows.get(&Key::read(key)?).map(|(_, value)| value.clone()))
    }

    fn insert(&mut self, key: ByteBuf, value: ByteBuf) -> Result<(), Error> {
        self.rows.insert(Key::read(&key)?, (key, value));
        Ok(())
    }

    fn insert_new(&mut self, key: ByteBuf, value: ByteBuf) -> Result<bool, Error> {
        let is_new = self.get(&key)?.is_none();
        if is_new {
            self.insert(key, value)?;
        }
        Ok(is_new)
    }

    fn take(&mut self, key: &[u8]) -> Result<Option<ByteBuf>, Error> {
        Ok(self.rows.remove(&Key::read(key)?).map(|(_, value)| value))
    }

    fn replace(&mut self, key: ByteBuf, old: &[u8], new: ByteBuf) -> Result<bool, Error> {
        let is_old = self.get(&key)?.is_some_and(|value| value == old);
        if is_old {
            self.insert(key, new)?;
        }
        Ok(is_old)
    }

    fn count(&mut self, key: ByteBuf, by: i64, initial: Option<i64>) -> Result<i64, Error> {
        let not_a_number = |text: String| Error::new(Reason::NotANumber, text);
        let before = match (self.get(&key)?, initial) {
            (Some(value), _) => codec::decode(&value).map_err(|error| not_a_number(error.to_string()))?,
            (None, Some(initial)) => initial,
            (None, None) => return Err(Error::new(Reason::NoRow, "there is no row to count in")),
        };
        let sum = i64::checked_add(before, by)
            .ok_or_else(|| not_a_number(format!("{before} + {by} is too large")))?;
        let value = codec::encode(&sum).map_err(|error| not_a_number(error.to_string()))?;
        self.insert(key, value.into())?;
        Ok(sum)
    }

    fn select(&self, wanted: &Wanted) -> Result<Vec<Row>, Error> {
        let in_parts = wanted.after.is_some() || wanted.limit.is_some();
        if in_parts && self.options.kind == Kind::Set {
            return Err(Error::new(Reason::NotOrdered, "only an ordered table can be read in parts"));
        }
        let key = |bytes: &Option<ByteBuf>| bytes.as_deref().map(|bytes| Key::read(bytes)).transpose();
        let (from, after, to) = (key(&wanted.from)?, key(&wanted.after)?, key(&wanted.to)?);
        let prefix = key(&wanted.prefix)?;
        let fits = |key: &Key| {
            from.as_ref().is_none_or(|from| from <= key)
                && after.as_ref().is_none_or(|after| after < key)
                && to.as_ref().is_none_or(|to| key <= to)
                && prefix.as_ref().is_none_or(|prefix| key.begins_with(prefix))
        };
        let rows = self.rows.iter().filter(|(key, _)| fits(key)).map(|(_, row)| row.clone());
        Ok(rows.take(wanted.limit.unwrap_or(usize::MAX)).collect())
    }
}

fn answer<T: Serialize>(result: Result<T, Error>) -> Option<Body> {
    codec::body(&Reply::from(result)).ok()
}
