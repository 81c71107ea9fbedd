//! Helpers of the tests: *given* events, *when* a command, *then* events or a refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::{
    Aggregate, Fact, Label, LongText, PersonName, Personal, PhoneNumber, QueueName, Refusal, ShortText, TeamName,
};

/// An aggregate with its history.
pub(crate) struct Given<A>(A);

/// What came of a command.
pub(crate) struct Outcome<A: Aggregate>(Result<Vec<A::Event>, A::Refusal>);

/// An aggregate to which these events have happened.
pub(crate) fn given<A: Aggregate>(events: &[A::Event]) -> Given<A> {
    Given(fold(events))
}

/// The state after these events.
pub(crate) fn fold<A: Aggregate>(events: &[A::Event]) -> A {
    let mut state = A::default();
    events.iter().for_each(|event| state.apply(event));
    state
}

impl<A: Aggregate> Given<A> {
    pub(crate) fn when(self, command: A::Command) -> Outcome<A> {
        Outcome(self.0.decide(command))
    }
}

impl<A: Aggregate> Outcome<A>
where
    A::Event: PartialEq + Debug,
{
    #[track_caller]
    pub(crate) fn then(self, expected: &[A::Event]) {
        match self.0 {
            Ok(events) => assert_eq!(events, expected),
            Err(refusal) => panic!("refused by {}: {refusal}", refusal.rule()),
        }
    }

    #[track_caller]
    pub(crate) fn then_refused(self, rule: &str) {
        match self.0 {
            Ok(events) => panic!("accepted, expected a refusal by {rule}: {events:?}"),
            Err(refusal) => assert_eq!(refusal.rule(), rule),
        }
    }
}

/// Gives an aggregate a series of commands and checks what holds for every aggregate: an accepted command yields
/// events, they survive the wire, and folding them one by one equals folding them at once. `check` sees the state and
/// the whole history after every accepted command. Returns the history.
pub(crate) fn run<A>(commands: Vec<A::Command>, check: impl Fn(&A, &[A::Event])) -> Vec<A::Event>
where
    A: Aggregate + PartialEq + Debug,
    A::Event: PartialEq + Debug,
{
    let mut state = A::default();
    let mut history = Vec::new();
    for command in commands {
        let Ok(events) = state.decide(command) else { continue };
        assert!(!events.is_empty(), "an accepted command yields at least one event");
        for event in &events {
            let stored: crate::Event = event.clone().into();
            let decoded =
                crate::Event::decode(stored.type_name(), stored.schema_version(), &stored.payload().unwrap()).unwrap();
            assert_eq!(decoded, stored);
            state.apply(event);
        }
        history.extend(events);
        check(&state, &history);
    }
    assert_eq!(fold::<A>(&history), state);
    history
}

/// The wire names that show up in the histories of many series of commands; the same on every run. It tells whether
/// random commands reach every corner of an aggregate.
pub(crate) fn types_reached<A>(commands: &BoxedStrategy<Vec<A::Command>>, series: usize) -> BTreeSet<&'static str>
where
    A: Aggregate + PartialEq + Debug,
    A::Command: Debug,
    A::Event: PartialEq + Debug,
{
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..series {
        let history = run::<A>(commands.new_tree(&mut runner).unwrap().current(), |_, _| {});
        reached.extend(history.into_iter().map(|event| Into::<crate::Event>::into(event).type_name()));
    }
    reached
}

/// Reads the source of an aggregate's refusals and of its tests: every rule has its own name in upper snake case, and
/// at least one test that it says no.
#[track_caller]
pub(crate) fn assert_rules(refusal_source: &str, tests: &[&str]) {
    let rules: Vec<&str> =
        refusal_source.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\",")).collect();
    assert_eq!(rules.len(), refusal_source.matches("#[error(").count(), "every refusal names one rule");
    assert_eq!(rules.iter().collect::<BTreeSet<_>>().len(), rules.len(), "every rule has its own name");
    for rule in rules {
        let words_only = rule.split('_').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()));
        assert!(words_only, "{rule} is not upper snake case");
        let expected = format!("then_refused(\"{rule}\")");
        assert!(tests.iter().any(|source| source.contains(&expected)), "no test expects {rule}");
    }
}

pub(crate) fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

pub(crate) fn short(text: &str) -> ShortText {
    ShortText::parse(text).unwrap()
}

pub(crate) fn queue(name: &str) -> QueueName {
    QueueName::parse(name).unwrap()
}

pub(crate) fn team(name: &str) -> TeamName {
    TeamName::parse(name).unwrap()
}

pub(crate) fn phone(number: &str) -> Personal<PhoneNumber> {
    Personal::new(PhoneNumber::parse(number).unwrap())
}

pub(crate) fn person(name: &str) -> Personal<PersonName> {
    Personal::new(PersonName::parse(name).unwrap())
}

pub(crate) fn notes(text: &str) -> Personal<LongText> {
    Personal::new(LongText::parse(text).unwrap())
}
