//! Random days: many calls and agents at once, whatever the rules allow. However the log is cut into batches the tables
//! are the same (`project` sees to that), and the models agree with the aggregates and with one another.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::agent::Presence;
use domain::call::{Command, Destination, Direction, EndReason, EndedBy, Party};
use domain::{Label, QueueName, ShortText};
use projections::metrics::intervals::Tz;
use projections::metrics::service_level::{ANSWER_THRESHOLD_MS, SHORT_ABANDON_MS};
use projections::models::agents::{Activity, Agents, Dimension, IntervalRow, by_ids, intervals};
use projections::models::calls::{CallView, Calls, legs_of};
use projections::models::dashboard::{Dashboard, today};
use projections::models::queues::{EntryOutcome, EntryRow, Queues, board, entries_of};
use tests::TestDatabase;
use uuid::Uuid;

use super::floor::{Floor, READY, RING_MS, initiate};
use super::project;

const CALLS: usize = 12;
const AGENTS: usize = 5;
const COMMANDS: usize = 6_000;

/// Numbers that look random and are the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides
    }
}

fn queue(dice: &mut Dice) -> QueueName {
    QueueName::parse(["support", "billing", "sales"][dice.roll(3)]).unwrap()
}

fn call_command(dice: &mut Dice, agents: &[Uuid]) -> Command {
    let agent_id = agents[dice.roll(agents.len())];
    let (agent, ring_timeout_ms) = (READY, RING_MS);
    let leg = Some(dice.roll(4) as u32 + 1).filter(|_| dice.roll(2) == 0);
    let number = || domain::Personal::new(domain::PhoneNumber::parse("+420222000009").unwrap());
    match dice.roll(40) {
        0 => initiate(Direction::Outbound),
        1..=6 => Command::Queue { queue: queue(dice), priority: dice.roll(3) as i16 },
        7..=12 => Command::Offer { agent_id, agent, ring_timeout_ms },
        13 => Command::Decline { agent_id, reason: None },
        14 => Command::ExpireOffer { agent_id, leg: None },
        15..=20 => Command::Answer { agent_id },
        21 | 22 => Command::Hold { leg },
        23 | 24 => Command::Resume { leg },
        25 => Command::TransferBlind { leg, to: Destination::Queue { queue: queue(dice), priority: 1 } },
        26 => Command::TransferBlind { leg, to: Destination::Agent { agent_id, agent, ring_timeout_ms } },
        27 => Command::TransferBlind { leg, to: Destination::External { number: number() } },
        28..=30 => Command::StartConsult { leg, agent_id, agent, ring_timeout_ms },
        31 => Command::TransferConsult { leg },
        32 => Command::CancelConsult { leg },
        33..=36 => Command::CompleteWrapUp { leg, disposition: Label::parse("done").unwrap(), notes: None },
        37 => match dice.roll(8) {
            0 => Command::End { by: EndedBy::System, reason: EndReason::QueueClosed },
            1 => Command::Fail { reason: ShortText::parse("carrier gone").unwrap() },
            2 | 3 => Command::Abandon,
            _ => Command::End { by: EndedBy::Customer, reason: EndReason::Completed },
        },
        38 => Command::Mute { leg, party: Party::Agent },
        _ => Command::StartRecording { recording_id: Uuid::from_u128(9) },
    }
}

fn agent_command(dice: &mut Dice) -> domain::agent::Command {
    let presence = Presence::ALL[dice.roll(Presence::ALL.len())];
    match dice.roll(5) {
        0 => domain::agent::Command::SignIn { presence },
        1 => domain::agent::Command::SignOut { reason: None },
        2 => domain::agent::Command::ChangeCapacity { capacity: dice.roll(5) as u8 + 1 },
        _ => domain::agent::Command::ChangePresence { presence, reason: None },
    }
}

struct Day {
    floor: Floor,
    calls: Vec<Uuid>,
    agents: Vec<Uuid>,
    end: DateTime<Utc>,
}

/// A day across a midnight. `skew`: by how many milliseconds the clocks of those who tell are behind at most.
fn random_day(seed: u64, skew: usize) -> Day {
    let mut dice = Dice(seed);
    let mut floor = Floor::new("2026-11-23T23:50:00Z");
    let agents: Vec<Uuid> = (0..AGENTS).map(|n| floor.available(&format!("Agent {n}"), None)).collect();
    let mut live: Vec<Uuid> = (0..CALLS).map(|_| floor.inbound(0.0)).collect();
    let mut calls = live.clone();
    let mut clock = skew as f64 / 1000.0;
    for _ in 0..COMMANDS {
        clock += dice.roll(1_000) as f64 / 1000.0;
        let seconds = clock - dice.roll(skew + 1) as f64 / 1000.0;
        if dice.roll(10) == 0 {
            let agent = agents[dice.roll(AGENTS)];
            let command = agent_command(&mut dice);
            floor.try_agent(seconds, agent, command);
        } else if dice.roll(30) == 0 {
            // A new caller takes the place of an old one, whose call goes on or not.
            let id = floor.inbound(seconds);
            calls.push(id);
            live[dice.roll(CALLS)] = id;
        } else {
            let call = live[dice.roll(CALLS)];
            let command = call_command(&mut dice, &agents);
            floor.try_call(seconds, call, command);
        }
    }
    let end = floor.at(clock);
    Day { floor, calls, agents, end }
}

