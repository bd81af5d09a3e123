//! The laws of a seat, each as the commands that follow from an event.

mod forwarding;
mod source;
mod target;

use super::{Command, Phase, Seat};
use crate::{
    ident::{Epoch, Hint, LinkId, SiloId},
    store::Entry,
};

type Commands = Vec<Command<&'static str>>;

/// Two callers' links.
const L: LinkId = LinkId(1);
const M: LinkId = LinkId(2);

fn s() -> SiloId {
    SiloId::new("s", 1)
}

fn t() -> SiloId {
    SiloId::new("t", 1)
}

fn u() -> SiloId {
    SiloId::new("u", 1)
}

fn hint(silo: SiloId, epoch: u64) -> Option<Hint> {
    Some(Hint {
        silo,
        epoch: Epoch(epoch),
    })
}

fn owned(silo: SiloId, epoch: u64) -> Entry {
    Entry::owned(silo, Epoch(epoch))
}

fn nobody(_: &SiloId) -> bool {
    false
}

fn is_t(silo: &SiloId) -> bool {
    *silo == t()
}

/// What follows from an event.
fn after(seat: &mut Seat<&'static str>, event: impl FnOnce(&mut Seat<&'static str>)) -> Commands {
    let left = seat.take_commands();
    assert!(left.is_empty(), "not taken: {left:?}");
    event(seat);
    seat.take_commands()
}

fn send(seat: &mut Seat<&'static str>, link: LinkId, message: &'static str) -> Commands {
    after(seat, |seat| seat.arrive(link, message, true, true))
}

fn rest(message: &'static str) -> Command<&'static str> {
    Command::Rest { message }
}

fn bounce(link: LinkId, message: &'static str, hint: Option<Hint>) -> Command<&'static str> {
    let why = crate::wire::BounceReason::NotOwner;
    Command::Bounce {
        link,
        message,
        hint,
        why,
    }
}

fn fenced(link: LinkId, k: u64, hint: Option<Hint>) -> Command<&'static str> {
    Command::Fenced {
        link,
        k,
        hint,
        lost: false,
    }
}

fn lost(link: LinkId, k: u64, hint: Option<Hint>) -> Command<&'static str> {
    Command::Fenced {
        link,
        k,
        hint,
        lost: true,
    }
}

/// Active at `me`, epoch 1.
fn active(me: SiloId) -> Seat<&'static str> {
    let mut seat = Seat::new(me);
    seat.arrive(M, "first", true, true);
    assert!(seat.registered(Epoch(1)));
    let _ = seat.take_commands();
    seat
}

/// Frozen at S at epoch 1, on its way to T.
fn frozen() -> Seat<&'static str> {
    let mut seat = active(s());
    assert!(seat.freeze(t()));
    seat.packed();
    let _ = seat.take_commands();
    seat
}

/// S forwards to T on stream 2.
fn forwarder() -> Seat<&'static str> {
    let mut seat = frozen();
    seat.committed(&t(), Epoch(2));
    let _ = seat.take_commands();
    seat
}

/// Prepared at T from S at epoch 1, the directory not asked.
fn prepared() -> Seat<&'static str> {
    let mut seat = Seat::new(t());
    assert!(seat.package(&s(), Epoch(1)));
    seat
}

/// Committed at T at epoch 2, waiting for `Go`.
fn committed() -> Seat<&'static str> {
    let mut seat = prepared();
    seat.prepared(Epoch(1));
    seat.entry_read(&owned(t(), 2), nobody);
    let _ = seat.take_commands();
    seat
}

/// Active at T at epoch 2, S being its open predecessor.
fn moved() -> Seat<&'static str> {
    let mut seat = committed();
    seat.go(&s(), Epoch(2));
    let _ = seat.take_commands();
    seat
}

// Callers.

/// What is kept of it is the epoch alone, so nothing else may be in it.
#[test]
fn a_seat_at_rest_is_its_epoch_and_nothing_more() {
    let mut seat = active(s());
    let epoch = seat.at_rest().expect("it only runs the actor");
    assert_eq!(seat, Seat::resting(s(), epoch));
    // Full, and so given back: what follows on that link follows it.
    seat.arrive(LinkId(1), "m", false, true);
    assert_eq!(seat.at_rest(), None, "a command waits");
    let _ = seat.take_commands();
    assert_eq!(seat.at_rest(), None, "a link has bounced");
    after(&mut seat, |seat| seat.fence(LinkId(1), 1));
    assert_eq!(seat, Seat::resting(s(), epoch));
    for seat in [Seat::new(s()), frozen(), forwarder(), prepared(), committed()] {
        assert_eq!(seat.at_rest(), None, "{seat:?}");
    }
}

