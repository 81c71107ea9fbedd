//! A client of the public API that does not give up: a command is sent again, under its id, until it is answered.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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
    /// Sending it again would be answered alike.
    Final(String),
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
        let login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
        let input = json!({ "input": { "email": self.email, "password": self.password } });
        let data = self.persist(login, &input, false).await?;
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
        let document = format!(
            "mutation ($input: {input_type}!) {{ {mutation}(input: $input) {{ __typename
               ... on CommandAccepted {{ alreadyApplied }} ... on CommandRefused {{ rule }} }} }}"
        );
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

    async fn persist(&self, document: &str, variables: &Value, signed_in: bool) -> Result<Value> {
        let began = tokio::time::Instant::now();
        let mut pause = RETRY_PAUSE;
        loop {
            let reason = match self.send(document, variables, signed_in).await {
                Ok(data) => return Ok(data),
                Err(Failure::Final(message)) => bail!(message),
                Err(Failure::Unauthenticated) if !signed_in => bail!("wrong e-mail address or password"),
                Err(Failure::Unauthenticated) => {
                    Box::pin(self.renew()).await?;
                    continue;
                }
                Err(Failure::Passing(reason)) => reason,
            };
            if began.elapsed() > GIVE_UP_AFTER {
                bail!("the system did not answer for {} s: {reason}", GIVE_UP_AFTER.as_secs());
            }
            tracing::debug!(reason, "sent again");
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_PAUSE_MAX),
                () = self.shutdown.cancelled() => bail!("the import was stopped"),
            }
        }
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
            Some("UNAVAILABLE" | "INTERNAL_SERVER_ERROR" | "CONFLICT") => Failure::Passing(message),
            Some("UNAUTHENTICATED") => Failure::Unauthenticated,
            _ => Failure::Final(message),
        })
    }
}
