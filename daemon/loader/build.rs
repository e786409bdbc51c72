//! Makes tests and the benchmark export the same symbols to libraries as the daemon does.

fn main() {
    for symbol in include_str!("exports.txt").lines() {
        for target in ["tests", "benches"] {
            println!("cargo::rustc-link-arg-{target}=-Wl,--export-dynamic-symbol={symbol}");
        }
    }
    println!("cargo::rerun-if-changed=exports.txt");
}
