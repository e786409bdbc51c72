//! The fence against real libraries, built from C by the tests themselves.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod block;
mod calls;
mod corpus;
mod files;
mod fixture;
mod generations;
mod output;
mod unmapping;
