//! A family of events that changed twice, as none of the product's has yet.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its world is not as expected")]
#![allow(unreachable_pub, dead_code, missing_docs, reason = "the macro makes what the product needs")]
#![allow(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small weights"
)]

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Chain, Misfit};
use crate::Fact;
use crate::macros::event_family;

/// Version 1: `{"to": "Ada, London", "weight": 2.5}`, in kilograms. Version 2: the weight in whole grams, as `grams`.
/// Version 3, below: `to` taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub name: String,
    pub town: Option<String>,
    pub grams: u64,
}

/// Has always been as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub by: String,
}

event_family! {
    /// A fact about a parcel.
    enum:
    /// It was sent.
    Sent = "parcel.sent", 3, from [in_grams, to_taken_apart];
    /// It was lost.
    Lost = "parcel.lost", 1;
}

fn in_grams(mut payload: Map<String, Value>) -> Map<String, Value> {
    if let Some(kilograms) = payload.remove("weight").as_ref().and_then(Value::as_f64) {
        payload.insert("grams".to_owned(), json!((kilograms * 1_000.0).round() as u64));
    }
    payload
}

fn to_taken_apart(mut payload: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::String(to)) = payload.remove("to") {
        let (name, town) = to.split_once(", ").map_or((to.as_str(), None), |(name, town)| (name, Some(town)));
        payload.insert("name".to_owned(), json!(name));
        payload.insert("town".to_owned(), json!(town));
    }
    payload
}

fn read(event_type: &str, version: i16, payload: &Value) -> Result<Event, Misfit> {
    Event::decode(event_type, version, &payload.to_string()).expect("a known type")
}

/// What all parcels weigh, and which towns they went to.
fn fold(events: &[Event]) -> (u64, Vec<String>) {
    let mut state = (0, Vec::new());
    for event in events {
        if let Event::Sent(sent) = event {
            state.0 += sent.grams;
            state.1.extend(sent.town.clone());
        }
    }
    state
}

#[test]
fn each_version_is_read_as_today_s() {
    let today = Event::Sent(Sent { name: "Ada".to_owned(), town: Some("London".to_owned()), grams: 2_500 });
    let written = [
        (1, json!({ "to": "Ada, London", "weight": 2.5 })),
        (2, json!({ "to": "Ada, London", "grams": 2_500 })),
        (3, json!({ "name": "Ada", "town": "London", "grams": 2_500 })),
    ];
    for (version, payload) in written {
        assert_eq!(read("parcel.sent", version, &payload).unwrap(), today, "version {version}");
    }
    assert_eq!(today.schema_version(), 3);
    assert_eq!(Event::SCHEMAS, [("parcel.sent", 3), ("parcel.lost", 1)]);
}

#[test]
fn what_a_newer_program_wrote_is_refused_and_not_guessed() {
    let payload = json!({ "name": "Ada", "town": "London", "grams": 2_500 });
    for version in [i16::MIN, -1, 0, 4, i16::MAX] {
        assert!(matches!(read("parcel.sent", version, &payload), Err(Misfit::Schema(3))), "version {version}");
    }
    assert!(matches!(read("parcel.lost", 2, &json!({ "by": "us" })), Err(Misfit::Schema(1))));
    assert!(Event::decode("parcel.eaten", 1, "{}").is_none());
}

#[test]
fn what_does_not_fit_its_version_is_refused() {
    for (version, payload) in
        [(1, json!({ "to": 7 })), (1, json!([])), (2, json!({ "to": "Ada", "weight": 1 })), (3, json!({}))]
    {
        assert!(matches!(read("parcel.sent", version, &payload), Err(Misfit::Payload(_))), "{version} {payload}");
    }
}

#[test]
#[should_panic(expected = "one step for each version but the last")]
fn a_chain_has_a_step_for_each_version() {
    let _ = Chain::new(3, &[in_grams]);
}

proptest! {
    /// A rebuild with the steps comes to what today's program would have come to, had it written everything.
    #[test]
    fn a_history_of_mixed_versions_folds_like_one_of_today_s(
        parcels in prop::collection::vec(("[A-Z][a-z]{1,8}", prop::option::of("[A-Z][a-z]{1,8}"), 0_u64..1_000_000, 1_i16..=3), 0..40),
    ) {
        let mixed = parcels.iter().map(|(name, town, grams, version)| {
            let to = town.as_ref().map_or(name.clone(), |town| format!("{name}, {town}"));
            let payload = match version {
                1 => json!({ "to": to, "weight": *grams as f64 / 1_000.0 }),
                2 => json!({ "to": to, "grams": grams }),
                _ => json!({ "name": name, "town": town, "grams": grams }),
            };
            read("parcel.sent", *version, &payload).unwrap()
        });
        let mixed: Vec<Event> = mixed.collect();
        let today = parcels.iter().map(|(name, town, grams, _)| Sent { name: name.clone(), town: town.clone(), grams: *grams }.into());
        let today: Vec<Event> = today.collect();
        prop_assert_eq!(fold(&mixed), fold(&today));
        prop_assert_eq!(&mixed, &today);
        // What is written again is today's, and read as it is.
        for event in &mixed {
            let again = Event::decode(event.type_name(), event.schema_version(), &event.payload().unwrap());
            prop_assert_eq!(&again.expect("known").unwrap(), event);
        }
    }
}
