//! The laws of a way, each as the steps that follow from an event.

use super::{Step, Way};
use crate::ident::{Epoch, Hint, SiloId};

pub(super) type Steps = Vec<Step<&'static str>>;

pub(super) fn s() -> SiloId {
    SiloId::new("s", 1)
}

pub(super) fn t() -> SiloId {
    SiloId::new("t", 1)
}

fn u() -> SiloId {
    SiloId::new("u", 1)
}

pub(super) fn hint(silo: SiloId, epoch: u64) -> Hint {
    Hint {
        silo,
        epoch: Epoch(epoch),
    }
}

pub(super) fn send(to: SiloId, message: &'static str) -> Step<&'static str> {
    Step::Send { to, message }
}

pub(super) fn fence(to: SiloId, k: u64) -> Step<&'static str> {
    Step::Fence { to, k }
}

fn enter(to: SiloId, k: u64) -> Step<&'static str> {
    Step::Enter { to, k }
}

const LOCATE: Step<&str> = Step::Locate { attempt: 0 };
pub(super) const LOCATE_LATER: Step<&str> = Step::Locate { attempt: 1 };

/// What follows from an event.
pub(super) fn after(way: &mut Way<&'static str>, event: impl FnOnce(&mut Way<&'static str>, &mut Steps)) -> Steps {
    let mut steps = Vec::new();
    event(way, &mut steps);
    steps
}

pub(super) fn say(way: &mut Way<&'static str>, message: &'static str) -> Steps {
    after(way, |way, steps| way.send(message, steps))
}

pub(super) fn bounce(way: &mut Way<&'static str>, message: &'static str, hint: Option<Hint>) -> Steps {
    after(way, |way, steps| way.bounced(&s(), message, hint, false, steps))
}

pub(super) fn fenced(way: &mut Way<&'static str>, k: u64, hint: Option<Hint>) -> Steps {
    after(way, |way, steps| way.fenced(&s(), k, hint, false, steps))
}

/// Open to S, which is known by epoch 3; "first" was sent.
fn open() -> Way<&'static str> {
    let mut way = Way::default();
    let _ = say(&mut way, "first");
    let _ = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    way
}

#[test]
fn a_way_that_begins_by_a_hint_is_as_one_that_was_told_it() {
    let mut way = Way::default();
    assert!(way.is_new() && way.begin(hint(s(), 3)));
    way.sent_directly();
    assert_eq!(way, open());
    assert!(!way.begin(hint(t(), 4)), "it is in use");
    assert_eq!(way, open());
    // One that waits for the directory is told by it.
    let mut asking = Way::default();
    assert_eq!(say(&mut asking, "first"), [LOCATE]);
    assert!(!asking.is_new() && !asking.begin(hint(s(), 3)));
}

/// Open to S, nothing sent since the last fence.
fn unused() -> Way<&'static str> {
    let mut way = open();
    let _ = after(&mut way, |way, steps| way.moved(hint(t(), 4), steps));
    let _ = fenced(&mut way, 1, None);
    assert_eq!(way.open_route(), Some(&hint(t(), 4)));
    way
}

/// Fencing at S with fence 1.
fn fencing() -> Way<&'static str> {
    let mut way = open();
    assert_eq!(bounce(&mut way, "first", None), [fence(s(), 1)]);
    way
}

/// Entering at T with number 1, after S died; "held" waits.
fn entering() -> Way<&'static str> {
    let mut way = open();
    let _ = after(&mut way, |way, steps| way.silo_died(&s(), steps));
    let _ = say(&mut way, "held");
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(t(), 4), steps)),
        [enter(t(), 1)]
    );
    way
}

#[test]
fn the_first_message_waits_for_the_directory_and_the_rest_with_it() {
    let mut way = Way::default();
    assert_eq!(say(&mut way, "a"), [LOCATE]);
    assert_eq!(say(&mut way, "b"), []);
    let steps = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    assert_eq!(steps, [send(s(), "a"), send(s(), "b")]);
    assert_eq!(say(&mut way, "c"), [send(s(), "c")]);
}

#[test]
fn hints_never_switch_a_way() {
    let mut way = open();
    let steps = after(&mut way, |way, steps| way.moved(hint(t(), 4), steps));
    assert_eq!(steps, [fence(s(), 1)]);
    assert_eq!(say(&mut way, "a"), []);
    assert_eq!(fenced(&mut way, 1, None), [send(t(), "a")]);
}

