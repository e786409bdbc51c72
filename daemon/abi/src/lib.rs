//! The boundary between the daemon and an app's library.
//!
//! Every type here is `#[repr(C)]` and mirrored in `reld.h`; a test compares the two. The crate holds no logic and
//! depends on nothing, so that an app may be built years apart from the daemon that loads it.
//!
//! # How the two sides meet
//!
//! A library exports one function, [`ENTRY_SYMBOL`], which returns its [`App`] block. The daemon compares magic, size
//! and version *before* it calls anything else, then hands its [`Host`] table to [`App::load`]. From then on it calls
//! the library through the [`Module`] tables, and the library calls the daemon through the [`Host`] table.
//!
//! # The promise
//!
//! * Another [`ABI_MAJOR`] is refused, naming both versions.
//! * Tables only grow at their end and say their `size`; a reader looks at `min(size)` bytes and takes what lies
//!   beyond as absent. [`ABI_MINOR`] counts such growth.
//! * A library whose [`App::abi_minor`] is newer than the daemon's is refused, naming both versions: it may call what the
//!   daemon has not. One that can do without says an older minor, and looks how far the daemon's table goes before it
//!   calls what is newer (in C, `RELD_HAS`). The SDK always says its own minor.
//! * A library whose minor is older is never called for what that did not know: what is absent from its tables counts as
//!   null, which a later member must allow, and events since then do not come.
//! * Bytes cross as pointer and length. A [`Bytes`] is borrowed for the duration of the call; a [`Buf`] changes owner.
//! * No Rust type, no panic and no unwinding crosses. App values travel as MessagePack with field names.
//!
//! # Tags used below
//!
//! `[callback]` may be called only while the daemon runs a callback of this library on the calling thread.
//! `[loader thread]` is called by the daemon's one loader thread. `[pool]` is called on any thread of the daemon's pool.
//! Names ending in `_app` belong to the library, those ending in `_host` to the daemon.
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

/// The version of this boundary that must be equal on both sides.
pub const ABI_MAJOR: u32 = 1;
/// Counts members appended since [`ABI_MAJOR`] changed.
pub const ABI_MINOR: u32 = 5;
