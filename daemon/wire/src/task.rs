//! The continuation of a task: the body of `RELD_EVENT_CONTINUE`. Since ABI 1.4.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The module and the start argument with which a task continues. The module's current code is
/// used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The module.
    pub module: String,
    /// The start argument: a MessagePack value.
    pub args: ByteBuf,
}
