//! VADER: a lexicon with rules for negation, emphasis and punctuation (Hutto and Gilbert 2014). Runs here, needs no key.

use async_trait::async_trait;
use vader_sentimental::SentimentIntensityAnalyzer;

use super::{AnalysisError, LanguageAnalysis, Sentiment};

/// The local scorer.
pub struct Vader {
    analyzer: SentimentIntensityAnalyzer<'static>,
}

impl Vader {
    /// Loads the lexicon, which is part of the program.
    #[must_use]
    pub fn new() -> Self {
        Self { analyzer: SentimentIntensityAnalyzer::new() }
    }
}

impl Default for Vader {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl LanguageAnalysis for Vader {
    fn model(&self) -> &str {
        "vader"
    }

    fn model_version(&self) -> &str {
        // The release of the lexicon and of its rules' implementation.
        "vader-sentimental-0.1.3"
    }

    async fn sentiment(&self, text: &str) -> Result<Sentiment, AnalysisError> {
        let scores = self.analyzer.polarity_scores(text);
        let shares = [("positive", scores.pos), ("neutral", scores.neu), ("negative", scores.neg)];
        Ok(Sentiment {
            score: rounded(scores.compound).clamp(-1.0, 1.0),
            emotions: shares.map(|(name, share)| (name.to_owned(), rounded(share).clamp(0.0, 1.0))).into(),
        })
    }
}

/// Four decimals, as the authors print: more would be digits without meaning.
fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 10_000.0).round() / 10_000.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentences and scores from the README of the authors' own implementation (cjhutto/vaderSentiment).
    #[tokio::test]
    async fn scores_as_its_authors_print() {
        let vader = Vader::new();
        for (text, expected) in [
            ("VADER is smart, handsome, and funny.", 0.8316),
            ("VADER is smart, handsome, and funny!", 0.8439),
            ("VADER is not smart, handsome, nor funny.", -0.7424),
            ("The book was good.", 0.4404),
            ("At least it isn't a horrible book.", 0.431),
            ("Today SUX!", -0.5461),
            ("Not bad at all", 0.431),
            ("[noise] <unk>", 0.0),
            ("", 0.0),
        ] {
            let found = vader.sentiment(text).await.map(|sentiment| sentiment.score).unwrap_or(f64::NAN);
            assert!((found - expected).abs() < 1e-9, "{text}: {found}, not {expected}");
        }
    }
}
