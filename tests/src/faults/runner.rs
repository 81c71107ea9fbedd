//! The long form: one cluster, one fault after the other by chance, and a sum at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rand::RngExt;

use super::{Cluster, Depth, Fault, Scale};
use crate::history::{History, Invariant, Violation, topic_counts};

/// The whole history is looked at after each this many faults, and at the end.
const VERIFIED_EVERY: usize = 5;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// What everything that was left to chance came from.
    pub seed: u64,
    /// How long it took.
    pub lasted: Duration,
    /// How often each fault was injected.
    pub faults: BTreeMap<Fault, usize>,
    /// Commands that were answered.
    pub commands: u64,
    /// Tries that were not answered, or not in earnest.
    pub unanswered: u64,
    /// Commands that turned out to have been done by a try that was not answered.
    pub already_applied: u64,
    /// Events in the log.
    pub appended: u64,
    /// Records in the topic.
    pub records: u64,
    /// Records of events that were there already: dropped by whoever reads.
    pub duplicates: u64,
    /// Records that came before their predecessors.
    pub early: u64,
    /// Events that subscribers received.
    pub delivered: u64,
    /// Connections that they needed.
    pub connections: u64,
    /// Everything that is not as promised.
    pub violations: Vec<Violation>,
}

impl Summary {
    /// Violations that mean a loss: of something acknowledged, published, or shown.
    #[must_use]
    pub fn losses(&self) -> usize {
        let lost = |violation: &&Violation| {
            matches!(
                violation.invariant,
                Invariant::I1AcknowledgedIsKept | Invariant::I6TopicIsTheLog | Invariant::I9SubscribersMissNothing
            )
        };
        self.violations.iter().filter(lost).count()
    }

    /// Takes over what a history says.
    pub fn take(&mut self, cluster: &Cluster, history: &History, violations: Vec<Violation>) {
        let topic = topic_counts(history);
        (self.records, self.duplicates, self.early) = (topic.records, topic.duplicates, topic.early);
        self.appended = u64::try_from(history.log.events.len()).unwrap_or(u64::MAX);
        self.commands = cluster.load.done();
        (self.unanswered, self.already_applied) = cluster.load.unanswered_and_repeated();
        (self.delivered, self.connections) = cluster.received_and_connections();
        self.violations = violations;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: usize = self.faults.values().sum();
        let kinds: Vec<String> = self.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        writeln!(f, "seed                    {}", self.seed)?;
        writeln!(f, "lasted                  {:.1} min", self.lasted.as_secs_f64() / 60.0)?;
        writeln!(f, "faults                  {faults}: {}", kinds.join(", "))?;
        writeln!(f, "commands answered       {}", self.commands)?;
        writeln!(f, "  tries unanswered      {}", self.unanswered)?;
        writeln!(f, "  found already applied {}", self.already_applied)?;
        writeln!(f, "events appended         {}", self.appended)?;
        writeln!(f, "records on Kafka        {}", self.records)?;
        writeln!(f, "  duplicates dropped    {}", self.duplicates)?;
        writeln!(f, "  before their turn     {}", self.early)?;
        writeln!(f, "events delivered        {} over {} connections", self.delivered, self.connections)?;
        writeln!(f, "losses                  {}", self.losses())?;
        write!(f, "violations              {}", self.violations.len())
    }
}

/// A run under way.
struct Run<'a> {
    begun: Instant,
    cluster: Cluster,
    scale: Scale,
    summary: Summary,
    say: &'a dyn Fn(String),
}

impl<'a> Run<'a> {
    async fn begin(seed: u64, scale: Scale, say: &'a dyn Fn(String)) -> Self {
        let begun = Instant::now();
        let cluster = Cluster::start(seed).await;
        Self { begun, cluster, scale, summary: Summary { seed, ..Summary::default() }, say }
    }

    fn say(&self, what: &str) {
        (self.say)(format!("{:6.1} s  {what}", self.begun.elapsed().as_secs_f64()));
    }

    /// Injects one fault and waits until everything is at rest. `false`: something is not as it must be already.
    async fn inject(&mut self, fault: Fault) -> bool {
        self.cluster.load.go_on();
        self.say(&fault.to_string());
        *self.summary.faults.entry(fault).or_default() += 1;
        let injected = AssertUnwindSafe(fault.inject(&mut self.cluster, self.scale)).catch_unwind().await;
        if let Err(panic) = &injected {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
            self.cluster.failed(&format!("{fault}: {text}"));
            // What it had broken, so that the rest can be judged.
            self.cluster.mend().await;
        }
        self.cluster.settle().await.stuck.is_none() && injected.is_ok()
    }

    /// Holds the whole history against the invariants.
    async fn verify(&mut self, depth: Depth) {
        let (history, violations) = self.cluster.verify(depth).await;
        self.summary.take(&self.cluster, &history, violations);
        self.say(&format!("{} events, {} violations", self.summary.appended, self.summary.violations.len()));
    }

    async fn end(mut self) -> Summary {
        self.summary.lasted = self.begun.elapsed();
        if self.summary.violations.is_empty() {
            self.cluster.stop().await;
        } else {
            let kept = self.cluster.keep();
            (self.say)(format!("journals and logs: {}", kept.display()));
        }
        self.summary
    }
}

/// Injects faults by chance until the time is over or something is not as promised. `say` is told what happens.
pub async fn run(seed: u64, lasts: Duration, chosen: &[Fault], scale: Scale, say: &dyn Fn(String)) -> Summary {
    let mut run = Run::begin(seed, scale, say).await;
    for round in 1.. {
        let fault = chosen[run.cluster.luck.random_range(0..chosen.len())];
        let sound = run.inject(fault).await;
        let last = !sound || run.begun.elapsed() >= lasts;
        if last || round % VERIFIED_EVERY == 0 {
            run.verify(if sound { Depth::Views } else { Depth::Log }).await;
        }
        if last || !run.summary.violations.is_empty() {
            break;
        }
    }
    run.end().await
}

/// Injects these faults in this order, each in its short form, and looks at the whole history after each.
pub async fn run_in_order(seed: u64, faults: &[Fault], say: &dyn Fn(String)) -> Summary {
    let mut run = Run::begin(seed, Scale::Short, say).await;
    for fault in faults {
        let sound = run.inject(*fault).await;
        run.verify(if sound { Depth::Views } else { Depth::Log }).await;
        if !run.summary.violations.is_empty() {
            break;
        }
    }
    run.end().await
}
