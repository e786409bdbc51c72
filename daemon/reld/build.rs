//! Exports symbols of the daemon to the libraries that it loads.
//!
//! A library looks up `reld_allocator_v1` at its first allocation and forwards allocations to it.
//! The other symbols interpose libc functions of the same names, so that the daemon knows the
//! thread-local data and the output of a library. The linker hides the symbols of an executable
//! from libraries unless they are exported explicitly.

fn main() {
    for symbol in include_str!("../loader/exports.txt").lines() {
        println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={symbol}");
    }
    println!("cargo::rerun-if-changed=../loader/exports.txt");
}
