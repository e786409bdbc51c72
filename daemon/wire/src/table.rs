//! Requests to shared tables, their answers and their events. Since ABI 1.2. OTP: `ets`.
//!
//! Keys and values are MessagePack values, each in a bin. The daemon skips unknown members of a
//! request.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply::Refusal;

/// A table of the node. It is plain data, so a state may keep it across an upgrade. The node never
/// reuses an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub u64);

/// A request of a process to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Creates a table. The answer is its [`TableId`].
    New(Options),
    /// Finds a table by its name. The answer is its [`TableId`], or nil if there is none.
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
    /// Inserts a row, unless the table has a row with this key. The answer is true if the row was
    /// inserted.
    InsertNew {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
        /// The value of the row.
        value: ByteBuf,
    },
    /// Looks up a row. The answer is the row's value, or nil if there is none.
    Lookup {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
    },
    /// Removes a row. The answer is the row's value, or nil if there is none.
    Take {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
    },
    /// Replaces the value of a row if it equals `old`. The answer is true if the value was
    /// replaced.
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
    /// Adds a number to the integer value of a row. The answer is the sum. If the table has no row
    /// with this key, `initial` is the value before the addition.
    UpdateCounter {
        /// The table.
        table: TableId,
        /// The key of the row.
        key: ByteBuf,
        /// The number to add.
        by: i64,
        /// The value of a missing row. If it is absent, a missing row is an error.
        #[serde(default)]
        initial: Option<i64>,
    },
    /// Selects rows. The answer is a list of pairs of key and value, ordered by key if the table is
    /// ordered.
    Select {
        /// The table.
        table: TableId,
        /// The conditions for the rows.
        wanted: Wanted,
    },
    /// Removes all rows. The answer is the number of removed rows.
    Clear {
        /// The table.
        table: TableId,
    },
    /// Removes the table.
    Drop {
        /// The table.
        table: TableId,
    },
    /// Makes another process the owner of the table. That process gets [`Event::Transferred`].
    GiveAway {
        /// The table.
        table: TableId,
        /// The new owner.
        to: Pid,
        /// Data that the new owner gets in the event: a MessagePack value.
        data: ByteBuf,
    },
    /// Sets the heir: the process that becomes the owner when the current owner ends.
    SetHeir {
        /// The table.
        table: TableId,
        /// The heir, or nil for none.
        heir: Option<Heir>,
    },
    /// Counts the rows. The answer is their number.
    Size {
        /// The table.
        table: TableId,
    },
}

/// The options of a table. Each member may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The name under which `whereis` finds the table.
    pub name: Option<String>,
    /// The kind of the table.
    pub kind: Kind,
    /// Which processes may use the table.
    pub access: Access,
    /// The process that becomes the owner when the current owner ends.
    pub heir: Option<Heir>,
}

/// The conditions of a selection. Each member may be absent. A row has to match all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// The prefix of the wanted keys. It is an array if the keys are arrays, and a text if the keys
    /// are texts.
    pub prefix: Option<ByteBuf>,
    /// The lower bound of the keys, inclusive.
    pub from: Option<ByteBuf>,
    /// The lower bound of the keys, exclusive.
    pub after: Option<ByteBuf>,
    /// The upper bound of the keys, inclusive.
    pub to: Option<ByteBuf>,
    /// The maximum number of rows.
    pub limit: Option<usize>,
}

/// The kind of a table. OTP: the type of a table. `bag` and `duplicate_bag` are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Rows are found by key.
    #[default]
    Set,
    /// Rows are found by key and ordered by key.
    OrderedSet,
}

/// Which processes may use a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// All processes may read and write.
    Public,
    /// All processes may read. Only the owner may write.
    #[default]
    Protected,
    /// Only the owner may read and write.
    Private,
}

/// The process that becomes the owner of a table when the current owner ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heir {
    /// The process.
    pub pid: Pid,
    /// Data that the heir gets in the event: a MessagePack value.
    pub data: ByteBuf,
}

/// An event of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The receiver has become the owner of the table. OTP: `'ETS-TRANSFER'`.
    Transferred {
        /// The table.
        table: TableId,
        /// The previous owner.
        from: Pid,
        /// The data of the request or of the [`Heir`].
        data: ByteBuf,
    },
}

/// The reason why a request to a table was refused.
pub type Error = Refusal<Reason>;

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The table does not exist.
    NoTable,
    /// The [`Access`] of the table forbids the request.
    NoAccess,
    /// Another table has this name.
    NameTaken,
    /// Only the owner may do this.
    NotOwner,
    /// The new owner has ended.
    NoProcess,
    /// The table has no row with the key of the counter, and the request has no `initial`.
    NoRow,
    /// The value is not an integer, or the sum does not fit into 64 bits.
    NotANumber,
    /// The table is not ordered, but the request needs an order.
    NotOrdered,
    /// The request cannot be decoded. A library also reads an unknown word of a newer daemon as
    /// this one.
    #[serde(other)]
    BadRequest,
}
