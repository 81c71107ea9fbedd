//! Documents that were parsed, measured and validated once, found again by their hash: also the automatic persisted
//! queries of Apollo clients, which send the hash alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet};
use async_graphql::{Error, Name, ServerError};
use lru::LruCache;
use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::check::Checker;
use super::complete::{Finish, Plan};
use super::measure::{Measures, Unmeasured};
use super::shapes::Shapes;
use super::tokens::{self, TooLarge};
use crate::error::{beyond_limit, code, coded};
use crate::limits::Limits;

/// SHA-256 of a document's text.
pub(super) type Hash = [u8; 32];

/// A document that keeps every rule and every limit.
pub(super) struct Document {
    pub(super) text: String,
    pub(super) parsed: ExecutableDocument,
    /// Operations without variables, which come out the same each time.
    chosen: Mutex<HashMap<Option<Name>, Arc<Chosen>>>,
    /// Plans of operations, which do not depend on variables.
    plans: Mutex<HashMap<Option<Name>, Arc<Plan>>>,
}

/// An operation that keeps every limit, ready to be executed.
pub(super) struct Chosen {
    pub(super) document: ExecutableDocument,
    pub(super) kind: OperationType,
    pub(super) points: usize,
    pub(super) finish: Arc<Finish>,
}

impl Document {
    /// Parses, measures and validates a document.
    pub(super) fn read(text: String, limits: &Limits, checker: &Checker) -> Result<Self, Answer> {
        let beyond = |(limit, most)| Answer::rejected(beyond_limit(limit, most));
        match tokens::count(&text, limits.tokens) {
            Ok(_) => {}
            Err(TooLarge::Tokens) => return Err(beyond(("TOKENS", limits.tokens))),
            Err(TooLarge::Nesting) => return Err(beyond(("DEPTH", limits.depth))),
        }
        let parsed = parse_query(&text).map_err(|error| {
            let mut error = ServerError::from(error);
            error.extensions.get_or_insert_default().set("code", code::GRAPHQL_PARSE_FAILED);
            Answer::errors(&[error])
        })?;
        if !checker.tells && introspects(&parsed) {
            return Err(Answer::rejected(coded(code::INTROSPECTION_DISABLED, "the schema is not shown here")));
        }
        for (_, operation) in parsed.operations.iter() {
            let measured = Measures::of(&parsed, &operation.node).map_err(|unmeasured| match unmeasured {
                Unmeasured::TooDeep => beyond(("DEPTH", limits.depth)),
                Unmeasured::Cycle => invalid("A fragment must not use itself."),
            })?;
            if let Some(limit) = measured.beyond(limits) {
                return Err(beyond(limit));
            }
            if operation.node.ty == OperationType::Subscription && measured.root_fields != 1 {
                return Err(invalid("A subscription has exactly one field at its root."));
            }
        }
        checker.validate(&parsed).map_err(|mut errors| {
            cap(&mut errors, limits.errors);
            Answer::errors(&errors)
        })?;
        Ok(Self { text, parsed, chosen: Mutex::default(), plans: Mutex::default() })
    }

    /// The plan of an operation of this document, made once.
    pub(super) fn plan(&self, name: Option<&Name>, operation: &OperationDefinition, shapes: &Shapes) -> Arc<Plan> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plans.entry(name.cloned()).or_insert_with(|| Arc::new(Plan::of(&self.parsed, operation, shapes)));
        Arc::clone(plan)
    }

    /// An operation that was kept.
    pub(super) fn chosen(&self, name: Option<&Name>) -> Option<Arc<Chosen>> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).get(&name.cloned()).cloned()
    }

    /// Keeps an operation. There are not more than the document has, whose size is bound.
    pub(super) fn keep(&self, name: Option<Name>, chosen: Arc<Chosen>) {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).insert(name, chosen);
    }
}

