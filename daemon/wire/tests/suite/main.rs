//! Compares the types with the golden bytes, `reld.h` with the golden bytes, and the reader with
//! `rmp-serde`.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

#[path = "../../golden/book.rs"]
mod book;
mod golden;
mod header;
mod reader;
