//! Tests of the planner: documents in, scripts or errors out.

mod cases;
mod documents;
mod errors;
mod mistakes;
mod properties;
