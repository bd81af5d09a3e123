//! Laws of saved states.

use super::{
    race::{CALLERS, race},
    values::{
        actor, carts, change, entry, free, load, load_owned, owned, posters, register, registered, request, save, silo,
        state,
    },
};
use crate::{
    ident::{ActorId, SiloId},
    store::{ETag, Entry, EntryOutcome, NamedChange, NewState, SaveOutcome, SaveRequest, Store, StoredState},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The number counts the saves of the actor, whoever made them.
pub async fn the_first_save_is_number_one_and_each_next_is_one_more(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    register(&*store, &one, &alice).await;
    let first = save(&*store, request(&alice, &one, 1, None, "first")).await;
    assert_eq!(first, SaveOutcome::Saved(ETag(1)));
    let second = save(&*store, request(&alice, &one, 1, Some(1), "second")).await;
    assert_eq!(second, SaveOutcome::Saved(ETag(2)));
    change(&*store, &alice, owned(&one, 1), owned(&other, 2)).await;
    let third = save(&*store, request(&alice, &other, 2, Some(2), "third")).await;
    assert_eq!(third, SaveOutcome::Saved(ETag(3)));
    assert_eq!(load(&*store, &alice).await, Some(state(3, "third")));
}

/// A new owner gets the state with the entry.
pub async fn register_answers_the_saved_state(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    register(&*store, &one, &alice).await;
    let mut saved = request(&alice, &one, 1, None, "of the cart");
    saved.version = "2.0.0-rc.1+build.5".into();
    save(&*store, saved).await;
    change(&*store, &alice, owned(&one, 1), free(2)).await;
    let expected = StoredState {
        version: "2.0.0-rc.1+build.5".into(),
        ..state(1, "of the cart")
    };
    assert_eq!(register(&*store, &other, &alice).await, registered(3, Some(expected)));
}

/// Another silo, another incarnation, another epoch, a free entry, none at all: nothing is saved.
pub async fn a_save_by_another_than_the_owner_is_refused(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), SiloId::new("a", 2));
    let early = save(&*store, request(&alice, &owner, 0, None, "early")).await;
    assert_eq!(early, SaveOutcome::NotOwner(Entry::default()));
    change(&*store, &alice, Entry::default(), owned(&owner, 5)).await;
    for (silo, epoch) in [
        (SiloId::new("b", 2), 5),
        (SiloId::new("a", 1), 5),
        (SiloId::new("a", 3), 5),
        (owner.clone(), 4),
        (owner.clone(), 6),
    ] {
        let outcome = save(&*store, request(&alice, &silo, epoch, None, "not mine")).await;
        assert_eq!(outcome, SaveOutcome::NotOwner(owned(&owner, 5)), "{silo} at {epoch}");
    }
    change(&*store, &alice, owned(&owner, 5), free(6)).await;
    for epoch in [5, 6] {
        let outcome = save(&*store, request(&alice, &owner, epoch, None, "late")).await;
        assert_eq!(outcome, SaveOutcome::NotOwner(free(6)), "at {epoch}");
    }
    assert_eq!(load(&*store, &alice).await, None);
}

/// An expectation that is not the number of the state, `None` included, is a conflict, and nothing is saved.
pub async fn a_save_that_expects_another_number_tells_both(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    let conflict = |expected: Option<u64>, actual: Option<u64>| SaveOutcome::Conflict {
        expected: expected.map(ETag),
        actual: actual.map(ETag),
    };
    for expected in [0, 1] {
        let outcome = save(&*store, request(&alice, &owner, 1, Some(expected), "of nothing")).await;
        assert_eq!(outcome, conflict(Some(expected), None));
    }
    save(&*store, request(&alice, &owner, 1, None, "first")).await;
    save(&*store, request(&alice, &owner, 1, Some(1), "second")).await;
    for expected in [None, Some(0), Some(1), Some(3)] {
        let outcome = save(&*store, request(&alice, &owner, 1, expected, "wrong")).await;
        assert_eq!(outcome, conflict(expected, Some(2)));
    }
    assert_eq!(load(&*store, &alice).await, Some(state(2, "second")));
}

