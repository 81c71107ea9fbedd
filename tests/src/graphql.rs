//! A small GraphQL client: requests over HTTP, subscriptions over a WebSocket (`graphql-transport-ws`).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long an answer may take.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Somebody who asks, signed in or not. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    token: Option<String>,
}

/// What a command's answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// It was applied.
    Accepted {
        /// Version of the stream.
        version: i64,
        /// Position of its last event.
        position: i64,
        /// It had been applied before.
        already_applied: bool,
    },
    /// A rule said no.
    Refused(String),
}

/// An error's stable parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `extensions.code`.
    pub code: String,
    /// `extensions.reason`, or empty.
    pub reason: String,
    /// The words for a person.
    pub message: String,
}

impl Refusal {
    /// The first error of an answer.
    ///
    /// # Panics
    /// There is none, or it has no code.
    #[must_use]
    pub fn of(answer: &Value) -> Self {
        let error = &answer["errors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let refusal = Self {
            code: text(&error["extensions"]["code"]),
            reason: text(&error["extensions"]["reason"]),
            message: text(&error["message"]),
        };
        assert!(!refusal.code.is_empty(), "no error with a code: {answer}");
        refusal
    }

    /// Code and reason.
    #[must_use]
    pub fn words(&self) -> (&str, &str) {
        (&self.code, &self.reason)
    }
}

impl Client {
    /// A client of a server.
    #[must_use]
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { http: reqwest::Client::new(), address, token }
    }

    /// The token it uses.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The request as yet without a body, for what is not plain.
    pub fn post(&self) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("http://{}/graphql", self.address)).timeout(ANSWER_WITHIN);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The request of a query in the address.
    ///
    /// # Panics
    /// The parameters make no address.
    pub fn get(&self, parameters: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let url = reqwest::Url::parse_with_params(&format!("http://{}/graphql", self.address), parameters);
        let request = self.http.get(url.expect("an address")).timeout(ANSWER_WITHIN);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The whole answer to an operation.
    ///
    /// # Panics
    /// There was no answer, or none in JSON.
    pub async fn send(&self, document: &str, variables: Value) -> Value {
        let body = json!({ "query": document, "variables": variables });
        let answer = self.post().json(&body).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// The data of an operation.
    ///
    /// # Panics
    /// There are errors.
    pub async fn query(&self, document: &str, variables: Value) -> Value {
        let mut answer = self.send(document, variables).await;
        assert!(answer["errors"].is_null(), "{document}: {answer}");
        answer["data"].take()
    }

    /// The error of an operation that must fail.
    ///
    /// # Panics
    /// There is none.
    pub async fn refused(&self, document: &str, variables: Value) -> Refusal {
        Refusal::of(&self.send(document, variables).await)
    }

    /// The whole answer to a command, such as `queueCall`.
    pub async fn send_command(&self, name: &str, input: Value) -> Value {
        let input_type = self.input_type(name).await;
        let document = format!(
            "mutation ($input: {input_type}) {{ {name}(input: $input) {{ __typename
             ... on CommandAccepted {{ commandId subjectId version position alreadyApplied }}
             ... on CommandRefused {{ commandId subjectId rule message }} }} }}"
        );
        self.send(&document, json!({ "input": input })).await
    }

    /// What became of a command.
    ///
    /// # Panics
    /// The answer is an error.
    pub async fn command(&self, name: &str, input: Value) -> Command {
        let answer = self.send_command(name, input).await;
        assert!(answer["errors"].is_null(), "{name}: {answer}");
        let result = &answer["data"][name];
        match result["__typename"].as_str() {
            Some("CommandAccepted") => Command::Accepted {
                version: result["version"].as_i64().unwrap(),
                position: result["position"].as_i64().unwrap(),
                already_applied: result["alreadyApplied"].as_bool().unwrap(),
            },
            Some("CommandRefused") => Command::Refused(result["rule"].as_str().unwrap().to_owned()),
            _ => panic!("{name}: {answer}"),
        }
    }

    /// Position of a command that must be applied, and was not before.
    ///
    /// # Panics
    /// It was not.
    pub async fn accepted(&self, name: &str, input: Value) -> i64 {
        match self.command(name, input).await {
            Command::Accepted { position, already_applied: false, .. } => position,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The error of a command that must fail.
    pub async fn command_refused(&self, name: &str, input: Value) -> Refusal {
        Refusal::of(&self.send_command(name, input).await)
    }

    /// The type of a mutation's input, as the schema says.
    async fn input_type(&self, mutation: &str) -> &'static str {
        static TYPES: OnceCell<HashMap<String, String>> = OnceCell::const_new();
        let read = async || {
            let document = "{ __schema { mutationType { fields { name args { type { ofType { name } } } } } } }";
            let data = self.query(document, json!({})).await;
            let fields = data["__schema"]["mutationType"]["fields"].as_array().unwrap().clone();
            let input =
                |field: &Value| field["args"][0]["type"]["ofType"]["name"].as_str().map(|name| format!("{name}!"));
            fields.iter().filter_map(|f| Some((f["name"].as_str()?.to_owned(), input(f)?))).collect()
        };
        let types = TYPES.get_or_init(read).await;
        types.get(mutation).unwrap_or_else(|| panic!("no mutation {mutation}"))
    }

    /// A socket that was acknowledged.
    ///
    /// # Panics
    /// It was not.
    pub async fn socket(&self) -> Subscription {
        let mut subscription = self.open().await;
        let payload = self.token.as_ref().map_or(json!({}), |t| json!({ "authorization": format!("Bearer {t}") }));
        subscription.say(&json!({ "type": "connection_init", "payload": payload })).await;
        match subscription.message().await {
            Pushed::Other(message) if message["type"] == "connection_ack" => subscription,
            other => panic!("not acknowledged: {other:?}"),
        }
    }

    /// A socket on which nothing was said yet.
    ///
    /// # Panics
    /// The server took none.
    pub async fn open(&self) -> Subscription {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
        let (socket, response) = connect_async(request).await.expect("a WebSocket");
        assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
        Subscription { socket }
    }

    /// A subscription on a socket of its own.
    pub async fn subscribe(&self, document: &str, variables: Value) -> Subscription {
        let mut subscription = self.socket().await;
        subscription.begin(document, variables).await;
        subscription
    }

    /// The error of a subscription that must not begin.
    ///
    /// # Panics
    /// It began.
    pub async fn subscription_refused(&self, document: &str, variables: Value) -> Refusal {
        match self.subscribe(document, variables).await.message().await {
            Pushed::Error(errors) => Refusal::of(&json!({ "errors": errors })),
            other => panic!("{document}: {other:?}"),
        }
    }
}

