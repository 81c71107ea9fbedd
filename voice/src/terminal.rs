//! What a person reads in the terminal, apart from the log on standard error.
#![allow(clippy::print_stdout, reason = "standard output is what this module is for")]

/// One line for a person.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}
