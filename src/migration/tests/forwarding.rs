//! The laws of forwards: acknowledged end to end, never twice, never overtaken.

use super::*;

const STREAM: Epoch = Epoch(2);

fn forward(n: u64) -> Command<&'static str> {
    Command::SendForward {
        to: t(),
        stream: STREAM,
        n,
    }
}

fn told(link: LinkId) -> Command<&'static str> {
    Command::Moved {
        link,
        hint: hint(t(), 2).expect("a hint"),
    }
}

fn rested(n: u64) -> Command<&'static str> {
    Command::SendRested {
        to: s(),
        stream: STREAM,
        n,
    }
}

fn returned(n: u64) -> Command<&'static str> {
    Command::SendReturned {
        to: s(),
        stream: STREAM,
        n,
    }
}

fn gone(n: u64) -> Command<&'static str> {
    Command::SendLost {
        to: s(),
        stream: STREAM,
        n,
    }
}

/// T has passed the actor on to U on stream 3; S may still forward to T.
fn middle() -> Seat<&'static str> {
    let mut seat = moved();
    assert!(seat.freeze(u()));
    seat.packed();
    seat.committed(&u(), Epoch(3));
    let _ = seat.take_commands();
    seat
}

#[test]
fn each_caller_is_told_once_that_the_actor_has_moved() {
    let mut seat = forwarder();
    assert_eq!(send(&mut seat, L, "a"), [forward(1), told(L)]);
    assert_eq!(send(&mut seat, L, "b"), [forward(2)]);
    assert_eq!(send(&mut seat, M, "c"), [forward(3), told(M)]);
}

#[test]
fn a_forwarder_answers_a_fence_when_all_before_it_rests() {
    let mut seat = forwarder();
    seat.arrive(L, "a", true, true);
    seat.arrive(M, "b", true, true);
    let _ = seat.take_commands();
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 1)), []);
    assert_eq!(after(&mut seat, |seat| seat.rested(STREAM, 1)), []);
    assert_eq!(
        after(&mut seat, |seat| seat.rested(STREAM, 2)),
        [fenced(L, 1, hint(t(), 2))]
    );
    assert_eq!(after(&mut seat, |seat| seat.fence(M, 1)), [fenced(M, 1, hint(t(), 2))]);
}

#[test]
fn an_acknowledgement_of_another_stream_is_dropped() {
    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    seat.rested(Epoch(1), 1);
    seat.rested(Epoch(3), 1);
    assert_eq!(seat.forwarding().map(|f| f.len()), Some(1));
}

#[test]
fn what_is_not_acknowledged_is_sent_again_on_a_new_link() {
    let mut seat = forwarder();
    for message in ["a", "b", "c"] {
        let _ = send(&mut seat, L, message);
    }
    seat.rested(STREAM, 1);
    assert_eq!(
        after(&mut seat, |seat| seat.link_renewed(&t())),
        [forward(2), forward(3)]
    );
    let kept = seat.forwarding_mut().and_then(|f| f.message_mut(2).copied());
    assert_eq!(kept, Some("b"));
}

#[test]
fn a_forward_is_taken_once_and_in_order() {
    let mut seat = moved();
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 2, "b")),
        [],
        "1 is missing"
    );
    let commands = after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a"));
    assert_eq!(commands, [rest("a"), rested(1)]);
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")),
        [rested(1)]
    );
}

