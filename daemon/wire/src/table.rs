//! Requests to shared tables, their answers and their events. Since ABI 1.2. OTP: `ets`.
//!
//! Keys and values are MessagePack values, each in a bin. The daemon skips unknown members of a
//! request.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply::Refusal;

/// A table of the node. It is plain data, so a state may keep it over an upgrade. The node never
/// reuses an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub u64);

/// A request of a process to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Makes a table. Answered with its [`TableId`].
    New(Options),
    /// Finds a table by its name. Answered with its [`TableId`], or nil.
    Whereis {
        /// The name.
        name: String,
    },
    /// Inserts a row, or replaces the row with this key.
    Insert {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
        /// The value of the row.
        value: ByteBuf,
    },
    /// Inserts a row, unless the table has one with this key. Answered with whether it was
    /// inserted.
    InsertNew {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
        /// The value of the row.
        value: ByteBuf,
    },
    /// Looks up a row. Answered with its value, or nil.
    Lookup {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
    },
    /// Removes a row. Answered with its value, or nil.
    Take {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
    },
    /// Replaces the value of a row if it is `old`. Answered with whether it was replaced.
    Replace {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
        /// The expected value.
        old: ByteBuf,
        /// The new value.
        new: ByteBuf,
    },
    /// Adds to an integer value. Answered with the sum. If the table has no such row, `initial` is
    /// the value before the addition.
    UpdateCounter {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
        /// The number to add.
        by: i64,
        /// Optional.
        #[serde(default)]
        initial: Option<i64>,
    },
    /// Selects rows. Answered with pairs of key and value, ordered by key if the table is ordered.
    Select {
        /// The table.
        table: TableId,
        /// Which rows.
        wanted: Wanted,
    },
    /// Removes all rows. Answered with their number.
    Clear {
        /// The table.
        table: TableId,
    },
    /// Removes the table.
    Drop {
        /// The table.
        table: TableId,
    },
    /// Makes another process the owner. It gets [`Event::Transferred`].
    GiveAway {
        /// The table.
        table: TableId,
        /// The new owner.
        to: Pid,
        /// Data for the new owner: a MessagePack value.
        data: ByteBuf,
    },
    /// Sets the process that becomes the owner when this owner ends.
    SetHeir {
        /// The table.
        table: TableId,
        /// The heir; nil for none.
        heir: Option<Heir>,
    },
    /// Counts the rows. Answered with their number.
    Size {
        /// The table.
        table: TableId,
    },
}

/// The options of a table. Each member is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The name for `whereis`.
    pub name: Option<String>,
    /// The kind of the table.
    pub kind: Kind,
    /// Which processes may use the table.
    pub access: Access,
    /// The process that becomes the owner when this owner ends.
    pub heir: Option<Heir>,
}

/// A selection of rows. Each member is optional; a row has to match all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// The prefix of the keys: an array for keys that are arrays, or a text for keys that are
    /// texts.
    pub prefix: Option<ByteBuf>,
    /// The first key, inclusive.
    pub from: Option<ByteBuf>,
    /// The key before the first, exclusive.
    pub after: Option<ByteBuf>,
    /// The last key, inclusive.
    pub to: Option<ByteBuf>,
    /// The largest number of rows.
    pub limit: Option<usize>,
}

/// The kind of a table. OTP: the type of a table; `bag` and `duplicate_bag` are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Rows are found by key.
    #[default]
    Set,
    /// Rows are found by key, and are ordered by key.
    OrderedSet,
}

/// Which processes may use a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// All processes read and write.
    Public,
    /// All processes read, only the owner writes.
    #[default]
    Protected,
    /// Only the owner reads and writes.
    Private,
}

/// The next owner of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heir {
    /// The process.
    pub pid: Pid,
    /// Data for the new owner: a MessagePack value.
    pub data: ByteBuf,
}

/// An event of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The receiver is the owner now. OTP: `'ETS-TRANSFER'`.
    Transferred {
        /// The table.
        table: TableId,
        /// The previous owner.
        from: Pid,
        /// The data of the request or of the heir.
        data: ByteBuf,
    },
}

/// Why a request to a table was refused.
pub type Error = Refusal<Reason>;

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The table does not exist.
    NoTable,
    /// The table's access forbids it.
    NoAccess,
    /// Another table has the name.
    NameTaken,
    /// Only the owner may do this.
    NotOwner,
    /// The new owner has ended.
    NoProcess,
    /// The table has no row with the key of the counter.
    NoRow,
    /// The value is not an integer, or the sum does not fit into 64 bits.
    NotANumber,
    /// The table is not ordered, so it has no next key.
    NotOrdered,
    /// The request cannot be decoded. A library reads an unknown word of a newer daemon as this.
    #[serde(other)]
    BadRequest,
}