#[test]
fn a_hint_that_is_not_newer_is_no_news() {
    for epoch in [1, 3] {
        let mut way = open();
        assert_eq!(after(&mut way, |way, steps| way.moved(hint(t(), epoch), steps)), []);
        assert_eq!(say(&mut way, "a"), [send(s(), "a")]);
    }
}

#[test]
fn newer_epoch_wins_among_the_hints_heard_during_a_fence() {
    let mut way = open();
    let _ = bounce(&mut way, "a", Some(hint(t(), 4)));
    assert_eq!(after(&mut way, |way, steps| way.moved(hint(u(), 6), steps)), []);
    assert_eq!(fenced(&mut way, 1, Some(hint(t(), 5))), [send(u(), "a")]);
}

#[test]
fn without_a_newer_hint_the_directory_is_asked() {
    let mut way = fencing();
    assert_eq!(fenced(&mut way, 1, Some(hint(s(), 3))), [LOCATE_LATER]);
    let steps = after(&mut way, |way, steps| way.located(hint(t(), 4), steps));
    assert_eq!(steps, [send(t(), "first")]);
}

#[test]
fn what_was_given_back_goes_before_what_was_held() {
    let mut way = open();
    let _ = say(&mut way, "second");
    let _ = bounce(&mut way, "first", Some(hint(t(), 4)));
    let _ = say(&mut way, "third");
    let _ = bounce(&mut way, "second", None);
    assert_eq!(
        fenced(&mut way, 1, None),
        [send(t(), "first"), send(t(), "second"), send(t(), "third")]
    );
}

#[test]
fn one_fence_is_under_way_at_a_time() {
    let mut way = fencing();
    assert_eq!(bounce(&mut way, "a", Some(hint(t(), 4))), []);
    assert_eq!(after(&mut way, |way, steps| way.moved(hint(t(), 5), steps)), []);
}

#[test]
fn an_answer_to_another_fence_or_of_another_silo_is_ignored() {
    let mut way = fencing();
    assert_eq!(fenced(&mut way, 0, None), []);
    assert_eq!(fenced(&mut way, 2, None), []);
    assert_eq!(
        after(&mut way, |way, steps| way.fenced(&t(), 1, None, false, steps)),
        []
    );
    assert_eq!(fenced(&mut way, 1, None), [LOCATE_LATER]);
    assert_eq!(fenced(&mut way, 1, None), [], "it was answered");
}

#[test]
fn a_way_that_nothing_was_sent_on_needs_no_fence() {
    let mut way = unused();
    assert_eq!(after(&mut way, |way, steps| way.moved(hint(u(), 5), steps)), []);
    assert_eq!(way.open_route(), Some(&hint(u(), 5)));
    assert!(way.is_idle());
}

#[test]
fn a_message_sent_by_the_short_way_needs_a_fence_too() {
    let mut way = unused();
    way.sent_directly();
    assert!(!way.is_idle());
    assert_eq!(
        after(&mut way, |way, steps| way.moved(hint(u(), 5), steps)),
        [fence(t(), 2)]
    );
}

// Lost links.

#[test]
fn a_lost_link_does_not_leave_the_way() {
    for mut way in [open(), fencing()] {
        let _ = after(&mut way, |way, steps| way.link_lost(&s(), steps));
        assert_eq!(say(&mut way, "held"), []);
        let steps = after(&mut way, |way, steps| way.link_renewed(&s(), steps));
        assert!(
            matches!(&steps[..], [Step::Fence { to, .. }] if *to == s()),
            "{steps:?}"
        );
    }
}

#[test]
fn a_fence_on_a_new_link_has_a_new_number() {
    let mut way = fencing();
    let _ = after(&mut way, |way, steps| way.link_lost(&s(), steps));
    assert_eq!(
        after(&mut way, |way, steps| way.link_renewed(&s(), steps)),
        [fence(s(), 2)]
    );
    assert_eq!(fenced(&mut way, 1, None), []);
    assert_eq!(fenced(&mut way, 2, Some(hint(t(), 4))), [send(t(), "first")]);
}