#[test]
fn a_silo_that_knows_nothing_of_the_actor_bounces() {
    let mut seat = Seat::new(s());
    let commands = after(&mut seat, |seat| seat.arrive(L, "a", true, false));
    assert_eq!(commands, [bounce(L, "a", None)]);
}

#[test]
fn a_message_for_an_actor_that_nobody_has_registers_it_once() {
    let mut seat = Seat::new(s());
    assert_eq!(send(&mut seat, L, "a"), [Command::Register]);
    assert_eq!(send(&mut seat, M, "b"), []);
    let commands = after(&mut seat, |seat| assert!(seat.registered(Epoch(4))));
    assert_eq!(commands, [rest("a"), rest("b")]);
    assert_eq!(seat.phase(), Some((&Phase::Active, Epoch(4))));
}

#[test]
fn what_waited_for_a_registration_that_failed_goes_back_with_what_was_learnt() {
    let mut seat = Seat::new(s());
    let _ = send(&mut seat, L, "a");
    let commands = after(&mut seat, |seat| {
        seat.register_failed(hint(u(), 7), crate::wire::BounceReason::NotOwner);
    });
    assert_eq!(commands, [bounce(L, "a", hint(u(), 7))]);
    assert_eq!(seat.phase(), None);
}

#[test]
fn a_registration_that_nobody_waits_for_any_more_is_not_wanted() {
    let mut seat = Seat::new(t());
    let _ = send(&mut seat, L, "a");
    assert!(seat.package(&s(), Epoch(1)));
    assert!(!seat.registered(Epoch(2)));
}

#[test]
fn a_fence_never_registers() {
    let mut seat = Seat::new(s());
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 1)), [fenced(L, 1, None)]);
}

#[test]
fn the_active_owner_answers_a_fence_at_once() {
    let mut seat = active(s());
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 1)), [fenced(L, 1, hint(s(), 1))]);
}

#[test]
fn a_bounced_link_stays_bounced_until_its_fence() {
    let mut seat = Seat::new(s());
    seat.arrive(L, "a", true, false);
    let _ = seat.take_commands();
    let _ = send(&mut seat, M, "first");
    let commands = after(&mut seat, |seat| assert!(seat.registered(Epoch(1))));
    assert_eq!(commands, [rest("first")]);
    assert!(!seat.is_open_to(L));
    assert_eq!(send(&mut seat, L, "b"), [bounce(L, "b", hint(s(), 1))]);
    assert_eq!(after(&mut seat, |seat| seat.fence(L, 1)), [fenced(L, 1, hint(s(), 1))]);
    assert_eq!(send(&mut seat, L, "b"), [rest("b")]);
}

#[test]
fn a_bounced_link_that_is_gone_is_forgotten() {
    let mut seat = Seat::<&str>::new(s());
    seat.arrive(L, "a", true, false);
    let _ = seat.take_commands();
    assert!(!seat.is_blank());
    seat.link_closed(L);
    assert!(seat.is_blank());
}

#[test]
fn a_full_mailbox_gives_back_and_goes_on_giving_back() {
    let mut seat = active(s());
    let full = crate::wire::BounceReason::Full;
    let commands = after(&mut seat, |seat| seat.arrive(L, "a", false, true));
    assert_eq!(
        commands,
        [Command::Bounce {
            link: L,
            message: "a",
            hint: hint(s(), 1),
            why: full
        }]
    );
    assert_eq!(send(&mut seat, L, "b"), [bounce(L, "b", hint(s(), 1))]);
    assert_eq!(send(&mut seat, M, "c"), [rest("c")]);
}

#[test]
fn no_more_is_held_than_the_bound() {
    let mut seat = frozen();
    for _ in 0..Seat::<&str>::MAX_HELD {
        assert_eq!(send(&mut seat, L, "held"), []);
    }
    let commands = send(&mut seat, L, "over");
    assert!(
        matches!(commands[..], [Command::Bounce { message: "over", .. }]),
        "{commands:?}"
    );
    assert_eq!(after(&mut seat, |seat| seat.fence(M, 1)), []);
}

