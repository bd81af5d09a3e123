//! The laws of a way on which more is sent than comes to rest at once.

use super::{
    Step, Way,
    tests::{LOCATE_LATER, Steps, after, bounce, fence, fenced, hint, s, say, send, t},
};

const WINDOW: u64 = Way::<&str>::WINDOW;
const MARK_EVERY: u64 = Way::<&str>::MARK_EVERY;

fn mark(k: u64) -> Step<&'static str> {
    Step::Mark { to: s(), k }
}

fn handled(way: &mut Way<&'static str>, k: u64) -> Steps {
    after(way, |way, steps| way.handled(&s(), k, steps))
}

/// Sends so many messages. What the way did about it, by how many were sent.
fn sends(way: &mut Way<&'static str>, count: u64) -> Vec<(u64, Steps)> {
    let sent = (1..=count).map(|n| {
        assert!(way.open_route().is_some(), "there is room for the {n}th");
        way.sent_directly();
        (n, after(way, |way, steps| way.pace(true, steps)))
    });
    sent.filter(|(_, steps)| !steps.is_empty()).collect()
}

fn open() -> Way<&'static str> {
    let mut way = Way::default();
    assert!(way.begin(hint(s(), 3)));
    way
}

/// An open way on which so many messages were sent that the next are to wait, at a silo that does not know marks; or has not yet
/// answered one.
fn fencing() -> Way<&'static str> {
    let mut way = open();
    let did = sends(&mut way, WINDOW);
    assert_eq!(did, [(MARK_EVERY, vec![mark(1)]), (WINDOW, vec![fence(s(), 2)])]);
    way
}

/// The same at a silo that does: 2 to 7 are under way, each behind `MARK_EVERY` more. "a" waits.
fn paced() -> Way<&'static str> {
    let mut way = open();
    assert_eq!(sends(&mut way, MARK_EVERY), [(MARK_EVERY, vec![mark(1)])]);
    assert_eq!(handled(&mut way, 1), []);
    let marks: Vec<_> = (1..=WINDOW / MARK_EVERY)
        .map(|n| (n * MARK_EVERY, vec![mark(1 + n)]))
        .collect();
    assert_eq!(sends(&mut way, WINDOW), marks);
    assert_eq!(way.open_route(), None, "the window is used up");
    assert_eq!(say(&mut way, "a"), []);
    assert!(way.is_unsettled() && !way.is_idle());
    way
}

#[test]
fn what_is_sent_beyond_the_window_waits_for_a_fence_and_goes_on_where_it_went() {
    let mut way = fencing();
    assert_eq!(say(&mut way, "a"), []);
    assert_eq!(fenced(&mut way, 2, None), [send(s(), "a")]);
    assert_eq!(say(&mut way, "b"), [send(s(), "b")], "there is room again");
}

#[test]
fn a_way_whose_window_was_used_up_keeps_its_route_though_nobody_waits() {
    let mut way = fencing();
    assert_eq!(fenced(&mut way, 2, None), []);
    assert_eq!(way.open_route(), Some(&hint(s(), 3)));
    assert!(way.is_idle(), "all of it is at rest");
}

#[test]
fn a_way_whose_marks_are_answered_in_time_never_waits() {
    let mut way = open();
    let mut k = 0;
    for _ in 0..10 * WINDOW / MARK_EVERY {
        k += 1;
        assert_eq!(sends(&mut way, MARK_EVERY), [(MARK_EVERY, vec![mark(k)])]);
        assert_eq!(handled(&mut way, k), []);
    }
    assert!(way.open_route().is_some());
    assert!(!way.is_idle(), "what was handled has not come to rest for sure");
}

#[test]
fn what_waits_for_room_goes_when_some_was_handled_and_a_new_mark_behind_it() {
    let mut way = paced();
    assert_eq!(handled(&mut way, 1), [], "it was answered before");
    assert_eq!(handled(&mut way, 8), [], "none that was sent");
    assert_eq!(handled(&mut way, 2), [send(s(), "a")]);
    assert_eq!(sends(&mut way, MARK_EVERY - 1), [(MARK_EVERY - 1, vec![mark(8)])]);
    assert_eq!(way.open_route(), None, "the window is used up");
}

#[test]
fn a_mark_that_is_answered_answers_for_those_before_it() {
    let mut way = paced();
    assert_eq!(handled(&mut way, 6), [send(s(), "a")]);
    assert_eq!(handled(&mut way, 6), [], "twice");
    assert_eq!(handled(&mut way, 4), [], "late");
    assert_eq!(sends(&mut way, 5 * MARK_EVERY - 1).len(), 5);
    assert_eq!(
        way.open_route(),
        None,
        "what is behind the last is not known to have been handled"
    );
}