/// What the server sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Pushed {
    /// Data of the operation.
    Next(Value),
    /// Errors: the operation was not executed, or one of its results failed.
    Error(Value),
    /// The operation is over.
    Complete,
    /// The server closed the socket, with this code.
    Closed(u16),
    /// The socket ended without a close frame.
    Cut,
    /// Any other message.
    Other(Value),
}

/// A socket with one operation. Dropping it cuts the connection without a word.
pub struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Subscription {
    /// Sends any message.
    ///
    /// # Panics
    /// The socket is closed.
    pub async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("an open socket");
    }

    /// Begins the operation.
    pub async fn begin(&mut self, document: &str, variables: Value) {
        let payload = json!({ "query": document, "variables": variables });
        self.say(&json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
    }

    /// What the server sends next.
    ///
    /// # Panics
    /// Nothing came in time.
    pub async fn message(&mut self) -> Pushed {
        // Of all frames together: the server's pings are no news.
        let until = Instant::now() + ANSWER_WITHIN;
        loop {
            match timeout_at(until, self.socket.next()).await.expect("nothing came in time") {
                Some(Ok(Message::Text(text))) => {
                    let mut message: Value = serde_json::from_str(&text).expect("JSON");
                    let mut payload = message["payload"].take();
                    return match message["type"].as_str() {
                        Some("next") if payload["errors"].is_null() => Pushed::Next(payload["data"].take()),
                        Some("next") => Pushed::Error(payload["errors"].take()),
                        Some("error") => Pushed::Error(payload),
                        Some("complete") => Pushed::Complete,
                        _ => Pushed::Other(message),
                    };
                }
                Some(Ok(Message::Close(frame))) => return Pushed::Closed(frame.map_or(1005, |f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Pushed::Cut,
            }
        }
    }

    /// The data that comes next.
    ///
    /// # Panics
    /// Something else came, or nothing in time.
    pub async fn next(&mut self) -> Value {
        match self.message().await {
            Pushed::Next(data) => data,
            other => panic!("no data but {other:?}"),
        }
    }

    /// As many data as asked for.
    pub async fn take(&mut self, count: usize) -> Vec<Value> {
        let mut taken = Vec::with_capacity(count);
        for _ in 0..count {
            taken.push(self.next().await);
        }
        taken
    }

    /// Data up to the first one that fits, with it.
    pub async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut taken = vec![self.next().await];
        while !taken.last().is_some_and(&fits) {
            taken.push(self.next().await);
        }
        taken
    }
}
