//! The event that every benchmark appends.

use commands::event_store::NewEvent;
use domain::Actor;
use uuid::Uuid;

/// A segment of a transcript, as the program stores it.
pub fn segment_added(correlation_id: Uuid, payload: String) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        event_type: "transcript.segment_added",
        schema_version: 1,
        occurred_at: chrono::Utc::now(),
        actor: Actor::system("bench"),
        correlation_id,
        causation_id: None,
        trace: None,
        payload,
    }
}
