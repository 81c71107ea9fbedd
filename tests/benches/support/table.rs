//! The one form in which the benchmarks print what they have found: a Markdown table.

use std::fmt;

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// A ratio or figure of at least this.
    AtLeast(f64),
    /// A ratio or figure of at most this.
    AtMost(f64),
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}

/// One line of the table.
#[derive(Debug, Default)]
pub struct Row {
    what: String,
    ours: String,
    ceiling: Option<String>,
    ratio: Option<f64>,
    target: Option<(Target, f64)>,
}

impl Row {
    /// A figure of ours, in words with its unit.
    pub fn new(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { what: what.into(), ours: ours.into(), ..Self::default() }
    }

    /// What it is measured against, in the same words, and its share of that.
    #[must_use]
    pub fn against(self, ceiling: impl Into<String>, ratio: f64) -> Self {
        Self { ceiling: Some(ceiling.into()), ratio: Some(ratio), ..self }
    }

    /// What the ratio is to reach.
    ///
    /// # Panics
    /// There is no ratio.
    #[must_use]
    pub fn target(self, target: Target) -> Self {
        let ratio = self.ratio.expect("a ratio");
        self.target_of(target, ratio)
    }

    /// What a figure that has no ceiling is to reach.
    #[must_use]
    pub fn target_of(self, target: Target, figure: f64) -> Self {
        Self { target: Some((target, figure)), ..self }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ceiling = self.ceiling.as_deref().unwrap_or("-");
        write!(f, "| {} | {} | {ceiling} | ", self.what, self.ours)?;
        match self.ratio {
            Some(ratio) => write!(f, "{ratio:.2} | ")?,
            None => write!(f, "- | ")?,
        }
        match self.target {
            Some((target, figure)) if target.is_met(figure) => write!(f, "{target}: met |"),
            Some((target, _)) => write!(f, "{target}: missed |"),
            None => write!(f, "- |"),
        }
    }
}

/// Prints a table with its head.
pub fn print(rows: &[Row]) {
    println!("| what | ours | ceiling | ratio | target |");
    println!("|---|---|---|---|---|");
    for row in rows {
        println!("{row}");
    }
}
