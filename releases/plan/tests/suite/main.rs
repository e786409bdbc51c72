//! Tests of the planner: documents in, scripts or errors out.

mod cases;
mod contract;
mod documents;
mod errors;
mod mistakes;
mod properties;
mod rules;
