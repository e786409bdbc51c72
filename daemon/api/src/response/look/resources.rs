//! Ports and tables.

use serde::{Deserialize, Serialize};

/// The sockets of apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortList {
    /// In the order in which they were opened.
    pub ports: Vec<Port>,
}

/// A socket of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub port: u64,
    /// The process that owns it.
    pub owner: String,
    /// Its own address; empty while it connects.
    pub local: String,
    /// The other end; absent for a listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Bytes that came in and were not read.
    pub unread: u64,
    /// Bytes that were written and not sent.
    pub unsent: u64,
}

/// The shared tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableList {
    /// In the order in which they were created.
    pub tables: Vec<Table>,
}

/// A shared table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its number.
    pub table: u64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `set` or `ordered_set`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `public`, `protected` or `private`.
    pub access: String,
    /// The process that owns it.
    pub owner: String,
    /// The process that gets it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heir: Option<String>,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes its keys and values have.
    pub bytes: u64,
}
