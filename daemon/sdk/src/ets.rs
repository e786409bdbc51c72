//! Shared tables: rows that any process can read and write without sending a message. OTP:
//! `ets`.
//!
//! A [`Table`] is a number. Your state may keep it across an upgrade, and dropping it does nothing.
//! The rows belong to the node and are bytes, so an upgrade does not convert them. A newer version
//! must read the rows of an older one, as it reads its messages: give new fields a
//! `#[serde(default)]`.
//!
//! ```
//! # use reld_sdk::{Answer, From, GenServer, NotStarted};
//! use reld_sdk::ets::{self, Table};
//! use serde::{Deserialize, Serialize};
//!
//! /// The guest of each seat in each room. All processes may read it; only this server writes.
//! #[derive(Serialize, Deserialize)]
//! struct Rooms {
//!     seats: Table<(String, u32), String>,
//! }
//!
//! impl GenServer for Rooms {
//!     type Args = ();
//!     type Call = (String, u32, String);
//!     type Reply = Vec<String>;
//!     type Cast = ();
//!     type Message = ();
//!
//!     async fn init((): ()) -> Result<Self, NotStarted> {
//!         Ok(Self { seats: ets::Options::new().ordered().named("seats").create()? })
//!     }
//!
//!     async fn handle_call(&mut self, (room, seat, guest): Self::Call, _from: From) -> Answer<Vec<String>> {
//!         let sit = |rooms: &Self| {
//!             rooms.seats.insert(&(room.clone(), seat), &guest)?;
//!             rooms.seats.prefix(&(&room,))
//!         };
//!         match sit(self) {
//!             Ok(rows) => Answer::Reply(rows.into_iter().map(|(_, guest)| guest).collect()),
//!             Err(error) => Answer::stop(error.into()),
//!         }
//!     }
//! }
//! ```
//!
//! All functions here are `[callback]` and do not wait. Each single request is atomic, but a
//! sequence of requests is not. If several processes write, use [`Table::update_counter`],
//! [`Table::insert_new`] and [`Table::replace`].
//!
//! The owner is the process that created the table. When the owner ends, the table is dropped,
//! unless it has an [heir](Options::heir). The heir then becomes the owner and gets an
//! [`Info::Table`](crate::Info::Table).

use std::fmt;
use std::marker::PhantomData;

use reld_wire::Reply;
use reld_wire::table::{self as wire, Heir, Request, TableId, Wanted};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec::{self, Undecodable, read};
use crate::exit::Exit;
use crate::host::{self, Closed, Refused, RequestKind};
use crate::names::Pid;
use crate::value::Value;

/// A table with keys of type `K` and values of type `V`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent, bound = "")]
#[schemars(bound = "")]
pub struct Table<K, V> {
    id: u64,
    #[serde(skip)]
    of: PhantomData<fn(K) -> V>,
}

/// An event of a table. It arrives as [`Info::Table`](crate::Info::Table).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The process has become the owner, by [`Table::give_away`] or as the heir. OTP:
    /// `'ETS-TRANSFER'`.
    Transferred {
        /// The number of the table, see [`Table::is`].
        table: u64,
        /// The previous owner.
        from: Pid,
        /// The data that the previous owner passed.
        data: Value,
    },
}

impl From<wire::Event> for Event {
    fn from(event: wire::Event) -> Self {
        match event {
            wire::Event::Transferred { table: TableId(table), from, data } => {
                Self::Transferred { table, from: Pid(from), data: data.into() }
            }
        }
    }
}

/// The error of a failed request to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    reason: Reason,
    text: String,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The table does not exist.
    NoTable,
    /// The access mode of the table forbids the request.
    NoAccess,
    /// Another table already has that name.
    NameTaken,
    /// Only the owner may make this request.
    NotOwner,
    /// The new owner has ended.
    NoProcess,
    /// There is no row with this key, and no initial value was given.
    NoRow,
    /// The value is not an integer, or the sum does not fit into 64 bits.
    NotANumber,
    /// Only an ordered table can be read in parts.
    NotOrdered,
    /// The function was not called inside a callback.
    Refused,
    /// A key or value cannot be encoded, or has another type.
    Undecodable,
    /// Any other error; see the text.
    #[serde(other)]
    Other,
}

impl Error {
    /// Returns the kind of the error.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    fn new(reason: Reason, text: impl ToString) -> Self {
        Self { reason, text: text.to_string() }
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self { reason: error.reason.into(), text: error.text }
    }
}

