//! voice
fn main() {}
