//! Dice and the six stats of a character. `sockserv` rolls them, and `processquest` plays by them.
//!
//! A plain crate, not an app: each app links its own copy, and apps exchange only bytes. So two
//! apps may use different versions of it.
#![forbid(unsafe_code)]

mod dice;
mod stats;

pub use dice::Dice;
pub use stats::Stats;
