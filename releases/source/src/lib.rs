//! Tarballs of releases from folders and http servers.
//!
//! - **Purpose**: fetches a tarball that a URL names into a folder of the node, and goes on where
//!   an earlier attempt was cut, also one of an earlier daemon.
//! - **Promises**: each byte goes through the check of the store as it arrives. Parts of two
//!   versions of a file are never joined. A refused tarball leaves nothing behind; an interrupted
//!   one leaves its beginning.
//! - **Must not use**: processes, the meaning of a release. The store judges and unpacks it.

mod body;
mod download;
mod error;
mod head;
mod http;
mod place;
mod source;

pub use download::download;
pub use error::Error;
pub use head::head;
pub use http::{agent, machine_certificates};
pub use source::Source;
