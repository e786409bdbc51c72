//! Requests to tables, their answers, and what a new owner is told: MessagePack on both sides.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::words::code::Bytes;
use crate::words::pid::Pid;
use crate::words::term;

/// A table of the node. Plain data: a state may keep it over an upgrade. Never used twice in a node's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub u64);

/// What a process can ask of a table. Keys and values are MessagePack, each in a bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Answered with its [`TableId`].
    New {
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        kind: TableKind,
        #[serde(default)]
        access: Access,
        #[serde(default)]
        heir: Option<Heir>,
    },
    /// Answered with the [`TableId`] of that name, or nil.
    Whereis { name: String },
    /// Puts a row, in place of one with that key.
    Insert { table: TableId, key: ByteBuf, value: ByteBuf },
    /// Puts a row unless there is one with that key; answered with whether it did.
    InsertNew { table: TableId, key: ByteBuf, value: ByteBuf },
    /// Answered with the value, or nil.
    Lookup { table: TableId, key: ByteBuf },
    /// Removes a row; answered with its value, or nil.
    Take { table: TableId, key: ByteBuf },
    /// Puts `new` where `old` is; answered with whether it was.
    Replace { table: TableId, key: ByteBuf, old: ByteBuf, new: ByteBuf },
    /// Adds to a value that is an integer; answered with the new one. Without a row there, `initial` is added to.
    UpdateCounter {
        table: TableId,
        key: ByteBuf,
        by: i64,
        #[serde(default)]
        initial: Option<i64>,
    },
    /// Answered with rows, as pairs of key and value; in the order of the keys where the table has one.
    Select { table: TableId, wanted: Wanted },
    /// Removes all rows; answered with how many there were.
    Clear { table: TableId },
    /// Removes the table.
    Drop { table: TableId },
    /// Makes another process the owner, which is told with this data.
    GiveAway { table: TableId, to: Pid, data: ByteBuf },
    /// Says who shall be the owner when this one ends.
    SetHeir { table: TableId, heir: Option<Heir> },
    /// Answered with the number of rows.
    Size { table: TableId },
}

/// Which rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// Whose key is an array that begins with the elements of this one, or a text that begins with this one.
    pub(crate) prefix: Option<ByteBuf>,
    /// The first key.
    pub(crate) from: Option<ByteBuf>,
    /// Behind this key.
    pub(crate) after: Option<ByteBuf>,
    /// The last key.
    pub(crate) to: Option<ByteBuf>,
    /// So many at most.
    pub(crate) limit: Option<usize>,
}

/// How a table finds its rows. OTP: the type of a table; `bag` and `duplicate_bag` are not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// By key.
    #[default]
    Set,
    /// By key, and in the order of the keys.
    OrderedSet,
}

/// Who may use a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everybody reads and writes.
    Public,
    /// Everybody reads, the owner writes.
    #[default]
    Protected,
    /// The owner reads and writes.
    Private,
}

/// Who is the next owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heir {
    pub(crate) pid: Pid,
    /// MessagePack that it is told.
    pub(crate) data: ByteBuf,
}

/// What a process is told about a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TableEvent {
    /// It is the owner now. OTP: `'ETS-TRANSFER'`.
    Transferred { table: TableId, from: Pid, data: ByteBuf },
}

impl TableEvent {
    /// Returns the event as the message that a process gets.
    pub(crate) fn told(&self) -> Bytes {
        term::encode(&Told::Table(self))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told<'a> {
    Table(&'a TableEvent),
}

/// Why a table did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// There is no such table.
    NoTable,
    /// The table's access forbids it.
    NoAccess,
    /// Another table has the name.
    NameTaken,
    /// Only the owner may do this.
    NotOwner,
    /// The new owner has ended.
    NoProcess,
    /// There is no row to count in.
    NoRow,
    /// The value is no integer, or the sum is none of 64 bits.
    NotANumber,
    /// The table has no order to go on in.
    NotOrdered,
    /// The request could not be understood.
    BadRequest,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TableError {
    pub(crate) reason: Reason,
    pub(crate) text: String,
}

impl TableError {
    pub(crate) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Reply<T> {
    Ok(T),
    Error(TableError),
}

/// Writes an answer.
pub(crate) fn reply<T: Serialize>(result: Result<T, TableError>) -> Bytes {
    term::encode(&match result {
        Ok(value) => Reply::Ok(value),
        Err(error) => Reply::Error(error),
    })
}
