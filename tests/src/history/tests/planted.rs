//! One fault each.

use super::*;

#[test]
fn a_lost_event_is_found_wherever_it_is_missed() {
    let lost = found(|history| forget(history, 17));
    for invariant in [
        Invariant::I1AcknowledgedIsKept,
        Invariant::I3StreamsAreLinear,
        Invariant::I4PositionsAreInCommitOrder,
        Invariant::I6TopicIsTheLog,
        Invariant::I9SubscribersMissNothing,
    ] {
        assert!(lost.contains_key(&invariant), "{invariant}: {lost:?}");
    }
    assert_eq!(lost[&Invariant::I1AcknowledgedIsKept], Some(17));
    assert_eq!(lost[&Invariant::I4PositionsAreInCommitOrder], Some(17));
    assert_eq!(lost[&Invariant::I6TopicIsTheLog], Some(17));
    assert_eq!(lost[&Invariant::I9SubscribersMissNothing], Some(17));
}

/// A machine that comes back from before its last commits: the log is sound in itself, and shorter than was promised.
#[test]
fn a_log_that_lost_its_end_is_found_by_those_who_were_answered() {
    let lost = found(|history| {
        for position in 56..=60 {
            forget(history, position);
        }
        history.log.head = 55;
        for (stream, _, version) in &mut history.log.streams {
            *version =
                i64::try_from(history.log.events.iter().filter(|event| event.stream == *stream).count()).unwrap();
        }
    });
    assert_eq!(lost[&Invariant::I1AcknowledgedIsKept], Some(56));
    assert_eq!(lost[&Invariant::I6TopicIsTheLog], Some(56), "the topic is ahead of the log");
    assert_eq!(lost[&Invariant::I8CheckpointsMoveOn], Some(56), "and so is the read model");
    assert!(!lost.contains_key(&Invariant::I4PositionsAreInCommitOrder));
}

#[test]
fn a_doubled_append_is_found() {
    let doubled = found(|history| {
        let mut again = history.log.events[16].clone();
        (again.position, again.id, again.version) = (61, event_id(61), 13);
        history.log.keys.push(StoredKey {
            key: "command:another".to_owned(),
            stream: again.stream,
            version: 13,
            position: 61,
            event_count: 1,
        });
        history.log.events.push(again);
        history.log.head = 61;
    });
    assert_eq!(doubled[&Invariant::I1AcknowledgedIsKept], Some(17), "the command that was applied twice");
    assert_eq!(doubled[&Invariant::I2RejectedIsAbsent], Some(61), "the event with a second key");
}

#[test]
fn an_event_that_nobody_appended_is_found() {
    let stray = found(|history| history.log.keys.retain(|key| key.position != 30));
    assert_eq!(stray[&Invariant::I2RejectedIsAbsent], Some(30));
}

#[test]
fn an_event_that_says_something_else_than_was_sent_is_found() {
    let changed = found(|history| history.log.events[40].payload = json!({ "text": "something else" }));
    assert_eq!(changed[&Invariant::I1AcknowledgedIsKept], Some(41));
    assert_eq!(changed[&Invariant::I6TopicIsTheLog], Some(41));
}

#[test]
fn a_command_that_was_rejected_and_is_there_is_found() {
    for answer in [Answer::Conflict, Answer::Refused { rule: "CALL_ENDED".to_owned() }] {
        let there = found(|history| answer_of(history, 20, answer.clone()));
        assert_eq!(there[&Invariant::I2RejectedIsAbsent], Some(20), "{answer:?}");
    }
}

#[test]
fn what_is_unknown_may_be_there_or_not_but_its_key_must_agree() {
    let unknown = || Answer::Unknown { why: "cut".to_owned() };
    assert_eq!(found(|history| answer_of(history, 20, unknown())), BTreeMap::new());
    let keyless = found(|history| {
        answer_of(history, 20, unknown());
        history.log.keys.retain(|key| key.position != 20);
    });
    assert_eq!(keyless[&Invariant::I2RejectedIsAbsent], Some(20));
    let absent = found(|history| {
        let intent = Entry::Intent {
            command: command(99),
            stream: stream(1),
            category: "call".to_owned(),
            expected: None,
            content: json!({}),
        };
        journal(history, "writer-0").push(line(9_000, intent));
        journal(history, "writer-0").push(line(9_100, Entry::Answered { command: command(99), answer: unknown() }));
    });
    assert_eq!(absent, BTreeMap::new());
}