#[test]
fn an_open_seat_says_so_exactly_when_a_message_would_rest() {
    let seats = [
        active(s()),
        frozen(),
        forwarder(),
        prepared(),
        committed(),
        moved(),
        Seat::new(s()),
    ];
    for mut seat in seats {
        let open = seat.is_open_to(L);
        let commands = send(&mut seat, L, "a");
        assert_eq!(open, commands == [rest("a")], "{seat:?}");
    }
}

// Entering.

#[test]
fn only_an_owner_without_open_predecessor_lets_in() {
    let enter = |mut seat: Seat<&'static str>| after(&mut seat, |seat| seat.enter(L, 9, false));
    let not_here = [Command::NotHere { link: L, k: 9 }];
    assert_eq!(enter(Seat::new(s())), not_here);
    assert_eq!(enter(forwarder()), not_here);
    assert_eq!(enter(active(s())), [fenced(L, 9, hint(s(), 1))]);
    assert_eq!(enter(frozen()), [fenced(L, 9, hint(s(), 1))]);
    assert_eq!(enter(prepared()), []);
    assert_eq!(enter(committed()), []);
    assert_eq!(enter(moved()), []);
}

#[test]
fn who_waits_to_enter_is_let_in_when_the_predecessor_closes() {
    let mut seat = moved();
    seat.enter(L, 9, false);
    let commands = after(&mut seat, |seat| seat.closed(Epoch(2)));
    assert_eq!(commands, [fenced(L, 9, hint(t(), 2))]);
}

#[test]
fn who_waits_to_enter_is_let_in_when_the_predecessor_is_dead() {
    let mut seat = moved();
    seat.enter(L, 9, false);
    let commands = after(&mut seat, |seat| seat.silo_died(&s()));
    assert_eq!(commands, [fenced(L, 9, hint(t(), 2))]);
}

#[test]
fn who_enters_an_actor_that_nobody_has_registers_it() {
    let mut seat = Seat::<&str>::new(s());
    assert_eq!(after(&mut seat, |seat| seat.enter(L, 9, true)), [Command::Register]);
    let commands = after(&mut seat, |seat| assert!(seat.registered(Epoch(3))));
    assert_eq!(commands, [fenced(L, 9, hint(s(), 3))]);
}

#[test]
fn who_waits_to_enter_is_sent_on_when_the_registration_fails() {
    let mut seat = Seat::<&str>::new(s());
    seat.enter(L, 9, true);
    let _ = seat.take_commands();
    let why = crate::wire::BounceReason::NotOwner;
    let commands = after(&mut seat, |seat| seat.register_failed(None, why));
    assert_eq!(commands, [Command::NotHere { link: L, k: 9 }]);
}

#[test]
fn who_waits_to_enter_is_forgotten_with_its_link() {
    let mut seat = moved();
    seat.enter(L, 9, false);
    seat.link_closed(L);
    assert_eq!(after(&mut seat, |seat| seat.closed(Epoch(2))), []);
}

/// A silo whose store answers at once makes it so in one step.
#[test]
fn a_first_message_and_its_registration_come_to_a_seat_at_rest() {
    let mut seat = Seat::new(s());
    assert_eq!(send(&mut seat, L, "one"), [Command::Register]);
    let rested = after(&mut seat, |seat| assert!(seat.registered(Epoch(3))));
    assert_eq!(rested, [Command::Rest { message: "one" }]);
    assert_eq!((&seat, seat.at_rest()), (&Seat::resting(s(), Epoch(3)), Some(Epoch(3))));
}

// A store that has lost writes.

/// Found by a simulation whose store failed over (`tests/sim/found.rs`): S registers the actor at epoch 3, the store forgets that, and the
/// activation ends. The conflict of what S asks says an older epoch, which S took for a late answer, and waited for ever.
#[test]
fn an_actor_that_ends_is_given_up_though_the_store_knows_nothing_of_it() {
    let mut seat = active(s());
    seat.deactivate();
    seat.deactivated();
    let _ = seat.take_commands();
    let conflict = crate::store::EntryOutcome::Conflict(Entry::default());
    seat.entry_changed(super::Purpose::Free, &Entry::free(Epoch(2)), conflict, nobody);
    assert!(seat.is_blank());
}

