//! Sentiment: timeline and summaries.

use domain::call::Party;
use projections::metrics::sentiment::Label;
use projections::models::sentiment::{Sentiment, added_after, summaries, timeline};
use uuid::Uuid;

use super::floor::Floor;
use super::projected;

const BEGIN: &str = "2026-11-23T09:00:00Z";

/// Turns of the published sample: speaker, begin, end, score of the label.
const SAMPLE: [(Party, u32, u32, f64); 10] = [
    (Party::Agent, 0, 90, 0.0),
    (Party::Customer, 160, 4_640, 0.0),
    (Party::Agent, 4_640, 6_610, 0.0),
    (Party::Customer, 7_370, 11_190, -0.5),
    (Party::Agent, 11_220, 15_210, -0.25),
    (Party::Customer, 15_840, 18_120, 0.75),
    (Party::Agent, 18_310, 21_820, 0.04),
    (Party::Customer, 22_610, 24_140, 0.5),
    (Party::Agent, 24_120, 29_710, 0.05),
    (Party::Customer, 30_580, 32_110, 0.25),
];

#[tokio::test]
async fn the_published_sample_from_stored_scores() {
    let mut floor = Floor::new(BEGIN);
    let id = Uuid::now_v7();
    for (n, (speaker, begin_ms, end_ms, score)) in SAMPLE.into_iter().enumerate() {
        let segment = floor.says(id, speaker, begin_ms, end_ms, "...");
        floor.scores(40.0 + n as f64, id, segment, score, "lexicon");
    }
    let database = projected(&Sentiment, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let [customer, agent] = summaries(&mut connection, &[id]).await.unwrap().try_into().unwrap();
    assert_eq!((customer.speaker, customer.turns), (Party::Customer, 5));
    assert_eq!((customer.mean, customer.minimum, customer.last), (0.2, -0.5, 0.25));
    assert_eq!(customer.quarters.bounds_ms, [8_027, 16_055, 24_082, 32_110]);
    assert_eq!(customer.quarters.values, [Some(-2.5), Some(5.0), Some(5.0), Some(5.0)]);
    assert_eq!((customer.quarters.overall, customer.quarters.trend), (3.125, Some(7.5)));
    assert_eq!((agent.speaker, agent.quarters.overall), (Party::Agent, 0.0));
    assert_eq!(agent.quarters.values, [Some(0.0), Some(-5.0), Some(0.0), Some(5.0)]);

    let line = timeline(&mut connection, &[id], None, 100).await.unwrap();
    assert_eq!(line.iter().map(|row| row.segment).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!((line[3].label(), line[3].score, line[3].emotions["joy"]), (Label::Negative, -0.5, 0.25));
    let late = added_after(&mut connection, id, floor.position() - 1, 10).await.unwrap();
    assert_eq!(late, line[9..]);
}

#[tokio::test]
async fn corrected_segments_and_other_models_are_kept_apart() {
    let mut floor = Floor::new(BEGIN);
    let id = Uuid::now_v7();
    let bad = floor.says(id, Party::Customer, 0, 1_000, "I hate it");
    let good = floor.says(id, Party::Customer, 1_000, 2_000, "thanks");
    floor.scores(3.0, id, bad, -1.0, "lexicon");
    floor.scores(3.0, id, good, 0.5, "lexicon");
    let corrected = floor.corrects(4.0, id, bad, "I ate it");
    floor.scores(5.0, id, corrected, 0.0, "lexicon");
    // A slow model scores what has been corrected meanwhile.
    floor.scores(6.0, id, bad, -0.9, "large");
    floor.scores(7.0, id, good, 0.9, "large");
    let database = projected(&Sentiment, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let all = summaries(&mut connection, &[id]).await.unwrap();
    let told: Vec<_> = all.iter().map(|s| (s.model.as_str(), s.turns, s.mean, s.minimum, s.last)).collect();
    // The one that scored last comes first.
    assert_eq!(told, [("large", 1, 0.9, 0.9, 0.9), ("lexicon", 2, 0.25, 0.0, 0.5)]);
    let line = timeline(&mut connection, &[id], None, 100).await.unwrap();
    let told: Vec<_> = line.iter().map(|row| (row.segment, row.model.as_str(), row.superseded)).collect();
    assert_eq!(
        told,
        [
            (bad, "large", true),
            (bad, "lexicon", true),
            (corrected, "lexicon", false),
            (good, "large", false),
            (good, "lexicon", false)
        ]
    );
}
