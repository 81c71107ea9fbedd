//! Conversations from JSON lines files: the Harper Valley and STAR formats, told apart by their `source`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Time a written turn is counted as, in milliseconds: it has a moment, not a length.
const WRITTEN_TURN_MS: u32 = 1_000;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Customer,
    Agent,
}

/// One turn.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) speaker: Speaker,
    /// Milliseconds from the start of the conversation.
    pub(crate) begin_ms: u32,
    pub(crate) end_ms: u32,
    pub(crate) text: String,
    /// Who wrote the words down.
    pub(crate) model: &'static str,
}

/// One conversation, its turns in the order in which they end: that is when a transcriber has them.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) id: String,
    /// Spoken on a telephone, or written.
    pub(crate) spoken: bool,
    /// The queue it comes in by.
    pub(crate) queue: String,
    pub(crate) customer_name: Option<String>,
    /// What it was about.
    pub(crate) task: String,
    pub(crate) length_ms: u32,
    pub(crate) turns: Vec<Turn>,
}

#[derive(Deserialize)]
#[serde(tag = "source")]
enum Line {
    #[serde(rename = "HarperValleyBank")]
    Harper(HarperCall),
    #[serde(rename = "STAR")]
    Star(StarDialogue),
}

#[derive(Deserialize)]
struct HarperCall {
    id: String,
    start_time_ms: i64,
    end_time_ms: i64,
    task: String,
    caller_name: Option<String>,
    turns: Vec<HarperTurn>,
}

#[derive(Deserialize)]
struct HarperTurn {
    speaker: String,
    start_ms: u32,
    duration_ms: u32,
    text: String,
}

#[derive(Deserialize)]
struct StarDialogue {
    id: String,
    domain: String,
    task: String,
    turns: Vec<StarTurn>,
}

#[derive(Deserialize)]
struct StarTurn {
    speaker: String,
    t_s: f64,
    text: String,
}

/// Every conversation of a file, or of the `.jsonl` files of a directory in order of name.
pub(crate) fn read(path: &Path) -> Result<Vec<Conversation>> {
    let mut conversations = Vec::new();
    for file in files(path)? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line = serde_json::from_str(line)
                .with_context(|| format!("{} line {}: no known conversation", file.display(), number + 1))?;
            conversations.push(match line {
                Line::Harper(call) => call.conversation()?,
                Line::Star(dialogue) => dialogue.conversation()?,
            });
        }
    }
    if conversations.is_empty() {
        bail!("{} holds no conversations", path.display());
    }
    Ok(conversations)
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let metadata = std::fs::metadata(path).with_context(|| format!("finding {}", path.display()))?;
    let mut files = vec![path.to_owned()];
    if metadata.is_dir() {
        let entries = std::fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
        files = entries.into_iter().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
    }
    for file in &files {
        let bytes = std::fs::metadata(file)?.len();
        if bytes > FILE_BYTES_MAX {
            bail!("{} has {bytes} bytes, at most {FILE_BYTES_MAX} are read", file.display());
        }
    }
    Ok(files)
}

fn speaker(name: &str) -> Result<Speaker> {
    match name {
        "agent" => Ok(Speaker::Agent),
        "caller" | "customer" => Ok(Speaker::Customer),
        other => bail!("unknown speaker {other:?}"),
    }
}

fn in_order_of_ending(mut turns: Vec<Turn>) -> Vec<Turn> {
    // Segments where nothing was said carry no words to transcribe.
    turns.retain(|turn| !turn.text.trim().is_empty());
    turns.sort_by_key(|turn| (turn.end_ms, turn.begin_ms));
    turns
}

impl HarperCall {
    fn conversation(self) -> Result<Conversation> {
        let turn = |turn: HarperTurn| -> Result<Turn> {
            Ok(Turn {
                speaker: speaker(&turn.speaker)?,
                begin_ms: turn.start_ms,
                end_ms: turn.start_ms.saturating_add(turn.duration_ms),
                text: turn.text,
                model: "human-transcript",
            })
        };
        let turns = in_order_of_ending(self.turns.into_iter().map(turn).collect::<Result<_>>()?);
        let last_ms = turns.iter().map(|turn| turn.end_ms).max().unwrap_or(0);
        let clock_ms = u32::try_from(self.end_time_ms - self.start_time_ms).unwrap_or(0);
        Ok(Conversation {
            id: self.id,
            spoken: true,
            queue: "bank".to_owned(),
            customer_name: self.caller_name,
            task: self.task,
            length_ms: clock_ms.max(last_ms),
            turns,
        })
    }
}

impl StarDialogue {
    fn conversation(self) -> Result<Conversation> {
        let turn = |turn: StarTurn| -> Result<Turn> {
            // Seconds of one conversation: far below the range of u32 in milliseconds, and never negative.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range")]
            let begin_ms = (turn.t_s.max(0.0) * 1_000.0).min(f64::from(u32::MAX / 2)) as u32;
            let end_ms = begin_ms + WRITTEN_TURN_MS;
            Ok(Turn { speaker: speaker(&turn.speaker)?, begin_ms, end_ms, text: turn.text, model: "typed" })
        };
        let turns = in_order_of_ending(self.turns.into_iter().map(turn).collect::<Result<_>>()?);
        let length_ms = turns.iter().map(|turn| turn.end_ms).max().unwrap_or(0);
        let (id, queue, task) = (self.id, self.domain, self.task);
        Ok(Conversation { id, spoken: false, queue, customer_name: None, task, length_ms, turns })
    }
}
