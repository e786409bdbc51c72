//! Resources that the node keeps for processes outside of their states: ports and shared tables.
//!
//! **Knows** `words`. Reaches processes through one trait, [`Owners`](owners::Owners).

pub(crate) mod ets;
pub(crate) mod owners;
pub(crate) mod port;
