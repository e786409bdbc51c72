//! The protocol of the library boundary: the bodies that a library and the daemon write for each other.
//!
//! `reld-abi` has the functions and tables of the boundary; what passes through them as MessagePack with field names
//! is here, once for both sides: types for serde, and no logic. `reld.h` describes the same for other languages, and a
//! test compares the two.
//!
//! | file | who writes | body of |
//! |---|---|---|
//! | [`spec`] | library | the reply of a supervisor's init; part of `start_child` |
//! | [`supervisor`] | both | `RELD_REQUEST_SUPERVISOR` and its answer |
//! | [`port`] | both | `RELD_REQUEST_PORT`, its answer and its events |
//! | [`table`] | both | `RELD_REQUEST_TABLE`, its answer and its events |
//! | [`told`] | daemon | `RELD_EVENT_TOLD` |
//! | [`application`] | both | init, start phases, `prep_stop` and `config_change` of an application |
//! | [`exit`] | library | `RELD_REQUEST_STOP` |
//! | [`task`] | library | `RELD_EVENT_CONTINUE` of a task |
//! | [`pid`] | both | part of the others; the answer of `spawn` |
//!
//! # Versions
//!
//! A daemon loads no library of a newer ABI minor version than its own, so the daemon may be newer than a library, and
//! never the other way round. From this follow the rules for members:
//!
//! * **A name never changes its meaning.** Members and words are only added, with the ABI minor version in their doc.
//!   What says no version has been there since ABI 1.0.
//! * **A member that a library writes may be absent** if it is an `Option` or has a default here, since an older
//!   library does not know it. All others must be there.
//! * **A member that the daemon writes is there**, since the library is not newer. A new one may be absent all the
//!   same: a library may get it from an entry that was stored.
//! * **A library skips members that it does not know**: a newer daemon may say more. **The daemon refuses members that
//!   it does not know in a request to a supervisor and in a spec**, where a misspelt one would be a default in silence.
//!   In requests to ports and tables it skips them.
//! * **Unknown words** (the names of an enum) are refused, but for reasons, see [`Word`] and the `Reason` of ports and
//!   tables. So the daemon writes a new word only to a library whose ABI minor version has it.
//!
//! `golden/` has the bytes that each side has written since a version.

pub mod application;
pub mod exit;
pub mod pid;
pub mod port;
mod reply;
pub mod spec;
pub mod supervisor;
pub mod table;
pub mod task;
pub mod told;

pub use exit::Exit;
pub use pid::Pid;
pub use reply::{Refusal, Reply, Word};
