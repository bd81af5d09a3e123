//! Laws of the directory.

use super::{
    race::{CALLERS, race},
    values::{actor, carts, change, entry, free, owned, register, registered, silo},
};
use crate::{
    ident::{Epoch, SiloId},
    store::{Entry, EntryChange, EntryOutcome, RegisterOutcome, Store},
};
use std::sync::Arc;

/// It is free, at epoch 0.
pub async fn an_actor_that_never_had_an_owner_has_the_default_entry(store: Arc<dyn Store>) {
    assert_eq!(entry(&*store, &actor("cart", "alice")).await, Entry::default());
}

/// The first owner has epoch 1.
pub async fn register_takes_a_free_entry_at_the_next_epoch(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    assert_eq!(register(&*store, &owner, &alice).await, registered(1, None));
    assert_eq!(entry(&*store, &alice).await, owned(&owner, 1));
}

/// A store that answers at once does what it does otherwise, and one that does not has done nothing.
pub async fn register_at_once_is_register_or_nothing(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    match store.register_at_once(&one, &alice) {
        None => assert_eq!(entry(&*store, &alice).await, Entry::default()),
        Some(outcome) => {
            assert_eq!(outcome, registered(1, None));
            assert_eq!(entry(&*store, &alice).await, owned(&one, 1));
            let late = store.register_at_once(&other, &alice);
            assert_eq!(late, Some(RegisterOutcome::Owned(owned(&one, 1))));
            assert_eq!(
                register(&*store, &other, &alice).await,
                RegisterOutcome::Owned(owned(&one, 1))
            );
        }
    }
}

/// Whoever asks, the owner itself and its other incarnations too, is answered the entry, which stays.
pub async fn register_leaves_an_owned_entry_and_answers_it(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), SiloId::new("a", 2));
    register(&*store, &owner, &alice).await;
    for asker in [owner.clone(), SiloId::new("a", 3), SiloId::new("b", 2)] {
        let outcome = register(&*store, &asker, &alice).await;
        assert_eq!(outcome, RegisterOutcome::Owned(owned(&owner, 1)), "asked by {asker}");
    }
    assert_eq!(entry(&*store, &alice).await, owned(&owner, 1));
}

/// Of many silos that register one actor, one owns it and the others are told who.
pub async fn concurrent_registers_have_one_winner(store: Arc<dyn Store>) {
    for alice in carts(20) {
        let contested = alice.clone();
        let outcomes = race(&store, move |store, caller| {
            let contested = contested.clone();
            Box::pin(async move { register(&*store, &SiloId::new("a", caller), &contested).await })
        })
        .await;
        let winners: Vec<u64> = (0..)
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, RegisterOutcome::Registered(_)))
            .map(|(caller, _)| caller)
            .collect();
        let [winner] = winners[..] else {
            panic!("{} callers own {alice}", winners.len());
        };
        let entry_now = owned(&SiloId::new("a", winner), 1);
        for (caller, outcome) in (0..).zip(outcomes) {
            let expected = if caller == winner {
                registered(1, None)
            } else {
                RegisterOutcome::Owned(entry_now.clone())
            };
            assert_eq!(outcome, expected, "caller {caller}");
        }
        assert_eq!(entry(&*store, &alice).await, entry_now);
    }
}

/// Batches over the same actors, in opposite orders, neither block each other nor share an actor.
pub async fn concurrent_registers_of_batches_have_one_winner_for_each_actor(store: Arc<dyn Store>) {
    let actors = carts(200);
    let contested = actors.clone();
    let outcomes = race(&store, move |store, caller| {
        let mut contested = contested.clone();
        Box::pin(async move {
            if caller % 2 == 1 {
                contested.reverse();
            }
            let mut outcomes = Vec::new();
            for part in contested.chunks(20) {
                let owner = SiloId::new("a", caller);
                outcomes.extend(store.register(&owner, part.to_vec()).await.expect("register answers"));
            }
            outcomes
                .iter()
                .filter(|outcome| matches!(outcome, RegisterOutcome::Registered(_)))
                .count()
        })
    })
    .await;
    assert_eq!(outcomes.iter().sum::<usize>(), actors.len(), "an actor has one owner");
    for (caller, won) in (0..).zip(outcomes) {
        let owner = SiloId::new("a", caller);
        assert_eq!(store.owned_by(&owner).await.expect("owned_by answers").len(), won);
    }
}

