//! Trusted documents: the operations of known clients, collected when those are built. Where they are given, nothing else
//! is executed.
//!
//! A manifest is a JSON object, in one of the forms that build tools write:
//!
//! * `{"<id>": "<document>", ...}`: GraphQL Code Generator (`persistedDocuments`), relay-compiler.
//! * `{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "...", "body": "...", ...}]}`:
//!   `@apollo/generate-persisted-query-manifest`.
//!
//! A client names a document by its id in the manifest or by the SHA-256 of its text, in `documentId` (with or without
//! `sha256:` before it, as the draft appendix "Persisted Documents" of GraphQL over HTTP has it) or in
//! `extensions.persistedQuery.sha256Hash`; or it sends the very text.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Checker;
use super::documents::{Document, Hash, hash, hash_from_hex};
use crate::limits::Limits;

/// Documents of a manifest, each of which keeps the rules of the language and every limit.
#[derive(Clone)]
pub struct TrustedDocuments {
    by_hash: HashMap<Hash, Arc<Document>>,
    /// Where a manifest's ids are something else than the hash.
    by_id: HashMap<String, Hash>,
}

/// Why a manifest can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is none of the forms.
    #[error("this is no manifest: a JSON object from ids to documents is needed, or Apollo's form of version 1 ({0})")]
    Form(String),
    /// A document that would be refused.
    #[error("the document {id} can't be executed: {errors}")]
    Document {
        /// Its id in the manifest.
        id: String,
        /// What is wrong, as a client would be told.
        errors: String,
    },
    /// An id that says another hash than its document has.
    #[error("{id} is the SHA-256 of another document than the one it stands for")]
    Hash {
        /// The id.
        id: String,
    },
}

#[derive(Deserialize)]
struct Apollo {
    version: u32,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    body: String,
}

impl TrustedDocuments {
    /// Reads a manifest and every document in it.
    ///
    /// # Errors
    /// The manifest has no known form, or a document in it could never be executed.
    pub fn read(manifest: &str, limits: &Limits) -> Result<Self, ManifestError> {
        let checker = checker(limits);
        let mut trusted = Self { by_hash: HashMap::new(), by_id: HashMap::new() };
        for (id, text) in documents(manifest)? {
            trusted.put(id, text, limits, &checker)?;
        }
        Ok(trusted)
    }

    /// Trusts another document.
    ///
    /// # Errors
    /// It could never be executed.
    pub fn add(&mut self, id: String, text: String, limits: &Limits) -> Result<(), ManifestError> {
        self.put(id, text, limits, &checker(limits))
    }

    fn put(&mut self, id: String, text: String, limits: &Limits, checker: &Checker) -> Result<(), ManifestError> {
        let hash = hash(&text);
        match hash_from_hex(id.strip_prefix(PREFIX).unwrap_or(&id)) {
            Some(said) if said != hash => return Err(ManifestError::Hash { id }),
            Some(_) => {}
            None => drop(self.by_id.insert(id.clone(), hash)),
        }
        match Document::read(text, limits, checker) {
            Ok(document) => drop(self.by_hash.insert(hash, Arc::new(document))),
            Err(answer) => return Err(ManifestError::Document { id, errors: answer.into_errors() }),
        }
        Ok(())
    }

    /// How many documents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    pub(super) fn get(&self, hash: &Hash) -> Option<Arc<Document>> {
        self.by_hash.get(hash).cloned()
    }

    /// The hash of the document that a client means by an id.
    pub(super) fn hash_of(&self, id: &str) -> Option<Hash> {
        self.by_id.get(id).copied()
    }
}

/// A trusted document may ask for the schema also where others may not, and who lists it is to see every suggestion.
fn checker(limits: &Limits) -> Checker {
    Checker::new(limits, true)
}

impl std::fmt::Debug for TrustedDocuments {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TrustedDocuments({})", self.len())
    }
}

/// What stands before a hash that is an id.
pub(super) const PREFIX: &str = "sha256:";

fn documents(manifest: &str) -> Result<Vec<(String, String)>, ManifestError> {
    let wrong = |error: serde_json::Error| ManifestError::Form(error.to_string());
    let manifest: Map<String, Value> = serde_json::from_str(manifest).map_err(wrong)?;
    if manifest.contains_key("operations") {
        let Apollo { version, operations } = serde_json::from_value(Value::Object(manifest)).map_err(wrong)?;
        if version != 1 {
            return Err(ManifestError::Form(format!("its version is {version}")));
        }
        return Ok(operations.into_iter().map(|operation| (operation.id, operation.body)).collect());
    }
    let pair = |(id, text)| match text {
        Value::String(text) => Ok((id, text)),
        _ => Err(ManifestError::Form(format!("what stands under {id} is no text"))),
    };
    manifest.into_iter().map(pair).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(manifest: &Value) -> Result<TrustedDocuments, ManifestError> {
        TrustedDocuments::read(&manifest.to_string(), &Limits::default())
    }

    const TEXT: &str = "query Who { viewer { email } }";

    fn hex(text: &str) -> String {
        hash(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn both_forms_are_read() {
        let sha = hex(TEXT);
        let apollo = json!({ "format": "apollo-persisted-query-manifest", "version": 1,
            "operations": [{ "id": sha, "name": "Who", "type": "query", "body": TEXT }] });
        for manifest in [json!({ &sha: TEXT }), json!({ format!("sha256:{sha}"): TEXT }), apollo] {
            let trusted = read(&manifest).unwrap();
            assert_eq!(trusted.len(), 1);
            assert_eq!(trusted.get(&hash(TEXT)).unwrap().text, TEXT);
        }
        // relay-compiler takes MD5.
        let relay = read(&json!({ "d41d8cd98f00b204e9800998ecf8427e": TEXT })).unwrap();
        assert_eq!(relay.hash_of("d41d8cd98f00b204e9800998ecf8427e"), Some(hash(TEXT)));
        assert!(read(&json!({})).unwrap().is_empty());
    }

    #[test]
    fn what_could_never_be_executed_is_found_when_it_is_read() {
        for wrong in [json!({ "a": "query {" }), json!({ "a": "{ nothing }" }), json!({ "a": "{ ".repeat(5_000) })] {
            assert!(matches!(read(&wrong), Err(ManifestError::Document { id, .. }) if id == "a"), "{wrong}");
        }
        assert!(matches!(read(&json!({ hex("other"): TEXT })), Err(ManifestError::Hash { .. })));
        let apollo = |version: u32| json!({ "version": version, "operations": [{ "id": 1 }] });
        for wrong in [json!([TEXT]), json!({ "a": { "b": TEXT } }), apollo(1), apollo(2), json!("x")] {
            assert!(matches!(read(&wrong), Err(ManifestError::Form(_))), "{wrong}");
        }
    }
}
