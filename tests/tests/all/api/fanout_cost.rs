//! What many who watch the same cost the database: what one costs; and nothing any more when they have gone.

use std::collections::HashSet;
use std::time::Duration;

use api::Limits;
use domain::permission::Role;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, Statements, Subscription, TestDatabase, TestServer};
use uuid::Uuid;

use super::{column, initiate};

const DASHBOARD: &str = "subscription { dashboard { cursor dashboard { at offered } } }";
/// Changes after which all must ride along with each other, or be gone.
const ROUNDS_MAX: usize = 50;
/// Changes over which snapshots are counted, so that one that comes late is not taken for one that does not come.
const COUNTED: usize = 10;
const MANY: usize = 20;

struct Watched {
    server: TestServer,
    statements: Statements,
    boss: Client,
    offered: usize,
    _database: TestDatabase,
}

impl Watched {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let (readers, statements) = Statements::of(&database).await;
        let limits = Limits { dashboard_every: Duration::ZERO, ..Limits::default() };
        let server = TestServer::start_reading_by(&database, readers, limits).await;
        let boss = server.signed_in(Role::Supervisor).await;
        Self { server, statements, boss, offered: 0, _database: database }
    }

    async fn subscribe(&self, count: usize) -> Vec<Subscription> {
        let mut watching = join_all((0..count).map(|_| self.boss.subscribe(DASHBOARD, json!({})))).await;
        join_all(watching.iter_mut().map(Subscription::next)).await;
        watching
    }

    /// Snapshots that are taken of the read models while this many changes are made and seen.
    async fn snapshots(&mut self, changes: usize, watching: &mut [Subscription]) -> usize {
        let Self { statements, boss, offered, .. } = self;
        let ((), executed) = statements
            .during(async {
                for _ in 0..changes {
                    change(boss, offered, watching).await;
                }
            })
            .await;
        executed.iter().filter(|statement| statement.starts_with("BEGIN")).count()
    }
}

/// Makes a change, and waits until the dashboard and all who watch it show it; the last push to each.
async fn change(boss: &Client, offered: &mut usize, watching: &mut [Subscription]) -> Vec<Value> {
    let call_id = Uuid::now_v7();
    boss.accepted("initiateCall", initiate(call_id)).await;
    let position = boss.accepted("queueCall", json!({ "callId": call_id, "queue": "sales" })).await;
    *offered += 1;
    let shown =
        boss.query("query ($at: Position) { dashboard(atLeast: $at) { offered } }", json!({ "at": position })).await;
    assert_eq!(shown["dashboard"]["offered"], json!(*offered));
    let mut last = Vec::new();
    for subscription in watching {
        let mut push = subscription.next().await;
        while push["dashboard"]["dashboard"]["offered"] != json!(*offered) {
            push = subscription.next().await;
        }
        last.push(push);
    }
    last
}

#[tokio::test]
async fn many_cost_what_one_costs_and_nothing_when_they_have_gone() {
    let mut world = Watched::new().await;
    let alone = world.snapshots(COUNTED, &mut []).await;
    assert_eq!(alone, COUNTED, "one for each query");
    let mut one = world.subscribe(1).await;
    let by_one = world.snapshots(COUNTED, &mut one).await;
    assert!(by_one > alone, "what is pushed has to be read");

    let mut many = world.subscribe(MANY).await;
    many.append(&mut one);
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "equal subscriptions are still resolved apart");
        let moments = column(&change(&world.boss, &mut world.offered, &mut many).await, "/dashboard/dashboard/at");
        if moments.iter().all(|moment| *moment == moments[0]) {
            break;
        }
    }
    let by_many = world.snapshots(COUNTED, &mut many).await;
    // A change is two events, and each wakes once; the second of the change before may be counted here.
    assert!(by_many <= alone + 2 * COUNTED + 1, "{by_many} snapshots for {MANY}, {by_one} for one, {alone} for none");

    // Without a word, as when a network is gone.
    drop(many);
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "somebody is still read for");
        if world.snapshots(COUNTED, &mut []).await == alone {
            break;
        }
    }
    world.server.stop().await;
}

#[tokio::test]
async fn many_who_come_at_once_are_read_for_together() {
    let Watched { server, mut statements, boss, _database: database, .. } = Watched::new().await;
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE read.dashboard_agents IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let (shown, executed) = statements
        .during(async {
            let mut watching = join_all((0..MANY).map(|_| boss.subscribe(DASHBOARD, json!({})))).await;
            // Until these are answered, the others have come.
            for _ in 0..MANY {
                boss.query("{ viewer { role } }", json!({})).await;
            }
            lock.rollback().await.unwrap();
            join_all(watching.iter_mut().map(Subscription::next)).await
        })
        .await;
    let reads = executed.iter().filter(|statement| statement.contains("read.dashboard_agents")).count();
    // The first one's, and the one for all who came while it was under way.
    assert!((1..=MANY / 4).contains(&reads), "{reads} of {MANY}");
    let moments: HashSet<String> = column(&shown, "/dashboard/dashboard/at").iter().map(ToString::to_string).collect();
    assert!(moments.len() <= reads, "{moments:?}");
    server.stop().await;
}
