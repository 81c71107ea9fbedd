//! The words to search for are those that PostgreSQL finds in the text, whoever found them.

use domain::call::Party;
use projections::ReadModel;
use projections::models::spoken_words::SpokenWords;
use projections::models::transcripts::Transcripts;
use uuid::Uuid;

use super::floor::Floor;
use super::{create, fold};
use tests::TestDatabase;

const BEGIN: &str = "2026-11-23T09:00:00Z";
/// One of each kind of character that the parser of texts tells apart, and those that mean something to it.
const KINDS: [&str; 22] =
    ["a", "E", "7", " ", ".", ",", ":", "-", "'", "\"", "(", "?", "\n", "+", "/", "@", "_", "<", "&", "%", "é", "wWw"];
/// Segments of one call.
const SEGMENTS: usize = 1_000;

fn spoken(floor: &mut Floor, texts: impl IntoIterator<Item = String>) {
    let mut id = Uuid::now_v7();
    for (said, text) in texts.into_iter().filter(|text| !text.trim().is_empty()).enumerate() {
        if said % SEGMENTS == 0 {
            id = Uuid::now_v7();
        }
        floor.says(id, Party::Customer, 0, 1_000, &text);
    }
}

/// Every text of at most so many of the kinds.
fn every_text(kinds: &[&str], length: u32) -> impl Iterator<Item = String> {
    (1..=length).flat_map(move |length| {
        (0..kinds.len().pow(length)).map(move |number| {
            let digits = (0..length).map(|place| number / kinds.len().pow(place) % kinds.len());
            digits.map(|digit| kinds[digit]).collect()
        })
    })
}

/// What people said to each other in recorded conversations.
fn recorded() -> impl Iterator<Item = String> {
    let lines = include_str!("../../../data/star.jsonl")
        .lines()
        .chain(include_str!("../../../data/harper_valley.jsonl").lines());
    lines.flat_map(|line| {
        let conversation: serde_json::Value = serde_json::from_str(line).unwrap();
        let turns = conversation["turns"].as_array().cloned().unwrap_or_default();
        turns.into_iter().map(|turn| turn["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    })
}

#[tokio::test]
async fn words_to_search_for_are_the_servers() {
    let mut floor = Floor::new(BEGIN);
    spoken(&mut floor, every_text(&KINDS, 3));
    // Those that are cut by the program itself, in longer texts.
    spoken(&mut floor, every_text(&["b", "I", "0", " ", ".", ",", ":", "-", "'"], 5));
    spoken(&mut floor, recorded());
    let long = ["so it goes ".repeat(85), "on ".repeat(300), "o".repeat(255), "O".repeat(256), "a 1 ".repeat(127)];
    spoken(&mut floor, long);
    let database = TestDatabase::new().await;
    for model in [&Transcripts as &dyn ReadModel, &SpokenWords] {
        create(&database.pool, model, "read").await;
        fold(&database.pool, model, "read", &floor.log, 5_000).await;
    }

    let wrong: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT text, words::text, to_tsvector('simple', text)::text
         FROM read.transcripts JOIN read.spoken_words USING (call_id, sequence, position)
         WHERE tsvectorsend(words) <> tsvectorsend(to_tsvector('simple', text)) LIMIT 20",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(wrong.is_empty(), "text, ours, the server's: {wrong:#?}");
    let stored = "SELECT count(*) FROM read.transcripts JOIN read.spoken_words USING (call_id, sequence, position)";
    let stored: i64 = sqlx::query_scalar(stored).fetch_one(&database.pool).await.unwrap();
    assert_eq!(stored, floor.position());
}
