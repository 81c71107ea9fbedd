//! Spoken words: what a search through all transcripts is answered by.
//!
//! Apart from the transcripts, which it takes the text and everything else of a hit from: words and their index are most of the
//! work, and whoever waits for the next line of a call does not wait for them.

mod query;
mod words;
mod write;

use async_trait::async_trait;
use domain::Event;
use sqlx::PgConnection;

pub use query::{SearchFilter, SearchHit, search_best, search_newest};

use super::rows::{change_of, last_changes};
use super::transcripts::told_by;
use crate::{Change, Decoded, ReadModel};

/// The read model `spoken_words`. Its key is the call id.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpokenWords;

#[async_trait]
impl ReadModel for SpokenWords {
    fn name(&self) -> &'static str {
        "spoken_words"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["spoken_words"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("spoken_words.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    /// A search may be some milliseconds late.
    fn urgent(&self, _event: &Event) -> bool {
        false
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let segments: Vec<_> =
            events.iter().copied().filter_map(|decoded| Some((decoded, told_by(decoded)?.0))).collect();
        write::insert(connection, &segments).await?;
        Ok(last_changes(segments.iter().map(|(decoded, _)| change_of(decoded))))
    }
}
