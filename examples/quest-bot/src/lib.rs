//! Bots that play Process Quest over TCP, each of which checks every line against a model of its own player.
//!
//! The rules of the game leave little to chance: what a fight teaches, when a level comes, what is sold for how much and
//! what is bought. Fights are numbered, and each hunt begins with a balance. So a line that is lost, doubled, misplaced or
//! wrong contradicts another one, in the same hunt at the latest.
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
//! A plain crate without any other of this repository: it knows the game by its lines alone.
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
