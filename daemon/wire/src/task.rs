//! The continuation of a task: `RELD_EVENT_CONTINUE` of a task. Since ABI 1.2.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The task continues in the current code of a module, with this start argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The module.
    pub module: String,
    /// The start argument: a MessagePack value.
    pub args: ByteBuf,
}
