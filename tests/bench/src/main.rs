//! Benchmarks through the real daemon, as JSON lines.

fn main() {}
