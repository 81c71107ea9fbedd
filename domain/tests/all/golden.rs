//! Every event ever written can be read for good.
//!
//! `golden/` has one file for each kind of stream, and in it stored events as they lie in the store, one in a line: for
//! every wire name one with every field set, and one with the optional fields absent where there are any. Lines are
//! added, never edited or removed: a line that does not pass any more means that stored history can't be read any more.
//! A new event, a new optional field, a new variant and a new schema version each get a new line.

use std::collections::BTreeSet;

use domain::{Category, Event, Fact, Recorded};
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
    let stored: BTreeSet<(String, i16)> =
        all_lines().iter().map(|line| recorded(line)).map(|event| (event.event_type, event.schema_version)).collect();
    let known: BTreeSet<(String, i16)> =
        Event::schemas().flat_map(|(name, today)| (1..=today).map(move |version| (name.to_owned(), version))).collect();
    assert_eq!(stored, known, "one at least for each schema version that was ever written");
}

#[test]
fn every_line_is_read_and_written_back_the_same() {
    for line in all_lines() {
        let recorded = recorded(&line);
        let event = recorded.decode().unwrap_or_else(|error| panic!("{error} in {line}"));
        assert_eq!(event.type_name(), recorded.event_type);
        assert!(recorded.schema_version <= event.schema_version(), "written by a newer program: {line}");
        let again = event.payload().unwrap();
        if recorded.schema_version == event.schema_version() {
            assert_eq!(value(&again), value(recorded.payload.get()), "{line}");
        }
        assert_eq!(Event::decode(event.type_name(), event.schema_version(), &again).unwrap(), event, "{line}");
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
        let event = Event::decode(event_type, line.schema_version, &payload.to_string()).unwrap();
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
        let read = Event::decode(&recorded.event_type, recorded.schema_version, &payload.to_string()).unwrap();
        assert_eq!(read, recorded.decode().unwrap());
    }
}

#[test]
fn what_can_not_be_read_says_why() {
    for unknown in ["call.teleported", "callinitiated", "weather.changed", "agent.answered", ""] {
        let error = Event::decode(unknown, 1, "{}").unwrap_err();
        assert_eq!(error.to_string(), format!("event type {unknown:?} is not known to this program"));
    }
    let error = Event::decode("call.queued", 1, "{}").unwrap_err();
    assert_eq!(error.to_string(), "payload of \"call.queued\" does not fit its type");
    for (name, today) in Event::schemas() {
        let error = Event::decode(name, today + 1, "{}").unwrap_err();
        let (newer, known) = (format!("schema version {} of {name:?}", today + 1), format!("knows 1 to {today}"));
        assert!(error.to_string().starts_with(&newer) && error.to_string().ends_with(&known), "{error}");
    }
}

/// Shares and scores are read as the very numbers that were written, and not as a neighbour one bit away.
#[test]
fn numbers_are_read_as_they_were_written() {
    let line = lines(Category::Transcript).remove(0);
    assert!(line.contains("\"confidence\":0.9352133289712503,"));
    let payload = recorded(&line).decode().unwrap().payload().unwrap();
    assert!(payload.contains("\"confidence\":0.9352133289712503,"));
}
