//! The node daemon: hosts apps and upgrades them live.

fn main() {}
