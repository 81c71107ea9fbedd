//! The dashboard: days in a zone, and what goes on now.

use chrono::NaiveDate;
use domain::agent::{Command, Presence};
use domain::call::{self, EndReason, EndedBy};
use projections::ReadModel as _;
use projections::metrics::intervals::Tz;
use projections::metrics::service_level::{AbandonDialect, Counts, Dialect};
use projections::models::agents::Activity;
use projections::models::dashboard::{Dashboard, DayRow, days, today};
use uuid::Uuid;

use super::floor::Floor;
use super::projected;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Answers, talks, holds, talks, ends and wraps up, each for so many seconds.
fn handle(floor: &mut Floor, begin: f64, id: Uuid, agent: Uuid, seconds: [f64; 4]) {
    let [talk, hold, more_talk, wrap_up] = seconds;
    floor.answer(begin, id, agent);
    floor.hold(begin + talk, id);
    floor.resume(begin + talk + hold, id);
    floor.end(begin + talk + hold + more_talk, id, EndedBy::Customer);
    floor.wrap_up(begin + talk + hold + more_talk + wrap_up, id, 1, "done");
}

#[tokio::test]
async fn a_day_of_25_hours() {
    // Ten seconds before midnight in Prague; the 25th has 25 hours there.
    let mut floor = Floor::new("2026-10-24T21:59:50Z");
    const DAY_25_END: f64 = 10.0 + 25.0 * 3600.0;
    let eva = floor.available("Eva", None);
    let answered = floor.queued(0.0, "support");
    floor.offer(1.0, answered, eva);
    handle(&mut floor, 15.0, answered, eva, [60.0, 30.0, 10.0, 20.0]);
    let abandon = |floor: &mut Floor, begin: f64, wait: f64| {
        let id = floor.queued(begin, "support");
        floor.call(begin + wait, id, call::Command::Abandon);
    };
    abandon(&mut floor, DAY_25_END - 3.5, 3.0); // short, in the 25th hour
    abandon(&mut floor, DAY_25_END, 5.0); // short to the millisecond
    abandon(&mut floor, DAY_25_END + 10.0, 5.001); // not short
    abandon(&mut floor, DAY_25_END + 20.0, 20.0); // within the threshold
    abandon(&mut floor, DAY_25_END + 60.0, 20.001); // beyond it
    let zone = Tz::Europe__Prague;
    let database = projected(&Dashboard::new(zone), &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let rows = days(&mut connection, day("2026-10-01"), day("2026-10-31"), None).await.unwrap();
    let counts = Counts { offered: 1, ..Counts::default() };
    assert_eq!((rows[0].day, rows[0].counts), (day("2026-10-24"), counts));

    let counts = Counts { offered: 1, answered: 1, answered_in_threshold: 1, abandoned: 1, ..Counts::default() };
    let counts = Counts { abandoned_short: 1, abandoned_in_threshold: 1, ..counts };
    assert_eq!((rows[1].day, rows[1].counts), (day("2026-10-25"), counts));
    assert_eq!((rows[1].wait_ms_sum, rows[1].wait_ms_max, rows[1].handled), (15_000, 15_000, 1));
    assert_eq!((rows[1].talk_ms_sum, rows[1].hold_ms_sum, rows[1].wrap_up_ms_sum), (70_000, 30_000, 20_000));
    assert_eq!(rows[1].average_handle_ms(), Some(120_000.0));
    assert_eq!(rows[1].average_speed_of_answer_ms(), Some(15_000.0));

    let counts =
        Counts { offered: 4, abandoned: 4, abandoned_short: 1, abandoned_in_threshold: 3, ..Counts::default() };
    assert_eq!((rows[2].day, rows[2].counts), (day("2026-10-26"), counts));
    assert_eq!(rows[2].service_level(Dialect::Standard), Some(0.0));
    assert_eq!(rows[2].service_level(Dialect::GenesysWithoutAbandons), None);
    assert_eq!(rows[2].abandonment_rate(AbandonDialect::Standard), Some(1.0));
    assert_eq!(rows.len(), 3);

    // "Today" is the floor's day.
    let at = |seconds| floor.at(seconds);
    assert_eq!(today(&mut connection, zone, at(DAY_25_END - 0.001), None).await.unwrap().day.counts, rows[1].counts);
    assert_eq!(today(&mut connection, zone, at(DAY_25_END), None).await.unwrap().day.counts, rows[2].counts);
    let quiet = today(&mut connection, zone, at(DAY_25_END + 90_000.0), Some("support")).await.unwrap();
    assert_eq!(quiet.day, DayRow::zero(day("2026-10-27"), "support"));
    assert_eq!(quiet.day.service_level(Dialect::Standard), None);
}

#[tokio::test]
async fn what_goes_on_now() {
    let mut floor = Floor::new("2026-11-23T09:00:00Z");
    let (eva, jan, ann) = (floor.available("Eva", None), floor.available("Jan", None), floor.available("Ann", None));
    let away = floor.available("Bob", None);
    floor.agent(1.0, away, Command::ChangePresence { presence: Presence::OnBreak, reason: None });
    let held = floor.queued(10.0, "support");
    floor.offer(11.0, held, eva);
    floor.answer(12.0, held, eva);
    floor.consult(20.0, held, jan); // held, and Jan's phone rings
    let waits = floor.queued(30.0, "support");
    let rings = floor.queued(40.0, "billing");
    floor.offer(41.0, rings, ann);
    floor.agent(42.0, ann, Command::SignOut { reason: None });
    let over = floor.queued(50.0, "billing");
    floor.enqueue(51.0, over, "support", 0);
    floor.call(52.0, over, call::Command::End { by: EndedBy::System, reason: EndReason::QueueClosed });
    let database = projected(&Dashboard::default(), &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let now = floor.at(60.0);
    let all = today(&mut connection, Tz::UTC, now, None).await.unwrap();
    assert_eq!((all.waiting, all.in_progress, all.longest_wait_ms()), (2, 1, Some(30_000)));
    let agents: Vec<_> = all.agents.iter().filter(|(_, count)| **count > 0).map(|(a, n)| (*a, *n)).collect();
    assert_eq!(agents, [(Activity::OnContact, 1), (Activity::Ringing, 2), (Activity::OnBreak, 1)]);
    assert_eq!(all.agents.len(), Activity::ALL.len(), "an activity that nobody has is a zero");
    let counts = Counts { offered: 5, answered: 1, answered_in_threshold: 1, flow_outs: 1, ..Counts::default() };
    assert_eq!((all.day.counts, all.day.ended_waiting), (counts, 1));

    let billing = today(&mut connection, Tz::UTC, now, Some("billing")).await.unwrap();
    assert_eq!((billing.waiting, billing.in_progress, billing.longest_wait_ms()), (1, 0, Some(20_000)));
    let counts = Counts { offered: 2, flow_outs: 1, ..Counts::default() };
    assert_eq!((billing.day.counts, billing.agents == all.agents), (counts, true));
    let _ = waits;
}

#[tokio::test]
async fn handled_legs_and_advice() {
    let mut floor = Floor::new("2026-11-23T09:00:00Z");
    let (eva, jan) = (floor.available("Eva", None), floor.available("Jan", None));
    // Jan advises 10 s, and Eva keeps the customer: handled once.
    let kept = floor.queued(0.0, "support");
    floor.offer(0.0, kept, eva);
    floor.answer(5.0, kept, eva);
    floor.consult(15.0, kept, jan);
    floor.answer(20.0, kept, jan);
    floor.call(30.0, kept, call::Command::CancelConsult { leg: None });
    floor.resume(30.0, kept);
    floor.end(40.0, kept, EndedBy::Agent);
    floor.wrap_up(50.0, kept, 1, "done");
    // Jan advises 10 s and takes over: handled twice, once from the queue and once not.
    let passed = floor.queued(100.0, "support");
    floor.offer(100.0, passed, eva);
    floor.answer(105.0, passed, eva);
    floor.consult(110.0, passed, jan);
    floor.answer(115.0, passed, jan);
    floor.call(125.0, passed, call::Command::TransferConsult { leg: None });
    floor.wrap_up(135.0, passed, 1, "passed on");
    floor.end(165.0, passed, EndedBy::Customer);
    let open = floor.log.len();
    floor.wrap_up(170.0, passed, 2, "done");
    let database = projected(&Dashboard::default(), &floor.log).await;
    let mut connection = database.pool.acquire().await.unwrap();

    let date = day("2026-11-23");
    let [none, support] = days(&mut connection, date, date, None).await.unwrap().try_into().unwrap();
    assert_eq!((support.queue.as_str(), support.handled), ("support", 2));
    // Talk 10 + 10 and 5, hold 15 and 15, wrap-up 10 and 10.
    assert_eq!((support.talk_ms_sum, support.hold_ms_sum), (25_000, 30_000));
    assert_eq!((support.consult_ms_sum, support.wrap_up_ms_sum), (0, 20_000));
    assert_eq!((none.queue.as_str(), none.handled, none.counts), ("", 1, Counts::default()));
    assert_eq!((none.talk_ms_sum, none.consult_ms_sum, none.wrap_up_ms_sum), (40_000, 10_000, 5_000));
    let all = today(&mut connection, Tz::UTC, floor.at(200.0), None).await.unwrap();
    assert_eq!(all.day.average_handle_ms(), Some(130_000.0 / 3.0));

    // Nothing is left behind of calls that are over.
    for table in ["dashboard_calls", "dashboard_legs"] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM read.{table}"));
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await.unwrap(), 0);
    }
    // Until its wrap-up is completed a leg is not handled.
    let earlier = projected(&Dashboard::default(), &floor.log[..open]).await;
    let mut connection = earlier.pool.acquire().await.unwrap();
    assert_eq!(today(&mut connection, Tz::UTC, floor.at(169.0), None).await.unwrap().day.handled, 2);
}

#[test]
fn another_zone_is_another_version() {
    let versions = [Tz::UTC, Tz::Europe__Prague, Tz::Asia__Tokyo].map(|zone| Dashboard::new(zone).version());
    assert!(versions[0] != versions[1] && versions[1] != versions[2] && versions[0] != versions[2]);
}
