//! What an operation is, whichever way it comes in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Name, Positioned, Request, Variables};
use domain::permission::Role;
use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::timeout;

use super::Endpoint;
pub(super) use super::answer::Answer;
use super::answer::Fault;
use super::budget::Purse;
use super::complete::Finish;
use super::documents::{Chosen, Document, Hash, cap, hash, hash_from_hex, not_persisted, not_trusted};
use super::hollow;
use super::trusted::PREFIX;
use super::variables::{leave_out_omitted, settle};
use crate::auth::Viewer;
use crate::error::{beyond_limit, code, coded, going_away, internal, rate_limited, timed_out};
use crate::fanout::{Beginning, Key};
use crate::graphql::{TakesWritten, TraceParent};

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// Nobody, when no token was sent.
    pub(super) viewer: Option<Viewer>,
    /// Where the request or the socket comes from, where that is known.
    pub(super) address: Option<IpAddr>,
    /// The `traceparent` of the request, or of the socket's upgrade.
    pub(super) trace: Option<TraceParent>,
}

impl Caller {
    /// Where the caller's points are counted.
    pub(super) fn purse(&self) -> Purse {
        self.viewer.as_ref().map_or_else(|| Purse::of(self.address), |viewer| Purse::User(viewer.user.id))
    }

    fn is_administrator(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.user.role == Role::Admin)
    }
}

/// An operation that may be executed. Small, for it may wait for its turn: what it shares with others is not copied before.
pub(super) struct Prepared {
    /// What the chosen operation does.
    pub(super) kind: OperationType,
    /// What remains to be done to its answers.
    pub(super) finish: Arc<Finish>,
    document: Arc<Document>,
    chosen: Arc<Chosen>,
    name: Option<Name>,
    variables: Variables,
    viewer: Option<Viewer>,
    trace: Option<TraceParent>,
}

impl Prepared {
    fn new(document: &Arc<Document>, chosen: Arc<Chosen>, name: Option<&Name>, variables: Variables) -> Self {
        Self {
            kind: chosen.kind,
            finish: Arc::clone(&chosen.finish),
            document: Arc::clone(document),
            chosen,
            name: name.cloned(),
            variables,
            viewer: None,
            trace: None,
        }
    }

    /// For the executor, with the caller in its data.
    pub(super) fn into_request(self) -> Request {
        let mut request = Request::new(self.document.text.clone()).variables(self.variables);
        request.operation_name = self.name.as_ref().map(ToString::to_string);
        // Others may execute it, too, unless its variables are of this execution alone.
        request.set_parsed_query(Arc::try_unwrap(self.chosen).map_or_else(|c| c.document.clone(), |c| c.document));
        if let Some(viewer) = self.viewer {
            request = request.data(viewer);
        }
        if let Some(trace) = self.trace {
            request = request.data(trace);
        }
        request
    }

    /// What it has in common with others; `None`: it is no subscription that can be told to be equal to another.
    pub(super) fn equals(&self, viewer: Option<&Viewer>) -> Option<(Key, Beginning)> {
        let name = self.name.as_deref();
        let key = Key::of(&self.document.text, &self.chosen.document, name, &self.variables, viewer)?;
        Some((key, Beginning::of(key, &self.variables)))
    }
}

/// Why nothing is executed.
pub(super) enum Refused {
    /// These are no parameters of an operation; what is wrong with them, for a person.
    Parameters(String),
    /// The document can't be taken.
    Document(Answer),
}

/// Executes a query or a mutation, within its time.
pub(super) async fn execute(endpoint: &Endpoint, prepared: Prepared) -> Answer {
    let (kind, finish) = (prepared.kind, Arc::clone(&prepared.finish));
    let mut request = prepared.into_request();
    if !finish.plan.merges {
        request = request.data(TakesWritten);
    }
    let most = endpoint.limits.execution_time;
    // What a resolver that panicked has left behind is its own: each operation has its own request.
    let executing = AssertUnwindSafe(endpoint.schema.execute(request)).catch_unwind();
    let changes = kind == OperationType::Mutation;
    let executed = tokio::select! {
        executed = timeout(most, executing) => executed,
        () = endpoint.out_of_time() => return Answer::rejected(going_away(changes)),
    };
    match executed {
        Ok(Ok(mut response)) => {
            finish.apply(&mut response);
            cap(&mut response.errors, endpoint.limits.errors);
            Answer::of(response)
        }
        Ok(Err(_)) => panicked(),
        Err(_) => Answer::rejected(timed_out(most, changes)),
    }
}

