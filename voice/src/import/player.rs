//! Plays one conversation as a live call.
//!
//! Every id is derived from the run and the conversation, and so is every command's: a run that was cut off goes on by
//! giving its commands again. Those that were applied before answer so at once; the first that was not is where the
//! conversation's clock starts to run again.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::client::{Client, Done};
use super::conversation::{Conversation, Speaker, Turn};
use super::documents;
use super::progress::Progress;

/// How long an agent lets it ring, in milliseconds of the conversation.
const RING_MS: u32 = 2_000;
/// How long the work after a conversation takes, in milliseconds of the conversation.
const WRAP_UP_MS: u32 = 5_000;
/// A spoken turn is shown once while it is spoken, when it is longer than this, in milliseconds.
const INTERIM_FROM_MS: u32 = 1_500;
/// Number that is called; numbers 555-0100 to 555-0199 are set aside for fiction (NANPA).
const CALLED: &str = "+12025550100";

/// What all players of a run share.
pub(crate) struct Stage<'a> {
    pub(crate) client: &'a Client,
    pub(crate) speed: f64,
    pub(crate) run: Uuid,
    pub(crate) progress: &'a Progress,
    pub(crate) shutdown: &'a CancellationToken,
}

impl Stage<'_> {
    pub(crate) fn call_id(&self, conversation: &Conversation) -> Uuid {
        Uuid::new_v5(&self.run, format!("call:{}", conversation.id).as_bytes())
    }

    /// Waits; an error when the import is to stop.
    pub(crate) async fn pause(&self, wait: Duration) -> Result<()> {
        self.unless_stopped(tokio::time::sleep(wait)).await
    }

    async fn unless_stopped(&self, waiting: impl Future<Output = ()>) -> Result<()> {
        let waited = self.shutdown.run_until_cancelled(waiting).await;
        waited.context("the import was stopped")
    }
}

/// A conversation's place with an agent, who takes one at a time and in order.
pub(crate) struct Seat<'a> {
    pub(crate) agent_id: Uuid,
    /// Fires when the conversation before it has ended.
    pub(crate) before: Option<&'a CancellationToken>,
    /// To be fired when this one has.
    pub(crate) after: &'a CancellationToken,
}

/// The clock of one conversation. It stands still while commands turn out to have been given before.
struct Clock {
    speed: f64,
    /// Moment that conversation time 0 fell on; none: everything so far was done by an earlier run.
    origin: Option<Instant>,
    now_ms: u32,
}

impl Clock {
    async fn wait_until(&mut self, at_ms: u32, stage: &Stage<'_>) -> Result<()> {
        self.now_ms = self.now_ms.max(at_ms);
        let Some(origin) = self.origin else { return Ok(()) };
        let at = origin + Duration::from_millis(u64::from(self.now_ms)).div_f64(self.speed);
        stage.unless_stopped(tokio::time::sleep_until(at)).await
    }

    /// Runs on from here, if it does not run yet.
    fn run(&mut self) {
        let lived = Duration::from_millis(u64::from(self.now_ms)).div_f64(self.speed);
        self.origin.get_or_insert_with(|| Instant::now().checked_sub(lived).unwrap_or_else(Instant::now));
    }
}

struct Player<'a> {
    stage: &'a Stage<'a>,
    call_id: Uuid,
    clock: Clock,
}

/// Plays a conversation from the incoming call to the end of the wrap-up.
pub(crate) async fn play(stage: &Stage<'_>, conversation: &Conversation, seat: Seat<'_>) -> Result<()> {
    let call_id = stage.call_id(conversation);
    let clock = Clock { speed: stage.speed, origin: None, now_ms: 0 };
    let mut player = Player { stage, call_id, clock };
    stage.progress.call_began();
    player.arrive(conversation).await?;
    // The caller waits in the queue for as long as the agent speaks to others.
    if let Some(before) = seat.before {
        stage.unless_stopped(before.cancelled()).await?;
    }
    player.restart();
    player.connect(seat.agent_id).await?;
    for (index, turn) in conversation.turns.iter().enumerate() {
        player.speak(index, turn, conversation.spoken).await?;
    }
    player.clock.wait_until(conversation.length_ms, stage).await?;
    player.leave(conversation).await?;
    stage.progress.call_ended();
    seat.after.cancel();
    Ok(())
}

