//! The conversations that are imported, read from their files by the tests themselves.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A sentence: who, from when to when in milliseconds, what.
pub(super) type Sentence = (String, i64, i64, String);

/// All conversations that come with the project.
pub(super) fn all() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// A chat in which somebody says two things within one second.
const HASTY: &str = r#"{"id": "hasty", "source": "STAR", "domain": "shop", "task": "return", "turns": [
    {"speaker": "customer", "t_s": 0, "text": "Hello?"}, {"speaker": "customer", "t_s": 0, "text": "Anybody there?"},
    {"speaker": "agent", "t_s": 9, "text": "Yes, of course."}, {"speaker": "customer", "t_s": 20, "text": "Great, thanks!"}]}"#;

/// Two short telephone calls and two short chats, as files in a new directory.
pub(super) fn short(directory: &str) {
    std::fs::create_dir(directory).unwrap();
    std::fs::write(Path::new(directory).join("hasty.jsonl"), HASTY.replace('\n', "")).unwrap();
    for (file, conversations, turns) in [("harper_valley.jsonl", 2, 12), ("star.jsonl", 1, 8)] {
        let mut lines = String::new();
        for mut conversation in lines_of(&all().join(file)).into_iter().take(conversations) {
            let kept: Vec<Value> = conversation["turns"].as_array().unwrap().iter().take(turns).cloned().collect();
            if let Some(began_ms) = conversation["start_time_ms"].as_i64() {
                let end = |turn: &Value| turn["start_ms"].as_i64().unwrap() + turn["duration_ms"].as_i64().unwrap();
                conversation["end_time_ms"] = json!(began_ms + kept.iter().map(end).max().unwrap());
            }
            conversation["turns"] = json!(kept);
            lines.push_str(&format!("{conversation}\n"));
        }
        std::fs::write(Path::new(directory).join(file), lines).unwrap();
    }
}

/// What is said in each conversation of a directory, in the order in which sentences end; the conversations in order.
pub(super) fn sentences(directory: &Path) -> Vec<Vec<Sentence>> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let mut all: Vec<Vec<Sentence>> =
        files.flat_map(|file| lines_of(&file)).map(|conversation| said_in(&conversation)).collect();
    all.sort();
    all
}

fn said_in(conversation: &Value) -> Vec<Sentence> {
    let mut sentences: Vec<Sentence> = Vec::new();
    for turn in conversation["turns"].as_array().unwrap() {
        // Blanks around what was said say nothing.
        let text = turn["text"].as_str().unwrap().trim();
        if text.is_empty() {
            continue;
        }
        let speaker = if turn["speaker"] == "agent" { "AGENT" } else { "CUSTOMER" };
        let (begin_ms, length_ms) = match turn["start_ms"].as_i64() {
            Some(begin_ms) => (begin_ms, turn["duration_ms"].as_i64().unwrap()),
            None => (turn["t_s"].as_i64().unwrap() * 1_000, 1_000),
        };
        sentences.push((speaker.to_owned(), begin_ms, begin_ms + length_ms, text.to_owned()));
    }
    sentences.sort_by_key(|(_, begin_ms, end_ms, _)| (*end_ms, *begin_ms));
    sentences
}

fn lines_of(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same conversations, one by one so that a difference can be read.
pub(super) fn assert_said(mut found: Vec<Vec<Sentence>>, expected: &[Vec<Sentence>]) {
    found.sort();
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}
