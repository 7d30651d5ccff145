//! isamorph
fn main() {}
