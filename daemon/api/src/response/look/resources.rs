//! Ports and tables.

use serde::{Deserialize, Serialize};

/// The sockets of apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortList {
    /// The sockets, in the order of opening.
    pub ports: Vec<Port>,
}

/// A socket of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The number of the port.
    pub port: u64,
    /// The process that owns it.
    pub owner: String,
    /// The local address. Empty while the port connects.
    pub local: String,
    /// The address of the peer. Absent for a listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The number of bytes that were received and not read yet.
    pub unread: u64,
    /// The number of bytes that were written and not sent yet.
    pub unsent: u64,
}

/// The shared tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableList {
    /// The tables, in the order of creation.
    pub tables: Vec<Table>,
}

/// A shared table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The number of the table.
    pub table: u64,
    /// The name of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `set` or `ordered_set`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The access to the table: `public`, `protected` or `private`.
    pub access: String,
    /// The process that owns it.
    pub owner: String,
    /// The process that inherits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heir: Option<String>,
    /// The number of rows.
    pub rows: u64,
    /// The total size of the keys and values, in bytes.
    pub bytes: u64,
}