impl From<wire::Reason> for Reason {
    fn from(reason: wire::Reason) -> Self {
        match reason {
            wire::Reason::NoTable => Self::NoTable,
            wire::Reason::NoAccess => Self::NoAccess,
            wire::Reason::NameTaken => Self::NameTaken,
            wire::Reason::NotOwner => Self::NotOwner,
            wire::Reason::NoProcess => Self::NoProcess,
            wire::Reason::NoRow => Self::NoRow,
            wire::Reason::NotANumber => Self::NotANumber,
            wire::Reason::NotOrdered => Self::NotOrdered,
            wire::Reason::BadRequest => Self::Other,
        }
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        Self::error(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::new(Reason::Refused, refused)
    }
}

impl From<Undecodable> for Error {
    fn from(error: Undecodable) -> Self {
        Self::new(Reason::Undecodable, error)
    }
}

/// The options of a new table. The default is a table without an order and a name, which all
/// processes read and only its owner writes.
#[derive(Debug, Clone, Default)]
pub struct Options(wire::Options);

impl Options {
    /// Returns the default options: a table without an order and a name, which all processes read
    /// and only its owner writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the rows in the order of their keys: numbers, then strings, then tuples and lists
    /// element by element. OTP: `ordered_set`. Unlike OTP, all integers come before all floats.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.0.kind = wire::Kind::OrderedSet;
        self
    }

    /// Lets all processes write. OTP: `public`.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.0.access = wire::Access::Public;
        self
    }

    /// Lets only the owner read or write. OTP: `private`.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.0.access = wire::Access::Private;
        self
    }

    /// Gives the table a name for [`whereis`]. OTP: `named_table`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.0.name = Some(name.to_owned());
        self
    }

    /// Sets the heir: the process that becomes the owner when the owner ends. The heir then gets
    /// `data`. OTP: `{heir, Pid, Data}`.
    ///
    /// # Errors
    /// `data` cannot be encoded.
    pub fn heir(mut self, pid: Pid, data: &impl Serialize) -> Result<Self, Error> {
        self.0.heir = Some(Heir { pid: pid.0, data: bytes(data)? });
        Ok(self)
    }

    /// Creates the table. OTP: `ets:new/2`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NameTaken`].
    pub fn create<K, V>(self) -> Result<Table<K, V>, Error> {
        Ok(Table::of(ask(&Request::New(self.0))?))
    }
}

/// Returns the table with that name. OTP: `ets:whereis/1`. `[callback]`
///
/// The types of keys and values are not checked here; reading a row of another type fails with
/// [`Reason::Undecodable`].
///
/// # Errors
/// The function was not called inside a callback. A missing table is not an error.
pub fn whereis<K, V>(name: &str) -> Result<Option<Table<K, V>>, Error> {
    let found: Option<u64> = ask(&Request::Whereis { name: name.to_owned() })?;
    Ok(found.map(Table::of))
}

impl<K, V> Table<K, V> {
    fn of(id: u64) -> Self {
        Self { id, of: PhantomData }
    }

    fn id(self) -> TableId {
        TableId(self.id)
    }

    /// Returns whether an [`Event`] is about this table.
    pub fn is(self, table: u64) -> bool {
        self.id == table
    }

    /// Returns the number of rows. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NoAccess`].
    pub fn size(self) -> Result<usize, Error> {
        ask(&Request::Size { table: self.id() })
    }

    /// Removes all rows and returns their number. OTP: `ets:delete_all_objects/1`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NoAccess`].
    pub fn clear(self) -> Result<usize, Error> {
        ask(&Request::Clear { table: self.id() })
    }

    /// Removes the table. OTP: `ets:delete/1`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NotOwner`].
    pub fn delete(self) -> Result<(), Error> {
        ask(&Request::Drop { table: self.id() })
    }

    /// Makes another process the owner, and sends it `data`. OTP: `ets:give_away/3`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NotOwner`], [`Reason::NoProcess`].
    pub fn give_away(self, to: Pid, data: &impl Serialize) -> Result<(), Error> {
        ask(&Request::GiveAway { table: self.id(), to: to.0, data: bytes(data)? })
    }

    /// Sets another heir. OTP: `ets:setopts/2`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NotOwner`].
    pub fn set_heir(self, heir: Pid, data: &impl Serialize) -> Result<(), Error> {
        ask(&Request::SetHeir { table: self.id(), heir: Some(Heir { pid: heir.0, data: bytes(data)? }) })
    }
}

impl<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> Table<K, V> {
    /// Inserts a row, or replaces the row with that key. OTP: `ets:insert/2`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NoAccess`].
    pub fn insert(self, key: &K, value: &V) -> Result<(), Error> {
        ask(&Request::Insert { table: self.id(), key: bytes(key)?, value: bytes(value)? })
    }

    /// Inserts a row unless its key is present; returns whether the row was inserted. OTP:
    /// `ets:insert_new/2`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NoAccess`].
    pub fn insert_new(self, key: &K, value: &V) -> Result<bool, Error> {
        ask(&Request::InsertNew { table: self.id(), key: bytes(key)?, value: bytes(value)? })
    }

