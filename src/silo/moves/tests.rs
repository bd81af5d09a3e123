//! Laws of the moves of a silo: what begins when, what is tried again, what is told.

use super::{Cancel, Limits, Moves};
use crate::{
    clock::{Clock, ManualClock},
    ident::{ActorId, SiloId},
    wire::{MoveFailure, MoveState, Moved, Refusal},
};
use std::time::Duration;
use tokio::sync::oneshot;

const KIB: usize = 1024;
/// Longer than any wait before another attempt.
const LONG: Duration = Duration::from_secs(10);

fn moves() -> (Moves, ManualClock) {
    moves_at(1_000_000)
}

fn moves_at(busy_rate: u32) -> (Moves, ManualClock) {
    let (clock, hands) = Clock::manual();
    let limits = Limits {
        attempts: 3,
        window: 1024 * KIB,
        busy_rate,
    };
    (Moves::new(SiloId::new("s", 1), clock, limits), hands)
}

fn actor(key: impl ToString) -> ActorId {
    ActorId::new("k", key.to_string()).expect("valid")
}

fn target() -> SiloId {
    SiloId::new("t", 1)
}

fn want(moves: &Moves, key: impl ToString) {
    moves.want(actor(key), None, None).expect("wanted");
}

fn due(moves: &Moves, max: usize) -> Vec<String> {
    let due = moves.take_due(max);
    due.into_iter().map(|due| due.actor.key().to_owned()).collect()
}

/// Brings the actors' moves to where the target has taken the offer.
fn accepted(moves: &Moves, keys: &[&str]) -> u64 {
    for key in keys {
        want(moves, key);
    }
    let actors = moves.take_due(keys.len()).into_iter().map(|due| due.actor).collect();
    let batch = moves.offer(&target(), actors);
    for actor in moves.answered(&target(), batch).expect("offered").actors {
        moves.accepted(batch, actor);
    }
    batch
}

fn begun(moves: &Moves) -> Vec<String> {
    let begun = std::iter::from_fn(|| moves.begin_next());
    begun.map(|(actor, _)| actor.key().to_owned()).collect()
}

#[test]
fn no_wanted_move_is_lost_between_batches() {
    let (moves, _) = moves();
    for key in 0..10 {
        want(&moves, key);
    }
    let batches: Vec<usize> = std::iter::repeat_with(|| moves.take_due(4).len()).take(4).collect();
    assert_eq!(batches, [4, 4, 2, 0]);
    moves.recover();
    assert_eq!(
        moves.take_due(100).len(),
        10,
        "those in the hands of a supervisor that ended"
    );
}

/// Each move is touched when it is wanted and when it is taken, not for every batch between: the test would take minutes.
#[test]
fn moves_are_taken_without_looking_at_those_behind() {
    let (moves, hands) = moves();
    let count = 100_000;
    for key in 0..count {
        want(&moves, key);
    }
    let mut taken = Vec::new();
    while taken.len() < count {
        let due = moves.take_due(1).pop().expect("one is due");
        taken.push(due.actor.key().to_owned());
        moves.failed(&due.actor, MoveFailure::NoAnswer);
    }
    assert!(
        taken
            .iter()
            .map(|key| key.parse::<usize>().expect("a number"))
            .eq(0..count)
    );
    hands.advance(LONG);
    let again = std::iter::from_fn(|| moves.take_due(1).pop()).map(|due| due.actor.key().to_owned());
    assert!(again.eq(taken), "the second attempts, in the same order");
}

#[test]
fn what_was_tried_before_comes_first_when_its_time_has_come() {
    let (moves, hands) = moves();
    want(&moves, "tried");
    let first = moves.take_due(1).pop().expect("due");
    moves.failed(&first.actor, MoveFailure::NoAnswer);
    want(&moves, "new");
    hands.advance(LONG);
    assert_eq!(due(&moves, 2), ["tried", "new"]);
}

/// R57
#[test]
fn a_batch_is_free_again_when_its_last_move_has_ended() {
    let (moves, _) = moves();
    for key in ["a", "b"] {
        want(&moves, key);
    }
    let actors = moves.take_due(2).into_iter().map(|due| due.actor).collect();
    let batch = moves.offer(&target(), actors);
    assert_eq!(moves.free_batches(1), 0, "offered");
    assert!(moves.answered(&SiloId::new("u", 1), batch).is_none(), "by another silo");
    for actor in moves.answered(&target(), batch).expect("offered").actors {
        moves.accepted(batch, actor);
    }
    assert_eq!(moves.free_batches(1), 0, "accepted");
    assert_eq!(begun(&moves), ["a", "b"]);
    moves.ended(&actor("a"), Ok(1));
    assert_eq!(moves.free_batches(1), 0, "one is under way");
    moves.ended(&actor("b"), Ok(1));
    assert_eq!(moves.free_batches(1), 1);
}