#[test]
fn a_late_answer_to_what_an_earlier_tenure_asked_is_no_loss_of_the_store() {
    let mut seat = active(s());
    seat.deactivate();
    seat.deactivated();
    let _ = seat.take_commands();
    let conflict = crate::store::EntryOutcome::Conflict(Entry::default());
    seat.entry_changed(super::Purpose::Free, &Entry::free(Epoch(1)), conflict, nobody);
    seat.entry_read_by(Some(Epoch(0)), &Entry::default(), nobody);
    assert!(seat.phase().is_some(), "it waits for the answer to its own question");
    seat.entry_read_by(Some(Epoch(1)), &Entry::default(), nobody);
    assert!(seat.is_blank());
}

/// Seed 40008 of `a_store_that_loses_its_last_writes_loses_nothing_else`: the store forgets the tenure of S, and gives its epoch to
/// another. T, which was to get the actor from S, asked for the commit again and again, without a pause.
#[test]
fn a_move_whose_epoch_the_store_gave_to_another_is_given_up() {
    for owner in [Some(u()), None] {
        let mut seat = prepared();
        seat.prepared(Epoch(1));
        let _ = seat.take_commands();
        let epoch = Epoch(1);
        let conflict = crate::store::EntryOutcome::Conflict(Entry { owner, epoch });
        let commands = after(&mut seat, |seat| {
            seat.entry_changed(super::Purpose::Commit, &owned(t(), 2), conflict, nobody);
        });
        let again = |command: &Command<_>| matches!(command, Command::ChangeEntry { .. });
        assert!(!commands.iter().any(again), "{commands:?}");
        assert!(seat.phase().is_none(), "{:?}", seat.phase());
    }
}

/// Seed 40069 of `a_store_that_loses_its_last_writes_loses_nothing_else`: S gives a move to T up, and goes on at epoch 2. The store
/// forgets that, and takes T's commit of the old package, at epoch 2. T waited for `Go`, and then ran what S had run.
#[test]
fn who_went_on_at_an_epoch_takes_it_from_a_commit_that_the_store_let_in_when_it_lost_that() {
    let went_on = || {
        let mut seat = frozen();
        seat.resolve();
        seat.entry_read(&owned(s(), 1), nobody);
        let changed = crate::store::EntryOutcome::Changed;
        seat.entry_changed(super::Purpose::Resume, &owned(s(), 2), changed, nobody);
        let _ = seat.take_commands();
        seat
    };
    let takes_it_back = |seat: &mut Seat<&'static str>| {
        let purpose = super::Purpose::TakeBack;
        let (expected, new) = (owned(t(), 2), owned(s(), 4));
        let commands = after(seat, |seat| seat.entry_read(&expected, nobody));
        assert_eq!(
            commands,
            [Command::ChangeEntry {
                purpose,
                expected,
                new: new.clone()
            }]
        );
        let changed = crate::store::EntryOutcome::Changed;
        let commands = after(seat, |seat| seat.entry_changed(purpose, &new, changed, nobody));
        assert_eq!(commands, [Command::Resume { epoch: Epoch(4) }]);
    };
    // It goes on at a later epoch, whatever it was at.
    let mut on_the_move = went_on();
    assert!(on_the_move.freeze(u()));
    let _ = on_the_move.take_commands();
    for (mut seat, told) in [(went_on(), vec![Command::Freeze]), (on_the_move, Vec::new())] {
        assert_eq!(after(&mut seat, |seat| seat.committed(&t(), Epoch(2))), told);
        assert_eq!(after(&mut seat, Seat::packed), [Command::ReadEntry]);
        takes_it_back(&mut seat);
    }
    let mut seat = went_on();
    assert!(seat.freeze(u()));
    seat.packed();
    let _ = seat.take_commands();
    assert_eq!(
        after(&mut seat, |seat| seat.committed(&t(), Epoch(2))),
        [Command::ReadEntry]
    );
    takes_it_back(&mut seat);
    // A late one of an earlier epoch says nothing.
    assert_eq!(after(&mut went_on(), |seat| seat.committed(&t(), Epoch(1))), []);

    // T, which hears no `Go`, finds the entry gone.
    let mut seat = committed();
    seat.start_without_source();
    let _ = seat.take_commands();
    let conflict = crate::store::EntryOutcome::Conflict(owned(s(), 4));
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(super::Purpose::Start, &owned(t(), 3), conflict, nobody);
    });
    assert_eq!(commands, [Command::Drop]);
    assert!(seat.phase().is_none());
}

