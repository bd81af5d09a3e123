//! Laws of named states.

use super::{
    race::{CALLERS, race},
    values::{actor, change as change_entry, load, owned, register, request, save, silo, state},
};
use crate::{
    ident::ActorId,
    store::{ETag, NamedChange, NewState, SaveOutcome, Store, StoredState},
};
use std::sync::Arc;

fn put(name: &str, expected: Option<u64>, body: &str) -> NamedChange {
    NamedChange {
        name: name.into(),
        expected: expected.map(ETag),
        new: Some(NewState {
            version: "1.0.0".into(),
            body: body.to_owned().into(),
        }),
    }
}

fn clear(name: &str, expected: u64) -> NamedChange {
    NamedChange {
        new: None,
        ..put(name, Some(expected), "")
    }
}

async fn named(store: &dyn Store, actor: &ActorId, name: &str) -> Option<StoredState> {
    store.load_named(actor, name).await.expect("load_named answers")
}

/// In one step: an owner, a number of the actor or of one of the states that is not as expected, and nothing is saved.
pub async fn named_states_are_saved_with_their_actor_or_not_at_all(store: Arc<dyn Store>) {
    let (alice, one, other) = (actor("cart", "alice"), silo("a"), silo("b"));
    register(&*store, &one, &alice).await;
    let with = |expected, named| {
        let mut save = request(&alice, &one, 1, expected, "own");
        save.named = named;
        save
    };
    let both = with(None, vec![put("a", None, "a1"), put("b", None, "b1")]);
    assert_eq!(save(&*store, both).await, SaveOutcome::Saved(ETag(1)));
    let is = async |own, a, b| {
        assert_eq!(load(&*store, &alice).await, Some(own));
        assert_eq!(named(&*store, &alice, "a").await, Some(a));
        assert_eq!(named(&*store, &alice, "b").await, Some(b));
    };
    is(state(1, "own"), state(1, "a1"), state(1, "b1")).await;

    let refused = with(Some(1), vec![put("a", Some(1), "a2"), put("b", Some(2), "b2")]);
    let conflict = SaveOutcome::NamedConflict {
        name: "b".into(),
        expected: Some(ETag(2)),
        actual: Some(ETag(1)),
    };
    assert_eq!(save(&*store, refused).await, conflict);
    let refused = with(Some(2), vec![put("a", Some(1), "a2")]);
    assert!(
        matches!(save(&*store, refused).await, SaveOutcome::Conflict { .. }),
        "the actor's own comes first"
    );
    let mut refused = with(Some(1), vec![put("a", Some(1), "a2")]);
    refused.owner.silo = other.clone();
    assert!(matches!(save(&*store, refused).await, SaveOutcome::NotOwner(_)));
    is(state(1, "own"), state(1, "a1"), state(1, "b1")).await;

    change_entry(&*store, &alice, owned(&one, 1), owned(&other, 2)).await;
    let late = with(Some(1), vec![put("a", Some(1), "a2")]);
    assert!(matches!(save(&*store, late).await, SaveOutcome::NotOwner(_)));
    is(state(1, "own"), state(1, "a1"), state(1, "b1")).await;
}

/// Only what is named in a save is changed by it.
pub async fn named_states_have_numbers_of_their_own(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    for own in 0..5 {
        let mut with = request(&alice, &owner, 1, (own > 0).then_some(own), "own");
        if own % 2 == 0 {
            with.named
                .push(put("a", (own > 0).then_some(own / 2), &own.to_string()));
        }
        assert_eq!(save(&*store, with).await, SaveOutcome::Saved(ETag(own + 1)));
    }
    assert_eq!(load(&*store, &alice).await, Some(state(5, "own")));
    assert_eq!(named(&*store, &alice, "a").await, Some(state(3, "4")));
    assert_eq!(named(&*store, &alice, "b").await, None);
}

/// R118
pub async fn a_cleared_state_is_gone_and_begins_again(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    let mut expected = None;
    let mut save_with = async |change: NamedChange| {
        let mut with = request(&alice, &owner, 1, expected, "own");
        with.named.push(change);
        let outcome = save(&*store, with).await;
        if let SaveOutcome::Saved(ETag(number)) = outcome {
            expected = Some(number);
        }
        outcome
    };
    save_with(put("a", None, "first")).await;
    let conflict = |expected: u64, actual: Option<u64>| SaveOutcome::NamedConflict {
        name: "a".into(),
        expected: Some(ETag(expected)),
        actual: actual.map(ETag),
    };
    assert_eq!(save_with(clear("a", 2)).await, conflict(2, Some(1)));
    assert_eq!(save_with(clear("a", 1)).await, SaveOutcome::Saved(ETag(2)));
    assert_eq!(named(&*store, &alice, "a").await, None);
    assert_eq!(save_with(clear("a", 1)).await, conflict(1, None));
    save_with(put("a", None, "again")).await;
    assert_eq!(named(&*store, &alice, "a").await, Some(state(1, "again")));
}

/// Whatever characters they have.
pub async fn names_kinds_and_keys_do_not_collide(store: Arc<dyn Store>) {
    let owner = silo("a");
    let places = [
        ("k", "a", "b:c"),
        ("k", "a:b", "c"),
        ("k:a", "b", "c"),
        ("k", "a", "b"),
        ("k", "a", "é}{"),
    ];
    for (kind, key, name) in places {
        let id = actor(kind, key);
        register(&*store, &owner, &id).await;
        let own = load(&*store, &id).await.map(|state| state.etag.0);
        let mut with = request(&id, &owner, 1, own, "own");
        with.named.push(put(name, None, &format!("{kind}/{key}/{name}")));
        assert!(
            matches!(save(&*store, with).await, SaveOutcome::Saved(_)),
            "{kind}/{key}/{name}"
        );
    }
    for (kind, key, name) in places {
        let found = named(&*store, &actor(kind, key), name).await;
        assert_eq!(found, Some(state(1, &format!("{kind}/{key}/{name}"))));
    }
}

/// Though all know the number of the actor itself to be whatever it is.
pub async fn concurrent_saves_of_a_named_state_have_one_winner(store: Arc<dyn Store>) {
    let (alice, owner) = (actor("cart", "alice"), silo("a"));
    register(&*store, &owner, &alice).await;
    for last in 0..10 {
        let expected = (last > 0).then_some(last);
        let (contested, writer) = (alice.clone(), owner.clone());
        let outcomes = race(&store, move |store, caller| {
            let mut with = request(&contested, &writer, 1, expected, "own");
            with.named.push(put("a", expected, &caller.to_string()));
            Box::pin(async move { save(&*store, with).await })
        })
        .await;
        let saved = named(&*store, &alice, "a").await.expect("one was saved");
        assert_eq!(saved.etag, ETag(last + 1));
        for (caller, outcome) in (0..CALLERS).zip(outcomes) {
            let won = saved.body == caller.to_string();
            assert_eq!(
                won,
                outcome == SaveOutcome::Saved(ETag(last + 1)),
                "caller {caller}: {outcome:?}"
            );
        }
    }
}
