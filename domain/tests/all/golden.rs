//! Every event ever written can be read for good.
//!
//! `golden/` has one file for each kind of stream, and in it stored events as they lie in the store, one in a line: for
//! every wire name one with every field set, and one with the optional fields absent where there are any. Lines are
//! added, never edited or removed: a line that does not pass any more means that stored history can't be read any more.
//! A new event, a new optional field and a new variant each get a new line.

use std::collections::BTreeSet;

use domain::{Category, Event, Recorded};
use serde_json::Value;

/// Fields that are written always, yet may be absent from what is read; and what they are read as then.
const DEFAULTS: [(&str, &str, &str); 4] = [
    ("call.initiated", "channel", "\"voice\""),
    ("call.queued", "priority", "0"),
    ("agent.registered", "capabilities", "[]"),
    ("sentiment.scored", "emotions", "{}"),
];

fn lines(category: Category) -> Vec<String> {
    let path = format!("{}/golden/{category}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(str::to_owned).collect()
}

fn all_lines() -> Vec<String> {
    Category::ALL.into_iter().flat_map(lines).collect()
}

fn recorded(line: &str) -> Recorded {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[test]
fn every_event_has_a_golden_line() {
    let stored: BTreeSet<String> = all_lines().iter().map(|line| recorded(line).event_type).collect();
    let known: BTreeSet<String> = Event::types().map(str::to_owned).collect();
    assert_eq!(stored, known);
}

#[test]
fn every_line_is_read_and_written_back_the_same() {
    for line in all_lines() {
        let recorded = recorded(&line);
        let event = recorded.decode().unwrap_or_else(|error| panic!("{error} in {line}"));
        assert_eq!(event.type_name(), recorded.event_type);
        assert!(recorded.schema_version <= event.schema_version(), "written by a newer program: {line}");
        assert_eq!(value(&event.payload().unwrap()), value(recorded.payload.get()), "{line}");
        let written = serde_json::to_value(&recorded).unwrap();
        let Value::Object(stored) = value(&line) else { panic!("not an object: {line}") };
        // The envelope may grow, so what is written may have more than what was stored.
        for (field, value) in stored {
            assert_eq!(written[&field], value, "{field} of {line}");
        }
    }
}

#[test]
fn the_payload_is_kept_verbatim() {
    for line in all_lines() {
        let payload = line.split_once("\"payload\":").unwrap().1.strip_suffix('}').unwrap();
        assert_eq!(recorded(&line).payload.get(), payload);
        assert!(serde_json::to_string(&recorded(&line)).unwrap().contains(payload));
    }
}

#[test]
fn every_line_is_in_the_file_of_its_category() {
    for category in Category::ALL {
        for line in lines(category) {
            let recorded = recorded(&line);
            assert_eq!(recorded.stream.category, category);
            assert!(recorded.event_type.starts_with(&format!("{category}.")), "{line}");
        }
    }
}

#[test]
fn a_field_with_a_default_may_be_absent() {
    let lines = all_lines();
    for (event_type, field, default) in DEFAULTS {
        let line = lines.iter().map(|line| recorded(line)).find(|recorded| recorded.event_type == event_type).unwrap();
        let mut payload = value(line.payload.get());
        payload.as_object_mut().unwrap().remove(field).expect("the field is written always");
        let event = Event::decode(event_type, &payload.to_string()).unwrap();
        payload[field] = value(default);
        assert_eq!(value(&event.payload().unwrap()), payload, "{event_type}");
    }
}

#[test]
fn a_field_of_a_newer_program_is_no_obstacle() {
    for line in all_lines() {
        let recorded = recorded(&line);
        let mut payload = value(recorded.payload.get());
        payload["field_of_tomorrow"] = value("1");
        assert_eq!(Event::decode(&recorded.event_type, &payload.to_string()).unwrap(), recorded.decode().unwrap());
    }
}

#[test]
fn what_can_not_be_read_says_why() {
    for unknown in ["call.teleported", "callinitiated", "weather.changed", "agent.answered", ""] {
        let error = Event::decode(unknown, "{}").unwrap_err();
        assert_eq!(error.to_string(), format!("event type {unknown:?} is not known to this program"));
    }
    let error = Event::decode("call.queued", "{}").unwrap_err();
    assert_eq!(error.to_string(), "payload of \"call.queued\" does not fit its type");
}

/// Shares and scores are read as the very numbers that were written, and not as a neighbour one bit away.
#[test]
fn numbers_are_read_as_they_were_written() {
    let line = lines(Category::Transcript).remove(0);
    assert!(line.contains("\"confidence\":0.9352133289712503,"));
    let payload = recorded(&line).decode().unwrap().payload().unwrap();
    assert!(payload.contains("\"confidence\":0.9352133289712503,"));
}
