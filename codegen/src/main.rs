//! isa
fn main() {}
