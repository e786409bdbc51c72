//! The protocol between relctl and reld: HTTP/1.1 and JSON over a Unix socket.
//!
//! Each verb has one route, one request type and one response type; [`request`] lists all of them.
//! The serde shapes of these types *are* the contract: field names are the JSON member names, and
//! every failure is an [`ErrorBody`]. Look verbs are `GET` with the request as the query. Touch
//! verbs are `POST` with the request as the JSON body; an empty body counts as `{}`. Endless
//! answers are sent as server-sent events. So curl is a client as well:
//!
//! ```text
//! curl --unix-socket /run/reld/reld.sock http://reld/tree?app=counter
//! curl --unix-socket /run/reld/reld.sock -N http://reld/events
//! curl --unix-socket /run/reld/reld.sock http://reld/call -d '{"process": "<41.1>", "request": "get"}'
//! ```
//!
//! Words shared by all types:
//!
//! | word | meaning |
//! | --- | --- |
//! | `pid` | text such as `<41.1>`: slot and generation, never given to another process |
//! | `process` | a pid, a registered name, or a place in a tree: `shop` is the root of the app shop, `shop/tills` its child |
//! | child id | any JSON value |
//! | state, message, argument, reply | MessagePack inside the node, JSON here; [`term`] converts them without loss |
//! | `pause_us`, `timeout_ms` | a duration names its unit |
//!
//! The crate guarantees that each request names its route once ([`Request`]), so a client cannot
//! call one route and expect the answer of another. It knows nothing about how requests are carried
//! out.
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
mod defaults;
mod error;
pub mod request;
pub mod response;
pub mod term;

pub use client::{Client, ClientError};
pub use defaults::Defaults;
pub use error::{ErrorBody, ErrorReport, ExitCode, FailedStep};
pub use reld_error_codes::ErrorCode;
pub use request::{Method, Request, decode};
