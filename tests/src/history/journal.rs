//! Journals as files: a line of JSON each time, written before what it announces is done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::entry::{Entry, Line};

/// Why a journal could not be kept or read.
#[derive(Debug)]
pub enum JournalError {
    /// The file.
    Io(std::io::Error),
    /// A line that is none.
    Line {
        /// The file.
        file: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(formatter, "the journals can't be read: {error}"),
            Self::Line { file, line, error } => write!(formatter, "{}, line {line}: {error}", file.display()),
        }
    }
}

impl std::error::Error for JournalError {}

impl From<std::io::Error> for JournalError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The directory in which everybody keeps a journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journals {
    directory: Arc<PathBuf>,
    begun: Instant,
}

impl Journals {
    /// Journals of a run that begins now, in a directory that exists.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: Arc::new(directory.to_owned()), begun: Instant::now() }
    }

    /// A new journal of somebody.
    ///
    /// # Panics
    /// There is one, or it can't be made.
    #[must_use]
    pub fn of(&self, actor: &str) -> Journal {
        let file = File::create_new(self.directory.join(format!("{actor}.jsonl"))).expect("a new journal");
        Journal { file: Arc::new(Mutex::new(file)), begun: self.begun }
    }

    /// Everything noted so far, by actor.
    ///
    /// # Errors
    /// A journal can't be read.
    pub fn read(&self) -> Result<BTreeMap<String, Vec<Line>>, JournalError> {
        let mut journals = BTreeMap::new();
        for entry in std::fs::read_dir(self.directory.as_path())? {
            let file = entry?.path();
            if file.extension().is_none_or(|extension| extension != "jsonl") {
                continue;
            }
            let actor = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            journals.insert(actor, read(&file)?);
        }
        Ok(journals)
    }
}

fn read(file: &Path) -> Result<Vec<Line>, JournalError> {
    let mut lines = Vec::new();
    for (index, text) in BufReader::new(File::open(file)?).lines().enumerate() {
        let at = |error| JournalError::Line { file: file.to_owned(), line: index + 1, error };
        lines.push(serde_json::from_str(&text?).map_err(at)?);
    }
    Ok(lines)
}

/// One actor's journal. Cheap to clone; lines of all clones come in the order of their times.
#[derive(Debug, Clone)]
pub struct Journal {
    file: Arc<Mutex<File>>,
    begun: Instant,
}

impl Journal {
    /// Adds a line. It need not survive the machine: the machine's end is the run's end.
    ///
    /// # Panics
    /// The disk is full.
    pub fn note(&self, entry: Entry) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let at = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut line = serde_json::to_vec(&Line { at, entry }).expect("an entry has a JSON form");
        line.push(b'\n');
        file.write_all(&line).expect("room for the journal");
    }
}
