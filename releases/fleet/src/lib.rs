//! Rollouts over several nodes: the decision about the next upgrades.
//!
//! - **Purpose**: from the policy and the present state of each node, decides which nodes begin
//!   their upgrade, whether to wait, and when a rollout has ended. [`ledger`] has the documents and
//!   the changes of a rollout that the nodes drive themselves; [`meeting`] lets nodes agree before
//!   they switch.
//! - **Promises**: never more than `max_unavailable` nodes are unavailable because of the rollout.
//!   No upgrade begins after too many failures are known. The canaries go first. Every rollout
//!   ends.
//! - **Must not use**: networks, clocks, threads. The caller passes all times.
//!
//! ```
//! use std::time::Duration;
//!
//! use reld_fleet::{Next, Policy, Seen, State, next};
//! use reld_plan::Rollout;
//!
//! let rollout = Rollout::parse("rollout.toml", "release = 'shop-1.1.0.tar.gz'").unwrap();
//! let policy = Policy::from(&rollout);
//! let seen = Seen { quiet: Duration::ZERO, is_halted: false };
//! let mut states = [State::Waiting; 3];
//! assert_eq!(next(&policy, &states, &seen), Next::Begin(vec![0]));
//! states = [State::Committed, State::Waiting, State::Missing];
//! assert!(matches!(next(&policy, &states, &seen), Next::Wait(_)));
//! ```

pub mod ledger;
pub mod meeting;
mod next;
mod policy;

pub use next::{Halt, Next, Seen, State, Wait, next};
pub use policy::{Policy, rollout_name};
