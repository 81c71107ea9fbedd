//! Calls and their legs.

use domain::call::{self, Command, Direction, EndReason, EndedBy, Party};
use domain::{Personal, ShortText};
use projections::ReadModel as _;
use projections::models::agents::Agents;
use projections::models::calls::{
    self, CallFilter, CallState, CallView, Calls, LegKind, LegOutcome, Legs, RecordingState, by_ids, legs_of, page,
};
use projections::models::{LegState, Scroll};
use tests::TestDatabase;
use uuid::Uuid;

use super::floor::{Floor, initiate};
use super::{fold, project, projected};

const BEGIN: &str = "2026-11-23T09:00:00Z";

async fn view(database: &TestDatabase, id: Uuid) -> CallView {
    let mut connection = database.pool.acquire().await.unwrap();
    by_ids(&mut connection, &[id]).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_call_that_two_agents_handle_one_after_the_other() {
    let mut floor = Floor::new(BEGIN);
    let (eva, jan) = (floor.available("Eva", None), floor.available("Jan", None));
    let id = floor.inbound(10.0);
    floor.enqueue(12.0, id, "support", 0);
    floor.offer(15.0, id, eva);
    floor.answer(19.5, id, eva); // waits 7.5 s
    floor.call(20.0, id, Command::StartRecording { recording_id: Uuid::from_u128(7) });
    floor.hold(60.0, id); // talks 40.5 s
    floor.resume(80.0, id); // held 20 s
    floor.hold(90.0, id); // talks 10 s
    floor.resume(95.0, id); // held 5 s
    floor.transfers_to_queue(100.0, id, "billing"); // talks 5 s
    floor.offer(104.0, id, jan);
    floor.answer(110.0, id, jan); // waits 10 s
    floor.wrap_up(130.0, id, 1, "passed on"); // 30 s
    floor.call(140.0, id, Command::Mute { leg: None, party: Party::Customer });
    floor.end(170.0, id, EndedBy::Customer); // talks 60 s
    floor.wrap_up(200.0, id, 2, "refunded"); // 30 s
    let database = projected(&Calls, &floor.log).await;
    let CallView { call, legs } = view(&database, id).await;

    assert_eq!((call.state, call.state_since, call.wrap_up_open), (CallState::Ended, floor.at(170.0), false));
    assert_eq!((call.queue.as_deref(), call.agent_id), (Some("billing"), Some(jan)));
    assert_eq!((call.initiated_at, call.first_queued_at), (floor.at(10.0), Some(floor.at(12.0))));
    assert_eq!((call.answered_at, call.ended_at), (Some(floor.at(19.5)), Some(floor.at(170.0))));
    assert_eq!((call.ended_by, call.end_reason), (Some(EndedBy::Customer), Some(EndReason::Completed)));
    assert_eq!((call.wait_ms, call.wait_total_ms), (Some(7_500), 17_500));
    assert_eq!((call.talk_ms, call.hold_ms, call.wrap_up_ms), (115_500, 25_000, 60_000));
    assert_eq!((call.transfers, call.disposition.as_deref()), (1, Some("refunded")));
    assert_eq!((call.recording, call.recording_id), (RecordingState::Off, Some(Uuid::from_u128(7))));
    assert_eq!((call.customer_muted, call.language.as_deref()), (false, Some("cs")));
    assert_eq!(call.from_number.reveal(), "+420601000001");
    assert_eq!(call.position, floor.position());
    assert_eq!(call.version, floor.log.last().unwrap().recorded.version);

    let [first, second] = legs.as_slice() else { panic!("two legs") };
    assert_eq!((first.agent_id, first.kind, first.queue.as_deref()), (eva, LegKind::Primary, Some("support")));
    assert_eq!((first.enqueued_at, first.offered_at), (Some(floor.at(12.0)), floor.at(15.0)));
    assert_eq!((first.answered_at, first.ended_at), (Some(floor.at(19.5)), Some(floor.at(100.0))));
    assert_eq!((first.outcome, first.times.state), (Some(LegOutcome::TransferredBlind), LegState::Closed));
    assert_eq!((first.times.ring_ms, first.times.talk_ms), (4_500, 55_500));
    assert_eq!((first.times.hold_ms, first.times.hold_count, first.times.wrap_up_ms), (25_000, 2, 30_000));
    assert_eq!(first.times.handle_ms(), 110_500);
    assert_eq!(first.notes.as_ref().unwrap().reveal(), "called about a refund");
    assert_eq!((second.agent_id, second.queue.as_deref()), (jan, Some("billing")));
    assert_eq!((second.outcome, second.times.talk_ms), (Some(LegOutcome::Completed), 60_000));
    assert_eq!(
        (second.wrap_up_started_at, second.wrap_up_completed_at),
        (Some(floor.at(170.0)), Some(floor.at(200.0)))
    );
    assert_eq!(second.disposition.as_deref(), Some("refunded"));
}

#[tokio::test]
async fn a_consultation_that_ends_in_a_transfer() {
    let mut floor = Floor::new(BEGIN);
    let (eva, jan) = (floor.available("Eva", None), floor.available("Jan", None));
    let id = floor.queued(0.0, "support");
    floor.offer(1.0, id, eva);
    floor.answer(5.0, id, eva);
    floor.consult(65.0, id, jan); // Eva has talked 60 s, the customer is on hold
    floor.answer(75.0, id, jan);
    floor.call(105.0, id, Command::TransferConsult { leg: None }); // Jan has advised 30 s, the customer was held 40 s
    floor.end(165.0, id, EndedBy::Agent); // Jan has talked 60 s
    floor.wrap_up(175.0, id, 2, "done");
    let before_wrap_up = floor.log.len() - 1;
    let database = projected(&Calls, &floor.log).await;
    let CallView { call, legs } = view(&database, id).await;

    assert_eq!((call.talk_ms, call.hold_ms, call.wrap_up_ms), (120_000, 40_000, 10_000));
    assert_eq!((call.agent_id, call.transfers, call.state), (Some(jan), 1, CallState::Ended));
    // Eva's wrap-up is open though the call is over.
    assert!(call.wrap_up_open);
    assert_eq!((legs[0].outcome, legs[0].times.state), (Some(LegOutcome::TransferredConsult), LegState::WrapUp));
    assert_eq!((legs[1].kind, legs[1].consulted_by, legs[1].queue.as_deref()), (LegKind::Consult, Some(1), None));
    assert_eq!((legs[1].answered_at, legs[1].took_over_at), (Some(floor.at(75.0)), Some(floor.at(105.0))));
    assert_eq!((legs[1].times.consult_ms, legs[1].times.talk_ms, legs[1].times.handle_ms()), (30_000, 60_000, 100_000));
    // The speed of answer is Eva's; Jan's answer was no answer of the customer.
    assert_eq!((call.wait_ms, call.answered_at), (Some(5_000), Some(floor.at(5.0))));

    // The same fold over the events up to an instant gives the call as it was then.
    let upto = floor.log[..before_wrap_up].iter().filter(|e| e.recorded.occurred_at <= floor.at(80.0));
    let past = upto.fold(None, CallView::fold).unwrap();
    assert_eq!((past.call.state, past.call.agent_id), (CallState::OnHold, Some(eva)));
    assert_eq!((past.legs[0].state(), past.legs[1].state()), (LegState::OnHold, LegState::Consulting));
    assert_eq!((past.call.talk_ms, past.call.hold_ms), (60_000, 0));
}

#[tokio::test]
async fn offers_that_nobody_answers() {
    let mut floor = Floor::new(BEGIN);
    let (eva, jan) = (floor.available("Eva", None), floor.available("Jan", None));
    let id = floor.queued(0.0, "support");
    floor.offer(2.0, id, eva);
    let reason = Some(ShortText::parse("coughing").unwrap());
    floor.call(4.0, id, Command::Decline { agent_id: eva, reason });
    floor.offer(5.0, id, jan);
    floor.call(25.0, id, Command::ExpireOffer { agent_id: jan, leg: Some(2) });
    floor.offer(26.0, id, jan);
    floor.call(28.0, id, Command::Abandon);
    let database = projected(&Calls, &floor.log).await;
    let CallView { call, legs } = view(&database, id).await;

    assert_eq!((call.state, call.ended_by, call.end_reason), (CallState::Abandoned, Some(EndedBy::Customer), None));
    assert_eq!((call.wait_ms, call.wait_total_ms, call.agent_id), (None, 28_000, None));
    let outcomes: Vec<_> = legs.iter().map(|leg| (leg.outcome.unwrap(), leg.times.ring_ms)).collect();
    assert_eq!(
        outcomes,
        [(LegOutcome::Declined, 2_000), (LegOutcome::Expired, 20_000), (LegOutcome::Withdrawn, 2_000)]
    );
    assert_eq!(legs[0].decline_reason.as_deref(), Some("coughing"));
    // Each offer belongs to the one wait.
    assert!(legs.iter().all(|leg| leg.enqueued_at == Some(floor.at(0.0))));
}

#[tokio::test]
async fn states_of_a_call_as_it_goes() {
    let mut floor = Floor::new(BEGIN);
    let (eva, jan) = (floor.available("Eva", None), floor.available("Jan", None));
    let id = Uuid::now_v7();
    let mut states = Vec::new();
    let mut view = None;
    let mut seen = floor.log.len();
    let mut look = |floor: &Floor| {
        let new = &floor.log[seen..];
        seen = floor.log.len();
        view = new.iter().fold(view.take(), CallView::fold);
        states.push(view.as_ref().unwrap().call.state);
    };
    floor.call(0.0, id, initiate(Direction::Inbound));
    look(&floor);
    floor.enqueue(1.0, id, "support", 0);
    look(&floor);
    floor.offer(2.0, id, eva);
    look(&floor);
    floor.call(3.0, id, Command::Decline { agent_id: eva, reason: None });
    look(&floor);
    floor.offer(4.0, id, eva);
    floor.answer(5.0, id, eva);
    look(&floor);
    floor.consult(6.0, id, jan);
    look(&floor);
    floor.call(7.0, id, Command::CancelConsult { leg: None });
    floor.resume(8.0, id);
    look(&floor);
    let number = Personal::new(domain::PhoneNumber::parse("+420222000009").unwrap());
    floor.call(9.0, id, Command::TransferBlind { leg: None, to: call::Destination::External { number } });
    look(&floor);
    floor.call(10.0, id, Command::Fail { reason: ShortText::parse("carrier gone").unwrap() });
    look(&floor);
    assert_eq!(
        states,
        [
            CallState::Initiated,
            CallState::Waiting,
            CallState::Offered,
            CallState::Waiting,
            CallState::Connected,
            CallState::OnHold,
            CallState::Connected,
            CallState::Transferring,
            CallState::Failed,
        ]
    );
    let view = view.unwrap();
    assert_eq!((view.call.failure.as_deref(), view.call.ended_by), (Some("carrier gone"), None));
    // The colleague's phone rang in vain: taken back, not cancelled in conversation.
    assert_eq!(view.legs[2].outcome, Some(LegOutcome::Withdrawn));
    assert!(!format!("{view:?}").contains("601000001"), "a log line must not show a number");
}

#[tokio::test]
async fn pages_and_filters() {
    let mut floor = Floor::new(BEGIN);
    let eva = floor.available("Eva", Some("north"));
    let ids: Vec<Uuid> = (0..5).map(|n| floor.queued(f64::from(n), if n % 2 == 0 { "even" } else { "odd" })).collect();
    floor.offer(10.0, ids[1], eva);
    floor.answer(11.0, ids[1], eva);
    floor.call(12.0, ids[4], Command::Abandon);
    let database = projected(&Calls, &floor.log).await;
    project(&database, &Agents, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let all = CallFilter::default();
    let found = |calls: Vec<CallView>| {
        calls.iter().map(|view| ids.iter().position(|id| *id == view.call.call_id).unwrap()).collect::<Vec<_>>()
    };
    let cursor = |n: usize| Some((floor.at(n as f64), ids[n]));

    assert_eq!(found(page(&mut connection, &all, None, 2, Scroll::Forward, Legs::Read).await.unwrap()), [4, 3]);
    assert_eq!(found(page(&mut connection, &all, cursor(3), 2, Scroll::Forward, Legs::Read).await.unwrap()), [2, 1]);
    assert_eq!(found(page(&mut connection, &all, cursor(1), 9, Scroll::Forward, Legs::Read).await.unwrap()), [0]);
    assert_eq!(found(page(&mut connection, &all, cursor(1), 2, Scroll::Backward, Legs::Read).await.unwrap()), [3, 2]);
    assert_eq!(found(page(&mut connection, &all, None, 2, Scroll::Backward, Legs::Read).await.unwrap()), [1, 0]);
    let without = page(&mut connection, &all, None, 9, Scroll::Forward, Legs::LeftOut).await.unwrap();
    assert!(without.iter().all(|view| view.legs.is_empty()));
    let with = page(&mut connection, &all, None, 9, Scroll::Forward, Legs::Read).await.unwrap();
    let rows = |views: Vec<CallView>| views.into_iter().map(|view| view.call).collect::<Vec<_>>();
    assert_eq!(rows(without), rows(with));

    let states = |states: &[CallState]| CallFilter { states: states.to_vec(), ..CallFilter::default() };
    let filters = [
        (states(&[CallState::Waiting]), vec![3, 2, 0]),
        (states(&[CallState::Connected, CallState::Abandoned]), vec![4, 1]),
        (CallFilter { queue: Some("odd".to_owned()), ..all.clone() }, vec![3, 1]),
        (CallFilter { agent_id: Some(eva), ..all.clone() }, vec![1]),
        (CallFilter { team: Some("north".to_owned()), ..all.clone() }, vec![1]),
        (CallFilter { team: Some("south".to_owned()), ..all.clone() }, vec![]),
        (CallFilter { direction: Some(Direction::Outbound), ..all.clone() }, vec![]),
        (
            CallFilter { initiated_from: Some(floor.at(1.0)), initiated_before: Some(floor.at(3.0)), ..all.clone() },
            vec![2, 1],
        ),
        (CallFilter { text: Some(Personal::new("NĚMC".to_owned())), ..all.clone() }, vec![4, 3, 2, 1, 0]),
        (CallFilter { text: Some(Personal::new("100%_n".to_owned())), ..all.clone() }, vec![4, 3, 2, 1, 0]),
        (CallFilter { text: Some(Personal::new("100%n".to_owned())), ..all.clone() }, vec![]),
        (CallFilter { text: Some(Personal::new("22200".to_owned())), ..all.clone() }, vec![4, 3, 2, 1, 0]),
    ];
    for (filter, expected) in filters {
        let calls = page(&mut connection, &filter, None, 10, Scroll::Forward, Legs::Read).await.unwrap();
        assert_eq!(found(calls), expected, "{filter:?}");
        let counted = calls::count(&mut connection, &filter, 10).await.unwrap();
        assert_eq!(counted, expected.len() as i64, "{filter:?}");
    }

    let changed = calls::changed_after(&mut connection, floor.position() - 2, None, 10).await.unwrap();
    assert_eq!(found(changed), [1, 4]);
    let changed = calls::changed_after(&mut connection, 0, Some(&ids[4..]), 10).await.unwrap();
    assert_eq!(found(changed), [4]);
    let legs = legs_of(&mut connection, &ids).await.unwrap();
    assert_eq!(legs.iter().map(|leg| (leg.call_id, leg.agent_id)).collect::<Vec<_>>(), [(ids[1], eva)]);
}

#[tokio::test]
async fn each_call_is_told_as_changed_once_a_batch() {
    let mut floor = Floor::new(BEGIN);
    let eva = floor.available("Eva", None);
    let id = floor.queued(0.0, "support");
    floor.offer(1.0, id, eva);
    let other = floor.queued(2.0, "support");
    floor.answer(3.0, id, eva);
    let database = TestDatabase::new().await;
    super::create(&database.pool, &Calls, "read").await;
    let changes = fold(&database.pool, &Calls, "read", &floor.log, 100).await;
    let last = floor.position();
    assert_eq!(changes.iter().map(|c| (c.position, c.key)).collect::<Vec<_>>(), [(last - 1, other), (last, id)]);
    assert_eq!(Calls.tables().len(), 2);
}
