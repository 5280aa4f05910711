//! The command line of a Kaopu node.

fn main() {}