// Deactivation.

#[test]
fn a_deactivated_actor_leaves_a_free_entry_at_the_next_epoch() {
    let mut seat = active(s());
    assert_eq!(
        after(&mut seat, |seat| assert!(seat.deactivate())),
        [Command::Deactivate]
    );
    assert_eq!(send(&mut seat, L, "a"), []);
    let free = Entry::free(Epoch(2));
    let purpose = super::Purpose::Free;
    let commands = after(&mut seat, Seat::deactivated);
    assert_eq!(
        commands,
        [Command::ChangeEntry {
            purpose,
            expected: owned(s(), 1),
            new: free.clone()
        }]
    );
    let commands = after(&mut seat, |seat| {
        seat.entry_changed(purpose, &free, crate::store::EntryOutcome::Changed, nobody);
    });
    assert_eq!(commands, [bounce(L, "a", None)]);
    assert_eq!(seat.phase(), None);
}

#[test]
fn an_entry_that_is_not_decided_is_set_free_again() {
    let mut seat = active(s());
    seat.deactivate();
    seat.deactivated();
    let _ = seat.take_commands();
    let commands = after(&mut seat, |seat| seat.entry_read(&owned(s(), 1), nobody));
    assert!(
        matches!(
            commands[..],
            [Command::ChangeEntry {
                purpose: super::Purpose::Free,
                ..
            }]
        ),
        "{commands:?}"
    );
    let _ = after(&mut seat, |seat| seat.entry_read(&Entry::free(Epoch(2)), nobody));
    assert!(seat.is_blank());
}

#[test]
fn an_actor_with_an_open_predecessor_is_moved_but_not_deactivated() {
    let mut seat = moved();
    assert!(!seat.deactivate());
    assert!(seat.freeze(u()));
    let mut seat = moved();
    seat.closed(Epoch(2));
    assert!(seat.deactivate());
}

/// What an activation wanted while its move had not settled happens when it has, in whatever way.
#[test]
fn an_activation_that_wants_to_end_does_so_when_its_seat_settles() {
    let mut seat = active(s());
    assert_eq!(
        after(&mut seat, Seat::deactivate_when_settled),
        [Command::Deactivate],
        "at once"
    );
    let settled: [fn(&mut Seat<&'static str>); 2] = [|seat| seat.closed(Epoch(2)), |seat| seat.silo_died(&s())];
    for settle in settled {
        let mut seat = moved();
        assert_eq!(after(&mut seat, Seat::deactivate_when_settled), []);
        assert_eq!(seat.at_rest(), None, "the wish is kept");
        assert_eq!(after(&mut seat, settle), [Command::Deactivate]);
    }
    let mut seat = active(s());
    assert!(seat.freeze(t()));
    let _ = seat.take_commands();
    assert_eq!(after(&mut seat, Seat::deactivate_when_settled), []);
    let commands = after(&mut seat, Seat::freeze_failed);
    assert_eq!(commands, [Command::Resume { epoch: Epoch(1) }, Command::Deactivate]);
}

/// Where it moved nobody wants it to end: another activation runs there.
#[test]
fn an_activation_that_wants_to_end_and_moves_away_is_over() {
    let mut seat = moved();
    seat.deactivate_when_settled();
    assert!(seat.freeze(u()));
    seat.packed();
    seat.committed(&u(), Epoch(3));
    let _ = seat.take_commands();
    let commands = after(&mut seat, |seat| seat.closed(Epoch(2)));
    assert!(!commands.contains(&Command::Deactivate), "{commands:?}");
}

#[test]
fn an_activation_that_lost_its_actor_gives_back_what_it_held() {
    let mut seat = active(s());
    seat.deactivate();
    let _ = seat.take_commands();
    let _ = send(&mut seat, L, "a");
    let commands = after(&mut seat, |seat| seat.ownership_lost(hint(u(), 5)));
    assert_eq!(commands, [bounce(L, "a", hint(u(), 5))]);
    assert_eq!(seat.phase(), None);
}