/// Who does not own the actor learns that, and not that its number is old as well.
pub async fn the_owner_is_checked_before_the_number(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    register(&*store, &one, &alice).await;
    let outcome = save(&*store, request(&alice, &other, 1, Some(7), "wrong twice")).await;
    assert_eq!(outcome, SaveOutcome::NotOwner(owned(&one, 1)));
}

/// Of many saves in place of one state, one is made.
pub async fn concurrent_saves_have_one_winner(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    for last in 0..10 {
        let expected = (last > 0).then_some(last);
        let (contested, writer) = (alice.clone(), owner.clone());
        let outcomes = race(&store, move |store, caller| {
            let request = request(&contested, &writer, 1, expected, &caller.to_string());
            Box::pin(async move { save(&*store, request).await })
        })
        .await;
        let saved = load(&*store, &alice).await.expect("one was saved");
        assert_eq!(saved.etag, ETag(last + 1));
        for (caller, outcome) in (0..CALLERS).zip(outcomes) {
            let won = saved.body == caller.to_string();
            let lost = SaveOutcome::Conflict {
                expected: expected.map(ETag),
                actual: Some(saved.etag),
            };
            let outcome_due = if won { SaveOutcome::Saved(saved.etag) } else { lost };
            assert_eq!(outcome, outcome_due, "caller {caller}");
        }
    }
}

/// While an owner saves without pause its actor is moved: from the moment of the move nothing of it arrives.
pub async fn no_save_succeeds_after_the_entry_has_moved(store: Arc<dyn Store>) {
    let (one, other) = (silo("a"), silo("b"));
    for (round, alice) in carts(20).into_iter().enumerate() {
        register(&*store, &one, &alice).await;
        let moved = Arc::new(AtomicBool::new(false));
        let (actor, from, to) = (alice.clone(), one.clone(), other.clone());
        let numbers = race(&store, move |store, caller| {
            let (actor, from, to, moved) = (actor.clone(), from.clone(), to.clone(), Arc::clone(&moved));
            Box::pin(async move {
                match caller {
                    0 => save_until_moved(&*store, &actor, &from, &moved).await,
                    1 => {
                        let _end = SetWhenDropped(&moved);
                        // Now earlier, now later in the other's work.
                        for _ in 0..round {
                            load(&*store, &actor).await;
                        }
                        let outcome = change(&*store, &actor, owned(&from, 1), owned(&to, 2)).await;
                        assert_eq!(outcome, EntryOutcome::Changed);
                        load(&*store, &actor).await.map(|state| state.etag)
                    }
                    _ => None,
                }
            })
        })
        .await;
        assert_eq!(
            numbers[0], numbers[1],
            "what was saved last, and what was there right after the move"
        );
        assert_eq!(load(&*store, &alice).await.map(|state| state.etag), numbers[0]);
    }
}

/// Saves until it is told that it owns the actor no more; answers the number of the last state.
async fn save_until_moved(store: &dyn Store, actor: &ActorId, from: &SiloId, moved: &AtomicBool) -> Option<ETag> {
    let mut last = None;
    loop {
        let late = moved.load(Ordering::SeqCst);
        match save(
            store,
            request(actor, from, 1, last.map(|ETag(number)| number), "by the first owner"),
        )
        .await
        {
            SaveOutcome::Saved(_) if late => panic!("a save of {actor} succeeded after the entry had moved"),
            SaveOutcome::Saved(etag) => last = Some(etag),
            SaveOutcome::NotOwner(_) => return last,
            SaveOutcome::Cleared => panic!("nobody takes the state of {actor} away"),
            SaveOutcome::NamedConflict { name, .. } => panic!("no state of {actor} is called {name:?}"),
            SaveOutcome::Conflict { actual, .. } => panic!("nobody else saves {actor}, yet there is {actual:?}"),
        }
    }
}

