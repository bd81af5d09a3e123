//! The laws of a way on which more is sent than comes to rest at once.

use super::{
    Way,
    tests::{LOCATE_LATER, Steps, after, bounce, fence, fenced, hint, s, say, send, t},
};

/// An open way on which so many messages were sent that the next are to wait, and what it did about that.
fn paced() -> (Way<&'static str>, Steps) {
    let mut way = Way::default();
    assert!(way.begin(hint(s(), 3)));
    let mut steps = Steps::new();
    for _ in 0..Way::<&str>::WINDOW {
        assert_eq!(steps, [], "there is room");
        way.sent_directly();
        way.pace(&mut steps);
    }
    (way, steps)
}

#[test]
fn what_is_sent_beyond_the_window_waits_for_a_fence_and_goes_on_where_it_went() {
    let (mut way, steps) = paced();
    assert_eq!(steps, [fence(s(), 1)]);
    assert_eq!(say(&mut way, "a"), []);
    assert_eq!(fenced(&mut way, 1, None), [send(s(), "a")]);
    assert_eq!(say(&mut way, "b"), [send(s(), "b")], "there is room again");
}

#[test]
fn a_way_whose_window_was_used_up_keeps_its_route_though_nobody_waits() {
    let (mut way, _) = paced();
    assert_eq!(fenced(&mut way, 1, None), []);
    assert_eq!(way.open_route(), Some(&hint(s(), 3)));
    assert!(way.is_idle(), "all of it is at rest");
}

#[test]
fn what_came_back_of_a_window_goes_before_what_waits_behind_it() {
    let (mut way, _) = paced();
    let _ = say(&mut way, "a");
    assert_eq!(bounce(&mut way, "first", None), []);
    assert_eq!(fenced(&mut way, 1, None), [LOCATE_LATER]);
    let steps = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    assert_eq!(steps, [send(s(), "first"), send(s(), "a")]);
}

#[test]
fn a_window_follows_the_actor_that_moved_meanwhile() {
    let (mut way, _) = paced();
    let _ = say(&mut way, "a");
    assert_eq!(after(&mut way, |way, steps| way.moved(hint(t(), 4), steps)), []);
    assert_eq!(fenced(&mut way, 1, None), [send(t(), "a")]);
}
