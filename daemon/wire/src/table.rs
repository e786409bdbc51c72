//! Requests to shared tables, their answers, and what a new owner is told. Since ABI 1.2. OTP: `ets`.
//!
//! Keys and values are MessagePack, each in a bin. The daemon skips members of a request that it does not know.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply::Refusal;

/// A table of the node. Plain data: a state may keep it over an upgrade. Never used twice in a node's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub u64);

/// What a process can ask of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Answered with its [`TableId`].
    New(Options),
    /// Answered with the [`TableId`] of that name, or nil.
    Whereis {
        /// The name.
        name: String,
    },
    /// Puts a row, in place of one with that key.
    Insert {
        /// Where.
        table: TableId,
        /// Its key.
        key: ByteBuf,
        /// Its value.
        value: ByteBuf,
    },
    /// Puts a row unless there is one with that key; answered with whether it did.
    InsertNew {
        /// Where.
        table: TableId,
        /// Its key.
        key: ByteBuf,
        /// Its value.
        value: ByteBuf,
    },
    /// Answered with the value, or nil.
    Lookup {
        /// Where.
        table: TableId,
        /// Which.
        key: ByteBuf,
    },
    /// Removes a row; answered with its value, or nil.
    Take {
        /// Where.
        table: TableId,
        /// Which.
        key: ByteBuf,
    },
    /// Puts `new` where `old` is; answered with whether it was.
    Replace {
        /// Where.
        table: TableId,
        /// Which.
        key: ByteBuf,
        /// The value that it must have.
        old: ByteBuf,
        /// The value that it gets.
        new: ByteBuf,
    },
    /// Adds to a value that is an integer; answered with the new one. Without a row there, `initial` is added to.
    UpdateCounter {
        /// Where.
        table: TableId,
        /// Which.
        key: ByteBuf,
        /// How much.
        by: i64,
        /// May be absent.
        #[serde(default)]
        initial: Option<i64>,
    },
    /// Answered with rows, as pairs of key and value; in the order of the keys where the table has one.
    Select {
        /// Where.
        table: TableId,
        /// Which.
        wanted: Wanted,
    },
    /// Removes all rows; answered with how many there were.
    Clear {
        /// Where.
        table: TableId,
    },
    /// Removes the table.
    Drop {
        /// Which.
        table: TableId,
    },
    /// Makes another process the owner, which is told with this data.
    GiveAway {
        /// Which.
        table: TableId,
        /// The new owner.
        to: Pid,
        /// MessagePack that it is told.
        data: ByteBuf,
    },
    /// Says who shall be the owner when this one ends.
    SetHeir {
        /// Of which.
        table: TableId,
        /// Nil for none.
        heir: Option<Heir>,
    },
    /// Answered with the number of rows.
    Size {
        /// Of which.
        table: TableId,
    },
}

/// How a table behaves. Each member may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The name by which it is found.
    pub name: Option<String>,
    /// How it finds its rows.
    pub kind: Kind,
    /// Who may use it.
    pub access: Access,
    /// Who is its next owner.
    pub heir: Option<Heir>,
}

/// Which rows of a table. Each member may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// Whose key is an array that begins with the elements of this one, or a text that begins with this one.
    pub prefix: Option<ByteBuf>,
    /// The first key.
    pub from: Option<ByteBuf>,
    /// Behind this key.
    pub after: Option<ByteBuf>,
    /// The last key.
    pub to: Option<ByteBuf>,
    /// So many at most.
    pub limit: Option<usize>,
}

/// How a table finds its rows. OTP: the type of a table; `bag` and `duplicate_bag` are not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
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
    /// All processes read and write.
    Public,
    /// All processes read, the owner writes.
    #[default]
    Protected,
    /// The owner reads and writes.
    Private,
}

/// Who is the next owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heir {
    /// The process.
    pub pid: Pid,
    /// MessagePack that it is told.
    pub data: ByteBuf,
}

/// What a process is told about a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It is the owner now. OTP: `'ETS-TRANSFER'`.
    Transferred {
        /// Of which.
        table: TableId,
        /// The owner before.
        from: Pid,
        /// What that one said.
        data: ByteBuf,
    },
}

/// Why a table did not do what it was asked for.
pub type Error = Refusal<Reason>;

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
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
    /// The request could not be understood. A word of a newer daemon is read as this.
    #[serde(other)]
    BadRequest,
}