#[test]
fn a_forward_that_is_held_is_not_acknowledged_however_often_it_comes() {
    let mut seat = committed();
    assert_eq!(after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")), []);
    assert_eq!(after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")), []);
}

#[test]
fn a_forward_on_a_stream_that_is_not_known_is_returned() {
    let mut seat = Seat::new(t());
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")),
        [returned(1)]
    );
}

#[test]
fn an_entry_is_forgotten_when_it_is_quiet_and_says_closed() {
    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    assert!(!seat.forget_forwarding());
    seat.rested(STREAM, 1);
    let commands = after(&mut seat, |seat| assert!(seat.forget_forwarding()));
    assert_eq!(
        commands,
        [Command::SendClosed {
            to: t(),
            stream: STREAM
        }]
    );
    let mut seat = middle();
    assert!(!seat.forget_forwarding(), "its own predecessor has not closed");
    seat.closed(STREAM);
    assert!(seat.forget_forwarding());
}

#[test]
fn only_a_stream_that_may_still_carry_something_is_not_closed() {
    let closed = Command::SendClosed {
        to: t(),
        stream: STREAM,
    };
    for mut seat in [forwarder(), frozen()] {
        assert_eq!(after(&mut seat, |seat| seat.ask_closed(t(), STREAM)), []);
    }
    for mut seat in [active(s()), Seat::new(s())] {
        assert_eq!(
            after(&mut seat, |seat| seat.ask_closed(t(), STREAM)),
            std::slice::from_ref(&closed)
        );
    }
}

#[test]
fn a_returned_forward_goes_back_to_its_caller_and_ends_the_forwarding() {
    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    assert_eq!(
        after(&mut seat, |seat| seat.returned(STREAM, 1)),
        [bounce(L, "a", None)]
    );
    assert_eq!(send(&mut seat, M, "b"), [bounce(M, "b", None)]);
}

/// T has lost the actor without having taken anything of S's stream. Its word on "a" reaches S, then "c" of the same caller,
/// then its word on "b".
#[test]
fn what_is_behind_a_returned_forward_goes_back_before_what_comes_later() {
    let mut seat = forwarder();
    for message in ["a", "b"] {
        let _ = send(&mut seat, L, message);
    }
    seat.fence(M, 4);
    assert_eq!(
        after(&mut seat, |seat| seat.returned(STREAM, 1)),
        [bounce(L, "a", None), bounce(L, "b", None), fenced(M, 4, None)]
    );
    assert_eq!(send(&mut seat, L, "c"), [bounce(L, "c", None)]);
    assert_eq!(after(&mut seat, |seat| seat.returned(STREAM, 2)), []);
}

#[test]
fn what_is_before_a_returned_forward_may_still_rest() {
    let mut seat = forwarder();
    for message in ["a", "b"] {
        let _ = send(&mut seat, L, message);
    }
    seat.fence(L, 4);
    assert_eq!(
        after(&mut seat, |seat| seat.returned(STREAM, 2)),
        [bounce(L, "b", None)],
        "\"a\" is open, and the fence is behind it"
    );
    assert_eq!(after(&mut seat, |seat| seat.rested(STREAM, 1)), [fenced(L, 4, None)]);
}

#[test]
fn forwards_in_a_chain_are_acknowledged_end_to_end() {
    let mut seat = middle();
    let on = Command::SendForward {
        to: u(),
        stream: Epoch(3),
        n: 1,
    };
    assert_eq!(after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")), [on]);
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")),
        [],
        "not at rest yet"
    );
    assert_eq!(after(&mut seat, |seat| seat.rested(Epoch(3), 1)), [rested(1)]);
}

#[test]
fn what_a_frozen_link_of_the_chain_holds_is_acknowledged_when_it_rests() {
    let mut seat = moved();
    seat.freeze(u());
    let _ = seat.take_commands();
    assert_eq!(after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")), []);
    let commands = after(&mut seat, Seat::freeze_failed);
    assert_eq!(commands, [Command::Resume { epoch: Epoch(2) }, rest("a"), rested(1)]);
}

#[test]
fn outcomes_go_back_down_the_stream() {
    let mut seat = middle();
    for n in 1..=2 {
        seat.forwarded(&s(), STREAM, n, "a");
    }
    let _ = seat.take_commands();
    assert_eq!(after(&mut seat, |seat| seat.forward_lost(Epoch(3), 1)), [gone(1)]);
    assert_eq!(after(&mut seat, |seat| seat.returned(Epoch(3), 2)), [returned(2)]);
}

#[test]
fn a_lost_forward_that_comes_again_is_lost_again() {
    let mut seat = middle();
    for n in 1..=2 {
        seat.forwarded(&s(), STREAM, n, "a");
    }
    seat.forward_lost(Epoch(3), 1);
    seat.returned(Epoch(3), 2);
    let _ = seat.take_commands();
    let ask = Command::SendAskClosed {
        to: s(),
        stream: STREAM,
    };
    let commands = after(&mut seat, |seat| seat.predecessor_link_renewed(&s()));
    assert_eq!(commands, [returned(2), gone(1), ask]);
    assert_eq!(after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")), [gone(1)]);
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 2, "a")),
        [returned(2)]
    );
}

