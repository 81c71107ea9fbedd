//! Logs to be read: written by the server itself, in bulk, since it is not the writing that is measured.

use domain::{Event, Position};
use sqlx::PgPool;

use crate::support::Extent;

/// Most events of one statement.
const FILL_EVENTS: Position = 50_000;
/// Calls that go on at the same time.
const CALLS: Position = 100;
/// Events of a conversation: see [`conversations`].
pub const CONVERSATION: Position = 20;
/// Of these, segments of its transcript.
pub const SEGMENTS: Position = 13;

/// A transcript segment of about 300 bytes. In payloads, `%s` stands for the segment's number and `%a` for the agent's.
const SEGMENT: &str = r#"{"sequence":%s,"speaker":"customer","begin_ms":61230,"end_ms":67110,"text":"i would like to know why my card was refused at the shop yesterday although there was money on it, and whether you could please send me another one to my new address as soon as possible","confidence":0.93,"model":"nova-3"}"#;

/// The payload of a segment.
pub fn segment(sequence: i64) -> String {
    SEGMENT.replace("%s", &sequence.to_string())
}

/// Steps of a conversation around its segments: what it begins with, and what it ends with.
const BEGIN: [(&str, &str); 4] = [
    (
        "call.initiated",
        r#"{"direction":"inbound","channel":"voice","from":"+14155552671","to":"+14155550100","customer_name":"Grace Hopper","language":"en-US"}"#,
    ),
    ("call.queued", r#"{"queue":"sales","priority":0}"#),
    ("call.offered", r#"{"leg":1,"agent_id":"0197c2a0-0000-7000-8000-%a","ring_timeout_ms":20000}"#),
    ("call.answered", r#"{"leg":1,"agent_id":"0197c2a0-0000-7000-8000-%a"}"#),
];
const END: [(&str, &str); 3] = [
    ("call.ended", r#"{"by":"customer","reason":"completed"}"#),
    ("call.wrap_up_started", r#"{"leg":1,"agent_id":"0197c2a0-0000-7000-8000-%a"}"#),
    ("call.wrap_up_completed", r#"{"leg":1,"agent_id":"0197c2a0-0000-7000-8000-%a","disposition":"resolved"}"#),
];

/// Fills a log with segments of transcripts, 20 of each, up to this position.
pub async fn segments(pool: &PgPool, upto: Position) {
    let step = "transcript.segment_added".to_owned();
    let steps = usize::try_from(CONVERSATION).expect("a count");
    fill(pool, upto, &vec![step; steps], &vec![SEGMENT.to_owned(); steps], SegmentsFrom(0)).await;
}

/// A log of 2 million events that are whole conversations, a hundred at a time: a call is initiated, queued, offered and answered,
/// 13 segments are said, it ends and is wrapped up. It is filled unless it is already; its size.
pub async fn conversations(pool: &PgPool, extent: Extent) -> Position {
    let upto = extent.pick(2_000_000, 40_000);
    let said = ("transcript.segment_added", SEGMENT);
    let said = std::iter::repeat_n(said, usize::try_from(SEGMENTS).expect("a count"));
    let (types, payloads): (Vec<String>, Vec<String>) =
        BEGIN.into_iter().chain(said).chain(END).map(|(name, text)| (name.to_owned(), text.to_owned())).unzip();
    for (name, payload) in types.iter().zip(&payloads) {
        Event::decode(name, 1, &payload.replace("%s", "1").replace("%a", "0000000000a1"))
            .expect("a payload that fits its type");
    }
    fill(pool, upto, &types, &payloads, SegmentsFrom(i64::try_from(BEGIN.len()).expect("a count"))).await;
    upto
}

/// Steps before the first segment.
struct SegmentsFrom(i64);

async fn fill(pool: &PgPool, upto: Position, types: &[String], payloads: &[String], SegmentsFrom(first): SegmentsFrom) {
    let mut head: Position = sqlx::query_scalar("SELECT position FROM event_log").fetch_one(pool).await.expect("a log");
    assert_eq!(upto % (CALLS * CONVERSATION), 0, "not whole blocks of calls");
    if head >= upto {
        return;
    }
    while head < upto {
        let next = upto.min(head + FILL_EVENTS);
        // A block is a hundred calls, step by step. Ids of calls are ordered in time, as version 7 is.
        sqlx::query(
            "WITH log AS (UPDATE event_log SET position = $2)
             INSERT INTO events
             SELECT n, gen_random_uuid(), call_id, split_part(type, '.', 1),
                    CASE WHEN type LIKE 'transcript.%' THEN step - $6 + 1
                         WHEN step >= $6 THEN step + 1 - $7 ELSE step + 1 END,
                    type, 1, timestamptz '2026-07-01' + n * interval '1 ms', now(), 'system:bench', call_id,
                    NULL, NULL, replace(replace(payload, '%s', (step - $6 + 1)::text), '%a', lpad(to_hex(call % 100), 12, '0'))::json
               FROM (SELECT n, call, step, ($3::text[])[step + 1] AS type, ($8::text[])[step + 1] AS payload,
                            (lpad(to_hex(1780000000000 + call), 12, '0') || '7' || substr(hash, 1, 3)
                             || '8' || substr(hash, 4, 15))::uuid AS call_id
                       FROM (SELECT n, call, (n - 1) % ($4 * $5) / $4 AS step, md5(call::text) AS hash
                               FROM generate_series($1 + 1, $2) n,
                                    LATERAL (SELECT (n - 1) / ($4 * $5) * $4 + (n - 1) % $4 AS call OFFSET 0) calls
                              OFFSET 0) numbered
                     OFFSET 0) steps",
        )
        .bind(head)
        .bind(next)
        .bind(types)
        .bind(CALLS)
        .bind(CONVERSATION)
        .bind(first)
        .bind(if first == 0 { 0 } else { SEGMENTS })
        .bind(payloads)
        .execute(pool)
        .await
        .expect("events");
        head = next;
    }
    sqlx::query("VACUUM ANALYZE events").execute(pool).await.expect("statistics");
}