/// Also when its holder panics, so that nobody waits for a store that is broken.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Saves that fail, for whatever reason, leave the others of their batch alone, which take effect in order.
pub async fn a_batch_of_saves_is_answered_item_by_item(store: Arc<dyn Store>) {
    let (one, other) = (silo("a"), silo("b"));
    let [mine, again, theirs, conflicting] = <[_; 4]>::try_from(carts(4)).expect("four");
    for actor in [&mine, &again, &conflicting] {
        register(&*store, &one, actor).await;
    }
    register(&*store, &other, &theirs).await;
    let outcomes = store
        .save(vec![
            request(&theirs, &one, 1, None, "not mine"),
            request(&again, &one, 1, None, "first"),
            request(&conflicting, &one, 1, Some(4), "not there"),
            request(&again, &one, 1, Some(1), "second"),
            request(&mine, &one, 1, None, "mine"),
        ])
        .await
        .expect("save answers");
    let conflict = SaveOutcome::Conflict {
        expected: Some(ETag(4)),
        actual: None,
    };
    let expected = [
        SaveOutcome::NotOwner(owned(&other, 1)),
        SaveOutcome::Saved(ETag(1)),
        conflict,
        SaveOutcome::Saved(ETag(2)),
        SaveOutcome::Saved(ETag(1)),
    ];
    assert_eq!(outcomes, expected);
    let states = store
        .load(vec![mine, again, theirs, conflicting])
        .await
        .expect("load answers");
    assert_eq!(states, [Some(state(1, "mine")), Some(state(2, "second")), None, None]);
}

/// A state outlives its owner, and a batch of loads is answered in the order asked.
pub async fn states_are_loaded_in_order_whoever_owns_the_actors(store: Arc<dyn Store>) {
    let (one, other) = (silo("a"), silo("b"));
    let [freed, moved, kept] = <[_; 3]>::try_from(carts(3)).expect("three");
    for actor in [&freed, &moved, &kept] {
        register(&*store, &one, actor).await;
        save(&*store, request(actor, &one, 1, None, actor.key())).await;
    }
    change(&*store, &freed, owned(&one, 1), free(2)).await;
    change(&*store, &moved, owned(&one, 1), owned(&other, 2)).await;
    let asked = vec![
        kept.clone(),
        actor("cart", "nobody"),
        freed.clone(),
        moved.clone(),
        kept.clone(),
    ];
    let states = store.load(asked).await.expect("load answers");
    let of = |actor: &ActorId| Some(state(1, actor.key()));
    assert_eq!(states, [of(&kept), None, of(&freed), of(&moved), of(&kept)]);
    assert_eq!(entry(&*store, &freed).await, free(2), "loading owns nothing");
}

/// A megabyte of all byte values, saved over a small state and loaded.
pub async fn a_state_of_a_megabyte_comes_back_whole(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    save(&*store, request(&alice, &owner, 1, None, "small")).await;
    let body: Vec<u8> = (0..1_u32 << 20).map(|i| (i ^ (i >> 8)).to_le_bytes()[0]).collect();
    let mut large = request(&alice, &owner, 1, Some(1), "");
    large.body = Some(body.clone().into());
    assert_eq!(save(&*store, large).await, SaveOutcome::Saved(ETag(2)));
    let found = load(&*store, &alice).await.expect("a state");
    assert_eq!((found.etag, found.body.len()), (ETag(2), body.len()));
    assert!(found.body == body, "the bytes differ");
}

/// No bytes are not no state.
pub async fn an_empty_state_is_a_state(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    let mut empty = request(&alice, &owner, 1, None, "");
    empty.version = String::new();
    assert_eq!(save(&*store, empty).await, SaveOutcome::Saved(ETag(1)));
    let expected = StoredState {
        version: String::new(),
        ..state(1, "")
    };
    assert_eq!(load(&*store, &alice).await, Some(expected));
}