#[test]
fn an_actor_whose_turn_is_slow_holds_up_no_batch() {
    let (moves, hands) = moves();
    accepted(&moves, &["slow", "quick"]);
    assert_eq!(begun(&moves).len(), 2);
    moves.ended(&actor("quick"), Ok(1));
    moves.set_slow_aside();
    assert_eq!(moves.free_batches(1), 0, "it may still be in time");
    hands.advance(Duration::from_millis(60));
    moves.set_slow_aside();
    moves.set_slow_aside();
    assert_eq!(moves.free_batches(1), 1);
    assert_eq!(moves.freezing_longer_than(Duration::from_millis(50)), [actor("slow")]);
    moves.frozen(&actor("slow"), 10);
    assert!(moves.freezing_longer_than(Duration::ZERO).is_empty());
    moves.ended(&actor("slow"), Ok(1));
    assert_eq!((moves.len(), moves.free_batches(1)), (0, 1));
}

#[test]
fn what_is_under_way_is_bounded_in_bytes() {
    let (moves, _) = moves();
    let keys: Vec<String> = (0..40).map(|key| key.to_string()).collect();
    accepted(&moves, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(begun(&moves).len(), 16, "of unknown size: 64 KiB each");
    for key in 0..16 {
        moves.frozen(&actor(key), KIB);
    }
    assert_eq!(begun(&moves).len(), 24, "of a KiB each there is room for all");
    moves.frozen(&actor(16), 2048 * KIB);
    accepted(&moves, &["next"]);
    assert!(begun(&moves).is_empty(), "one was large");
    for key in 0..40 {
        moves.ended(&actor(key), Ok(1));
    }
    assert_eq!(begun(&moves), ["next"], "one goes alone, however large");
}

/// R31
#[test]
fn a_second_move_of_an_actor_is_refused_while_the_first_goes_on() {
    let (moves, _) = moves();
    want(&moves, "a");
    assert_eq!(moves.want(actor("a"), None, None), Err(MoveFailure::AlreadyMoving));
    assert_eq!(due(&moves, 9), ["a"]);
}

/// R50
#[test]
fn a_failed_move_is_tried_again_later_and_given_up_at_last() {
    let (moves, hands) = moves();
    want(&moves, "a");
    for attempt in 1..=3 {
        let due = moves.take_due(1).pop().expect("due");
        assert_eq!(moves.status(&due.actor).expect("known").attempts, attempt);
        moves.failed(&due.actor, MoveFailure::NoAnswer);
        assert!(moves.take_due(1).is_empty(), "not at once");
        hands.advance(LONG);
    }
    assert!(moves.has_given_up(&actor("a")));
    assert_eq!(moves.len(), 0);
    let status = moves.status(&actor("a")).expect("kept");
    assert_eq!(
        (status.state, status.error),
        (MoveState::Failed, Some(MoveFailure::NoAnswer))
    );
    moves.forget_given_up();
    assert!(!moves.has_given_up(&actor("a")));
}

#[test]
fn what_cannot_go_well_later_is_not_tried_again() {
    let (moves, hands) = moves();
    want(&moves, "a");
    let due = moves.take_due(1).pop().expect("due");
    moves.failed(&due.actor, MoveFailure::Refused(Refusal::NotHosted));
    hands.advance(LONG);
    assert!(moves.take_due(1).is_empty());
}

/// R32, R33
#[tokio::test]
async fn a_move_is_shown_at_each_stage_and_counted_exactly() {
    let (moves, _) = moves();
    let (tell, told) = oneshot::channel();
    moves.want(actor("a"), Some(target()), Some(tell)).expect("wanted");
    let state = |moves: &Moves| moves.status(&actor("a")).map(|status| status.state);
    let counts = |moves: &Moves| (moves.counts().not_started, moves.counts().in_progress);
    assert_eq!((state(&moves), counts(&moves)), (Some(MoveState::NotStarted), (1, 0)));
    moves.take_due(1);
    let batch = moves.offer(&target(), vec![actor("a")]);
    assert_eq!((state(&moves), counts(&moves)), (Some(MoveState::InProgress), (0, 1)));
    moves.answered(&target(), batch).expect("offered");
    moves.accepted(batch, actor("a"));
    assert_eq!(counts(&moves), (0, 1));
    begun(&moves);
    assert_eq!(counts(&moves), (0, 1));
    moves.frozen(&actor("a"), 77);
    assert_eq!(moves.status(&actor("a")).expect("known").bytes, 77);
    moves.ended(&actor("a"), Ok(70));
    assert_eq!((state(&moves), counts(&moves)), (Some(MoveState::Completed), (0, 0)));
    let status = moves.status(&actor("a")).expect("kept");
    assert_eq!((status.target, status.bytes, status.error), (Some(target()), 70, None));
    assert!(status.ended_at_us >= Some(status.wanted_at_us));
    assert_eq!(moves.counts().completed, 1);
    let moved = Moved {
        to: target(),
        bytes: 70,
        attempts: 1,
    };
    assert_eq!(told.await.expect("told"), Ok(moved));
    assert_eq!(moves.statuses().len(), 1);
}

#[tokio::test]
async fn a_move_that_has_not_begun_is_cancelled_at_once_at_every_stage() {
    let (moves, hands) = moves();
    let stages: [fn(&Moves); 4] = [
        |moves| want(moves, "a"),
        |moves| {
            want(moves, "a");
            moves.take_due(1);
            moves.failed(&actor("a"), MoveFailure::NoAnswer);
        },
        |moves| {
            want(moves, "a");
            moves.take_due(1);
            moves.offer(&target(), vec![actor("a")]);
        },
        |moves| _ = accepted(moves, &["a"]),
    ];
    for bring in stages {
        bring(&moves);
        let (tell, told) = oneshot::channel();
        assert_eq!(moves.cancel(&actor("a"), tell), Cancel::Done);
        assert_eq!(told.await.expect("told"), Err(MoveFailure::Cancelled));
        hands.advance(LONG);
        assert!(moves.take_due(9).is_empty());
        assert_eq!(begun(&moves), [""; 0]);
        assert_eq!(moves.len(), 0);
        assert_eq!(moves.status(&actor("a")).expect("kept").state, MoveState::Cancelled);
    }
    // The late answer to the offer that was cancelled.
    let late = moves.answered(&target(), 1).expect("it was offered");
    want(&moves, "a");
    moves.take_due(1);
    moves.offer(&SiloId::new("u", 1), vec![actor("a")]);
    for actor in late.actors {
        moves.accepted(late.batch, actor);
    }
    assert_eq!(begun(&moves), [""; 0], "another silo was asked meanwhile");
    assert_eq!(moves.free_batches(2), 1, "nothing of the batch is left");
    let (tell, told) = oneshot::channel();
    assert_eq!(moves.cancel(&actor("nobody"), tell), Cancel::NotMoving);
    assert!(told.await.is_err());
}

#[tokio::test]
async fn a_move_under_way_that_is_cancelled_ends_as_it_ends() {
    let (moves, _) = moves();
    for completes in [false, true] {
        accepted(&moves, &["a"]);
        begun(&moves);
        let (tell, told) = oneshot::channel();
        assert_eq!(moves.cancel(&actor("a"), tell), Cancel::CallOff);
        let end = if completes { Ok(1) } else { Err(MoveFailure::CalledOff) };
        moves.ended(&actor("a"), end);
        let told = told.await.expect("told");
        assert_eq!(told.is_ok(), completes, "{told:?}");
        if !completes {
            assert_eq!(told, Err(MoveFailure::Cancelled), "not tried again");
        }
        assert_eq!(moves.len(), 0);
    }
}

#[test]
fn what_is_to_blame_is_told() {
    let (moves, _) = moves();
    moves.blame(&actor("a"), MoveFailure::TimedOut);
    accepted(&moves, &["a"]);
    moves.blame(&actor("a"), MoveFailure::TooLarge("early".into()));
    begun(&moves);
    moves.blame(&actor("a"), MoveFailure::CannotPack("x".into()));
    moves.blame(&actor("a"), MoveFailure::TimedOut);
    moves.ended(&actor("a"), Err(MoveFailure::CalledOff));
    let error = moves.status(&actor("a")).expect("kept").error;
    assert_eq!(
        error,
        Some(MoveFailure::CannotPack("x".into())),
        "the first reason of what is under way"
    );
}

#[test]
fn what_has_not_begun_is_cancelled_when_no_more_is_to_move() {
    let (moves, _) = moves();
    accepted(&moves, &["under way"]);
    begun(&moves);
    accepted(&moves, &["accepted"]);
    want(&moves, "wanted");
    moves.cancel_waiting();
    assert_eq!(moves.len(), 1);
    assert_eq!(begun(&moves), [""; 0]);
    assert_eq!(moves.counts().cancelled, 2);
}

#[test]
fn beside_messages_to_others_moves_begin_at_their_rate_unless_time_is_short() {
    let (moves, hands) = moves_at(1_000);
    accepted(&moves, &["a", "b", "c", "d", "e", "f", "g"]);
    assert!(moves.ran(1), "a message has run");
    assert_eq!(begun(&moves), ["a", "b"]);
    assert!(moves.is_held_back());
    hands.advance(Duration::from_millis(1));
    moves.told(true);
    assert_eq!(begun(&moves), ["c"]);
    // The silo leaves: four in four milliseconds.
    moves.finish_by(Some(moves.clock.now() + Duration::from_millis(4)));
    hands.advance(Duration::from_millis(1));
    moves.told(true);
    let some = begun(&moves).len();
    assert!((1..4).contains(&some), "{some}");
    hands.advance(Duration::from_millis(3));
    moves.told(true);
    assert_eq!(begun(&moves).len(), 4 - some, "the time is over");
    assert!(!moves.is_held_back());
}
