//! Dice and the six stats of a character. `sockserv` rolls them, and `processquest` plays by them.
//!
//! A plain crate: each app links its own copy, and what the apps send each other is bytes.
#![forbid(unsafe_code)]

mod dice;
mod stats;

pub use dice::Dice;
pub use stats::Stats;