/// Of many changes that expect one entry, one is made; the others are answered the entry it made.
pub async fn concurrent_changes_of_an_entry_have_one_winner(store: Arc<dyn Store>) {
    let alice = actor("cart", "alice");
    register(&*store, &silo("start"), &alice).await;
    for epoch in 1..=20 {
        let before = entry(&*store, &alice).await;
        let contested = alice.clone();
        let outcomes = race(&store, move |store, caller| {
            let (contested, before) = (contested.clone(), before.clone());
            Box::pin(async move {
                let new = owned(&SiloId::new("a", caller), epoch + 1);
                change(&*store, &contested, before, new).await
            })
        })
        .await;
        let after = entry(&*store, &alice).await;
        assert_eq!(after.epoch, Epoch(epoch + 1));
        let lost = EntryOutcome::Conflict(after.clone());
        for (caller, outcome) in (0..CALLERS).zip(outcomes) {
            let won = after.owner == Some(SiloId::new("a", caller));
            let expected = if won { &EntryOutcome::Changed } else { &lost };
            assert_eq!(outcome, *expected, "caller {caller}");
        }
    }
}

/// An expectation that differs in owner, incarnation or epoch is a conflict, and nothing is changed.
pub async fn a_conflict_answers_the_entry_as_it_is(store: Arc<dyn Store>) {
    let (alice, new) = (actor("cart", "alice"), actor("cart", "new"));
    let owner = SiloId::new("a", 2);
    register(&*store, &owner, &alice).await;
    let actual = owned(&owner, 1);
    for wrong in [
        Entry::default(),
        free(1),
        owned(&owner, 0),
        owned(&owner, 2),
        owned(&SiloId::new("a", 1), 1),
        owned(&SiloId::new("b", 2), 1),
    ] {
        let outcome = change(&*store, &alice, wrong.clone(), owned(&silo("c"), 9)).await;
        assert_eq!(outcome, EntryOutcome::Conflict(actual.clone()), "expected {wrong:?}");
    }
    assert_eq!(entry(&*store, &alice).await, actual);
    let outcome = change(&*store, &new, actual, owned(&silo("c"), 9)).await;
    assert_eq!(outcome, EntryOutcome::Conflict(Entry::default()));
}

/// A free entry keeps the epoch it was freed at, so no epoch is ever used twice.
pub async fn the_epoch_grows_when_an_entry_becomes_free_and_register_goes_on_after_it(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    register(&*store, &one, &alice).await;
    assert_eq!(
        change(&*store, &alice, owned(&one, 1), free(2)).await,
        EntryOutcome::Changed
    );
    assert_eq!(entry(&*store, &alice).await, free(2));
    assert_eq!(register(&*store, &other, &alice).await, registered(3, None));
    assert_eq!(
        change(&*store, &alice, owned(&other, 3), free(10)).await,
        EntryOutcome::Changed
    );
    assert_eq!(register(&*store, &one, &alice).await, registered(11, None));
}

/// A change to the same or a lower epoch is refused as a conflict with the entry as it is, right though the
/// expectation be.
pub async fn a_change_that_does_not_raise_the_epoch_is_refused(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    let outcome = change(&*store, &alice, Entry::default(), owned(&one, 0)).await;
    assert_eq!(outcome, EntryOutcome::Conflict(Entry::default()));
    let actual = owned(&one, 5);
    assert_eq!(
        change(&*store, &alice, Entry::default(), actual.clone()).await,
        EntryOutcome::Changed
    );
    for epoch in [0, 4, 5] {
        for new in [free(epoch), owned(&other, epoch)] {
            let outcome = change(&*store, &alice, actual.clone(), new).await;
            assert_eq!(outcome, EntryOutcome::Conflict(actual.clone()), "to epoch {epoch}");
        }
    }
    assert_eq!(entry(&*store, &alice).await, actual);
}

/// Answers come in the order asked, and an item that fails leaves the others alone.
pub async fn a_batch_is_answered_in_order_and_item_by_item(store: Arc<dyn Store>) {
    let (one, other) = (silo("a"), silo("b"));
    let [first, second, third] = <[_; 3]>::try_from(carts(3)).expect("three");
    register(&*store, &other, &second).await;
    let batch = vec![third.clone(), second.clone(), first.clone()];
    let outcomes = store.register(&one, batch.clone()).await.expect("register answers");
    let taken = RegisterOutcome::Owned(owned(&other, 1));
    assert_eq!(outcomes, [registered(1, None), taken, registered(1, None)]);

    let changes = batch.iter().map(|actor| EntryChange {
        actor: actor.clone(),
        expected: owned(&one, 1),
        new: free(2),
    });
    let outcomes = store
        .change_entries(changes.collect())
        .await
        .expect("change_entries answers");
    let conflict = EntryOutcome::Conflict(owned(&other, 1));
    assert_eq!(outcomes, [EntryOutcome::Changed, conflict, EntryOutcome::Changed]);

    let asked = vec![second.clone(), first, actor("cart", "nobody"), second, third];
    let entries = store.entries(asked).await.expect("entries answers");
    assert_eq!(
        entries,
        [owned(&other, 1), free(2), Entry::default(), owned(&other, 1), free(2)]
    );
}

