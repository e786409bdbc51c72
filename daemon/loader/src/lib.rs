//! The fence around foreign code: checks, loads and calls app libraries.
//!
//! Everything that is unsafe about hosting somebody else's machine code stands here, so that the
//! rest of the daemon sees only [`reld_runtime::Module`]s. Outward, all calls into a library go
//! through `outbound.rs`; inward, all calls from a library come through `inbound.rs`; `wire.rs`
//! between them moves bytes over the boundary and owns the rules of who frees what.
//!
//! The crate promises:
//! * nothing of a library runs before its file was checked (`check.rs`), and none of its functions is called before
//!   its magic block was compared (`block.rs`);
//! * no library is opened from a path that was used before in the daemon's life (`private_copy.rs`), and what was
//!   mapped is compared with what was asked for;
//! * a library stays mapped as long as a state, a callback or a function pointer of it lives, since each holds the
//!   image that it came from;
//! * after that it is unmapped as soon as its threads have ended, the daemon's threads have run what it left with them, and
//!   nobody else keeps an address of it (`interpose.rs`, `evidence.rs`, `unload.rs`); until then [`Resident`] says why it
//!   is still there;
//! * nothing waits for ever for what a library does at its begin or end (`hand.rs`, `routines.rs`);
//! * what a library prints is told apart from what the daemon does, with app and process (`output.rs`).
//!
//! It knows nothing of releases and of supervisors' policy.
//!
//! ```no_run
//! # use std::{path::Path, time::Duration};
//! # use reld_loader::{Loader, OpenRequest};
//! // The closure has every thread that runs code of libraries call `reld_loader::flush`.
//! let loader = Loader::start(Path::new("/var/lib/reld/run"), || {})?;
//! let request = OpenRequest {
//!     source: "/var/lib/reld/lib/counter-0.1.0/counter.so".into(),
//!     sha256: None,
//!     app: "counter".into(),
//!     version: "0.1.0".into(),
//! };
//! let library = loader.open(request, Duration::from_secs(10))?;
//! for module in library.modules() {
//!     println!("{} {:?}", module.name(), module.behaviour());
//! }
//! # Ok::<(), reld_loader::LoadError>(())
//! ```
#![allow(unsafe_code, reason = "this crate is the fence: it calls foreign code and is called by it")]

mod address_space;
mod alloc;
mod block;
mod check;
mod error;
mod evidence;
mod fence;
mod frames;
mod hand;
mod image;
mod inbound;
mod interpose;
mod keepers;
mod ledger;
mod library;
mod loader;
mod outbound;
mod output;
mod private_copy;
mod probe;
mod residents;
mod routines;
mod unload;
mod variable;
mod wire;

pub use alloc::{allocator, verify_exports};
pub use check::{check_file as check, stays_mapped};
pub use error::{LoadError, Refusal};
pub use frames::frames;
pub use inbound::host;
pub use interpose::{clock_stands, flush, own_signals, reset_signals};
pub use ledger::Heap;
pub use library::{Digest, Library, OpenRequest};
pub use loader::Loader;
pub use output::log_output;
pub use probe::{ProbeReport, ProbedModule, probe};
pub use residents::Resident;
pub use variable::take_variable;
