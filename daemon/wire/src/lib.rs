//! The protocol of the library boundary: the bodies that a library and the daemon exchange.
//!
//! `reld-abi` has the functions and tables of the boundary. This crate has the bodies that pass
//! through them as MessagePack with field names: serde types without logic, shared by both sides.
//! `reld.h` describes the same bodies for other languages, and a test compares the two. Both sides
//! read the format with [`reader`].
//!
//! | file | writer | body of |
//! |---|---|---|
//! | [`spec`] | library | the reply of a supervisor's init; part of `start_child` |
//! | [`supervisor`] | both | `RELD_REQUEST_SUPERVISOR` and its answer |
//! | [`port`] | both | `RELD_REQUEST_PORT`, its answer and its events |
//! | [`table`] | both | `RELD_REQUEST_TABLE`, its answer and its events |
//! | [`told`] | daemon | `RELD_EVENT_TOLD` |
//! | [`application`] | both | init, start phases, `prep_stop`, `config_change` of an app |
//! | [`exit`] | library | `RELD_REQUEST_STOP` |
//! | [`task`] | library | `RELD_EVENT_CONTINUE` of a task |
//! | [`pid`] | both | part of the others; the answer of `spawn` |
//!
//! [`path`] has the form of the paths that a library passes to `reld_host.find`.
//!
//! # Versions
//!
//! The daemon loads no library with a newer ABI minor version than its own. So the daemon may be
//! newer than a library, but never older. The rules for members follow from this:
//!
//! * **A name never changes its meaning.** Members and words are only added, with the ABI minor
//!   version in their doc. Names without a version exist since ABI 1.0.
//! * **A member that a library writes may be absent** if its type is `Option` or it has a default
//!   here, because an older library does not know it. All other members are required.
//! * **A member that the daemon writes is present**, because the library is not newer. A member
//!   that was added later is optional all the same: a library may read it from a stored entry.
//! * **A library skips unknown members**, because a newer daemon may send more. **The daemon
//!   refuses unknown members in specs and in requests to a supervisor**, where a misspelt member
//!   would silently become a default. In requests to ports and tables it skips them.
//! * **Unknown words** (the names of an enum) are refused, except as reasons: see [`Word`] and the
//!   `Reason` of ports and tables. So the daemon sends a new word only to a library with an ABI
//!   minor version that has it.
//!
//! `golden/` has the bytes that each side has written since each version.

pub mod application;
pub mod exit;
pub mod path;
pub mod pid;
pub mod port;
pub mod reader;
mod reply;
pub mod spec;
pub mod supervisor;
pub mod table;
pub mod task;
pub mod told;

pub use exit::Exit;
pub use pid::Pid;
pub use reply::{Refusal, Reply, Word};
