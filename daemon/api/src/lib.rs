//! The wire between relctl and reld: HTTP/1.1 and JSON over a Unix socket, and nothing else.
//!
//! One route per verb, one request type and one response type per route; [`request`] shows all of them on one page.
//! Their serde shapes *are* the contract: what the fields of the types are called is what stands on the wire, and every
//! failure is an [`ErrorBody`]. Looking is `GET` with the request as the query, touching is `POST` with it as JSON body
//! (an empty body counts as `{}`), so `curl --unix-socket` is a client as well. What does not end is sent as server-sent
//! events (`curl -N`):
//!
//! ```text
//! curl --unix-socket /run/reld/reld.sock http://reld/tree?app=counter
//! curl --unix-socket /run/reld/reld.sock -N http://reld/events
//! curl --unix-socket /run/reld/reld.sock http://reld/call -d '{"process": "<41.1>", "request": "get"}'
//! ```
//!
//! Words that all types share:
//!
//! | on the wire | meaning |
//! | --- | --- |
//! | `pid` | text such as `<41.1>`: slot and generation, never given to another process |
//! | `process` | a pid, a registered name, or a place in a tree: `shop` is the root of the app shop, `shop/tills` its child |
//! | child id | any JSON value |
//! | state, message, argument, reply | MessagePack inside the node, JSON here; [`term`] says how, without loss |
//! | `pause_us`, `timeout_ms` | a duration names its unit |
//!
//! The crate promises that requests know their route once ([`Request`]), so that a client cannot call one address and
//! expect the answer of another. It must not know how anything is done.
//!
//! ```no_run
//! # async fn example() -> Result<(), reld_api::ClientError> {
//! let client = reld_api::Client::new("/run/reld/reld.sock");
//! let answer = client.call(&reld_api::request::Releases {}).await?;
//! for release in answer.releases {
//!     println!("{} {} {}", release.name, release.version, release.status);
//! }
//! # Ok(())
//! # }
//! ```

mod child_spec;
mod client;
mod error;
pub mod request;
pub mod response;
pub mod term;

pub use client::{Client, ClientError};
pub use error::{ErrorBody, ErrorReport, ExitCode, FailedStep};
pub use request::{Method, Request, decode};
