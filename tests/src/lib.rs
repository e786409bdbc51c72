//! The test kit: real daemons in roots of their own, driven by the real relctl.
//!
//! ```no_run
//! use reld_tests::{Node, release};
//!
//! let node = Node::start();
//! node.ok(&["upgrade", &release("shop-1.0.0")]);
//! assert_eq!(node.version(), "1.0.0");
//! ```

mod build;
mod chaos;
mod churn;
mod disk;
mod etcd;
mod fleet;
mod json;
mod node;
mod proxy;
mod random;
mod read;
mod run;
mod soak;
pub mod tools;

pub use build::{build_here, folder, pack_release, profile, release, workshop};
pub use chaos::{Chaos, Tally};
pub use churn::{Churned, churn, count, open_market};
pub use disk::SmallDisk;
pub use etcd::Etcd;
pub use fleet::Fleet;
pub use json::{exactly, field, keys};
pub use node::{Node, pid_value};
pub use proxy::Proxy;
pub use run::{Run, assert_contains, assert_in_order, eventually};
pub use soak::{Round, Soak};
pub use tools::has;
