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
    /// Its number.
    pub port: u64,
    /// The process that owns it.
    pub owner: String,
    /// Its local address; empty while it connects.
    pub local: String,
    /// The address of the peer; absent for a listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The number of received bytes not yet read.
    pub unread: u64,
    /// The number of written bytes not yet sent.
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
    /// The process that inherits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heir: Option<String>,
    /// The number of rows.
    pub rows: u64,
    /// The size of its keys and values.
    pub bytes: u64,
}
