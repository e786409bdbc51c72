//! Lets the test binaries export to the libraries they load what the daemon's own build exports.

fn main() {
    for symbol in [
        "reld_allocator_v1",
        "__cxa_thread_atexit_impl",
        "pthread_key_create",
        "pthread_key_delete",
        "pthread_setspecific",
        "pthread_create",
        "write",
        "writev",
    ] {
        println!("cargo::rustc-link-arg-tests=-Wl,--export-dynamic-symbol={symbol}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
