//! Tests of the planner: documents in, scripts or errors out.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bootable;
mod cases;
mod contract;
mod corpus;
mod diff;
mod documents;
mod errors;
mod large;
mod mistakes;
mod nonsense;
mod otp;
mod properties;
mod rules;
mod start_order;
mod way_down;
mod windows;