/// What a client is told whose operation panicked.
pub(super) fn panicked() -> Answer {
    Answer::rejected(internal(&Panicked))
}

#[derive(Debug, thiserror::Error)]
#[error("a resolver panicked; what it said went to standard error")]
struct Panicked;

/// Reads the parameters `query`, `operationName`, `variables` and `extensions`; finds or reads the document; holds the
/// operation against every limit and takes its points.
pub(super) fn prepare(endpoint: &Endpoint, parameters: Value, caller: &Caller) -> Result<Prepared, Refused> {
    admit(endpoint, parameters, caller, caller.is_administrator())
}

/// The same for a document of ours, which needs nobody's trust.
pub(super) fn prepare_ours(endpoint: &Endpoint, parameters: Value, caller: &Caller) -> Result<Prepared, Refused> {
    admit(endpoint, parameters, caller, true)
}

fn admit(endpoint: &Endpoint, parameters: Value, caller: &Caller, anything: bool) -> Result<Prepared, Refused> {
    let parameters = Parameters::read(parameters).map_err(Refused::Parameters)?;
    let purse = caller.purse();
    let prepared = find(endpoint, &parameters, anything).and_then(|document| choose(endpoint, &document, parameters));
    // Reading what is then refused is work, too.
    let points = prepared.as_ref().map_or(1, |(_, points)| *points);
    if let Err(wait) = endpoint.budget.spend(purse, points) {
        let answer = Answer::rejected_as(Fault::RateLimited(wait), rate_limited(wait));
        return Err(Refused::Document(answer));
    }
    let (mut prepared, _) = prepared.map_err(Refused::Document)?;
    prepared.viewer.clone_from(&caller.viewer);
    prepared.trace.clone_from(&caller.trace);
    Ok(prepared)
}

struct Parameters {
    query: Option<String>,
    /// What names the document: `documentId`, or `sha256Hash` of `extensions.persistedQuery`.
    persisted: Option<String>,
    operation_name: Option<String>,
    variables: Variables,
}

impl Parameters {
    fn read(parameters: Value) -> Result<Self, String> {
        let wrong = |message: &str| Err(message.to_owned());
        let Value::Object(mut parameters) = parameters else { return wrong("a request is a JSON object") };
        let persisted = match parameters.remove("extensions") {
            None | Some(Value::Null) => None,
            Some(Value::Object(mut extensions)) => match extensions.remove("persistedQuery") {
                None | Some(Value::Null) => None,
                Some(persisted) if persisted["version"] != 1 => {
                    return wrong("extensions.persistedQuery.version must be 1");
                }
                Some(persisted) => match persisted["sha256Hash"].as_str() {
                    Some(hash) => Some(hash.to_owned()),
                    None => return wrong("extensions.persistedQuery.sha256Hash must be a string"),
                },
            },
            Some(_) => return wrong("extensions must be an object"),
        };
        let persisted = match parameters.remove("documentId") {
            None | Some(Value::Null) => persisted,
            Some(Value::String(id)) => Some(id),
            Some(_) => return wrong("documentId must be a string"),
        };
        let query = match parameters.remove("query") {
            Some(Value::String(query)) if persisted.is_none() || !query.is_empty() => Some(query),
            None | Some(Value::Null | Value::String(_)) if persisted.is_some() => None,
            _ => return wrong("query must be a string"),
        };
        let operation_name = match parameters.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return wrong("operationName must be a string"),
        };
        let variables = match parameters.remove("variables") {
            None | Some(Value::Null) => Variables::default(),
            Some(variables @ Value::Object(_)) => Variables::from_json(variables),
            Some(_) => return wrong("variables must be an object"),
        };
        Ok(Self { query, persisted, operation_name, variables })
    }
}

