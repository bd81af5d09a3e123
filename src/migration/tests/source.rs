//! The source's laws.

use super::*;
use crate::{migration::Purpose, store::EntryOutcome, wire::Refusal};

fn change(purpose: Purpose, expected: Entry, new: Entry) -> Command<&'static str> {
    Command::ChangeEntry { purpose, expected, new }
}

fn resume_bump() -> Command<&'static str> {
    change(Purpose::Resume, owned(s(), 1), owned(s(), 2))
}

#[test]
fn a_freeze_ends_the_turn_before_the_package_leaves() {
    let mut seat = active(s());
    assert_eq!(after(&mut seat, |seat| assert!(seat.freeze(t()))), [Command::Freeze]);
    let commands = after(&mut seat, Seat::packed);
    assert_eq!(
        commands,
        [Command::SendPackage {
            to: t(),
            epoch: Epoch(1)
        }]
    );
}

#[test]
fn frozen_seat_holds_what_arrives() {
    let mut seat = frozen();
    assert_eq!(send(&mut seat, L, "a"), []);
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 1)), []);
    assert!(!seat.is_open_to(L));
}

#[test]
fn only_a_settled_actor_is_frozen() {
    for mut seat in [frozen(), forwarder(), prepared(), committed(), Seat::new(s())] {
        assert_eq!(after(&mut seat, |seat| assert!(!seat.freeze(u()))), [], "{seat:?}");
    }
}

#[test]
fn a_freeze_that_fails_goes_on_at_the_same_epoch() {
    let mut seat = active(s());
    seat.freeze(t());
    let _ = seat.take_commands();
    let _ = send(&mut seat, L, "a");
    let commands = after(&mut seat, Seat::freeze_failed);
    assert_eq!(commands, [Command::Resume { epoch: Epoch(1) }, rest("a")]);
}

#[test]
fn a_target_that_dies_during_the_freeze_gets_no_package() {
    let mut seat = active(s());
    seat.freeze(t());
    let _ = seat.take_commands();
    assert_eq!(after(&mut seat, |seat| seat.silo_died(&t())), []);
    let commands = after(&mut seat, Seat::packed);
    assert_eq!(commands, [Command::Resume { epoch: Epoch(1) }]);
    assert!(seat.freeze(u()), "the next move is not called off");
    let _ = seat.take_commands();
    let commands = after(&mut seat, Seat::packed);
    assert_eq!(
        commands,
        [Command::SendPackage {
            to: u(),
            epoch: Epoch(1)
        }]
    );
}

#[test]
fn go_comes_before_the_forwards() {
    let mut seat = frozen();
    let _ = send(&mut seat, L, "a");
    let commands = after(&mut seat, |seat| seat.committed(&t(), Epoch(2)));
    let forward = Command::SendForward {
        to: t(),
        stream: Epoch(2),
        n: 1,
    };
    let told = Command::Moved {
        link: L,
        hint: hint(t(), 2).expect("a hint"),
    };
    assert_eq!(
        commands,
        [
            Command::SendGo {
                to: t(),
                epoch: Epoch(2)
            },
            Command::Drop,
            forward,
            told
        ]
    );
    assert_eq!(seat.phase(), None);
}

#[test]
fn a_committed_of_another_silo_or_epoch_is_dropped() {
    for (from, epoch) in [(u(), 2), (t(), 0), (t(), 3)] {
        let mut seat = frozen();
        assert_eq!(after(&mut seat, |seat| seat.committed(&from, Epoch(epoch))), []);
    }
}

#[test]
fn a_committed_that_comes_again_is_answered_with_go_again() {
    let mut seat = forwarder();
    let commands = after(&mut seat, |seat| seat.committed(&t(), Epoch(2)));
    assert_eq!(
        commands,
        [Command::SendGo {
            to: t(),
            epoch: Epoch(2)
        }]
    );
    assert_eq!(after(&mut seat, |seat| seat.committed(&u(), Epoch(2))), []);
}

#[test]
fn late_refusal_bumps_before_resuming() {
    let mut seat = frozen();
    assert_eq!(
        after(&mut seat, |seat| seat.refused(&t(), Epoch(1))),
        [Command::ReadEntry]
    );
    assert_eq!(
        after(&mut seat, |seat| seat.entry_read(&owned(s(), 1), nobody)),
        [resume_bump()]
    );
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(Purpose::Resume, &owned(s(), 2), EntryOutcome::Changed, nobody);
    });
    assert_eq!(commands, [Command::Resume { epoch: Epoch(2) }]);
}