/// The items of a batch take effect one after the other.
pub async fn a_batch_that_names_an_actor_twice_sees_its_own_changes(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    let twice = vec![alice.clone(), alice.clone()];
    let outcomes = store.register(&one, twice).await.expect("register answers");
    assert_eq!(outcomes, [registered(1, None), RegisterOutcome::Owned(owned(&one, 1))]);
    let step = |expected, new| EntryChange {
        actor: alice.clone(),
        expected,
        new,
    };
    let steps = vec![
        step(owned(&one, 1), free(2)),
        step(owned(&one, 1), free(3)),
        step(free(2), owned(&other, 3)),
    ];
    let outcomes = store.change_entries(steps).await.expect("change_entries answers");
    let conflict = EntryOutcome::Conflict(free(2));
    assert_eq!(outcomes, [EntryOutcome::Changed, conflict, EntryOutcome::Changed]);
    assert_eq!(entry(&*store, &alice).await, owned(&other, 3));
}

/// It names what the very incarnation owns now, by kind and then key.
pub async fn owned_by_is_exact_and_ordered(store: Arc<dyn Store>) {
    let (one, next, other) = (SiloId::new("a", 1), SiloId::new("a", 2), SiloId::new("b", 1));
    let mine = vec![
        actor("b", "1"),
        actor("a", "2"),
        actor("a", "10"),
        actor("B", "3"),
        actor("ä", "0"),
    ];
    store.register(&one, mine.clone()).await.expect("register answers");
    let moved = actor("a", "moved");
    let freed = actor("a", "freed");
    store
        .register(&one, vec![moved.clone(), freed.clone()])
        .await
        .expect("register answers");
    store
        .register(&next, vec![actor("a", "next")])
        .await
        .expect("register answers");
    change(&*store, &moved, owned(&one, 1), owned(&other, 2)).await;
    change(&*store, &freed, owned(&one, 1), free(2)).await;

    let mut expected = mine;
    expected.sort();
    assert_eq!(store.owned_by(&one).await.expect("owned_by answers"), expected);
    assert_eq!(
        store.owned_by(&next).await.expect("owned_by answers"),
        [actor("a", "next")]
    );
    assert_eq!(store.owned_by(&other).await.expect("owned_by answers"), [moved]);
    assert_eq!(store.owned_by(&silo("c")).await.expect("owned_by answers"), []);
}

/// Epochs and incarnations of all 64 bits are kept and compared as they are.
pub async fn numbers_keep_all_their_bits(store: Arc<dyn Store>) {
    let alice = actor("cart", "alice");
    let owner = SiloId::new("a", u64::MAX);
    let mut now = Entry::default();
    for epoch in [i64::MAX as u64, 1 << 63, u64::MAX - 1] {
        let new = owned(&owner, epoch);
        assert_eq!(
            change(&*store, &alice, now, new.clone()).await,
            EntryOutcome::Changed,
            "to {epoch}"
        );
        assert_eq!(entry(&*store, &alice).await, new);
        now = new;
    }
    let lower = change(&*store, &alice, now.clone(), free(1)).await;
    assert_eq!(lower, EntryOutcome::Conflict(now));
    assert_eq!(store.owned_by(&owner).await.expect("owned_by answers"), [alice]);
}

/// A batch of nothing is answered with nothing.
pub async fn empty_batches_answer_nothing(store: Arc<dyn Store>) {
    let owner = silo("a");
    assert_eq!(store.register(&owner, Vec::new()).await.expect("register answers"), []);
    assert_eq!(store.entries(Vec::new()).await.expect("entries answers"), []);
    assert_eq!(
        store.change_entries(Vec::new()).await.expect("change_entries answers"),
        []
    );
    assert_eq!(store.load(Vec::new()).await.expect("load answers"), []);
    assert_eq!(store.save(Vec::new()).await.expect("save answers"), []);
}

/// Thousands of actors in one call, as when a silo starts.
pub async fn a_large_batch_is_answered_whole(store: Arc<dyn Store>) {
    let (owner, actors) = (silo("a"), carts(10_000));
    let outcomes = store.register(&owner, actors.clone()).await.expect("register answers");
    assert_eq!(outcomes.len(), actors.len());
    assert!(outcomes.iter().all(|outcome| *outcome == registered(1, None)));
    let entries = store.entries(actors.clone()).await.expect("entries answers");
    assert!(entries.len() == actors.len() && entries.iter().all(|entry| *entry == owned(&owner, 1)));
    assert_eq!(store.owned_by(&owner).await.expect("owned_by answers"), actors);
}
