//! Agents: presence, contacts, tile and intervals.

use domain::agent::{Capability, Command, Presence};
use domain::call::{self, EndedBy};
use domain::{Label, Personal, ShortText, TeamName};
use projections::models::agents::{
    Activity, AgentFilter, AgentProfile, AgentView, Agents, Dimension, board, by_ids, changed_after, intervals,
    intervals_at, page,
};
use projections::models::{LegState, Scroll};
use tests::TestDatabase;
use uuid::Uuid;

use super::floor::Floor;
use super::{create, fold, projected};

const BEGIN: &str = "2026-11-23T09:00:00Z";

/// State, begin and end in seconds of an agent's intervals.
async fn seconds(
    database: &TestDatabase,
    floor: &Floor,
    id: Uuid,
    dimension: Dimension,
) -> Vec<(String, i64, Option<i64>)> {
    let mut connection = database.pool.acquire().await.unwrap();
    let (from, before) = (floor.at(-1.0), floor.at(1e6));
    let rows = intervals(&mut connection, &[id], dimension, from, before, 100).await.unwrap();
    let second = |at: chrono::DateTime<chrono::Utc>| (at - floor.at(0.0)).num_seconds();
    rows.into_iter().map(|row| (row.state, second(row.began_at), row.ended_at.map(second))).collect()
}

fn expected(intervals: &[(&str, i64, Option<i64>)]) -> Vec<(String, i64, Option<i64>)> {
    intervals.iter().map(|(state, begin, end)| ((*state).to_owned(), *begin, *end)).collect()
}

fn presence(presence: Presence, reason: Option<&str>) -> Command {
    Command::ChangePresence { presence, reason: reason.map(|reason| ShortText::parse(reason).unwrap()) }
}

/// Eva answers, goes on break during the call, asks Jan, passes the customer on, and leaves after her wrap-up.
fn consulting_floor() -> (Floor, Uuid, Uuid, Uuid) {
    let mut floor = Floor::new(BEGIN);
    let (eva, jan) = (floor.available("Eva", Some("north")), floor.available("Jan", Some("south")));
    let id = floor.queued(10.0, "support");
    floor.offer(12.0, id, eva);
    floor.answer(15.0, id, eva);
    floor.agent(20.0, eva, presence(Presence::OnBreak, Some("coffee")));
    floor.hold(30.0, id);
    floor.resume(40.0, id);
    floor.consult(50.0, id, jan);
    floor.answer(55.0, id, jan);
    floor.call(60.0, id, call::Command::TransferConsult { leg: None });
    floor.wrap_up(70.0, id, 1, "passed on");
    floor.agent(80.0, eva, Command::SignOut { reason: Some(ShortText::parse("end of shift").unwrap()) });
    floor.end(90.0, id, EndedBy::Customer);
    floor.wrap_up(100.0, id, 2, "done");
    (floor, id, eva, jan)
}

#[tokio::test]
async fn intervals_of_two_agents() {
    let (floor, _, eva, jan) = consulting_floor();
    let database = projected(&Agents, &floor.log).await;
    let activity = Dimension::Activity;
    assert_eq!(
        seconds(&database, &floor, eva, activity).await,
        expected(&[
            ("available", 0, Some(12)),
            ("ringing", 12, Some(15)),
            ("on_contact", 15, Some(60)),
            ("after_contact_work", 60, Some(70)),
            ("on_break", 70, Some(80)),
            ("signed_out", 80, None),
        ])
    );
    assert_eq!(
        seconds(&database, &floor, eva, Dimension::Presence).await,
        expected(&[("available", 0, Some(20)), ("on_break", 20, Some(80)), ("signed_out", 80, None),])
    );
    assert_eq!(
        seconds(&database, &floor, eva, Dimension::Contact).await,
        expected(&[
            ("ringing", 12, Some(15)),
            ("connected", 15, Some(30)),
            ("on_hold", 30, Some(40)),
            ("connected", 40, Some(50)),
            ("on_hold", 50, Some(60)),
            ("wrap_up", 60, Some(70)),
        ])
    );
    assert_eq!(
        seconds(&database, &floor, jan, activity).await,
        expected(&[
            ("available", 0, Some(50)),
            ("ringing", 50, Some(55)),
            ("on_contact", 55, Some(90)),
            ("after_contact_work", 90, Some(100)),
            ("available", 100, None),
        ])
    );
    assert_eq!(
        seconds(&database, &floor, jan, Dimension::Contact).await,
        expected(&[
            ("ringing", 50, Some(55)),
            ("consulting", 55, Some(60)),
            ("connected", 60, Some(90)),
            ("wrap_up", 90, Some(100)),
        ])
    );
}