#[test]
fn two_winners_of_one_version_are_found() {
    let both = found(|history| {
        let expected = history.log.events[19].version - 1;
        for line in journal(history, "writer-1") {
            if let Entry::Intent { command: id, expected: insisted, .. } = &mut line.entry
                && *id == command(25)
            {
                *insisted = Some(expected);
            }
        }
    });
    assert_eq!(both, BTreeMap::from([(Invariant::I3StreamsAreLinear, Some(25))]));
    let twice = found(|history| history.log.events[24].version = history.log.events[19].version);
    assert_eq!(twice[&Invariant::I3StreamsAreLinear], Some(25));
}

#[test]
fn a_reorder_of_the_log_is_found_by_what_was_known_before() {
    let swapped = found(|history| {
        // As if the later one had been sent after everything else was known, and stands before it all the same.
        for line in journal(history, "writer-0") {
            if let Entry::Intent { command: id, .. } = line.entry
                && id == command(10)
            {
                line.at = 2_560;
            }
        }
    });
    assert_eq!(swapped, BTreeMap::from([(Invariant::I4PositionsAreInCommitOrder, Some(10))]));
}

#[test]
fn a_conflict_with_nobody_is_found_and_a_real_one_is_not() {
    let conflict = |sent: u64, answered: u64| {
        found(move |history| {
            let (id, expected) = (command(99), Some(history.log.events[19].version));
            let intent = Entry::Intent {
                command: id,
                stream: stream(20),
                category: "call".to_owned(),
                expected,
                content: json!({}),
            };
            let lines = journal(history, "writer-1");
            lines.push(line(sent, intent));
            lines.push(line(answered, Entry::Answered { command: id, answer: Answer::Conflict }));
        })
    };
    // Position 20 is known at 2050, position 25 of the same stream is sent at 2500.
    assert_eq!(conflict(2_100, 2_400), BTreeMap::from([(Invariant::I5ConflictsAreReal, None)]));
    assert_eq!(conflict(2_040, 2_400), BTreeMap::new());
    assert_eq!(conflict(2_100, 2_600), BTreeMap::new());
}

#[test]
fn a_topic_may_repeat_but_not_lose_reorder_or_take_in_strangers() {
    let again = |history: &mut History| {
        let mut again: Vec<Published> = records(history).iter().filter(|r| r.position >= 50).cloned().collect();
        again.iter_mut().for_each(|record| record.epoch = 2);
        records(history).extend(again);
    };
    assert_eq!(found(again), BTreeMap::new(), "a relay that was killed is followed by the same records");
    let mut history = sound();
    again(&mut history);
    assert_eq!(topic_counts(&history).duplicates, 11);

    let broken = |plant: fn(&mut Vec<Published>)| found(|history| plant(records(history)));
    let at = |position| BTreeMap::from([(Invariant::I6TopicIsTheLog, Some(position))]);
    assert_eq!(broken(|records| records.retain(|record| record.position != 33)), at(33));
    assert_eq!(broken(|records| records.swap(20, 25)), at(21), "one stream's 21 and 26, so one partition's");
    assert_eq!(broken(|records| records[12].source = "voice/elsewhere".to_owned()), at(13));
    assert_eq!(broken(|records| records[12].payload = json!({})), at(13));
    assert_eq!(broken(|records| records[12].prev = 0), at(13));
    assert_eq!(broken(|records| records[12].partition = (records[12].partition + 1) % PARTITIONS), at(13));
    let foreign = broken(|records| {
        let mut foreign = records[12].clone();
        foreign.position = 1_000;
        records.push(foreign);
    });
    assert_eq!(foreign, at(1_000));
}

