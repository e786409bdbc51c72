//! The command line of reld.

fn main() {}
