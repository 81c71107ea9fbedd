//! What the program takes of the machine's memory.

use std::time::Duration;

use chrono_tz::Tz;
use commands::{NewUser, Users};
use domain::Position;
use domain::permission::Role;
use futures_util::{StreamExt, stream};
use projections::{ProjectionLag, lags, read_models};
use serde_json::json;
use sqlx::PgPool;
use tests::{Client, Subscription, TestDatabase, Voice};

use crate::log;
use crate::support::Extent;
use crate::support::table::{Row, Target};

/// Sockets that are being opened at the same time.
const OPENING: usize = 32;
/// Whether the views are made is looked at this often.
const LOOK: Duration = Duration::from_millis(100);
const WATCH: &str = "subscription { dashboard { cursor dashboard { day offered answered handled } } }";

/// Reactions append to the log meanwhile: nothing else can be measured on it afterwards.
pub async fn measure(database: &TestDatabase, extent: Extent) -> Vec<Row> {
    let (events, subscribers) = (log::conversations(&database.pool, extent).await, extent.pick(1_000, 50));
    let what = format!("resident memory of `voice up` after {events} events and with {subscribers} subscribers");
    if !Voice::is_built() {
        return vec![Row::new(what, "build the program first: cargo build --release -p voice")];
    }
    let (email, password) = ("bench@voice.test".to_owned(), "correct horse battery".to_owned());
    let new = NewUser {
        email: email.clone(),
        name: "Supervisor".to_owned(),
        role: Role::Supervisor,
        permissions: Vec::new(),
        agent_id: None,
        password: password.clone(),
    };
    Users::new(database.pool.clone()).create(new).await.expect("a user");
    // Views that are not there are made when it starts, from the whole log.
    let voice = Voice::start(&["up", "--listen", "127.0.0.1:0"], &[("DATABASE_URL", database.url.as_str())]);
    let anonymous = Client::new(voice.address().await, None);
    let login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    let data = anonymous.query(login, json!({ "input": { "email": email, "password": password } })).await;
    let token = data["login"]["accessToken"].as_str().expect("a token").to_owned();
    let client = Client::new(voice.address().await, Some(token));
    views_are_made(&database.pool, events).await;
    let opening = stream::iter(0..subscribers).map(|_| watching(&client));
    let watching: Vec<Subscription> = opening.buffer_unordered(OPENING).collect().await;
    let mib = |kib: u64| u32::try_from(kib / 1024).expect("less than all there is");
    let (resident, most) = (mib(voice.memory_kib("VmRSS")), mib(voice.memory_kib("VmHWM")));
    drop(watching);
    voice.terminate().await;
    let row = Row::new(what, format!("{resident} MiB, at most {most} MiB while views were made"));
    vec![row.target_of(Target::AtMost(300.0), f64::from(resident))]
}

async fn views_are_made(pool: &PgPool, upto: Position) {
    let models = read_models(Tz::UTC).len();
    let made = |views: Vec<ProjectionLag>| views.iter().filter(|view| view.lag.position >= upto).count() == models;
    while !made(lags(pool).await.expect("projections")) {
        tokio::time::sleep(LOOK).await;
    }
}

async fn watching(client: &Client) -> Subscription {
    let mut subscription = client.subscribe(WATCH, json!({})).await;
    subscription.next().await;
    subscription
}
