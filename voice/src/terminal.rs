//! What a person reads in the terminal, apart from the log on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this module is for")]

/// One line for a person.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Why the program ends with a failure.
pub(crate) fn complain(line: impl std::fmt::Display) {
    eprintln!("{line}");
}