    /// Returns the value of a key. OTP: `ets:lookup/2`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NoAccess`], [`Reason::Undecodable`].
    pub fn get(self, key: &K) -> Result<Option<V>, Error> {
        let value: Option<ByteBuf> = ask(&Request::Lookup { table: self.id(), key: bytes(key)? })?;
        value.map(|value| Ok(read("value of a table", &value)?)).transpose()
    }

    /// Removes a row and returns its value. OTP: `ets:take/2`, `ets:delete/2`. `[callback]`
    ///
    /// # Errors
    /// The same as for [`Table::get`].
    pub fn take(self, key: &K) -> Result<Option<V>, Error> {
        let value: Option<ByteBuf> = ask(&Request::Take { table: self.id(), key: bytes(key)? })?;
        value.map(|value| Ok(read("value of a table", &value)?)).transpose()
    }

    /// Replaces the value of a row if it is `old`, byte for byte; returns whether it was. A row
    /// that another version of the app has written may have other bytes than `old`, even if `old`
    /// was read from it. OTP: `ets:select_replace/2`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NoAccess`].
    pub fn replace(self, key: &K, old: &V, new: &V) -> Result<bool, Error> {
        let (old, new) = (bytes(old)?, bytes(new)?);
        ask(&Request::Replace { table: self.id(), key: bytes(key)?, old, new })
    }

    /// Returns all rows, in the order of their keys if the table is ordered. OTP: `ets:tab2list/1`.
    /// `[callback]`
    ///
    /// # Errors
    /// The same as for [`Table::get`].
    pub fn rows(self) -> Result<Vec<(K, V)>, Error> {
        self.select(Wanted::default())
    }

    /// Returns the rows with keys from `from` to `to`, including both. OTP: a match specification
    /// with guards. `[callback]`
    ///
    /// # Errors
    /// The same as for [`Table::get`].
    pub fn range(self, from: &K, to: &K) -> Result<Vec<(K, V)>, Error> {
        self.select(Wanted { from: Some(bytes(from)?), to: Some(bytes(to)?), ..Wanted::default() })
    }

    /// Returns the rows with keys that begin with `prefix`. If the keys are tuples, pass a shorter
    /// tuple such as `&(room,)`; if they are strings, pass a string. The call is fast if the table
    /// is ordered; otherwise all rows are scanned. `[callback]`
    ///
    /// # Errors
    /// The same as for [`Table::get`].
    pub fn prefix(self, prefix: &impl Serialize) -> Result<Vec<(K, V)>, Error> {
        self.select(Wanted { prefix: Some(bytes(prefix)?), ..Wanted::default() })
    }

    /// Returns the next `limit` rows of an ordered table after a key; with `None`, the first rows.
    /// With this function you can go through a large table in several callbacks. OTP: `ets:next/2`.
    /// `[callback]`
    ///
    /// # Errors
    /// [`Reason::NotOrdered`], and the same as for [`Table::get`].
    pub fn page(self, after: Option<&K>, limit: usize) -> Result<Vec<(K, V)>, Error> {
        let after = after.map(bytes).transpose()?;
        self.select(Wanted { after, limit: Some(limit), ..Wanted::default() })
    }

    fn select(self, wanted: Wanted) -> Result<Vec<(K, V)>, Error> {
        let rows: Vec<(ByteBuf, ByteBuf)> = ask(&Request::Select { table: self.id(), wanted })?;
        let row = |(key, value): (ByteBuf, ByteBuf)| {
            Ok((read("key of a table", &key)?, read("value of a table", &value)?))
        };
        rows.into_iter().map(row).collect()
    }
}

impl<K: Serialize> Table<K, i64> {
    /// Adds to the value of a key and returns the sum. If there is no row with that key, inserts
    /// one with the value `initial` first. OTP: `ets:update_counter/4`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NoTable`], [`Reason::NoAccess`], [`Reason::NotANumber`]; [`Reason::NoRow`] without
    /// `initial`.
    pub fn update_counter(self, key: &K, by: i64, initial: Option<i64>) -> Result<i64, Error> {
        ask(&Request::UpdateCounter { table: self.id(), key: bytes(key)?, by, initial })
    }
}

// Derived implementations would require the same traits of K and V.

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K, V> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<K, V> Eq for Table<K, V> {}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.id)
    }
}

fn bytes<T: Serialize + ?Sized>(value: &T) -> Result<ByteBuf, Error> {
    Ok(ByteBuf::from(codec::encode(value)?))
}

/// Sends a request; the daemon answers before the call returns.
fn ask<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    let body = codec::body(request)?;
    let reference = host::ask(|host| host.call(RequestKind::Table, Pid::NONE, body, reld_abi::INFINITY))??;
    match host::ask(|host| host.take(reference))?? {
        Some(Closed::Reply(reply)) => {
            let reply: Reply<T, wire::Error> = read("answer of a table", &reply)?;
            Result::from(reply).map_err(Error::from)
        }
        other => Err(Error::new(Reason::Other, format!("the daemon answered {other:?}"))),
    }
}
