//! Lets tests and the benchmark export to the libraries they load what the daemon's own build exports.

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
        for target in ["tests", "benches"] {
            println!("cargo::rustc-link-arg-{target}=-Wl,--export-dynamic-symbol={symbol}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}
