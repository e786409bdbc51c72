//! The types against the golden bytes, and `reld.h` against both.

#[path = "../../golden/book.rs"]
mod book;
mod golden;
mod header;
