//! Lets the test binaries export the allocator to the libraries they load, as the daemon's own build does.

fn main() {
    println!("cargo::rustc-link-arg-tests=-Wl,--export-dynamic-symbol=reld_allocator_v1");
    println!("cargo::rerun-if-changed=build.rs");
}
