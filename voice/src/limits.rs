//! The limits of the edge by name, for the command line and the environment.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::time::Duration;

use api::Limits;

/// A limit that can be set.
#[derive(Debug)]
struct Limit {
    name: &'static str,
    /// What it bounds, in a few words.
    what: &'static str,
    range: RangeInclusive<u64>,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

/// A limit, and the value it is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    limit: &'static Limit,
    value: u64,
}

/// Largest count that makes sense anywhere.
const COUNT_MAX: u64 = 1_000_000;
/// Largest size in bytes.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest time in milliseconds: an hour.
const MS_MAX: u64 = 3_600_000;

macro_rules! counts {
    ($field:ident) => {
        (
            |limits: &Limits| u64::try_from(limits.$field).unwrap_or(u64::MAX),
            |limits: &mut Limits, value: u64| {
                if let Ok(value) = value.try_into() {
                    limits.$field = value;
                }
            },
        )
    };
}

macro_rules! times {
    ($field:ident) => {
        (
            |limits: &Limits| u64::try_from(limits.$field.as_millis()).unwrap_or(u64::MAX),
            |limits: &mut Limits, value: u64| limits.$field = Duration::from_millis(value),
        )
    };
}

/// A row of the table: name, range, words.
macro_rules! limits {
    ($($name:literal, $range:expr, $kind:ident!($field:ident), $what:literal;)*) => {
        const LIMITS: &[Limit] = &[$({
            const FIELD: (fn(&Limits) -> u64, fn(&mut Limits, u64)) = $kind!($field);
            Limit { name: $name, what: $what, range: $range, get: FIELD.0, set: FIELD.1 }
        }),*];
    };
}

limits! {
    "body-bytes", 1_024..=BYTES_MAX, counts!(body_bytes), "a request's body";
    "tokens", 10..=COUNT_MAX, counts!(tokens), "tokens of a document";
    "depth", 1..=100, counts!(depth), "levels of fields";
    "aliases", 0..=COUNT_MAX, counts!(aliases), "aliases of an operation";
    "root-fields", 1..=COUNT_MAX, counts!(root_fields), "fields at the root";
    "fields", 1..=COUNT_MAX, counts!(fields), "fields of an operation, fragments written out";
    "directives", 1..=COUNT_MAX, counts!(directives), "directives in one place";
    "batch", 1..=1_000, counts!(batch), "operations of one request";
    "page-size", 50..=1_000, counts!(page_size), "elements of a page";
    "cost", 100..=1_000_000_000, counts!(complexity), "points of one operation";
    "points-per-minute", 1..=u32::MAX as u64, counts!(points_per_minute), "points a viewer regains in a minute";
    "points-burst", 1..=u32::MAX as u64, counts!(points_burst), "points a viewer can spend at once";
    "execution-ms", 1..=MS_MAX, times!(execution_time), "a query or mutation";
    "errors", 1..=COUNT_MAX, counts!(errors), "errors told in one answer";
    "documents", 1..=COUNT_MAX, counts!(documents), "documents kept parsed";
    "documents-bytes", 1_024..=BYTES_MAX, counts!(documents_bytes), "their text";
    "message-bytes", 1_024..=BYTES_MAX, counts!(message_bytes), "a message from a client on a WebSocket";
    "init-ms", 1..=MS_MAX, times!(init_within), "until connection_init";
    "sockets-per-viewer", 1..=COUNT_MAX, counts!(sockets_per_viewer), "WebSockets of a viewer on this node";
    "streams-per-viewer", 1..=COUNT_MAX, counts!(streams_per_viewer), "event streams and multipart answers of a viewer";
    "operations-per-socket", 1..=COUNT_MAX, counts!(operations_per_socket), "operations on one socket";
    "queue-bytes", 4_096..=BYTES_MAX, counts!(queue_bytes), "what waits to be sent for one operation";
    "heartbeat-ms", 100..=MS_MAX, times!(heartbeat_every), "silence before a sign of life";
    "recheck-ms", 100..=MS_MAX, times!(recheck_every), "between looks at the token behind a socket or stream";
    "dashboard-ms", 1..=MS_MAX, times!(dashboard_every), "between two pushes of a dashboard, at least";
    "connections", 1..=COUNT_MAX, counts!(connections), "connections of all clients; more are refused";
    "requests", 1..=COUNT_MAX, counts!(requests), "requests of all clients answered at a time; more are refused";
    "subscriptions", 1..=COUNT_MAX, counts!(subscriptions), "subscriptions of all clients; more are refused";
    "sockets", 1..=COUNT_MAX, counts!(sockets), "WebSockets of all clients; more are refused";
    "body-ms", 1..=MS_MAX, times!(body_time), "until a request's body is there";
    "drain-ms", 1..=MS_MAX, times!(drain_time), "what is being executed at shutdown";
}

/// Reads `name=value`.
pub(crate) fn setting(text: &str) -> Result<Setting, String> {
    let (name, value) = text.split_once('=').ok_or("NAME=N is needed, such as depth=10")?;
    let Some(limit) = LIMITS.iter().find(|limit| limit.name == name.trim()) else {
        let names: Vec<&str> = LIMITS.iter().map(|limit| limit.name).collect();
        return Err(format!("there is no limit {name:?}; there are {}", names.join(", ")));
    };
    match value.trim().parse() {
        Ok(value) if limit.range.contains(&value) => Ok(Setting { limit, value }),
        _ => Err(format!("{name} is a whole number from {} to {}", limit.range.start(), limit.range.end())),
    }
}

/// The default limits with these changed; of two settings of one limit the later holds.
pub(crate) fn with(settings: &[Setting]) -> Limits {
    let mut limits = Limits::default();
    for Setting { limit, value } in settings {
        (limit.set)(&mut limits, *value);
    }
    limits
}

/// Every limit with its default, for `--help`.
pub(crate) fn help() -> String {
    let mut help =
        "How much one client may ask for, and all of them together, such as depth=10,batch=1. Sizes are in bytes, times in milliseconds. \
                    The limits and their defaults:\n"
            .to_owned();
    let defaults = Limits::default();
    for limit in LIMITS {
        let _ = write!(help, "\n  {:<24}{:>9}  {}", limit.name, (limit.get)(&defaults), limit.what);
    }
    help
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_set_by_its_name_and_no_other_with_it() {
        for limit in LIMITS {
            let before = (limit.get)(&Limits::default());
            assert!(limit.range.contains(&before), "{}: the default is within the range", limit.name);
            let value = if before == *limit.range.end() { before - 1 } else { before + 1 };
            let limits = with(&[setting(&format!("{}={value}", limit.name)).unwrap()]);
            for other in LIMITS {
                let expected = if other.name == limit.name { value } else { (other.get)(&Limits::default()) };
                assert_eq!((other.get)(&limits), expected, "{} after {}", other.name, limit.name);
            }
            for wrong in [limit.range.end().wrapping_add(1).to_string(), "-1".to_owned(), "x".to_owned(), String::new()]
            {
                assert!(setting(&format!("{}={wrong}", limit.name)).is_err(), "{}={wrong}", limit.name);
            }
        }
        assert!(setting("nothing=1").unwrap_err().contains("body-bytes"));
        assert!(setting("depth").is_err());
    }
}
