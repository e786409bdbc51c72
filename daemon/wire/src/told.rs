//! What the node itself tells a process: `RELD_EVENT_TOLD`. Since ABI 1.2.

use serde::{Deserialize, Serialize};

use crate::{port, table};

/// What the node tells. It may be borrowed where it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told<P = port::Event, T = table::Event> {
    /// What became of a request to a port.
    Port(P),
    /// What became of a table.
    Table(T),
}