#[test]
fn a_lost_link_that_nothing_was_sent_on_changes_nothing() {
    let mut way = unused();
    assert_eq!(after(&mut way, |way, steps| way.link_lost(&t(), steps)), []);
    assert_eq!(say(&mut way, "a"), [send(t(), "a")]);
}

#[test]
fn a_lost_link_to_another_silo_changes_nothing() {
    let mut way = open();
    assert_eq!(after(&mut way, |way, steps| way.link_lost(&t(), steps)), []);
    assert_eq!(say(&mut way, "a"), [send(s(), "a")]);
}

#[test]
fn the_next_owner_of_a_dead_silos_actor_is_entered() {
    let mut way = open();
    let _ = say(&mut way, "sent");
    let _ = after(&mut way, |way, steps| way.link_lost(&s(), steps));
    assert_eq!(
        after(&mut way, |way, steps| way.silo_died(&s(), steps)),
        [],
        "nobody waits"
    );
    assert_eq!(say(&mut way, "next"), [LOCATE]);
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(t(), 4), steps)),
        [enter(t(), 1)]
    );
    let steps = after(&mut way, |way, steps| {
        way.fenced(&t(), 1, Some(hint(t(), 5)), false, steps)
    });
    assert_eq!(steps, [send(t(), "next")]);
    assert_eq!(way.open_route(), Some(&hint(t(), 5)));
}

#[test]
fn who_waits_when_the_silo_dies_enters_at_once() {
    let mut way = fencing();
    assert_eq!(after(&mut way, |way, steps| way.silo_died(&s(), steps)), [LOCATE]);
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(t(), 4), steps)),
        [enter(t(), 2)]
    );
}

#[test]
fn a_fence_that_says_lost_leads_to_an_entry() {
    let mut way = fencing();
    let newer = Some(hint(t(), 4));
    assert_eq!(
        after(&mut way, |way, steps| way.fenced(&s(), 1, newer, true, steps)),
        [LOCATE]
    );
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(t(), 4), steps)),
        [enter(t(), 2)]
    );
}

#[test]
fn a_dead_silo_that_nothing_was_sent_to_needs_no_entry() {
    let mut way = unused();
    assert_eq!(after(&mut way, |way, steps| way.silo_died(&t(), steps)), []);
    assert_eq!(say(&mut way, "a"), [LOCATE]);
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(u(), 5), steps)),
        [send(u(), "a")]
    );
}

#[test]
fn a_hint_at_a_silo_that_died_meanwhile_is_forgotten() {
    let mut way = open();
    let _ = bounce(&mut way, "a", Some(hint(t(), 4)));
    assert_eq!(after(&mut way, |way, steps| way.silo_died(&t(), steps)), []);
    assert_eq!(fenced(&mut way, 1, None), [LOCATE_LATER]);
}

#[test]
fn a_silo_that_does_not_own_the_actor_is_not_entered() {
    let mut way = entering();
    assert_eq!(after(&mut way, |way, steps| way.not_here(&t(), 0, steps)), []);
    assert_eq!(after(&mut way, |way, steps| way.not_here(&s(), 1, steps)), []);
    assert_eq!(
        after(&mut way, |way, steps| way.not_here(&t(), 1, steps)),
        [LOCATE_LATER]
    );
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(u(), 5), steps)),
        [enter(u(), 2)]
    );
}

#[test]
fn an_entry_whose_link_is_lost_is_asked_for_anew_and_not_at_once() {
    let mut way = entering();
    assert_eq!(after(&mut way, |way, steps| way.link_lost(&t(), steps)), [LOCATE_LATER]);
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(t(), 4), steps)),
        [enter(t(), 2)]
    );
    assert_eq!(
        after(&mut way, |way, steps| way.fenced(&t(), 1, None, false, steps)),
        []
    );
}

#[test]
fn an_entry_whose_silo_dies_is_asked_for_anew() {
    let mut way = entering();
    assert_eq!(after(&mut way, |way, steps| way.silo_died(&t(), steps)), [LOCATE]);
}

// Leaving.

#[test]
fn what_is_for_a_silo_that_leaves_is_held_until_it_is_flushed() {
    let mut way = open();
    way.leaving(&s());
    assert_eq!(say(&mut way, "a"), []);
    assert_eq!(after(&mut way, |way, steps| way.flushed(&s(), steps)), [LOCATE]);
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(t(), 4), steps)),
        [send(t(), "a")]
    );
}

