//! Bots that play Process Quest over TCP. Each bot checks every line against a model of its player.
//!
//! The rules of the game leave little to chance: they fix the experience of a fight, the next
//! level, the prices and the purchases. Fights are numbered, and each hunt begins with a balance.
//! So a line that is lost, doubled, out of order or wrong contradicts another line, at the end of
//! the hunt at the latest. Use such a client for your own app if you want to prove that an upgrade
//! loses no message.
//!
//! ```no_run
//! # async fn play() -> Result<(), String> {
//! use quest_bot::{Crowd, Door};
//!
//! let crowd = Crowd::enter(Door { address: "127.0.0.1:8082".to_owned(), pace_ms: 800, restarts: false }, 20);
//! crowd.all_play().await?;
//! let tally = crowd.leave().await;
//! assert_eq!(tally.faults(), [""; 0]);
//! # Ok(())
//! # }
//! ```
//!
//! This crate uses no other crate of the repository. It knows only the lines of the game, like any
//! client.
#![forbid(unsafe_code)]

mod bot;
mod crowd;
mod life;
mod line;
mod player;
mod rules;
mod tally;

pub use crowd::{Crowd, Door};
pub use tally::{Longest, Tally};
