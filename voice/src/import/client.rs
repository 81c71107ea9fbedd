//! A client of the public API that does not give up: a command is sent again, under its id, until it is answered.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::documents;

/// How long one request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Pause before a request is sent again; doubled each time up to the maximum.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long the system may be away before the import gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// Applied now.
    Applied,
    /// Applied earlier, under the same id.
    AlreadyApplied,
    /// Refused by a rule.
    Refused(String),
}

/// A signed-in client.
pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: String,
    email: String,
    password: String,
    token: RwLock<String>,
    shutdown: CancellationToken,
}

enum Failure {
    /// Send it again.
    Passing(String),
    /// The token is not good any more.
    Unauthenticated,
    /// What it is about is not there.
    NotFound(String),
    /// Sending it again would be answered alike.
    Final(String),
}

/// A request that was not answered yet.
struct Trouble {
    began: Instant,
    pause: Duration,
}

impl Trouble {
    fn new() -> Self {
        Self { began: Instant::now(), pause: RETRY_PAUSE }
    }
}

impl Client {
    /// Signs in; waits for a system that is still starting.
    pub(crate) async fn sign_in(url: &str, email: &str, password: &str, shutdown: CancellationToken) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let client = Self {
            http,
            endpoint: format!("{}/graphql", url.trim_end_matches('/')),
            email: email.to_owned(),
            password: password.to_owned(),
            token: RwLock::new(String::new()),
            shutdown,
        };
        client.renew().await.context("signing in")?;
        Ok(client)
    }

    async fn renew(&self) -> Result<()> {
        let input = json!({ "input": { "email": self.email, "password": self.password } });
        let data = self.persist(documents::SIGN_IN, &input, false).await?;
        *self.token.write().await = data["login"]["accessToken"].as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Gives a command: `mutation` is its field, `input_type` the type of its input. The id makes sending it again safe.
    pub(crate) async fn command(
        &self,
        mutation: &str,
        input_type: &str,
        command_id: Uuid,
        mut input: Value,
    ) -> Result<Done> {
        let document = documents::command(mutation, input_type);
        input["commandId"] = json!(command_id);
        let data = self.persist(&document, &json!({ "input": input }), true).await?;
        let result = &data[mutation];
        match (result["rule"].as_str(), result["alreadyApplied"].as_bool()) {
            (Some(rule), _) => Ok(Done::Refused(rule.to_owned())),
            (None, Some(true)) => Ok(Done::AlreadyApplied),
            (None, Some(false)) => Ok(Done::Applied),
            (None, None) => bail!("{mutation} was answered by {data}"),
        }
    }

    /// Gives something that is worth nothing a moment later: one try, and no harm if it fails.
    pub(crate) async fn mention(&self, document: &str, variables: &Value) {
        drop(self.send(document, variables, true).await);
    }

    /// Whether there is a call, by the log.
    pub(crate) async fn knows(&self, call_id: Uuid) -> Result<bool> {
        let mut trouble = Trouble::new();
        loop {
            match self.send(documents::KNOWS, &json!({ "id": call_id }), true).await {
                Ok(_) => return Ok(true),
                Err(Failure::NotFound(_)) => return Ok(false),
                Err(failure) => self.recover(failure, &mut trouble).await?,
            }
        }
    }

    async fn persist(&self, document: &str, variables: &Value, signed_in: bool) -> Result<Value> {
        let mut trouble = Trouble::new();
        loop {
            match self.send(document, variables, signed_in).await {
                Ok(data) => return Ok(data),
                Err(Failure::Unauthenticated) if !signed_in => bail!("wrong e-mail address or password"),
                Err(failure) => self.recover(failure, &mut trouble).await?,
            }
        }
    }

    /// Does what has to be done before the request is sent again; an error if that would be of no use.
    async fn recover(&self, failure: Failure, trouble: &mut Trouble) -> Result<()> {
        let reason = match failure {
            Failure::Final(message) | Failure::NotFound(message) => bail!(message),
            Failure::Unauthenticated => return Box::pin(self.renew()).await,
            Failure::Passing(reason) => reason,
        };
        if trouble.began.elapsed() > GIVE_UP_AFTER {
            bail!("the system did not answer for {} s: {reason}", GIVE_UP_AFTER.as_secs());
        }
        tracing::debug!(reason, "sent again");
        tokio::select! {
            () = tokio::time::sleep(trouble.pause) => {}
            () = self.shutdown.cancelled() => bail!("the import was stopped"),
        }
        trouble.pause = (trouble.pause * 2).min(RETRY_PAUSE_MAX);
        Ok(())
    }

    async fn send(&self, document: &str, variables: &Value, signed_in: bool) -> Result<Value, Failure> {
        let mut request = self.http.post(&self.endpoint).json(&json!({ "query": document, "variables": variables }));
        if signed_in {
            request = request.bearer_auth(self.token.read().await.as_str());
        }
        let response = request.send().await.map_err(|error| Failure::Passing(error.to_string()))?;
        let answer: Value = response.json().await.map_err(|error| Failure::Passing(error.to_string()))?;
        let Some(error) = answer["errors"].get(0) else { return Ok(answer["data"].clone()) };
        let message = error["message"].as_str().unwrap_or("an error without a message").to_owned();
        Err(match error["extensions"]["code"].as_str() {
            Some("UNAVAILABLE" | "INTERNAL_SERVER_ERROR" | "CONFLICT" | "RATE_LIMITED" | "OPERATION_TIMEOUT") => {
                Failure::Passing(message)
            }
            Some("UNAUTHENTICATED") => Failure::Unauthenticated,
            Some("NOT_FOUND") => Failure::NotFound(message),
            _ => Failure::Final(message),
        })
    }
}