#[test]
fn a_stale_checkpoint_is_found_unless_it_was_told_to_go_back() {
    let stale = Entry::Checkpoint { follower: "calls".to_owned(), position: 31 };
    let back = |history: &mut History| journal(history, "observer").push(line(6_100, stale.clone()));
    assert_eq!(found(back), BTreeMap::from([(Invariant::I8CheckpointsMoveOn, Some(31))]));
    let told = |from: Position, times: usize| {
        found(|history| {
            let told = Entry::SentBack { follower: "calls".to_owned(), from };
            journal(history, "observer").push(line(6_090, told));
            (0..times).for_each(|_| back(history));
            let on = Entry::Checkpoint { follower: "calls".to_owned(), position: 45 };
            journal(history, "observer").push(line(6_110, on));
            (1..times).for_each(|_| journal(history, "observer").push(line(6_120, stale.clone())));
        })
    };
    assert_eq!(told(20, 1), BTreeMap::new());
    assert_eq!(told(32, 1), BTreeMap::new());
    assert_eq!(told(33, 1), BTreeMap::from([(Invariant::I8CheckpointsMoveOn, Some(31))]), "further than told");
    assert_eq!(told(20, 2), BTreeMap::from([(Invariant::I8CheckpointsMoveOn, Some(31))]), "once, not twice");
}

#[test]
fn a_view_that_is_not_what_the_log_makes_of_it_is_found() {
    let differs = found(|history| history.views[0].rows[1] = "(2,sales)".to_owned());
    assert_eq!(differs, BTreeMap::from([(Invariant::I7ViewsAreFolds, Some(60))]));
    let short = found(|history| drop(history.views[0].rows.pop()));
    assert_eq!(short, BTreeMap::from([(Invariant::I7ViewsAreFolds, Some(60))]));
    let twice = found(|history| history.views[0].rows.push("(2,support)".to_owned()));
    assert_eq!(twice, BTreeMap::from([(Invariant::I7ViewsAreFolds, Some(60))]));
}

#[test]
fn a_subscriber_that_misses_gets_twice_or_out_of_order_is_found() {
    let at = |position| BTreeMap::from([(Invariant::I9SubscribersMissNothing, Some(position))]);
    // The first line says what is watched.
    assert_eq!(found(|history| drop(journal(history, "all").remove(14))), at(14));
    assert_eq!(found(|history| drop(journal(history, "some").pop())), at(56), "its stream's last");
    assert_eq!(found(|history| journal(history, "all").swap(20, 21)), at(20));
    let twice = |history: &mut History| {
        let again = journal(history, "all")[30].clone();
        journal(history, "all").insert(31, again);
    };
    assert_eq!(found(twice), at(30));
    let foreign = Entry::Received { position: 61, id: Some(event_id(61)) };
    assert_eq!(found(|history| journal(history, "all").push(line(9_000, foreign))), at(61));
}

#[test]
fn a_member_of_a_crowd_that_differs_is_found() {
    let at = |position| BTreeMap::from([(Invariant::I9SubscribersMissNothing, Some(position))]);
    let differed = |due, received| {
        found(move |history: &mut History| {
            journal(history, "all").push(line(9_000, Entry::Differed { member: 7, due, received }));
        })
    };
    assert_eq!(differed(20, None), at(20), "never came");
    assert_eq!(differed(20, Some(21)), at(20), "left out");
    assert_eq!(differed(20, Some(19)), at(19), "twice");
}

#[test]
fn who_left_is_owed_everything_until_then_and_nothing_after() {
    let left = |history: &mut History| {
        let received = journal(history, "all");
        received.truncate(41);
        received.push(line(9_000, Entry::Left { head: 40 }));
    };
    assert_eq!(found(left), BTreeMap::new());
    let missed = |history: &mut History| {
        left(history);
        drop(journal(history, "all").remove(40));
    };
    assert_eq!(found(missed), BTreeMap::from([(Invariant::I9SubscribersMissNothing, Some(40))]));
}

#[test]
fn who_does_not_catch_up_and_what_exceeds_its_bound_is_found() {
    let stuck = Entry::Stuck { who: "relay is at 40 of 60".to_owned() };
    let stuck = found(|history| journal(history, "observer").push(line(9_000, stuck)));
    assert_eq!(stuck, BTreeMap::from([(Invariant::I11EverybodyCatchesUp, None)]));
    let large = Entry::Measured { name: "memory".to_owned(), value: 11, bound: 10 };
    let large = found(|history| journal(history, "observer").push(line(9_000, large)));
    assert_eq!(large, BTreeMap::from([(Invariant::I12BoundsHold, None)]));
}

/// What became of the command behind a position, and nothing else.
fn answer_of(history: &mut History, position: Position, answer: Answer) {
    for lines in history.journals.values_mut() {
        for line in lines {
            if let Entry::Answered { command: id, answer: noted } = &mut line.entry
                && *id == command(position)
            {
                *noted = answer.clone();
            }
        }
    }
}
