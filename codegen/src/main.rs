//! The `isa` tool.
fn main() {}
