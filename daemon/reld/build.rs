//! Exports to the libraries that the daemon loads what they are to find in it.
//!
//! A library looks for `reld_allocator_v1` at its first allocation and forwards to it; the others stand before libc's
//! functions of the same names, so that the daemon knows what a library leaves with threads, and what it prints. An executable's symbols are
//! not visible to libraries unless the linker is told so.

fn main() {
    for symbol in include_str!("../loader/exports.txt").lines() {
        println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={symbol}");
    }
    println!("cargo::rerun-if-changed=../loader/exports.txt");
}