/// In one step, as a save: by the owner alone, in place of the state that it knows.
pub async fn a_cleared_state_of_an_actor_is_gone_and_begins_again(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    register(&*store, &one, &alice).await;
    let clear = |owner: &SiloId, epoch, expected| SaveRequest {
        body: None,
        ..request(&alice, owner, epoch, expected, "")
    };
    assert_eq!(
        save(&*store, clear(&one, 1, None)).await,
        SaveOutcome::Cleared,
        "there is none"
    );
    save(&*store, request(&alice, &one, 1, None, "first")).await;
    let conflict = |expected: Option<u64>, actual: Option<u64>| SaveOutcome::Conflict {
        expected: expected.map(ETag),
        actual: actual.map(ETag),
    };
    assert_eq!(save(&*store, clear(&one, 1, Some(2))).await, conflict(Some(2), Some(1)));
    assert_eq!(
        save(&*store, clear(&other, 1, Some(1))).await,
        SaveOutcome::NotOwner(owned(&one, 1))
    );
    assert_eq!(
        load(&*store, &alice).await,
        Some(state(1, "first")),
        "nothing was cleared"
    );

    assert_eq!(save(&*store, clear(&one, 1, Some(1))).await, SaveOutcome::Cleared);
    assert_eq!(load(&*store, &alice).await, None);
    let late = request(&alice, &one, 1, Some(1), "late");
    assert_eq!(save(&*store, late).await, conflict(Some(1), None));
    change(&*store, &alice, owned(&one, 1), owned(&other, 2)).await;
    assert_eq!(
        save(&*store, clear(&one, 1, None)).await,
        SaveOutcome::NotOwner(owned(&other, 2))
    );
    let again = request(&alice, &other, 2, None, "again");
    assert_eq!(save(&*store, again).await, SaveOutcome::Saved(ETag(1)));
    assert_eq!(load(&*store, &alice).await, Some(state(1, "again")));
    change(&*store, &alice, owned(&other, 2), free(3)).await;
    save(&*store, clear(&one, 4, Some(1))).await;
    assert_eq!(load(&*store, &alice).await, Some(state(1, "again")), "it is nobody's");
}

/// Its named states are saved with it, and nobody waits for its posts any more.
pub async fn what_else_a_save_says_holds_for_one_that_clears(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    let mut first = request(&alice, &owner, 1, None, "first");
    first.has_posts = true;
    save(&*store, first).await;
    assert_eq!(posters(&*store).await, std::slice::from_ref(&alice));
    let mut clear = request(&alice, &owner, 1, Some(1), "");
    clear.body = None;
    clear.named.push(NamedChange {
        name: "history".into(),
        expected: None,
        new: Some(NewState {
            version: "1.0.0".into(),
            body: "kept".into(),
        }),
    });
    assert_eq!(save(&*store, clear).await, SaveOutcome::Cleared);
    assert_eq!(
        (load(&*store, &alice).await, posters(&*store).await),
        (None, Vec::new())
    );
    let history = store.load_named(&alice, "history").await.expect("load_named answers");
    assert_eq!(history, Some(state(1, "kept")));
}

/// Owners follow each other, and each saves by which epoch it does so: who reads both never sees a state of a later owner than the
/// entry names, nor one that the owner before did not see.
pub async fn an_entry_and_its_state_are_read_of_one_moment(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    assert_eq!(load_owned(&*store, &alice).await, (Entry::default(), None));
    register(&*store, &owner, &alice).await;
    save(&*store, request(&alice, &owner, 1, None, "1")).await;
    let is = (owned(&owner, 1), Some(state(1, "1")));
    assert_eq!(load_owned(&*store, &alice).await, is);
    let (contested, writer, over) = (alice.clone(), owner.clone(), Arc::new(AtomicBool::new(false)));
    race(&store, move |store, caller| {
        let (actor, owner, over) = (contested.clone(), writer.clone(), Arc::clone(&over));
        Box::pin(async move {
            if caller == 0 {
                let _end = SetWhenDropped(&over);
                for epoch in 2..40 {
                    change(&*store, &actor, owned(&owner, epoch - 1), owned(&owner, epoch)).await;
                    save(
                        &*store,
                        request(&actor, &owner, epoch, Some(epoch - 1), &epoch.to_string()),
                    )
                    .await;
                }
            } else {
                while !over.load(Ordering::SeqCst) {
                    let (entry, found) = load_owned(&*store, &actor).await;
                    let found = found.expect("a state");
                    let by: u64 = std::str::from_utf8(&found.body)
                        .expect("text")
                        .parse()
                        .expect("an epoch");
                    assert!(by == entry.epoch.0 || by + 1 == entry.epoch.0, "{by} at {entry:?}");
                }
            }
        })
    })
    .await;
}
