//! The target's laws.

use super::*;
use crate::{migration::Purpose, store::EntryOutcome, wire::Refusal};

fn commit() -> Command<&'static str> {
    let purpose = Purpose::Commit;
    Command::ChangeEntry {
        purpose,
        expected: owned(s(), 1),
        new: owned(t(), 2),
    }
}

fn start_bump() -> Command<&'static str> {
    let purpose = Purpose::Start;
    Command::ChangeEntry {
        purpose,
        expected: owned(t(), 2),
        new: owned(t(), 3),
    }
}

fn say_committed() -> Command<&'static str> {
    Command::SendCommitted {
        to: s(),
        epoch: Epoch(2),
    }
}

fn asked() -> Seat<&'static str> {
    let mut seat = prepared();
    seat.prepared(Epoch(1));
    let _ = seat.take_commands();
    seat
}

#[test]
fn package_arriving_twice_prepares_once() {
    let mut seat = prepared();
    assert_eq!(after(&mut seat, |seat| assert!(!seat.package(&s(), Epoch(1)))), []);
    assert_eq!(after(&mut seat, |seat| seat.prepared(Epoch(1))), [commit()]);
    assert_eq!(after(&mut seat, |seat| seat.prepared(Epoch(1))), []);
}

#[test]
fn package_that_comes_again_after_the_commit_is_answered() {
    let mut seat = committed();
    assert_eq!(
        after(&mut seat, |seat| assert!(!seat.package(&s(), Epoch(1)))),
        [say_committed()]
    );
}

#[test]
fn package_of_an_epoch_that_is_over_is_dropped() {
    let mut seat = moved();
    assert_eq!(after(&mut seat, |seat| assert!(!seat.package(&s(), Epoch(1)))), []);
}

#[test]
fn package_for_a_silo_that_has_an_entry_of_its_own_is_refused() {
    let mut seat = active(t());
    let why = Refusal::Busy;
    let commands = after(&mut seat, |seat| assert!(!seat.package(&s(), Epoch(4))));
    assert_eq!(
        commands,
        [Command::SendRefused {
            to: s(),
            epoch: Epoch(4),
            why
        }]
    );
}

#[test]
fn what_waited_for_a_registration_waits_for_the_package_instead() {
    let mut seat = Seat::new(t());
    assert_eq!(send(&mut seat, L, "a"), [Command::Register]);
    assert_eq!(after(&mut seat, |seat| assert!(seat.package(&s(), Epoch(1)))), []);
    let why = crate::wire::BounceReason::NotOwner;
    assert_eq!(after(&mut seat, |seat| seat.register_failed(hint(s(), 1), why)), []);
}

#[test]
fn prepared_actor_runs_nothing_and_holds_what_arrives() {
    let mut seat = prepared();
    assert_eq!(send(&mut seat, L, "a"), []);
    assert_eq!(after(&mut seat, |seat| seat.fence(M, 1)), []);
}

#[test]
fn a_reservation_is_dropped_only_before_the_directory_was_asked() {
    let why = Refusal::Full;
    let mut seat = prepared();
    let _ = send(&mut seat, L, "a");
    let commands = after(&mut seat, |seat| seat.refuse(Epoch(1), why.clone()));
    let refused = Command::SendRefused {
        to: s(),
        epoch: Epoch(1),
        why: why.clone(),
    };
    assert_eq!(commands, [Command::Drop, bounce(L, "a", None), refused]);
    assert_eq!(seat.phase(), None);
    for mut seat in [asked(), committed(), moved()] {
        assert_eq!(after(&mut seat, |seat| seat.refuse(Epoch(1), why.clone())), []);
    }
}

#[test]
fn the_first_turn_waits_for_go() {
    let mut seat = asked();
    let _ = send(&mut seat, L, "own");
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(Purpose::Commit, &owned(t(), 2), EntryOutcome::Changed, nobody);
    });
    assert_eq!(commands, [say_committed()]);
    assert_eq!(after(&mut seat, |seat| seat.go(&s(), Epoch(1))), []);
    assert_eq!(after(&mut seat, |seat| seat.go(&u(), Epoch(2))), []);
    let commands = after(&mut seat, |seat| seat.go(&s(), Epoch(2)));
    assert_eq!(commands, [Command::Start { epoch: Epoch(2) }, rest("own")]);
}

#[test]
fn the_queue_comes_first_then_forwards_then_callers() {
    let mut seat = committed();
    let _ = send(&mut seat, L, "own");
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), Epoch(2), 1, "forward")),
        []
    );
    let commands = after(&mut seat, |seat| seat.go(&s(), Epoch(2)));
    let rested = Command::SendRested {
        to: s(),
        stream: Epoch(2),
        n: 1,
    };
    assert_eq!(
        commands,
        [Command::Start { epoch: Epoch(2) }, rest("forward"), rested, rest("own")]
    );
}

