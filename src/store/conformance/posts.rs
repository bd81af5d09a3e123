//! Laws of the actors whose saved states have messages that are still to be sent.

use super::values::{actor, carts, change, free, owned, posters, register, request, save, silo};
use crate::store::{ETag, SaveOutcome, Store};
use std::sync::Arc;

/// In the step of the save itself.
pub async fn who_is_saved_with_posts_is_a_poster_until_saved_without(store: Arc<dyn Store>) {
    let (alice, bob, owner) = (actor("cart", "alice"), actor("cart", "bob"), silo("a"));
    for actor in [&alice, &bob] {
        register(&*store, &owner, actor).await;
    }
    assert!(posters(&*store).await.is_empty());
    save(&*store, request(&bob, &owner, 1, None, "without")).await;
    assert!(posters(&*store).await.is_empty());
    let mut with = request(&alice, &owner, 1, None, "with");
    with.has_posts = true;
    assert_eq!(save(&*store, with.clone()).await, SaveOutcome::Saved(ETag(1)));
    assert_eq!(posters(&*store).await, std::slice::from_ref(&alice));
    with.expected = Some(ETag(1));
    save(&*store, with).await;
    assert_eq!(posters(&*store).await, std::slice::from_ref(&alice), "still");
    save(&*store, request(&alice, &owner, 1, Some(2), "without")).await;
    assert!(posters(&*store).await.is_empty());
}

/// Neither makes it one nor takes it away.
pub async fn a_save_that_is_refused_changes_no_poster(store: Arc<dyn Store>) {
    let (alice, bob, owner) = (actor("cart", "alice"), actor("cart", "bob"), silo("a"));
    for actor in [&alice, &bob] {
        register(&*store, &owner, actor).await;
    }
    let mut with = request(&alice, &owner, 1, None, "with");
    with.has_posts = true;
    save(&*store, with).await;
    for (expected, epoch) in [(None, 1), (Some(1), 2)] {
        save(&*store, request(&alice, &owner, epoch, expected, "refused")).await;
        let mut refused = request(&bob, &owner, epoch, Some(7), "refused");
        refused.has_posts = true;
        save(&*store, refused).await;
    }
    assert_eq!(posters(&*store).await, [alice]);
}

/// An actor that nobody owns is found, too: somebody has to send what it has posted.
pub async fn posters_are_ordered_and_stay_whoever_owns_them(store: Arc<dyn Store>) {
    let (one, other) = (silo("a"), silo("b"));
    let carts = carts(150);
    for (number, cart) in carts.iter().enumerate().rev() {
        register(&*store, &one, cart).await;
        let mut with = request(cart, &one, 1, None, "with");
        with.has_posts = true;
        save(&*store, with).await;
        let new = if number % 2 == 0 { free(2) } else { owned(&other, 2) };
        change(&*store, cart, owned(&one, 1), new).await;
    }
    assert_eq!(posters(&*store).await, carts);
}