#[test]
fn a_refusal_of_another_silo_or_epoch_is_dropped() {
    for (from, epoch) in [(u(), 1), (t(), 2)] {
        let mut seat = frozen();
        assert_eq!(after(&mut seat, |seat| seat.refused(&from, Epoch(epoch))), []);
    }
    let why = Refusal::Other;
    let mut seat = frozen();
    assert_eq!(
        after(&mut seat, |seat| seat.refuse(Epoch(1), why)),
        [],
        "a source refuses nothing"
    );
}

#[test]
fn the_source_asks_once_however_often_it_is_told_to() {
    let mut seat = frozen();
    assert_eq!(after(&mut seat, Seat::resolve), [Command::ReadEntry]);
    assert_eq!(after(&mut seat, Seat::resolve), []);
    assert_eq!(after(&mut seat, |seat| seat.silo_died(&t())), []);
}

#[test]
fn what_was_held_comes_after_what_was_packed() {
    let mut seat = frozen();
    let _ = send(&mut seat, L, "held");
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(Purpose::Resume, &owned(s(), 2), EntryOutcome::Changed, nobody);
    });
    assert_eq!(commands, [Command::Resume { epoch: Epoch(2) }, rest("held")]);
}

#[test]
fn a_commit_found_in_the_directory_is_a_committed() {
    let mut seat = frozen();
    let commands = after(&mut seat, |seat| seat.entry_read(&owned(t(), 2), nobody));
    assert_eq!(
        commands,
        [
            Command::SendGo {
                to: t(),
                epoch: Epoch(2)
            },
            Command::Drop
        ]
    );
}

#[test]
fn a_target_that_has_started_by_itself_gets_no_go() {
    let mut seat = frozen();
    let commands = after(&mut seat, |seat| seat.entry_read(&owned(t(), 3), nobody));
    assert_eq!(commands, [Command::Drop]);
    assert!(seat.forwarding().is_some());
}

#[test]
fn a_change_whose_answer_was_lost_is_decided_by_a_read() {
    let cases: [(Entry, Commands); 2] = [
        (owned(s(), 2), vec![Command::Resume { epoch: Epoch(2) }]),
        // Not decided: it may still be under way.
        (owned(s(), 1), vec![resume_bump()]),
    ];
    for (entry, expected) in cases {
        let mut seat = frozen();
        seat.resolve();
        seat.entry_read(&owned(s(), 1), nobody);
        let _ = seat.take_commands();
        assert_eq!(after(&mut seat, |seat| seat.entry_read(&entry, nobody)), expected);
    }
}

#[test]
fn the_source_takes_back_from_a_dead_target_that_has_not_started() {
    let mut seat = frozen();
    let _ = send(&mut seat, L, "held");
    assert_eq!(after(&mut seat, |seat| seat.silo_died(&t())), [Command::ReadEntry]);
    let commands = after(&mut seat, |seat| seat.entry_read(&owned(t(), 2), is_t));
    assert_eq!(commands, [change(Purpose::TakeBack, owned(t(), 2), owned(s(), 3))]);
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(Purpose::TakeBack, &owned(s(), 3), EntryOutcome::Changed, is_t);
    });
    assert_eq!(commands, [Command::Resume { epoch: Epoch(3) }, rest("held")]);
}

#[test]
fn what_a_dead_target_may_have_run_is_never_given_back() {
    for entry in [owned(t(), 3), owned(u(), 3), Entry::free(Epoch(4))] {
        let mut seat = frozen();
        let _ = send(&mut seat, L, "held");
        seat.silo_died(&t());
        let _ = seat.take_commands();
        let commands = after(&mut seat, |seat| seat.entry_read(&entry, is_t));
        let found = entry.owner.clone().map(|silo| Hint {
            silo,
            epoch: entry.epoch,
        });
        assert_eq!(commands, [Command::Abandon, bounce(L, "held", found)]);
    }
}

#[test]
fn a_package_goes_again_on_a_new_link() {
    let mut seat = frozen();
    let commands = after(&mut seat, |seat| seat.link_renewed(&t()));
    assert_eq!(
        commands,
        [Command::SendPackage {
            to: t(),
            epoch: Epoch(1)
        }]
    );
    assert_eq!(after(&mut seat, |seat| seat.link_renewed(&u())), []);
}

/// S has the actor back and freezes it for T again when the answer to a look at the entry comes that dates from T's tenure.
#[test]
fn a_frozen_source_does_not_give_up_the_actor_for_a_late_answer() {
    let mut seat = active(s());
    seat.ownership_lost(None);
    seat.arrive(M, "again", true, true);
    assert!(seat.registered(Epoch(5)));
    assert!(seat.freeze(t()));
    seat.packed();
    seat.resolve();
    let _ = seat.take_commands();
    assert_eq!(after(&mut seat, |seat| seat.entry_read(&owned(t(), 4), nobody)), []);
    assert!(matches!(seat.phase(), Some((Phase::Frozen { .. }, Epoch(5)))));
}