#[test]
fn a_commit_is_decided_by_the_entry() {
    let hint_u = hint(u(), 3);
    let cases: [(Entry, Commands); 4] = [
        (owned(t(), 2), vec![say_committed()]),
        // Not decided: it may still be under way.
        (owned(s(), 1), vec![commit()]),
        (owned(u(), 3), vec![Command::Drop, bounce(L, "a", hint_u)]),
        (owned(s(), 2), vec![Command::Drop, bounce(L, "a", hint(s(), 2))]),
    ];
    for (entry, expected) in cases {
        let mut seat = asked();
        let _ = send(&mut seat, L, "a");
        let commands = after(&mut seat, |seat| {
            seat.entry_changed(
                Purpose::Commit,
                &owned(t(), 2),
                EntryOutcome::Conflict(entry.clone()),
                nobody,
            );
        });
        assert_eq!(commands, expected, "{entry:?}");
    }
}

#[test]
fn without_go_the_target_bumps_before_it_starts() {
    let mut seat = committed();
    assert_eq!(after(&mut seat, Seat::start_without_source), [start_bump()]);
    assert_eq!(after(&mut seat, Seat::start_without_source), []);
    assert_eq!(
        after(&mut seat, |seat| seat.go(&s(), Epoch(2))),
        [],
        "the answer decides"
    );
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(Purpose::Start, &owned(t(), 3), EntryOutcome::Changed, nobody);
    });
    assert_eq!(commands, [Command::Start { epoch: Epoch(3) }]);
}

#[test]
fn a_start_is_decided_by_the_entry() {
    let cases: [(Entry, Commands); 3] = [
        (owned(t(), 3), vec![Command::Start { epoch: Epoch(3) }, rest("a")]),
        (owned(t(), 2), vec![start_bump()]),
        (owned(s(), 3), vec![Command::Drop, bounce(L, "a", hint(s(), 3))]),
    ];
    for (entry, expected) in cases {
        let mut seat = committed();
        let _ = send(&mut seat, L, "a");
        seat.start_without_source();
        let _ = seat.take_commands();
        assert_eq!(
            after(&mut seat, |seat| seat.entry_read(&entry, nobody)),
            expected,
            "{entry:?}"
        );
    }
}

#[test]
fn a_target_whose_source_is_dead_starts_by_itself() {
    let mut seat = committed();
    assert_eq!(after(&mut seat, |seat| seat.silo_died(&s())), [start_bump()]);
}

#[test]
fn a_target_whose_source_died_before_the_commit_starts_by_itself() {
    let mut seat = asked();
    assert_eq!(after(&mut seat, |seat| seat.silo_died(&s())), []);
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(Purpose::Commit, &owned(t(), 2), EntryOutcome::Changed, nobody);
    });
    assert_eq!(commands, [say_committed(), start_bump()]);
}

#[test]
fn a_target_whose_source_has_closed_starts_by_itself() {
    let mut seat = committed();
    assert_eq!(after(&mut seat, |seat| seat.closed(Epoch(2))), [start_bump()]);
}

#[test]
fn a_dropped_target_returns_what_was_forwarded_to_it() {
    let mut seat = committed();
    seat.forwarded(&s(), Epoch(2), 1, "a");
    seat.start_without_source();
    let _ = seat.take_commands();
    let returned = |n| Command::SendReturned {
        to: s(),
        stream: Epoch(2),
        n,
    };
    let commands = after(&mut seat, |seat| seat.entry_read(&owned(u(), 3), nobody));
    assert_eq!(commands, [Command::Drop, returned(1)]);
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), Epoch(2), 2, "b")),
        [returned(2)]
    );
}

#[test]
fn a_target_asks_again_on_a_new_link() {
    let mut seat = committed();
    let ask = Command::SendAskClosed {
        to: s(),
        stream: Epoch(2),
    };
    assert_eq!(
        after(&mut seat, |seat| seat.predecessor_link_renewed(&s())),
        [ask, say_committed()]
    );
    assert_eq!(after(&mut seat, |seat| seat.predecessor_link_renewed(&u())), []);
}

/// T has gone on to raise the epoch for its start when the answer to a look at the entry comes that an earlier tenure of T
/// had asked for.
#[test]
fn a_late_answer_of_an_earlier_epoch_changes_nothing() {
    let mut seat = Seat::new(t());
    assert!(seat.package(&s(), Epoch(3)));
    seat.prepared(Epoch(3));
    seat.entry_read(&owned(t(), 4), nobody);
    seat.start_without_source();
    let _ = seat.take_commands();
    assert_eq!(after(&mut seat, |seat| seat.entry_read(&owned(s(), 3), nobody)), []);
    let commands = after(&mut seat, |seat| {
        let outcome = EntryOutcome::Conflict(owned(s(), 2));
        seat.entry_changed(Purpose::Resume, &owned(t(), 2), outcome, nobody);
    });
    assert_eq!(commands, []);
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(Purpose::Start, &owned(t(), 5), EntryOutcome::Changed, nobody);
    });
    assert_eq!(commands, [Command::Start { epoch: Epoch(5) }]);
}