#[test]
fn flushed_is_the_answer_to_a_fence_and_its_hint_counts() {
    let mut way = open();
    let _ = bounce(&mut way, "a", Some(hint(t(), 4)));
    way.leaving(&s());
    assert_eq!(after(&mut way, |way, steps| way.flushed(&s(), steps)), [send(t(), "a")]);
}

#[test]
fn a_way_that_nobody_waits_for_is_forgotten_when_its_silo_is_flushed() {
    let mut way = open();
    way.leaving(&s());
    assert_eq!(after(&mut way, |way, steps| way.flushed(&s(), steps)), []);
    assert!(way.is_idle());
    assert_eq!(way.route(), None);
}

#[test]
fn flushed_of_another_silo_changes_nothing() {
    let mut way = fencing();
    assert_eq!(after(&mut way, |way, steps| way.flushed(&t(), steps)), []);
    assert_eq!(fenced(&mut way, 1, None), [LOCATE_LATER]);
}

#[test]
fn flushed_while_the_directory_is_asked_changes_nothing() {
    let mut way = fencing();
    let _ = fenced(&mut way, 1, None);
    assert_eq!(after(&mut way, |way, steps| way.flushed(&s(), steps)), []);
    assert_eq!(
        after(&mut way, |way, steps| way.located(hint(t(), 4), steps)),
        [send(t(), "first")]
    );
}

#[test]
fn a_hint_at_a_silo_that_leaves_is_forgotten() {
    let mut way = open();
    let _ = bounce(&mut way, "a", Some(hint(t(), 4)));
    way.leaving(&t());
    assert_eq!(fenced(&mut way, 1, None), [LOCATE_LATER]);
}

// Waiting.

#[test]
fn the_longer_all_comes_back_the_longer_it_waits() {
    let mut way = open();
    for k in 1..5 {
        let _ = bounce(&mut way, "first", None);
        assert_eq!(fenced(&mut way, u64::from(k), None), [Step::Locate { attempt: k }]);
        let _ = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    }
    let _ = say(&mut way, "second");
    let _ = bounce(&mut way, "second", None);
    assert_eq!(fenced(&mut way, 5, None), [LOCATE_LATER], "\"first\" came to rest");
}

#[test]
fn a_full_silo_is_not_tried_again_at_once() {
    let mut way = open();
    let _ = after(&mut way, |way, steps| way.bounced(&s(), "first", None, true, steps));
    assert_eq!(fenced(&mut way, 1, None), [Step::Locate { attempt: 2 }]);
}

#[test]
fn a_directory_that_cannot_answer_is_asked_again_later() {
    let mut way = Way::default();
    let _ = say(&mut way, "a");
    assert_eq!(after(&mut way, Way::locate_again), [LOCATE_LATER]);
    assert_eq!(after(&mut open(), Way::locate_again), []);
}

#[test]
fn an_actor_that_nobody_may_have_fails_all_that_waits_in_order() {
    let mut way = fencing();
    let _ = say(&mut way, "held");
    let _ = fenced(&mut way, 1, None);
    assert_eq!(way.not_located(), ["first", "held"]);
    assert!(way.is_idle());
    assert_eq!(say(&mut way, "a"), [LOCATE_LATER], "the next sender asks again");
}

#[test]
fn what_is_over_is_taken_out_wherever_it_waits() {
    let mut way = fencing();
    let _ = say(&mut way, "held");
    let _ = say(&mut way, "over");
    assert_eq!(way.remove_if(|message| *message != "held"), ["first", "over"]);
    assert_eq!(way.drain(), ["held"]);
}

#[test]
fn a_way_takes_no_more_than_the_bound_while_it_waits() {
    let mut way = fencing();
    for _ in 0..Way::<&str>::MAX_HELD {
        assert!(way.has_room());
        let _ = say(&mut way, "held");
    }
    assert!(!way.has_room());
}

#[test]
fn only_a_way_that_owes_no_fence_is_idle() {
    for way in [open(), fencing(), entering()] {
        assert!(!way.is_idle(), "{way:?}");
    }
    assert!(Way::<&str>::default().is_idle());
    assert!(unused().is_idle());
}

