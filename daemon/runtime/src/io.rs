//! What the node keeps for processes beside their states: ports and shared tables.
//!
//! **Knows** `words`.

pub(crate) mod ets;
pub(crate) mod port;