#[tokio::test]
async fn the_floor_at_a_past_instant() {
    let (floor, id, eva, jan) = consulting_floor();
    let database = projected(&Agents, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut at = async |seconds: f64, agents: Option<&[Uuid]>| {
        let rows = intervals_at(&mut connection, agents, floor.at(seconds)).await.unwrap();
        let mut told: Vec<_> =
            rows.into_iter().map(|row| (row.agent_id, row.dimension, row.state, row.reason, row.call_id)).collect();
        told.sort();
        told
    };
    let row = |agent, dimension, state: &str, reason: Option<&str>, call| {
        (agent, dimension, state.to_owned(), reason.map(str::to_owned), call)
    };
    assert_eq!(
        at(58.0, None).await,
        [
            row(eva, Dimension::Presence, "on_break", Some("coffee"), None),
            row(eva, Dimension::Contact, "on_hold", None, Some(id)),
            row(eva, Dimension::Activity, "on_contact", None, None),
            row(jan, Dimension::Presence, "available", None, None),
            row(jan, Dimension::Contact, "consulting", None, Some(id)),
            row(jan, Dimension::Activity, "on_contact", None, None),
        ]
    );
    // An interval's end is not part of it.
    assert_eq!(at(60.0, Some(&[eva])).await[1], row(eva, Dimension::Contact, "wrap_up", None, Some(id)));
    assert_eq!(
        at(1e6, Some(&[eva])).await,
        [
            row(eva, Dimension::Presence, "signed_out", Some("end of shift"), None),
            row(eva, Dimension::Activity, "signed_out", None, None),
        ]
    );
    assert_eq!(at(-1.0, None).await, []);
}

#[tokio::test]
async fn the_board_shows_the_highest_precedence_and_hides_nothing() {
    let mut floor = Floor::new(BEGIN);
    let (eva, jan) = (floor.available("Eva", Some("north")), floor.available("Jan", Some("south")));
    let ann = floor.available("Ann", None);
    let first = floor.queued(10.0, "support");
    floor.offer(11.0, first, eva);
    floor.answer(12.0, first, eva);
    floor.end(20.0, first, EndedBy::Customer);
    let second = floor.queued(21.0, "support");
    floor.offer(22.0, second, eva); // rings while she wraps up
    floor.agent(25.0, jan, Command::SignOut { reason: None });
    let database = projected(&Agents, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let agents = board(&mut connection, None).await.unwrap();
    let told: Vec<_> =
        agents.iter().map(|a| (a.profile.name.reveal().as_str(), a.activity, a.activity_since)).collect();
    assert_eq!(
        told,
        [("Eva", Activity::AfterContactWork, Some(floor.at(20.0))), ("Ann", Activity::Available, Some(floor.at(0.0)))]
    );
    let contacts: Vec<_> = agents[0].contacts.iter().map(|c| (c.call_id, c.state, c.state_since, c.consult)).collect();
    assert_eq!(
        contacts,
        [(first, LegState::WrapUp, floor.at(20.0), false), (second, LegState::Ringing, floor.at(22.0), false)]
    );
    assert_eq!((agents[0].presence, agents[0].free_slots()), (Some(Presence::Available), 0));
    assert_eq!(board(&mut connection, Some("north")).await.unwrap(), agents[..1]);
    assert!(!format!("{agents:?}").contains("Eva"), "a log line must not show a name");

    let everybody = AgentFilter::default();
    let names =
        |agents: Vec<AgentView>| agents.into_iter().map(|a| a.profile.name.reveal().clone()).collect::<Vec<_>>();
    let forward = page(&mut connection, &everybody, None, 2, Scroll::Forward).await.unwrap();
    let cursor = (Personal::new("Eva".to_owned()), eva);
    assert_eq!(names(forward), ["Ann", "Eva"]);
    assert_eq!(names(page(&mut connection, &everybody, Some(&cursor), 2, Scroll::Forward).await.unwrap()), ["Jan"]);
    assert_eq!(names(page(&mut connection, &everybody, Some(&cursor), 2, Scroll::Backward).await.unwrap()), ["Ann"]);
    let out = AgentFilter { activities: vec![Activity::SignedOut], ..AgentFilter::default() };
    assert_eq!(names(page(&mut connection, &out, None, 9, Scroll::Forward).await.unwrap()), ["Jan"]);

    let changed = changed_after(&mut connection, floor.position() - 2, None, 9).await.unwrap();
    assert_eq!(changed.iter().map(|a| a.profile.agent_id).collect::<Vec<_>>(), [eva, jan]);
    assert_eq!(by_ids(&mut connection, &[ann, Uuid::nil()]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_profile_now_and_then() {
    let mut floor = Floor::new(BEGIN);
    let eva = floor.available("Eva", Some("north"));
    let capability = |name: &str, level| Capability { name: Label::parse(name).unwrap(), level };
    floor.agent(10.0, eva, Command::SetCapability { capability: capability("czech", 9) });
    floor.agent(11.0, eva, Command::SetCapability { capability: capability("billing", 3) });
    floor.agent(12.0, eva, Command::ChangeCapacity { capacity: 4 });
    floor.agent(20.0, eva, Command::SetCapability { capability: capability("billing", 5) });
    floor.agent(21.0, eva, Command::RemoveCapability { name: Label::parse("czech").unwrap() });
    floor.agent(22.0, eva, Command::AssignTeam { team: Some(TeamName::parse("south").unwrap()) });
    let database = projected(&Agents, &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let now = by_ids(&mut connection, &[eva]).await.unwrap().remove(0);
    assert_eq!(now.profile.capabilities, [capability("billing", 5)]);
    assert_eq!((now.profile.team.as_deref(), now.profile.capacity, now.version), (Some("south"), 4, 8));
    let whole = floor.log.iter().fold(None, AgentProfile::fold).unwrap();
    assert_eq!(whole, now.profile);

    let upto = floor.log.iter().filter(|e| e.recorded.occurred_at <= floor.at(15.0));
    let then = upto.fold(None, AgentProfile::fold).unwrap();
    assert_eq!(then.capabilities, [capability("billing", 3), capability("czech", 9)]);
    assert_eq!(then.team.as_deref(), Some("north"));
    let able = AgentFilter { capability: Some("billing".to_owned()), ..AgentFilter::default() };
    assert_eq!(page(&mut connection, &able, None, 9, Scroll::Forward).await.unwrap().len(), 1);
}

#[tokio::test]
async fn clocks_that_disagree_make_no_negative_time() {
    let mut floor = Floor::new(BEGIN);
    let eva = floor.available("Eva", None);
    let id = floor.queued(10.0, "support");
    floor.offer(12.0, id, eva);
    floor.answer(11.0, id, eva); // by a clock that is behind
    floor.agent(11.5, eva, presence(Presence::Away, None));
    floor.end(20.0, id, EndedBy::Agent);
    let database = projected(&Agents, &floor.log).await;
    assert_eq!(
        seconds(&database, &floor, eva, Dimension::Activity).await,
        expected(&[
            ("available", 0, Some(12)),
            ("ringing", 12, Some(12)),
            ("on_contact", 12, Some(20)),
            ("after_contact_work", 20, None),
        ])
    );
}

#[tokio::test]
async fn calls_that_were_parked_are_folded_later() {
    let (floor, id, eva, jan) = consulting_floor();
    let (late, early): (Vec<_>, Vec<_>) = floor.log.iter().cloned().partition(|e| e.recorded.stream.id == id);
    let database = TestDatabase::new().await;
    create(&database.pool, &Agents, "read").await;
    fold(&database.pool, &Agents, "read", &early, 10).await;
    fold(&database.pool, &Agents, "read", &late, 1).await;

    let mut connection = database.pool.acquire().await.unwrap();
    let agents = by_ids(&mut connection, &[eva, jan]).await.unwrap();
    assert!(agents.iter().all(|agent| agent.contacts.is_empty()));
    let of = |id| agents.iter().find(|agent| agent.profile.agent_id == id).unwrap();
    assert_eq!((of(eva).activity, of(jan).activity), (Activity::SignedOut, Activity::Available));
    assert_eq!(of(eva).position, early.last().unwrap().recorded.position);
    // What the tile showed meanwhile stays; the contact's own times are as if nothing had happened.
    assert_eq!(
        seconds(&database, &floor, eva, Dimension::Contact).await[..2],
        expected(&[("ringing", 12, Some(15)), ("connected", 15, Some(30)),])
    );
}
