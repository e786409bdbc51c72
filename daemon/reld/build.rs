//! Exports the allocator to the libraries that the daemon loads.
//!
//! A library looks for `reld_allocator_v1` at its first allocation and forwards to it; an executable's symbols are
//! not visible to libraries unless the linker is told so.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol=reld_allocator_v1");
    println!("cargo::rerun-if-changed=build.rs");
}
