//! A call centre in memory: commands at given times, decided by the aggregates, give the events of a log.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::agent::{Agent, Presence};
use domain::call::{self, AgentFacts, Call, Channel, Destination, Direction, EndReason, EndedBy, Party};
use domain::sentiment::Sentiment;
use domain::transcript::Transcript;
use domain::{
    Actor, Aggregate, Fact, Label, LongText, PersonName, Personal, PhoneNumber, QueueName, Recorded, ShortText,
    SpokenText, StreamName,
};
use projections::Decoded;
use serde_json::value::RawValue;
use uuid::Uuid;

/// How long an offer may ring in these tests, milliseconds.
pub(super) const RING_MS: u32 = 20_000;

/// The streams of a call centre and the log they make.
pub(super) struct Floor {
    begin: DateTime<Utc>,
    pub(super) log: Vec<Decoded>,
    calls: HashMap<Uuid, Call>,
    agents: HashMap<Uuid, Agent>,
    transcripts: HashMap<Uuid, Transcript>,
    sentiments: HashMap<Uuid, Sentiment>,
    versions: HashMap<StreamName, i64>,
}

impl Floor {
    /// An empty floor. Times are given as seconds from `begin`.
    pub(super) fn new(begin: &str) -> Self {
        Self {
            begin: begin.parse().unwrap(),
            log: Vec::new(),
            calls: HashMap::new(),
            agents: HashMap::new(),
            transcripts: HashMap::new(),
            sentiments: HashMap::new(),
            versions: HashMap::new(),
        }
    }

    /// The instant some seconds after the begin.
    pub(super) fn at(&self, seconds: f64) -> DateTime<Utc> {
        self.begin + TimeDelta::milliseconds((seconds * 1000.0).round() as i64)
    }

    /// Position of the last event.
    pub(super) fn position(&self) -> i64 {
        self.log.len() as i64
    }

    /// What the rules of a call remember of it.
    pub(super) fn state_of(&self, id: Uuid) -> &Call {
        &self.calls[&id]
    }

    fn record<A: Aggregate>(&mut self, id: Uuid, seconds: f64, events: Vec<A::Event>) {
        let stream = StreamName { category: A::CATEGORY, id };
        let occurred_at = self.at(seconds);
        for event in events {
            let event: domain::Event = event.into();
            let version = self.versions.entry(stream).or_default();
            *version += 1;
            let recorded = Recorded {
                id: Uuid::now_v7(),
                position: self.log.len() as i64 + 1,
                stream,
                version: *version,
                event_type: event.type_name().to_owned(),
                schema_version: event.schema_version(),
                occurred_at,
                recorded_at: occurred_at,
                actor: Actor::system("test"),
                correlation_id: id,
                causation_id: None,
                trace: None,
                payload: RawValue::from_string(event.payload().unwrap()).unwrap(),
            };
            self.log.push(Decoded { recorded: recorded.into(), event });
        }
    }

    /// Gives a command to a call; `false`: a rule refused it.
    pub(super) fn try_call(&mut self, seconds: f64, id: Uuid, command: call::Command) -> bool {
        let call = self.calls.entry(id).or_default();
        let Ok(events) = call.decide(command) else { return false };
        events.iter().for_each(|event| call.apply(event));
        self.record::<Call>(id, seconds, events);
        true
    }

    /// Gives a command to a call that no rule refuses.
    pub(super) fn call(&mut self, seconds: f64, id: Uuid, command: call::Command) {
        assert!(self.try_call(seconds, id, command.clone()), "refused: {command:?}");
    }

    /// Gives a command to an agent; `false`: a rule refused it.
    pub(super) fn try_agent(&mut self, seconds: f64, id: Uuid, command: domain::agent::Command) -> bool {
        let agent = self.agents.entry(id).or_default();
        let Ok(events) = agent.decide(command) else { return false };
        events.iter().for_each(|event| agent.apply(event));
        self.record::<Agent>(id, seconds, events);
        true
    }

    /// Gives a command to an agent that no rule refuses.
    pub(super) fn agent(&mut self, seconds: f64, id: Uuid, command: domain::agent::Command) {
        assert!(self.try_agent(seconds, id, command.clone()), "refused: {command:?}");
    }

    /// Gives a command to a transcript that no rule refuses.
    pub(super) fn transcript(&mut self, seconds: f64, id: Uuid, command: domain::transcript::Command) {
        let transcript = self.transcripts.entry(id).or_default();
        let events = transcript.decide(command).unwrap();
        events.iter().for_each(|event| transcript.apply(event));
        self.record::<Transcript>(id, seconds, events);
    }

    // Shorthands.

    /// A registered agent who signs in as available at 0.
    pub(super) fn available(&mut self, name: &str, team: Option<&str>) -> Uuid {
        let id = Uuid::now_v7();
        let team = team.map(|team| domain::TeamName::parse(team).unwrap());
        let name = Personal::new(PersonName::parse(name).unwrap());
        let (capacity, capabilities) = (2, Vec::new());
        self.agent(0.0, id, domain::agent::Command::Register { name, team, capacity, capabilities });
        self.agent(0.0, id, domain::agent::Command::SignIn { presence: Presence::Available });
        id
    }

