//! A blocking client of etcd's JSON gateway.
//!
//! - **Purpose**: reads keys, changes them in transactions, keeps leases, and waits for changes.
//! - **Promises**: every request has a time limit. A passing fault differs from a lasting one, and
//!   each is one sentence. No error and no debug output has the password.
//! - **Must not use**: the meaning of keys and values.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use reld_etcd::{Client, Committed, Compare, Settings, Txn};
//!
//! # fn main() -> Result<(), reld_etcd::Error> {
//! let client = Client::new(Settings::of("http://127.0.0.1:2379"))?;
//! let seen = client.range("/shop/")?;
//! let txn = Txn { compares: vec![Compare::absent("/shop/door")], ..Txn::default() }.put("/shop/door", "open");
//! match client.txn(&txn)? {
//!     Committed::At(_) => {}
//!     Committed::Not => {
//!         client.watch("/shop/", seen.revision + 1, Duration::from_secs(5))?.wait()?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
mod http;
mod lease;
mod settings;
mod txn;
mod watch;
mod wire;

pub use client::{Client, KeyValue, Range};
pub use error::Error;
pub use lease::Lease;
pub use settings::{Login, Settings, Tls};
pub use txn::{Committed, Compare, Delete, Put, Txn};
pub use watch::Watch;
