//! Compares the types with the golden bytes, and `reld.h` with the golden bytes.

#[path = "../../golden/book.rs"]
mod book;
mod golden;
mod header;
