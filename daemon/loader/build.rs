//! Lets tests and the benchmark export to the libraries they load what the daemon's own build exports.

fn main() {
    for symbol in include_str!("exports.txt").lines() {
        for target in ["tests", "benches"] {
            println!("cargo::rustc-link-arg-{target}=-Wl,--export-dynamic-symbol={symbol}");
        }
    }
    println!("cargo::rerun-if-changed=exports.txt");
}