    /// An inbound call.
    pub(super) fn inbound(&mut self, seconds: f64) -> Uuid {
        let id = Uuid::now_v7();
        self.call(seconds, id, initiate(Direction::Inbound));
        id
    }

    /// An inbound call that waits in a queue from the moment it comes in.
    pub(super) fn queued(&mut self, seconds: f64, queue: &str) -> Uuid {
        let id = self.inbound(seconds);
        self.enqueue(seconds, id, queue, 0);
        id
    }

    pub(super) fn enqueue(&mut self, seconds: f64, id: Uuid, queue: &str, priority: i16) {
        self.call(seconds, id, call::Command::Queue { queue: QueueName::parse(queue).unwrap(), priority });
    }

    pub(super) fn offer(&mut self, seconds: f64, id: Uuid, agent_id: Uuid) {
        self.call(seconds, id, call::Command::Offer { agent_id, agent: READY, ring_timeout_ms: RING_MS });
    }

    pub(super) fn answer(&mut self, seconds: f64, id: Uuid, agent_id: Uuid) {
        self.call(seconds, id, call::Command::Answer { agent_id });
    }

    pub(super) fn hold(&mut self, seconds: f64, id: Uuid) {
        self.call(seconds, id, call::Command::Hold { leg: None });
    }

    pub(super) fn resume(&mut self, seconds: f64, id: Uuid) {
        self.call(seconds, id, call::Command::Resume { leg: None });
    }

    pub(super) fn consult(&mut self, seconds: f64, id: Uuid, agent_id: Uuid) {
        let (agent, ring_timeout_ms) = (READY, RING_MS);
        self.call(seconds, id, call::Command::StartConsult { leg: None, agent_id, agent, ring_timeout_ms });
    }

    pub(super) fn transfers_to_queue(&mut self, seconds: f64, id: Uuid, queue: &str) {
        let to = Destination::Queue { queue: QueueName::parse(queue).unwrap(), priority: 0 };
        self.call(seconds, id, call::Command::TransferBlind { leg: None, to });
    }

    pub(super) fn end(&mut self, seconds: f64, id: Uuid, by: EndedBy) {
        self.call(seconds, id, call::Command::End { by, reason: EndReason::Completed });
    }

    pub(super) fn wrap_up(&mut self, seconds: f64, id: Uuid, leg: u32, disposition: &str) {
        let notes = Some(Personal::new(LongText::parse("called about a refund").unwrap()));
        let disposition = Label::parse(disposition).unwrap();
        self.call(seconds, id, call::Command::CompleteWrapUp { leg: Some(leg), disposition, notes });
    }

    /// A segment of a transcript; its number.
    pub(super) fn says(&mut self, id: Uuid, speaker: Party, begin_ms: u32, end_ms: u32, text: &str) -> u32 {
        let text = Personal::new(SpokenText::parse(text).unwrap());
        let (call_known, confidence) = (true, Some(0.9));
        let model = Label::parse("ears-1").unwrap();
        let seconds = f64::from(end_ms) / 1000.0;
        let command =
            domain::transcript::Command::AddSegment { call_known, speaker, begin_ms, end_ms, text, confidence, model };
        self.transcript(seconds, id, command);
        self.transcripts[&id].last_sequence()
    }

    /// A better transcription of a segment; its number.
    pub(super) fn corrects(&mut self, seconds: f64, id: Uuid, supersedes: u32, text: &str) -> u32 {
        let command = domain::transcript::Command::CorrectSegment {
            supersedes,
            begin_ms: None,
            end_ms: None,
            text: Personal::new(SpokenText::parse(text).unwrap()),
            confidence: None,
            model: Label::parse("a person").unwrap(),
            reason: Some(ShortText::parse("misheard").unwrap()),
        };
        self.transcript(seconds, id, command);
        self.transcripts[&id].last_sequence()
    }

    /// A model's score of a segment.
    pub(super) fn scores(&mut self, seconds: f64, id: Uuid, segment: u32, score: f64, model: &str) {
        let command = domain::sentiment::Command::Score {
            segment: self.transcripts[&id].segment(segment),
            score,
            emotions: BTreeMap::from([("joy".to_owned(), 0.25)]),
            model: Label::parse(model).unwrap(),
            model_version: Label::parse("2026-11").unwrap(),
        };
        let sentiment = self.sentiments.entry(id).or_default();
        let events = sentiment.decide(command).unwrap();
        events.iter().for_each(|event| sentiment.apply(event));
        self.record::<Sentiment>(id, seconds, events);
    }
}

/// An agent of whom nothing speaks against an offer.
pub(super) const READY: AgentFacts = AgentFacts { registered: true, available: true };

pub(super) fn initiate(direction: Direction) -> call::Command {
    call::Command::Initiate {
        direction,
        channel: Channel::Voice,
        from: Personal::new(PhoneNumber::parse("+420601000001").unwrap()),
        to: Personal::new(PhoneNumber::parse("+420222000002").unwrap()),
        customer_name: Some(Personal::new(PersonName::parse("Božena 100%_Němcová").unwrap())),
        language: Some(Label::parse("cs").unwrap()),
    }
}
