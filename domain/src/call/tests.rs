//! The rules of a call, as given events, when command, then events.
