//! `voice import`: real conversations, played through the public API as live calls.
//!
//! Calls come in one after the other, a fixed time apart, and overlap; each waits in its queue until its agent is free.

mod client;
mod conversation;
mod documents;
mod player;
mod progress;

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::PaceArgs;
use crate::terminal::say;
use client::Client;
pub(crate) use conversation::{Conversation, read};
pub(crate) use documents::all as documents;
use player::{Seat, Stage};
use progress::Progress;

/// Namespace of all ids that imports make.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f6b_5c1e_91f4_4b8e_9d52_7a3d_0f1c_2b9a);
/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_secs(2);
/// Names of the agents; beyond them, they are numbered.
const NAMES: [&str; 8] = [
    "Elizabeth Moore",
    "James Carter",
    "Linda Novak",
    "Robert Hall",
    "Maria Silva",
    "John Reed",
    "Eva Dvorak",
    "Omar Aziz",
];

/// Who plays what, where.
pub(crate) struct Import<'a> {
    pub(crate) conversations: &'a [Conversation],
    pub(crate) url: &'a str,
    pub(crate) email: &'a str,
    pub(crate) password: &'a str,
    pub(crate) run: &'a str,
    pub(crate) pace: &'a PaceArgs,
}

/// Plays every conversation.
pub(crate) async fn run(import: Import<'_>, shutdown: CancellationToken) -> Result<()> {
    let conversations = import.conversations;
    let turns = conversations.iter().map(|conversation| conversation.turns.len()).sum();
    let client = Client::sign_in(import.url, import.email, import.password, shutdown.clone()).await?;
    let run = Uuid::new_v5(&NAMESPACE, import.run.as_bytes());
    let speed = import.pace.speed;
    say(format_args!("import: {} conversations at {speed} times their speed, run {}", conversations.len(), import.run));
    let agents = sign_agents_in(&client, run, import.pace.agents).await.context("signing agents in")?;
    let progress = Progress::new(conversations.len(), turns);
    let stage = Stage { client: &client, speed, run, progress: &progress, shutdown: &shutdown };
    let gap = Duration::from_secs_f64(import.pace.gap_s / speed);
    let ended: Vec<CancellationToken> = conversations.iter().map(|_| CancellationToken::new()).collect();
    let played = try_join_all(conversations.iter().enumerate().map(|(index, conversation)| {
        let seat = Seat {
            agent_id: agents[index % agents.len()],
            before: index.checked_sub(agents.len()).map(|before| &ended[before]),
            after: &ended[index],
        };
        play(&stage, conversation, seat, gap * u32::try_from(index).unwrap_or(u32::MAX))
    }));
    tokio::pin!(played);
    let mut shows = tokio::time::interval(SHOW_EVERY);
    loop {
        tokio::select! {
            played = &mut played => {
                played?;
                break;
            }
            _ = shows.tick() => progress.show(),
        }
    }
    sign_agents_out(&client, run, &agents).await.context("signing agents out")?;
    progress.show();
    say("import finished");
    Ok(())
}

/// Plays a conversation when its time has come; at once, if an earlier run has begun it.
async fn play(stage: &Stage<'_>, conversation: &Conversation, seat: Seat<'_>, wait: Duration) -> Result<()> {
    let playing = async {
        if !stage.client.knows(stage.call_id(conversation)).await? {
            stage.pause(wait).await?;
        }
        player::play(stage, conversation, seat).await
    };
    playing.await.with_context(|| format!("playing {}", conversation.id))
}

/// Registers the agents once and for all, and signs them in for this run.
async fn sign_agents_in(client: &Client, run: Uuid, count: u16) -> Result<Vec<Uuid>> {
    let mut agents = Vec::new();
    for index in 0..usize::from(count) {
        let agent_id = Uuid::new_v5(&NAMESPACE, format!("agent:{index}").as_bytes());
        let name = NAMES.get(index).map_or_else(|| format!("Agent {}", index + 1), ToString::to_string);
        let register = json!({
            "agentId": agent_id, "name": name, "team": if index % 2 == 0 { "Blue" } else { "Green" },
            "capabilities": [{ "name": "en", "level": 8 }],
        });
        let command_id = Uuid::new_v5(&agent_id, b"register");
        client.command("registerAgent", "RegisterAgentInput", command_id, register).await?;
        let command_id = Uuid::new_v5(&run, format!("sign-in:{index}").as_bytes());
        client.command("signInAgent", "SignInAgentInput", command_id, json!({ "agentId": agent_id })).await?;
        // Left on a break by a person since: the import's agents work.
        let command_id = Uuid::new_v5(&run, format!("available:{index}").as_bytes());
        let presence = json!({ "agentId": agent_id, "presence": "AVAILABLE" });
        client.command("changePresence", "ChangePresenceInput", command_id, presence).await?;
        agents.push(agent_id);
    }
    Ok(agents)
}

async fn sign_agents_out(client: &Client, run: Uuid, agents: &[Uuid]) -> Result<()> {
    for (index, agent_id) in agents.iter().enumerate() {
        let command_id = Uuid::new_v5(&run, format!("sign-out:{index}").as_bytes());
        let sign_out = json!({ "agentId": agent_id, "reason": "end of the import" });
        client.command("signOutAgent", "SignOutAgentInput", command_id, sign_out).await?;
    }
    Ok(())
}