/// The document that is meant, read once and kept; `anything`: not only one that is trusted.
fn find(endpoint: &Endpoint, parameters: &Parameters, anything: bool) -> Result<Arc<Document>, Answer> {
    let trusted = endpoint.policy.trusted.as_ref();
    let anything = anything || trusted.is_none();
    let named = |id: &String| hash_from_hex(id.strip_prefix(PREFIX).unwrap_or(id)).or_else(|| trusted?.hash_of(id));
    let claimed = parameters.persisted.as_ref().map(named);
    let kept = |hash: &Hash| {
        let trusted = trusted.and_then(|trusted| trusted.get(hash));
        trusted.or_else(|| if anything { endpoint.documents.get(hash) } else { None })
    };
    let Some(text) = &parameters.query else {
        let known = claimed.flatten().and_then(|hash| kept(&hash));
        return known.ok_or_else(|| Answer::rejected_as(Fault::NotPersisted, not_persisted()));
    };
    let hash = hash(text);
    if claimed.is_some_and(|claimed| claimed != Some(hash)) {
        let error = coded(code::PERSISTED_QUERY_HASH_MISMATCH, "the hash is not the document's");
        return Err(Answer::rejected(error));
    }
    if let Some(known) = kept(&hash) {
        return Ok(known);
    }
    if !anything {
        return Err(Answer::rejected(not_trusted()));
    }
    let document = Arc::new(Document::read(text.clone(), &endpoint.limits, &endpoint.checker)?);
    endpoint.documents.put(hash, Arc::clone(&document));
    Ok(document)
}

/// The operation of a document that is meant, and its points.
fn choose(endpoint: &Endpoint, document: &Arc<Document>, parameters: Parameters) -> Result<(Prepared, usize), Answer> {
    let (name, operation) = operation(&document.parsed, parameters.operation_name.as_deref()).ok_or_else(|| {
        let message = match &parameters.operation_name {
            Some(_) => "the document has no operation of this name",
            None => "the document has several operations: operationName must say which one",
        };
        Answer::rejected(coded(code::OPERATION_RESOLUTION_FAILURE, message))
    })?;
    let constant = operation.node.variable_definitions.is_empty();
    if constant && let Some(chosen) = document.chosen(name) {
        let points = chosen.points;
        return Ok((Prepared::new(document, chosen, name, Variables::default()), points));
    }
    let kind = operation.node.ty;
    let plan = document.plan(name, &operation.node, &endpoint.shapes);
    let mut operation = operation.clone();
    let variables = settle(&operation.node, parameters.variables)?;
    // The executor would add up the points of all operations.
    let with = |operation: Positioned<OperationDefinition>, fragments| {
        let operations = match name {
            Some(name) => DocumentOperations::Multiple(HashMap::from([(name.clone(), operation)])),
            None => DocumentOperations::Single(operation),
        };
        ExecutableDocument { operations, fragments }
    };
    let fragments = document.parsed.fragments.clone();
    if !variables.is_empty() {
        let chosen = with(operation.clone(), fragments.clone());
        endpoint.checker.accepts(chosen, variables.clone(), name.cloned()).map_err(|mut errors| {
            cap(&mut errors, endpoint.limits.errors);
            Answer::errors(&errors)
        })?;
    }
    let mut fragments = fragments;
    leave_out_omitted(&mut fragments, &mut operation, &variables);
    let mut chosen = with(operation, fragments);
    let cost = endpoint.checker.cost(chosen.clone(), variables.clone(), name.cloned());
    let points = cost.map_err(|errors| Answer::errors(&errors))?;
    if points > endpoint.limits.complexity {
        return Err(Answer::rejected(beyond_limit("COST", endpoint.limits.complexity)));
    }
    // After everything was measured: what is added is ours.
    let marked = hollow::mark(&mut chosen);
    let chosen = Arc::new(Chosen { document: chosen, kind, points, finish: Arc::new(Finish { plan, marked }) });
    if constant {
        document.keep(name.cloned(), Arc::clone(&chosen));
    }
    Ok((Prepared::new(document, chosen, name, variables), points))
}

fn operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<(Option<&'a Name>, &'a Positioned<OperationDefinition>)> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some((None, operation)),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            operations.iter().next().map(|(name, operation)| (Some(name), operation))
        }
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get_key_value(name).map(|(name, operation)| (Some(name), operation))
        }
        _ => None,
    }
}