fn retire(way: &mut Way<&'static str>) -> Steps {
    after(way, Way::retire)
}

#[test]
fn a_used_way_is_forgotten_only_when_a_fence_has_shown_that_all_of_it_is_at_rest() {
    let mut way = open();
    assert_eq!(retire(&mut way), [fence(s(), 1)]);
    assert!(!way.is_idle());
    assert_eq!(retire(&mut way), [], "one fence at a time");
    assert_eq!(fenced(&mut way, 1, Some(hint(t(), 4))), []);
    assert!(way.is_idle());
    assert_eq!(way.route(), None);
    assert_eq!(say(&mut way, "a"), [LOCATE], "as a new way");
}

#[test]
fn a_way_that_nothing_was_sent_on_needs_no_fence_to_be_forgotten() {
    let (mut new, mut unused) = (Way::default(), unused());
    assert_eq!(retire(&mut new), []);
    assert_eq!(retire(&mut unused), []);
    assert!(new.is_idle() && unused.is_idle());
}

#[test]
fn a_message_that_meets_a_retiring_way_waits_for_the_fence_and_goes_on_as_before() {
    let mut way = open();
    let _ = retire(&mut way);
    assert_eq!(say(&mut way, "a"), []);
    assert!(!way.is_idle());
    assert_eq!(fenced(&mut way, 1, Some(hint(s(), 3))), [send(s(), "a")]);
}

#[test]
fn a_message_that_meets_a_retiring_way_follows_the_actor_behind_the_fence() {
    let mut way = open();
    let _ = retire(&mut way);
    assert_eq!(say(&mut way, "a"), []);
    assert_eq!(fenced(&mut way, 1, Some(hint(t(), 4))), [send(t(), "a")]);
}

#[test]
fn what_comes_back_to_a_retiring_way_goes_before_what_is_sent_meanwhile() {
    let mut way = open();
    let _ = retire(&mut way);
    let _ = say(&mut way, "a");
    assert_eq!(bounce(&mut way, "first", None), []);
    assert_eq!(fenced(&mut way, 1, None), [LOCATE_LATER]);
    let steps = after(&mut way, |way, steps| way.located(hint(t(), 4), steps));
    assert_eq!(steps, [send(t(), "first"), send(t(), "a")]);
}

#[test]
fn a_retiring_way_that_lost_messages_enters_the_next_owner_before_it_is_used() {
    let mut way = open();
    let _ = retire(&mut way);
    assert_eq!(after(&mut way, |way, steps| way.fenced(&s(), 1, None, true, steps)), []);
    assert!(!way.is_idle());
    assert_eq!(say(&mut way, "a"), [LOCATE]);
    let steps = after(&mut way, |way, steps| way.located(hint(t(), 4), steps));
    assert_eq!(steps, [enter(t(), 2)]);
}

#[test]
fn a_retiring_way_does_not_go_back_to_a_silo_that_leaves() {
    for flushes in [false, true] {
        let mut way = open();
        let _ = retire(&mut way);
        let _ = say(&mut way, "a");
        way.leaving(&s());
        let steps = if flushes {
            after(&mut way, |way, steps| way.flushed(&s(), steps))
        } else {
            fenced(&mut way, 1, None)
        };
        assert_eq!(steps, [LOCATE]);
    }
}

#[test]
fn a_retiring_way_whose_link_is_lost_is_fenced_on_the_next() {
    let mut way = open();
    let _ = retire(&mut way);
    let _ = after(&mut way, |way, steps| way.link_lost(&s(), steps));
    assert!(!way.is_idle());
    assert_eq!(
        after(&mut way, |way, steps| way.link_renewed(&s(), steps)),
        [fence(s(), 2)]
    );
    assert_eq!(fenced(&mut way, 1, None), [], "the old fence shows nothing");
    assert_eq!(fenced(&mut way, 2, None), [LOCATE]);
    let _ = after(&mut way, |way, steps| way.located(hint(s(), 3), steps));
    assert!(way.is_idle());
}

#[test]
fn messages_wait_in_unsettled_ways_only() {
    for way in [Way::default(), open(), unused()] {
        assert!(!way.is_unsettled(), "{way:?}");
    }
    for way in [fencing(), entering()] {
        assert!(way.is_unsettled(), "{way:?}");
    }
}
