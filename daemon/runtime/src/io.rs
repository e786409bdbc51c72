//! What the node keeps for processes beside their states: ports and shared tables.
//!
//! **Knows** `words`. It sees processes through one trait, [`Owners`](owners::Owners).

pub(crate) mod ets;
pub(crate) mod owners;
pub(crate) mod port;
