//! Tests of the loader with real libraries, which the tests build from C.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod block;
mod calls;
mod corpus;
mod files;
mod fixture;
mod generations;
mod output;
mod unmapping;