#[test]
fn what_was_taken_by_a_tenure_that_is_gone_is_lost_and_the_rest_returned() {
    let mut seat = moved();
    seat.forwarded(&s(), STREAM, 1, "a");
    seat.ownership_lost(None);
    let _ = seat.take_commands();
    assert!(seat.is_passing_on());
    assert_eq!(after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 1, "a")), [gone(1)]);
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&s(), STREAM, 2, "b")),
        [returned(2)]
    );
    seat.closed(STREAM);
    assert!(!seat.is_passing_on());
}

#[test]
fn a_forwarder_to_a_dead_silo_ends_what_is_open_and_says_lost() {
    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    seat.fence(M, 4);
    let commands = after(&mut seat, |seat| seat.silo_died(&t()));
    assert_eq!(commands, [Command::Unknown { message: "a" }, lost(M, 4, None)]);
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 1)), [lost(L, 1, None)]);
}

/// As long as what was lost may come: from one interval to two after it.
#[test]
fn what_was_lost_is_forgotten_in_time() {
    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    seat.silo_died(&t());
    let _ = seat.take_commands();
    seat.forget_lost();
    assert!(seat.is_busy() && !seat.is_blank(), "it is still to be said");
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 1)), [lost(L, 1, None)]);
    seat.forget_lost();
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 2)), [fenced(L, 2, None)]);
    assert!(seat.is_blank() && !seat.is_busy(), "{seat:?}");

    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    seat.forward_lost(STREAM, 1);
    seat.forget_lost();
    seat.forward_lost(STREAM, 1);
    seat.forget_lost();
    assert!(seat.has_lost(), "the last of them counts");
}

#[test]
fn a_forwarder_of_which_the_actor_is_prepared_again_goes_on_forwarding() {
    let mut seat = forwarder();
    assert!(seat.package(&t(), Epoch(5)));
    assert_eq!(send(&mut seat, L, "a"), [forward(1), told(L)]);
}

#[test]
fn forwards_come_home_before_newer_messages_run() {
    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    assert!(seat.package(&t(), Epoch(2)));
    seat.prepared(Epoch(2));
    seat.entry_read(&owned(s(), 3), nobody);
    seat.go(&t(), Epoch(3));
    let _ = seat.take_commands();
    assert_eq!(send(&mut seat, L, "b"), [], "\"a\" is still away");
    let commands = after(&mut seat, |seat| seat.forwarded(&t(), Epoch(3), 1, "a"));
    assert_eq!(
        commands,
        [
            rest("a"),
            Command::SendRested {
                to: t(),
                stream: Epoch(3),
                n: 1
            }
        ]
    );
    assert_eq!(after(&mut seat, |seat| seat.rested(STREAM, 1)), [rest("b")]);
}

/// S forwards "a" to T and T on to U, which hands the actor back to S. S holds "b" of the same caller. T dies, so that S
/// knows nothing of "a" any more; U brings it all the same.
#[test]
fn what_was_lost_on_a_dead_silo_and_comes_home_is_not_overtaken() {
    let mut seat = forwarder();
    let _ = send(&mut seat, L, "a");
    assert!(seat.package(&u(), Epoch(3)));
    seat.prepared(Epoch(3));
    seat.entry_read(&owned(s(), 4), nobody);
    let _ = seat.take_commands();
    assert_eq!(send(&mut seat, L, "b"), []);
    seat.go(&u(), Epoch(4));
    let _ = seat.take_commands();
    assert_eq!(
        after(&mut seat, |seat| seat.silo_died(&t())),
        [Command::Unknown { message: "a" }],
        "U may still bring \"a\""
    );
    assert!(!seat.is_open_to(L) && !seat.is_movable());
    let home = Command::SendRested {
        to: u(),
        stream: Epoch(4),
        n: 1,
    };
    assert_eq!(
        after(&mut seat, |seat| seat.forwarded(&u(), Epoch(4), 1, "a")),
        [rest("a"), home]
    );
    assert_eq!(after(&mut seat, |seat| seat.closed(Epoch(4))), [rest("b")]);
    assert!(seat.is_open_to(L) && seat.is_movable());
}
