//! Load, decide, append: the one way a command becomes events.

use chrono::{DateTime, Utc};
use domain::{Actor, Aggregate, Fact, Position, Refusal, StreamName, Version};
use uuid::Uuid;

use crate::cache::Turn;
use crate::event_store::{Append, AppendError, Appended, EventStore, Expected, NewEvent};

/// Tries of a command whose stream moves under it.
pub const CONFLICT_RETRIES_MAX: u32 = 20;

/// What comes with a command, whatever it is.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Idempotency key. A command that is given twice under one key is applied once, and answered alike.
    pub key: String,
    /// Who gives it.
    pub actor: Actor,
    /// When it was given; becomes the time of its events.
    pub at: DateTime<Utc>,
    /// The version that the giver has seen; none: any.
    pub expected: Option<Version>,
    /// Groups what came from one beginning; none: the stream's id.
    pub correlation_id: Option<Uuid>,
    /// The command or event that led to this command.
    pub causation_id: Option<Uuid>,
    /// W3C `traceparent` of the request.
    pub trace: Option<String>,
}

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Version of the stream afterwards.
    pub version: Version,
    /// Position of the command's last event. A reader that has reached it sees what the command did.
    pub position: Position,
    /// The command had been applied before, under the same key.
    pub already_applied: bool,
}

impl From<Appended> for Outcome {
    fn from(appended: Appended) -> Self {
        let Appended { version, position, already_applied } = appended;
        Self { version, position, already_applied }
    }
}