/// Whether a document asks for the schema, wherever it does.
fn introspects(document: &ExecutableDocument) -> bool {
    fn asks(set: &SelectionSet) -> bool {
        set.items.iter().any(|selection| match &selection.node {
            Selection::Field(field) => {
                matches!(field.node.name.node.as_str(), "__schema" | "__type") || asks(&field.node.selection_set.node)
            }
            Selection::InlineFragment(inline) => asks(&inline.node.selection_set.node),
            Selection::FragmentSpread(_) => false,
        })
    }
    document.operations.iter().any(|(_, operation)| asks(&operation.node.selection_set.node))
        || document.fragments.values().any(|fragment| asks(&fragment.node.selection_set.node))
}

fn invalid(message: &str) -> Answer {
    Answer::rejected(coded(code::GRAPHQL_VALIDATION_FAILED, message))
}

/// Leaves as many errors as may be told, the last of which says that there were more.
pub(super) fn cap(errors: &mut Vec<ServerError>, most: usize) {
    let most = most.max(1);
    if errors.len() > most {
        let more = errors.len() + 1 - most;
        errors.truncate(most - 1);
        let mut last = ServerError::new(format!("and {more} more errors"), None);
        last.extensions.get_or_insert_default().set("code", code::TOO_MANY_ERRORS);
        errors.push(last);
    }
}

/// The documents used last.
pub(super) struct Documents {
    kept: Mutex<Kept>,
    most: usize,
    most_bytes: usize,
}

struct Kept {
    documents: LruCache<Hash, Arc<Document>>,
    bytes: usize,
}

impl Documents {
    pub(super) fn new(limits: &Limits) -> Self {
        let kept = Mutex::new(Kept { documents: LruCache::unbounded(), bytes: 0 });
        Self { kept, most: limits.documents, most_bytes: limits.documents_bytes }
    }

    pub(super) fn get(&self, hash: &Hash) -> Option<Arc<Document>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).documents.get(hash).cloned()
    }

    pub(super) fn put(&self, hash: Hash, document: Arc<Document>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += document.text.len();
        if let Some(before) = kept.documents.put(hash, document) {
            kept.bytes -= before.text.len();
        }
        while kept.documents.len() > self.most || kept.bytes > self.most_bytes {
            let Some((_, oldest)) = kept.documents.pop_lru() else { break };
            kept.bytes -= oldest.text.len();
        }
    }
}

/// SHA-256 of a text.
pub(super) fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// Reads 64 hexadecimal digits.
pub(super) fn hash_from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// The document is none of those that are executed here.
pub(super) fn not_trusted() -> Error {
    coded(code::DOCUMENT_NOT_TRUSTED, "only documents of the installation's manifest are executed here")
}

/// The document is not known by its hash; Apollo's clients wait for these very words.
pub(super) fn not_persisted() -> Error {
    coded(code::PERSISTED_QUERY_NOT_FOUND, "PersistedQueryNotFound")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn document(text: &str) -> Arc<Document> {
        let parsed = parse_query("{ a }").unwrap_or_else(|error| panic!("{error}"));
        Arc::new(Document { text: text.to_owned(), parsed, chosen: Mutex::default(), plans: Mutex::default() })
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let limits = Limits { documents: 2, documents_bytes: 10, ..Limits::default() };
        let documents = Documents::new(&limits);
        let (a, b, c) = (hash("a"), hash("b"), hash("c"));
        documents.put(a, document("aaaa"));
        documents.put(b, document("bbbb"));
        assert!(documents.get(&a).is_some());
        documents.put(c, document("cc"));
        assert!(documents.get(&b).is_none(), "two are kept, and it was used before the other");
        assert!(documents.get(&a).is_some());
        documents.put(c, document("ccccccc"));
        assert!(documents.get(&a).is_none(), "ten bytes are kept");
        assert!(documents.get(&c).is_some());
        documents.put(b, document("bbbbbbbbbbb"));
        assert!(documents.get(&b).is_none() && documents.get(&c).is_none(), "it alone is more than is kept");
    }

    #[test]
    fn hashes_are_read() {
        let text = hash("x").iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        });
        assert_eq!(hash_from_hex(&text), Some(hash("x")));
        assert_eq!(hash_from_hex(&text[1..]), None);
        assert_eq!(hash_from_hex(&text.replace(&text[..1], "+")), None);
    }
}