impl Player<'_> {
    /// The conversation proper begins: its clock starts from 0, if it runs at all.
    fn restart(&mut self) {
        self.clock.now_ms = 0;
        self.clock.origin = self.clock.origin.map(|_| Instant::now());
    }

    async fn arrive(&mut self, conversation: &Conversation) -> Result<()> {
        let from = format!("+1202555{:04}", 101 + self.call_id.as_u128() % 99);
        let channel = if conversation.spoken { "VOICE" } else { "CHAT" };
        let initiate = json!({
            "direction": "INBOUND", "channel": channel, "from": from, "to": CALLED,
            "customerName": conversation.customer_name, "language": "en",
        });
        self.give("initiateCall", "InitiateCallInput", "initiate", initiate).await?;
        self.give("queueCall", "QueueCallInput", "queue", json!({ "queue": conversation.queue })).await
    }

    async fn connect(&mut self, agent_id: Uuid) -> Result<()> {
        self.give("offerCall", "OfferCallInput", "offer", json!({ "agentId": agent_id })).await?;
        // Before the conversation's own time begins.
        if self.clock.origin.is_some() {
            self.stage.pause(Duration::from_millis(u64::from(RING_MS)).div_f64(self.stage.speed)).await?;
        }
        self.give("answerCall", "AnswerCallInput", "answer", json!({ "agentId": agent_id })).await?;
        self.restart();
        self.give("startRecording", "StartRecordingInput", "record", json!({ "recordingId": self.id("recording") }))
            .await
    }

    async fn speak(&mut self, index: usize, turn: &Turn, spoken: bool) -> Result<()> {
        let speaker = match turn.speaker {
            Speaker::Customer => "CUSTOMER",
            Speaker::Agent => "AGENT",
        };
        let length_ms = turn.end_ms - turn.begin_ms;
        if spoken && length_ms >= INTERIM_FROM_MS {
            self.clock.wait_until(turn.begin_ms + length_ms / 2, self.stage).await?;
            if self.clock.origin.is_some() {
                let words: Vec<&str> = turn.text.split_whitespace().collect();
                let heard = words[..words.len().div_ceil(2)].join(" ");
                let input = json!({
                    "callId": self.call_id, "speaker": speaker, "beginMs": turn.begin_ms, "text": heard,
                });
                self.stage.client.mention(documents::INTERIM, &json!({ "input": input })).await;
            }
        }
        self.clock.wait_until(turn.end_ms, self.stage).await?;
        let segment = json!({
            "speaker": speaker, "beginMs": turn.begin_ms, "endMs": turn.end_ms, "text": turn.text, "model": turn.model,
        });
        // The index too: somebody may say two things at one time, such as in writing, where times are seconds.
        let label = format!("turn:{index}:{}:{}:{speaker}", turn.begin_ms, turn.end_ms);
        self.give("addTranscriptSegment", "AddTranscriptSegmentInput", &label, segment).await?;
        self.stage.progress.turn_spoken();
        Ok(())
    }

    async fn leave(&mut self, conversation: &Conversation) -> Result<()> {
        self.give("endCall", "EndCallInput", "end", json!({ "by": "CUSTOMER", "reason": "COMPLETED" })).await?;
        let until = self.clock.now_ms + WRAP_UP_MS;
        self.clock.wait_until(until, self.stage).await?;
        let disposition: String = conversation.task.chars().take(64).collect();
        self.give("completeWrapUp", "CompleteWrapUpInput", "wrap-up", json!({ "disposition": disposition })).await
    }

    fn id(&self, label: &str) -> Uuid {
        Uuid::new_v5(&self.call_id, label.as_bytes())
    }

    async fn give(&mut self, mutation: &str, input_type: &str, label: &str, mut input: Value) -> Result<()> {
        input["callId"] = json!(self.call_id);
        match self.stage.client.command(mutation, input_type, self.id(label), input).await? {
            Done::AlreadyApplied => {}
            Done::Applied => self.clock.run(),
            // Somebody else has a hand in the call, which is no reason to stop playing.
            Done::Refused(rule) => {
                self.clock.run();
                self.stage.progress.refused(self.call_id, mutation, &rule);
            }
        }
        Ok(())
    }
}