/// Why a command was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: Refusal> {
    /// A rule says no.
    #[error(transparent)]
    Refused(R),
    /// The stream is not at the version that the giver has seen.
    #[error("the stream is at version {actual}, not {expected}")]
    VersionConflict {
        /// Version the giver has seen.
        expected: Version,
        /// Version it has.
        actual: Version,
    },
    /// The key was used for a command on another stream.
    #[error("this command id was used before, for {used_for}")]
    KeyReused {
        /// The stream it was used for.
        used_for: StreamName,
    },
    /// So many others changed the stream that the command did not get its turn. Nothing was done.
    #[error("the stream changed under the command {CONFLICT_RETRIES_MAX} times")]
    Contended,
    /// The log did not take the events.
    #[error("the events were not appended")]
    Append(#[source] AppendError),
    /// The stream could not be read.
    #[error("the stream could not be read")]
    Read(#[from] sqlx::Error),
    /// A stored event of the stream can't be read by this program.
    #[error("the stream holds an event that can't be read")]
    Undecodable(#[from] domain::Undecodable),
    /// An event has no JSON form.
    #[error("an event could not be written as JSON")]
    Encode(#[from] serde_json::Error),
}

/// An aggregate as it stands, with the version it stands at.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The state.
    pub state: A,
    /// The version; 0: the stream does not exist.
    pub version: Version,
}

impl<A: Aggregate> Default for Loaded<A> {
    fn default() -> Self {
        Self { state: A::default(), version: 0 }
    }
}

impl EventStore {
    /// An aggregate as it is now, with everything that was committed before this was called.
    ///
    /// # Errors
    /// The database does not answer, or an event can't be decoded.
    pub async fn aggregate<A: Aggregate>(&self, id: Uuid) -> Result<Loaded<A>, LoadError> {
        let stream = StreamName { category: A::CATEGORY, id };
        // Never waits for its turn: a command on another stream may be asking, and one on this stream be asking about that.
        let mut turn = self.cache().turn_now(stream);
        let mut loaded = turn.as_mut().and_then(Turn::take).unwrap_or_default();
        self.catch_up(stream, &mut loaded).await?;
        if let Some(turn) = turn {
            turn.keep(loaded.clone());
        }
        Ok(loaded)
    }

    /// An aggregate as the last command of this process left it, or as it is now where nothing is kept. Others may have
    /// appended since: what is decided on it holds only if the log takes it under its version.
    ///
    /// # Errors
    /// The database does not answer, or an event can't be decoded.
    pub async fn aggregate_as_left<A: Aggregate>(&self, id: Uuid) -> Result<Loaded<A>, LoadError> {
        let stream = StreamName { category: A::CATEGORY, id };
        let mut turn = self.cache().turn_now(stream);
        let (loaded, _) = self.as_left(stream, turn.as_mut()).await?;
        if let Some(turn) = turn {
            turn.keep(Loaded::clone(&loaded));
        }
        Ok(loaded)
    }

    /// What [`Self::aggregate_as_left`] says, and whether it was read just now.
    async fn as_left<A: Aggregate>(
        &self,
        stream: StreamName,
        turn: Option<&mut Turn<'_>>,
    ) -> Result<(Loaded<A>, bool), LoadError> {
        // Nothing is kept of a stream that is new: that it is not there is not worth to be remembered.
        if let Some(loaded) = turn.and_then(Turn::take).filter(|loaded: &Loaded<A>| loaded.version > 0) {
            return Ok((loaded, false));
        }
        let mut loaded = Loaded::default();
        self.catch_up(stream, &mut loaded).await?;
        Ok((loaded, true))
    }

    /// Takes in what was appended to the stream since. Events never change, so what was folded stays right.
    async fn catch_up<A: Aggregate>(&self, stream: StreamName, loaded: &mut Loaded<A>) -> Result<(), LoadError> {
        for recorded in self.load(stream, loaded.version).await? {
            if let Ok(event) = A::Event::try_from(recorded.decode()?) {
                loaded.state.apply(&event);
            }
            loaded.version = recorded.version;
        }
        Ok(())
    }

    /// Executes a command that needs no facts from other streams.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn execute<A: Aggregate>(
        &self,
        id: Uuid,
        command: A::Command,
        envelope: &Envelope,
    ) -> Result<Outcome, ExecuteError<A::Refusal>>
    where
        A::Command: Clone,
    {
        self.execute_with::<A, _>(id, envelope, |_| std::future::ready(Ok(command.clone()))).await
    }

    /// Executes a command whose facts are looked up anew at each try. Commands of this process on one stream take turns.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn execute_with<A: Aggregate, F>(
        &self,
        id: Uuid,
        envelope: &Envelope,
        command: impl Fn(Self) -> F,
    ) -> Result<Outcome, ExecuteError<A::Refusal>>
    where
        F: Future<Output = Result<A::Command, LoadError>>,
    {
        let stream = StreamName { category: A::CATEGORY, id };
        let mut turn = self.cache().turn(stream).await.ok_or(ExecuteError::Append(AppendError::Overloaded))?;
        let (mut loaded, mut current): (Loaded<A>, bool) = self.as_left(stream, Some(&mut turn)).await?;
        let mut conflicts = 0;
        while conflicts < CONFLICT_RETRIES_MAX {
            let decided = match envelope.expected.filter(|expected| *expected != loaded.version) {
                Some(expected) => Err(ExecuteError::VersionConflict { expected, actual: loaded.version }),
                None => loaded.state.decide(command(self.clone()).await?).map_err(ExecuteError::Refused),
            };
            let events = match decided {
                Ok(events) => events,
                Err(_) if !current => {
                    self.catch_up(stream, &mut loaded).await?;
                    current = true;
                    continue;
                }
                // A command that was applied before is refused by what it did itself: the key knows better.
                Err(refused) => {
                    turn.keep(loaded);
                    return self.applied_before(stream, envelope).await?.ok_or(refused);
                }
            };
            let append = Append {
                key: envelope.key.clone(),
                stream,
                expected: Expected::Exact(loaded.version),
                events: new_events::<A>(&events, id, envelope)?,
            };
            match self.append(append).await {
                Ok(appended) if appended.already_applied => {
                    return self.applied_before(stream, envelope).await?.ok_or(ExecuteError::Contended);
                }
                Ok(appended) => {
                    events.iter().for_each(|event| loaded.state.apply(event));
                    loaded.version = appended.version;
                    turn.keep(loaded);
                    return Ok(appended.into());
                }
                Err(AppendError::Conflict { actual }) => {
                    // Fewer events than were folded: this is not the log that they were read from.
                    if actual < loaded.version {
                        loaded = Loaded::default();
                    }
                    self.catch_up(stream, &mut loaded).await?;
                    current = true;
                    conflicts += 1;
                }
                Err(error) => return Err(ExecuteError::Append(error)),
            }
        }
        Err(ExecuteError::Contended)
    }

    async fn applied_before<R: Refusal>(
        &self,
        stream: StreamName,
        envelope: &Envelope,
    ) -> Result<Option<Outcome>, ExecuteError<R>> {
        match self.find_key(&envelope.key).await? {
            None => Ok(None),
            Some(record) if record.stream != stream => Err(ExecuteError::KeyReused { used_for: record.stream }),
            Some(record) => {
                Ok(Some(Outcome { version: record.version, position: record.position, already_applied: true }))
            }
        }
    }
}

/// An aggregate could not be folded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The stream could not be read.
    #[error("the stream could not be read")]
    Read(#[from] sqlx::Error),
    /// An event can't be decoded.
    #[error("the stream holds an event that can't be read")]
    Undecodable(#[from] domain::Undecodable),
}

impl<R: Refusal> From<LoadError> for ExecuteError<R> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(error) => Self::Read(error),
            LoadError::Undecodable(error) => Self::Undecodable(error),
        }
    }
}

fn new_events<A: Aggregate>(
    events: &[A::Event],
    id: Uuid,
    envelope: &Envelope,
) -> Result<Vec<NewEvent>, serde_json::Error> {
    events
        .iter()
        .map(|event| {
            Ok(NewEvent {
                id: Uuid::now_v7(),
                event_type: event.type_name(),
                schema_version: event.schema_version(),
                occurred_at: envelope.at,
                actor: envelope.actor.clone(),
                correlation_id: envelope.correlation_id.unwrap_or(id),
                causation_id: envelope.causation_id,
                trace: envelope.trace.clone(),
                payload: event.payload()?,
            })
        })
        .collect()
}
