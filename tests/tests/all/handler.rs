//! Commands through the handler, by several processes: what one of them keeps of an aggregate is a hint and nothing more.

use commands::{Envelope, EventStore, ExecuteError, Outcome};
use domain::agent::{Agent, Command, Presence, Refusal};
use domain::{Actor, Personal, TeamName};
use tests::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

type Executed = Result<Outcome, ExecuteError<Refusal>>;

/// A process: a store with a cache of its own.
async fn process(database: &TestDatabase) -> EventStore {
    EventStore::start(database.pool.clone(), &TaskTracker::new(), CancellationToken::new()).await.unwrap()
}

fn envelope(key: &str) -> Envelope {
    Envelope {
        key: key.to_owned(),
        actor: Actor::system("test"),
        at: chrono::Utc::now(),
        expected: None,
        correlation_id: None,
        causation_id: None,
        trace: None,
    }
}

async fn give(process: &EventStore, agent: Uuid, command: Command) -> Executed {
    process.execute::<Agent>(agent, command, &envelope(&Uuid::now_v7().to_string())).await
}

fn register() -> Command {
    let name = Personal::new(domain::PersonName::parse("Jane Roe").unwrap());
    Command::Register { name, team: None, capacity: 1, capabilities: Vec::new() }
}

fn sign_in() -> Command {
    Command::SignIn { presence: Presence::Available }
}

fn sign_out() -> Command {
    Command::SignOut { reason: None }
}

#[tokio::test]
async fn what_another_process_did_is_seen_before_a_rule_says_no() {
    let database = TestDatabase::new().await;
    let (one, other) = (process(&database).await, process(&database).await);
    let agent = Uuid::now_v7();
    give(&one, agent, register()).await.unwrap();
    // The first keeps the agent as signed out, the second signs it in and keeps that.
    give(&other, agent, sign_in()).await.unwrap();
    // By what the first keeps, this is forbidden.
    assert_eq!(give(&one, agent, sign_out()).await.unwrap().version, 3);
    // By what the second keeps, this is allowed.
    let refused = give(&other, agent, sign_out()).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Refused(Refusal::NotSignedIn)), "{refused}");
    assert!(!other.aggregate::<Agent>(agent).await.unwrap().state.signed_in);
}

#[tokio::test]
async fn an_expected_version_is_compared_with_the_log_and_not_with_what_is_kept() {
    let database = TestDatabase::new().await;
    let (one, other) = (process(&database).await, process(&database).await);
    let agent = Uuid::now_v7();
    give(&one, agent, register()).await.unwrap();
    give(&other, agent, sign_in()).await.unwrap();
    let expecting = |expected| Envelope { expected: Some(expected), ..envelope(&Uuid::now_v7().to_string()) };
    let outcome = one.execute::<Agent>(agent, sign_out(), &expecting(2)).await.unwrap();
    assert_eq!(outcome.version, 3);
    // What the second keeps is at this version.
    let refused = other.execute::<Agent>(agent, sign_out(), &expecting(2)).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::VersionConflict { expected: 2, actual: 3 }), "{refused}");
}

#[tokio::test]
async fn a_command_given_twice_is_applied_once_by_whichever_process() {
    let database = TestDatabase::new().await;
    let (one, other) = (process(&database).await, process(&database).await);
    let agent = Uuid::now_v7();
    let key = envelope("once");
    let first = one.execute::<Agent>(agent, register(), &key).await.unwrap();
    for process in [&one, &other, &one] {
        let again = process.execute::<Agent>(agent, register(), &key).await.unwrap();
        assert_eq!(again, Outcome { already_applied: true, ..first });
    }
    assert_eq!(one.aggregate::<Agent>(agent).await.unwrap().version, 1);
}

/// Side by side, all but one would be decided in vain, and some again and again until they give up.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_on_one_stream_all_get_their_turn() {
    let database = TestDatabase::new().await;
    let processes = [process(&database).await, process(&database).await];
    let agent = Uuid::now_v7();
    give(&processes[0], agent, register()).await.unwrap();
    let writers = (0..16).map(|writer| {
        // Of one process, as where it was seen, and a few of another.
        let process = processes[usize::from(writer % 4 == 0)].clone();
        tokio::spawn(async move {
            for turn in 0..20 {
                let team = Some(TeamName::parse(&format!("team {writer} {turn}")).unwrap());
                give(&process, agent, Command::AssignTeam { team }).await.unwrap();
            }
        })
    });
    for writer in futures_util::future::join_all(writers).await {
        writer.unwrap();
    }
    let [one, other] = &processes;
    assert_eq!(one.aggregate::<Agent>(agent).await.unwrap().version, 1 + 16 * 20);
    let (one, other) = (one.aggregate::<Agent>(agent).await.unwrap(), other.aggregate::<Agent>(agent).await.unwrap());
    assert_eq!((one.version, one.state.team), (other.version, other.state.team));
}

/// A command that is cancelled leaves the stream to the next, who sees what came of it.
#[tokio::test]
async fn a_command_that_is_given_up_leaves_its_turn() {
    let database = TestDatabase::new().await;
    let one = process(&database).await;
    let agent = Uuid::now_v7();
    give(&one, agent, register()).await.unwrap();
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM event_log FOR UPDATE").execute(&mut *lock).await.unwrap();
    // Polled until it waits for the log, then dropped.
    let given = give(&one, agent, sign_in());
    let waiting = crate::view::until("the append waits", async || {
        let blocked = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        sqlx::query_scalar::<_, i64>(blocked).fetch_one(&database.pool).await.unwrap() > 0
    });
    tokio::select! {
        done = given => panic!("{done:?}"),
        () = waiting => {}
    }
    lock.commit().await.unwrap();
    // It was appended all the same, before or after this one looks.
    let signed_in = give(&one, agent, sign_in()).await;
    assert!(matches!(signed_in, Err(ExecuteError::Refused(Refusal::AlreadySignedIn))), "{signed_in:?}");
}
