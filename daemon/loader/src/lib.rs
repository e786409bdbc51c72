//! The fence around foreign code: checks, loads and calls app libraries.
//!
//! This crate contains all code that is unsafe because it hosts foreign machine code. The rest of
//! the daemon sees only [`reld_runtime::Module`]s. All calls into a library go through
//! `outbound.rs`, all calls from a library come through `inbound.rs`. `wire.rs` moves bytes over
//! the boundary and implements the ownership rules of buffers.
//!
//! The crate promises:
//! * No code of a library runs before its file was checked (`check.rs`), and none of its functions
//!   is called before its magic block was checked (`block.rs`).
//! * No path is opened twice while the daemon runs (`private_copy.rs`), and the mapped code is
//!   compared with the requested file.
//! * A library stays mapped as long as a state, a callback or a function pointer of it lives, since
//!   each of them holds the library's image.
//! * After that it is unmapped as soon as its threads have ended, the daemon's threads have run its
//!   thread-local destructors, and no system library keeps an address of it (`interpose.rs`,
//!   `evidence.rs`, `unload.rs`). Until then [`Resident`] holds the reason why it is still mapped.
//! * No thread of the daemon waits without a timeout for a library's constructors, destructors,
//!   load or unload function (`loader_thread.rs`, `routines.rs`).
//! * Output that a library prints is logged with its app and process, apart from the daemon's own
//!   (`output.rs`).
//!
//! The crate has no notion of releases or of supervision.
//!
//! ```no_run
//! # use std::{path::Path, time::Duration};
//! # use reld_loader::{Loader, OpenRequest};
//! // The closure makes every thread that runs code of libraries call `reld_loader::flush`.
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
mod image;
mod inbound;
mod interpose;
mod keepers;
mod ledger;
mod library;
mod loader;
mod loader_thread;
mod mimalloc;
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
pub use mimalloc::Mimalloc;
pub use output::log_output;
pub use probe::{ProbeReport, ProbedModule, probe};
pub use residents::Resident;
pub use variable::{take_descriptor, take_variable};