async fn projected(seed: u64, skew: usize) -> (Day, TestDatabase) {
    let day = random_day(seed, skew);
    assert!(day.floor.log.len() > 1_000, "{} events", day.floor.log.len());
    let database = TestDatabase::new().await;
    project(&database, &Calls, &day.floor.log).await;
    project(&database, &Agents, &day.floor.log).await;
    project(&database, &Queues, &day.floor.log).await;
    project(&database, &Dashboard::new(Tz::Europe__Prague), &day.floor.log).await;
    (day, database)
}

#[tokio::test]
async fn random_days_add_up() {
    for (seed, skew) in [(1, 0), (20_261_123, 5_000)] {
        let (day, database) = projected(seed, skew).await;
        calls_are_what_their_events_fold_to(&day, &database).await;
        agents_did_what_their_legs_say(&day, &database).await;
        the_dashboard_is_the_sum_of_waits_and_legs(&day, &database).await;
    }
}

async fn calls_are_what_their_events_fold_to(day: &Day, database: &TestDatabase) {
    let mut connection = database.pool.acquire().await.unwrap();
    let views = projections::models::calls::by_ids(&mut connection, &day.calls).await.unwrap();
    assert_eq!(views.len(), day.calls.len());
    for view in views {
        let id = view.call.call_id;
        let events = day.floor.log.iter().filter(|decoded| decoded.recorded.stream.id == id);
        assert_eq!(events.fold(None, CallView::fold).as_ref(), Some(&view));

        let call = day.floor.state_of(id);
        assert_eq!(view.call.state.is_over(), call.phase == domain::call::Phase::Over);
        let waiting = view.call.queue.clone().filter(|_| view.call.waiting_since.is_some());
        assert_eq!(waiting, call.waiting_in.as_ref().map(ToString::to_string));
        let current = view.legs.iter().find(|leg| leg.has_customer()).map(|leg| leg.leg);
        assert_eq!(current, call.connected().map(|leg| leg.number));
        assert_eq!(view.legs.len(), call.legs.len());
        for (row, leg) in view.legs.iter().zip(&call.legs) {
            assert_eq!(row.times.state == projections::models::LegState::OnHold, leg.held, "{row:?}");
            assert_eq!(row.agent_muted, leg.muted.contains(&Party::Agent));
            let over = row.outcome.is_some() || row.wrap_up_started_at.is_some();
            assert_eq!(row.ended_at.is_some(), over);
        }
        // Whatever the clocks say, the times of a leg add up to its life.
        for leg in view.legs.iter().filter(|leg| leg.wrap_up_completed_at.is_some()) {
            let times = &leg.times;
            let life_ms = (times.state_since - leg.offered_at).num_milliseconds();
            assert_eq!(times.ring_ms + times.handle_ms(), life_ms, "{leg:?}");
        }
    }
}

async fn agents_did_what_their_legs_say(day: &Day, database: &TestDatabase) {
    let mut connection = database.pool.acquire().await.unwrap();
    let legs = legs_of(&mut connection, &day.calls).await.unwrap();
    let views = by_ids(&mut connection, &day.agents).await.unwrap();
    let mut spent: BTreeMap<(Uuid, u32, String), i64> = BTreeMap::new();
    for view in &views {
        let id = view.profile.agent_id;
        let open = legs.iter().filter(|leg| leg.agent_id == id && leg.state() != projections::models::LegState::Closed);
        let mut open: Vec<_> = open.map(|leg| (leg.call_id, leg.leg, leg.state(), leg.times.state_since)).collect();
        let mut contacts: Vec<_> = view.contacts.iter().map(|c| (c.call_id, c.leg, c.state, c.state_since)).collect();
        open.sort();
        contacts.sort();
        assert_eq!(contacts, open);
        assert_eq!(view.activity, Activity::of(view.presence, contacts.iter().map(|contact| contact.2)));

        for dimension in [Dimension::Presence, Dimension::Activity, Dimension::Contact] {
            let (from, before) = (day.floor.at(-1.0), day.end);
            let rows = intervals(&mut connection, &[id], dimension, from, before, 1_000).await.unwrap();
            if dimension == Dimension::Contact {
                for row in rows {
                    *spent.entry((row.call_id.unwrap(), row.leg.unwrap(), row.state.clone())).or_default() += ms(&row);
                }
            } else {
                let gapless = rows.windows(2).all(|pair| pair[0].ended_at == Some(pair[1].began_at));
                assert!(gapless, "{rows:?}");
                let differ = rows.windows(2).all(|pair| pair[0].state != pair[1].state);
                assert!(differ || dimension == Dimension::Presence, "{rows:?}");
                assert_eq!(rows.last().unwrap().ended_at, None);
            }
        }
    }
    for leg in legs {
        let of = |state: &str| spent.get(&(leg.call_id, leg.leg, state.to_owned())).copied().unwrap_or_default();
        let times = &leg.times;
        let told = [times.ring_ms, times.consult_ms, times.talk_ms, times.hold_ms, times.wrap_up_ms];
        assert_eq!(["ringing", "consulting", "connected", "on_hold", "wrap_up"].map(of), told);
    }
}

