//! Unit tests for apps: callbacks without a daemon, and an upgrade without a node.
//!
//! [`Node`] replaces the daemon: it has one process, a clock that only your test moves, and a
//! record of the messages sent. [`up_down_up`] converts a recorded state to the new version, back,
//! and up again.
//!
//! ```
//! # use reld_sdk::{Answer, From, GenServer, NotStarted};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)]
//! # struct Counter { n: u64 }
//! # impl GenServer for Counter {
//! #     type Args = u64; type Call = u64; type Reply = u64; type Cast = (); type Message = ();
//! #     async fn init(n: u64) -> Result<Self, NotStarted> { Ok(Self { n }) }
//! #     async fn handle_call(&mut self, by: u64, _: From) -> Answer<u64> { self.n += by; Answer::Reply(self.n) }
//! # }
//! use reld_sdk::harness::Node;
//!
//! let mut counter = Node::new().start::<Counter>(&5_u64)?;
//! assert_eq!(counter.call::<u64>(&2_u64), Ok(7));
//! assert_eq!(counter.state().map(|state| state.n), Some(7));
//! # Ok::<(), reld_sdk::NotStarted>(())
//! ```

mod node;
mod ports;
mod rounds;
mod supervisors;
mod tables;
mod world;

pub use node::{Node, Process, Running, RunningHandler, RunningStatem, pid};
pub use ports::connection;
pub use rounds::{RoundsError, up_down_up};
pub use world::Sent;
