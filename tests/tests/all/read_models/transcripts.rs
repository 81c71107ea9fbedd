//! Transcripts: order, corrections and search.

use domain::Personal;
use domain::call::Party;
use projections::models::Scroll;
use projections::models::spoken_words::{SearchFilter, SpokenWords, search_best, search_newest};
use projections::models::transcripts::{Transcripts, added_after, current};
use uuid::Uuid;

use super::floor::Floor;
use super::{project, projected};

const BEGIN: &str = "2026-11-23T09:00:00Z";

fn words(words: &str) -> SearchFilter {
    SearchFilter {
        words: Personal::new(words.to_owned()),
        speaker: None,
        call_ids: None,
        occurred_from: None,
        occurred_before: None,
    }
}

#[tokio::test]
async fn corrections_take_the_place_of_what_they_correct() {
    let mut floor = Floor::new(BEGIN);
    let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
    floor.says(id, Party::Agent, 0, 1_000, "good morning");
    floor.says(id, Party::Customer, 3_000, 4_000, "I want a reef fund");
    floor.says(other, Party::Customer, 0, 500, "hello");
    floor.says(id, Party::Agent, 2_000, 2_500, "how can I help"); // told late
    floor.corrects(5.0, id, 2, "I want a free fund");
    floor.corrects(6.0, id, 4, "I want a refund");
    let database = projected(&Transcripts, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let text = current(&mut connection, &[id], None, 100).await.unwrap();
    let told: Vec<_> = text.iter().map(|s| (s.sequence, s.begin_ms, s.text.reveal().as_str())).collect();
    assert_eq!(told, [(1, 0, "good morning"), (3, 2_000, "how can I help"), (5, 3_000, "I want a refund")]);
    let last = &text[2];
    assert_eq!((last.speaker, last.supersedes, last.reason.as_deref()), (Party::Customer, Some(4), Some("misheard")));
    assert_eq!((last.model.as_str(), last.confidence, last.occurred_at), ("a person", None, floor.at(6.0)));
    assert_eq!(text[0].confidence, Some(0.9));
    assert!(!format!("{text:?}").contains("refund"), "a log line must not show what was said");

    // In order of position, and whoever resumes in the middle gets what is after it.
    let all = added_after(&mut connection, id, 0, 100).await.unwrap();
    let told: Vec<_> = all.iter().map(|s| (s.position, s.sequence, s.superseded_by)).collect();
    assert_eq!(told, [(1, 1, None), (2, 2, Some(4)), (4, 3, None), (5, 4, Some(5)), (6, 5, None)]);
    assert_eq!(added_after(&mut connection, id, 2, 2).await.unwrap(), all[2..4]);
}

#[tokio::test]
async fn search_finds_what_stands() {
    let mut floor = Floor::new(BEGIN);
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    floor.says(first, Party::Customer, 0, 1_000, "I was charged twice for the subscription");
    floor.says(first, Party::Agent, 1_000, 2_000, "the subscription was charged by mistake, sorry");
    floor.says(second, Party::Customer, 0, 3_000, "cancel my subscription please");
    floor.says(second, Party::Customer, 3_000, 4_000, "I was charged for nothing and the subscription is bad");
    floor.corrects(9.0, second, 2, "I was charged for something");
    let database = projected(&Transcripts, &floor.log).await;
    project(&database, &SpokenWords, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let hits = search_newest(&mut connection, &words("subscription"), None, 2, Scroll::Forward).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.segment.position).collect::<Vec<_>>(), [3, 2]);
    let before = hits.last().map(|hit| hit.segment.position);
    let rest = search_newest(&mut connection, &words("subscription"), before, 2, Scroll::Forward).await.unwrap();
    assert_eq!(rest.iter().map(|hit| hit.segment.position).collect::<Vec<_>>(), [1]);
    let oldest = search_newest(&mut connection, &words("subscription"), None, 2, Scroll::Backward).await.unwrap();
    assert_eq!(oldest.iter().map(|hit| hit.segment.position).collect::<Vec<_>>(), [2, 1]);
    let newer = search_newest(&mut connection, &words("subscription"), Some(2), 2, Scroll::Backward).await.unwrap();
    assert_eq!(newer.iter().map(|hit| hit.segment.position).collect::<Vec<_>>(), [3]);
    assert_eq!(hits[0].snippet.reveal(), "cancel my «subscription» please");

    let positions = async |connection: &mut sqlx::PgConnection, filter: &SearchFilter| {
        let mut found: Vec<_> =
            search_best(connection, filter, 9).await.unwrap().iter().map(|hit| hit.segment.position).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(positions(&mut connection, &words("charged subscription")).await, [1, 2]);
    assert_eq!(positions(&mut connection, &words("charged -subscription")).await, [5]);
    assert_eq!(positions(&mut connection, &words("\"charged twice\" or please")).await, [1, 3]);
    assert_eq!(positions(&mut connection, &words("nothing")).await, [0_i64; 0]);
    assert_eq!(positions(&mut connection, &words("((( ' :* & <->")).await, [0_i64; 0]);
    let by_agent = SearchFilter { speaker: Some(Party::Agent), ..words("subscription") };
    assert_eq!(positions(&mut connection, &by_agent).await, [2]);
    let in_second = SearchFilter { call_ids: Some(vec![second]), ..words("subscription") };
    assert_eq!(positions(&mut connection, &in_second).await, [3]);
    let late = SearchFilter { occurred_from: Some(floor.at(2.5)), ..words("subscription") };
    assert_eq!(positions(&mut connection, &late).await, [3]);
    // Words near each other first.
    let best = search_best(&mut connection, &words("subscription charged"), 1).await.unwrap();
    assert_eq!(best[0].segment.position, 2);
}