#[test]
fn what_waits_for_room_goes_in_order_and_only_as_far_as_there_is_room() {
    let mut way = paced();
    let room = usize::try_from(MARK_EVERY).expect("small");
    for _ in 0..room {
        assert_eq!(say(&mut way, "b"), []);
    }
    let steps = handled(&mut way, 2);
    let sent: Vec<_> = steps.into_iter().filter(|step| *step != mark(8)).collect();
    assert_eq!(sent.len(), room);
    assert_eq!((&sent[0], &sent[1]), (&send(s(), "a"), &send(s(), "b")));
    assert_eq!(way.open_route(), None, "one is left");
    assert_eq!(say(&mut way, "c"), []);
    assert_eq!(handled(&mut way, 3), [send(s(), "b"), send(s(), "c")]);
}

#[test]
fn what_came_back_of_a_window_goes_before_what_waits_behind_it() {
    let mut way = fencing();
    let _ = say(&mut way, "a");
    assert_eq!(bounce(&mut way, "first", None), []);
    assert_eq!(fenced(&mut way, 2, None), [LOCATE_LATER]);
    let steps = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    assert_eq!(steps, [send(s(), "first"), send(s(), "a")]);
}

#[test]
fn what_came_back_while_more_waits_for_room_goes_before_it_too() {
    let mut way = paced();
    assert_eq!(bounce(&mut way, "first", None), [fence(s(), 8)]);
    assert_eq!(handled(&mut way, 2), [], "the fence decides");
    assert_eq!(fenced(&mut way, 8, None), [LOCATE_LATER]);
    let steps = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    assert_eq!(steps, [send(s(), "first"), send(s(), "a")]);
}

#[test]
fn a_window_follows_the_actor_that_moved_meanwhile() {
    let mut way = fencing();
    let _ = say(&mut way, "a");
    assert_eq!(after(&mut way, |way, steps| way.moved(hint(t(), 4), steps)), []);
    assert_eq!(fenced(&mut way, 2, None), [send(t(), "a")]);
    let mut way = paced();
    let fences = after(&mut way, |way, steps| way.moved(hint(t(), 4), steps));
    assert_eq!(fences, [fence(s(), 8)]);
    assert_eq!(fenced(&mut way, 8, None), [send(t(), "a")]);
}

#[test]
fn what_waits_for_room_survives_a_lost_link() {
    let mut way = paced();
    assert_eq!(after(&mut way, |way, steps| way.link_lost(&s(), steps)), []);
    assert_eq!(handled(&mut way, 2), [], "it came by the old link");
    let fences = after(&mut way, |way, steps| way.link_renewed(&s(), steps));
    assert_eq!(fences, [fence(s(), 8)]);
    assert_eq!(fenced(&mut way, 8, None), [Step::Locate { attempt: 0 }]);
    let steps = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    assert_eq!(steps, [send(s(), "a")]);
}

#[test]
fn what_waits_for_room_at_a_silo_that_dies_looks_for_the_next_owner() {
    let mut way = paced();
    let steps = after(&mut way, |way, steps| way.silo_died(&s(), steps));
    assert_eq!(steps, [Step::Locate { attempt: 0 }]);
}

#[test]
fn what_waits_for_room_at_a_silo_that_leaves_waits_until_it_is_flushed() {
    let mut way = paced();
    let _ = after(&mut way, |way, _| way.leaving(&s()));
    assert_eq!(handled(&mut way, 2), []);
    let steps = after(&mut way, |way, steps| way.flushed(&s(), steps));
    assert_eq!(steps, [Step::Locate { attempt: 0 }]);
    let steps = after(&mut way, |way, steps| way.located(hint(t(), 4), steps));
    assert_eq!(steps, [send(t(), "a")]);
}

#[test]
fn another_silo_has_to_show_that_it_knows_marks() {
    let mut way = paced();
    let _ = after(&mut way, |way, steps| way.moved(hint(t(), 4), steps));
    assert_eq!(fenced(&mut way, 8, None), [send(t(), "a")]);
    let did = sends(&mut way, WINDOW - 1);
    assert_eq!(did.last(), Some(&(WINDOW - 1, vec![fence(t(), 10)])));
}

#[test]
fn a_way_to_the_process_itself_has_no_marks() {
    let mut way = open();
    for _ in 0..WINDOW - 1 {
        way.sent_directly();
        assert_eq!(after(&mut way, |way, steps| way.pace(false, steps)), []);
    }
    way.sent_directly();
    assert_eq!(after(&mut way, |way, steps| way.pace(false, steps)), [fence(s(), 1)]);
}
