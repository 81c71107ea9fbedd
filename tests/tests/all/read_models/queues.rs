//! Queues and waits.

use domain::ShortText;
use domain::call::{Command, EndReason, EndedBy};
use projections::models::queues::{
    EntryOutcome, Queues, board, by_ids, changed_after, entries, entries_of, places, queue_key, waiting,
};
use uuid::Uuid;

use super::floor::Floor;
use super::projected;

const BEGIN: &str = "2026-11-23T09:00:00Z";

#[tokio::test]
async fn every_wait_ends_in_its_own_way() {
    let mut floor = Floor::new(BEGIN);
    let eva = floor.available("Eva", None);
    // Declined and expired offers leave the begin of the wait as it is: answered after 40 s, not after 10.
    let answered = floor.queued(0.0, "support");
    floor.offer(1.0, answered, eva);
    floor.call(5.0, answered, Command::Decline { agent_id: eva, reason: None });
    floor.offer(6.0, answered, eva);
    floor.call(26.0, answered, Command::ExpireOffer { agent_id: eva, leg: None });
    floor.offer(30.0, answered, eva);
    floor.answer(40.0, answered, eva);
    // The caller moves on: a flow-out of the first queue, a new wait in the second.
    let moved = floor.queued(50.0, "support");
    floor.enqueue(58.0, moved, "billing", 3);
    floor.offer(60.0, moved, eva);
    floor.call(61.5, moved, Command::Abandon);
    let closed = floor.queued(70.0, "support");
    floor.call(75.0, closed, Command::End { by: EndedBy::System, reason: EndReason::QueueClosed });
    let failed = floor.queued(80.0, "support");
    floor.call(81.0, failed, Command::Fail { reason: ShortText::parse("carrier gone").unwrap() });
    let waits = floor.queued(90.0, "support");
    let database = projected(&Queues, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let history = entries(&mut connection, "support", None, 10).await.unwrap();
    let told: Vec<_> = history.iter().map(|entry| (entry.call_id, entry.outcome, entry.wait_ms)).collect();
    assert_eq!(
        told,
        [
            (waits, None, None),
            (failed, Some(EntryOutcome::Failed), Some(1_000)),
            (closed, Some(EntryOutcome::Ended), Some(5_000)),
            (moved, Some(EntryOutcome::FlowOut), Some(8_000)),
            (answered, Some(EntryOutcome::Answered), Some(40_000)),
        ]
    );
    let first = &history[4];
    assert_eq!((first.offers, first.declined, first.expired, first.agent_id), (3, 1, 1, Some(eva)));
    let after = Some((history[1].enqueued_at, history[1].call_id, history[1].entry));
    assert_eq!(entries(&mut connection, "support", after, 2).await.unwrap(), history[2..4]);

    let of_moved = entries_of(&mut connection, &[moved]).await.unwrap();
    assert_eq!(
        of_moved.iter().map(|entry| (entry.entry, entry.queue.as_str())).collect::<Vec<_>>(),
        [(1, "support"), (2, "billing")]
    );
    let second = &of_moved[1];
    assert_eq!((second.outcome, second.wait_ms, second.priority), (Some(EntryOutcome::Abandoned), Some(3_500), 3));
    // The phone rang when the caller gave up: told, and not as the agent's fault.
    assert_eq!((second.offers, second.declined, second.expired, second.withdrawn), (1, 0, 0, 1));

    let queues = board(&mut connection).await.unwrap();
    let told: Vec<_> = queues.iter().map(|q| (q.name.as_str(), q.waiting, q.oldest_enqueued_at)).collect();
    // A queue in which nobody waits is a row with a zero.
    assert_eq!(told, [("billing", 0, None), ("support", 1, Some(floor.at(90.0)))]);
    assert_eq!(by_ids(&mut connection, &[queue_key("billing")]).await.unwrap(), queues[..1]);
    let changed = changed_after(&mut connection, floor.position() - 1, 10).await.unwrap();
    assert_eq!(changed, queues[1..]);
}

#[tokio::test]
async fn places_are_by_priority_then_by_waiting_time() {
    let mut floor = Floor::new(BEGIN);
    let eva = floor.available("Eva", None);
    let served = floor.queued(0.0, "support");
    let first = floor.queued(1.0, "support");
    let second = floor.queued(2.0, "support");
    let urgent = floor.inbound(3.0);
    floor.enqueue(3.0, urgent, "support", 5);
    let elsewhere = floor.queued(4.0, "billing");
    floor.offer(5.0, served, eva);
    floor.answer(6.0, served, eva);
    let database = projected(&Queues, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let names = ["billing".to_owned(), "support".to_owned()];
    let all = waiting(&mut connection, &names, 10).await.unwrap();
    let told: Vec<_> = all.iter().map(|row| (row.entry.call_id, row.place)).collect();
    assert_eq!(told, [(elsewhere, 1), (urgent, 1), (first, 2), (second, 3)]);

    let mut told: Vec<(Uuid, i64)> = places(&mut connection, &[second, served, urgent])
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.entry.call_id, row.place))
        .collect();
    told.sort_by_key(|(_, place)| *place);
    assert_eq!(told, [(urgent, 1), (second, 3)]);
}

#[test]
fn the_id_of_a_queue_never_changes() {
    assert_eq!(queue_key("support").to_string(), "7175ccfc-eaa2-55d2-b3a2-95c3d53068d8");
    assert_ne!(queue_key("support"), queue_key("Support"));
}