fn ms(row: &IntervalRow) -> i64 {
    row.ended_at.map_or(0, |ended| (ended - row.began_at).num_milliseconds())
}

async fn the_dashboard_is_the_sum_of_waits_and_legs(day: &Day, database: &TestDatabase) {
    let mut connection = database.pool.acquire().await.unwrap();
    let waits = entries_of(&mut connection, &day.calls).await.unwrap();
    let legs = legs_of(&mut connection, &day.calls).await.unwrap();
    // In Prague it is the 24th from the beginning on: one day holds it all.
    let dashboard = today(&mut connection, Tz::Europe__Prague, day.end, None).await.unwrap();
    let (counts, total) = (dashboard.day.counts, &dashboard.day);

    let ended = |outcome| waits.iter().filter(|wait| wait.outcome == Some(outcome)).collect::<Vec<_>>();
    let within = |waits: &[&EntryRow], ms: i64| waits.iter().filter(|wait| wait.wait_ms.unwrap() <= ms).count() as i64;
    let (answered, abandoned) = (ended(EntryOutcome::Answered), ended(EntryOutcome::Abandoned));
    assert!(!answered.is_empty() && !abandoned.is_empty() && !ended(EntryOutcome::FlowOut).is_empty());
    assert_eq!(counts.offered, waits.len() as i64);
    assert_eq!(counts.answered, answered.len() as i64);
    assert_eq!(counts.answered_in_threshold, within(&answered, ANSWER_THRESHOLD_MS));
    assert_eq!(total.wait_ms_sum, answered.iter().map(|wait| wait.wait_ms.unwrap()).sum::<i64>());
    assert_eq!(counts.abandoned, abandoned.len() as i64);
    assert_eq!(counts.abandoned_short, within(&abandoned, SHORT_ABANDON_MS));
    assert_eq!(counts.abandoned_in_threshold, within(&abandoned, ANSWER_THRESHOLD_MS));
    assert_eq!(counts.flow_outs, ended(EntryOutcome::FlowOut).len() as i64);
    assert_eq!(total.ended_waiting as usize, ended(EntryOutcome::Ended).len() + ended(EntryOutcome::Failed).len());

    let open: Vec<_> = waits.iter().filter(|wait| wait.left_at.is_none()).collect();
    assert_eq!(dashboard.waiting, open.len() as i64);
    assert_eq!(dashboard.oldest_enqueued_at, open.iter().map(|wait| wait.enqueued_at).min());
    let queues = board(&mut connection).await.unwrap();
    assert_eq!(queues.iter().map(|queue| i64::from(queue.waiting)).sum::<i64>(), dashboard.waiting);
    assert_eq!(dashboard.in_progress, legs.iter().filter(|leg| leg.has_customer()).count() as i64);

    let handled: Vec<_> = legs.iter().filter(|leg| leg.wrap_up_completed_at.is_some()).collect();
    assert_eq!(total.handled, handled.len() as i64);
    assert_eq!(total.talk_ms_sum, handled.iter().map(|leg| leg.times.talk_ms).sum::<i64>());
    assert_eq!(total.hold_ms_sum, handled.iter().map(|leg| leg.times.hold_ms).sum::<i64>());
    assert_eq!(total.wrap_up_ms_sum, handled.iter().map(|leg| leg.times.wrap_up_ms).sum::<i64>());

    let views = by_ids(&mut connection, &day.agents).await.unwrap();
    for (activity, count) in dashboard.agents {
        assert_eq!(views.iter().filter(|view| view.activity == activity).count() as i64, count, "{activity:?}");
    }
}
