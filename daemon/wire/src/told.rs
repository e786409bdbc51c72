//! Notifications from the node to a process: `RELD_EVENT_TOLD`. Since ABI 1.2.

use serde::{Deserialize, Serialize};

use crate::{port, table};

/// A notification from the node. The type parameters allow a writer to borrow the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told<P = port::Event, T = table::Event> {
    /// An event of a port.
    Port(P),
    /// An event of a table.
    Table(T),
}
