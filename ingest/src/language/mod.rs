//! Analysis of what was said.

mod vader;

use std::collections::BTreeMap;

use async_trait::async_trait;

pub use vader::Vader;

/// The mood of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentiment {
    /// From -1 (very negative) over 0 (neutral) to 1 (very positive).
    pub score: f64,
    /// Shares of what the model tells apart, each 0 to 1.
    pub emotions: BTreeMap<String, f64>,
}

/// A text could not be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The provider did not answer in time, or answered with an error that may pass.
    #[error("the provider is not available: {0}")]
    Unavailable(String),
    /// The provider will not analyse this text, however often it is asked.
    #[error("the provider refused the text: {0}")]
    Refused(String),
}

/// Somebody who can tell the mood of a text: a local lexicon, or a provider's model.
#[async_trait]
pub trait LanguageAnalysis: Send + Sync + 'static {
    /// Name of the model; scores of different models can't be compared.
    fn model(&self) -> &str;

    /// Version of the model.
    fn model_version(&self) -> &str;

    /// The mood of one segment.
    ///
    /// # Errors
    /// See [`AnalysisError`].
    async fn sentiment(&self, text: &str) -> Result<Sentiment, AnalysisError>;
}
