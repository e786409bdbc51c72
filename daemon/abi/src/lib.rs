//! The boundary between the daemon and an app's library.
//!
//! Every type here is `#[repr(C)]` and mirrored in `reld.h`; a test compares the two. The crate
//! holds no logic and has no dependencies, so an app may be built years before or after the daemon
//! that loads it.
//!
//! # How the two sides meet
//!
//! A library exports one function, [`ENTRY_SYMBOL`], which returns its [`App`] block. The daemon
//! compares magic, size and version *before* it calls anything else, then hands its [`Host`] table
//! to [`App::load`]. From then on the daemon calls the library through the [`Module`] tables, and
//! the library calls the daemon through the [`Host`] table.
//!
//! # The promise
//!
//! * The daemon refuses a library with another [`ABI_MAJOR`]; the error names both versions.
//! * Tables only grow at their end, and hold their `size`. A reader reads no more than `size` bytes
//!   and treats the members beyond as absent. [`ABI_MINOR`] counts such growth.
//! * The daemon refuses a library with an [`App::abi_minor`] newer than its own, since the library
//!   may call functions that the daemon lacks; the error names both versions. A library that can do
//!   without the newer functions declares an older minor, and compares the size of the daemon's
//!   table before it calls one of them (in C, `RELD_HAS`). The SDK always declares its own minor.
//! * A library with an older minor keeps working. The members that its tables lack count as null,
//!   so every member added later must allow null. Events added later are not sent to it.
//! * Bytes cross as pointer and length. A [`Bytes`] is borrowed for the duration of the call; a
//!   [`Buf`] changes owner.
//! * No Rust type, no panic and no unwinding crosses the boundary. App values travel as MessagePack
//!   with field names.
//!
//! # Tags used below
//!
//! `[callback]` may be called only while the daemon runs a callback of this library on the calling
//! thread. `[loader thread]` is called by the daemon's one loader thread. `[pool]` is called on any
//! thread of the daemon's pool. The library owns values with names ending in `_app`, the daemon
//! those with names ending in `_host`.
#![no_std]

mod allocator;
mod app;
mod event;
mod host;
mod module;
mod outcome;
mod request;
mod value;

pub use self::allocator::*;
pub use self::app::*;
pub use self::event::*;
pub use self::host::*;
pub use self::module::*;
pub use self::outcome::*;
pub use self::request::*;
pub use self::value::*;

/// The major version of the boundary. It must be equal on both sides.
pub const ABI_MAJOR: u32 = 1;
/// The minor version of the boundary. It counts the extensions since [`ABI_MAJOR`] changed.
pub const ABI_MINOR: u32 = 7;
