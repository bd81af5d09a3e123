//! The laws that every store keeps, as functions that panic when a store breaks one.
//!
//! Owns the meaning of the [`Store`] contract in executable form, for the authors of backends. Each law takes a fresh,
//! empty store. [`store_conformance!`](crate::store_conformance) makes a test of each; [`all`] runs them in one go.
//! Imports the contract, `clock` and `ident`.
//!
//! ```
//! # use std::sync::Arc;
//! # use quark::store::{MemoryStore, conformance};
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! runtime.block_on(conformance::all(|| Arc::new(MemoryStore::new())));
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod documents;
pub mod entries;
pub mod members;
pub mod named;
pub mod names;
pub mod posts;
mod race;
pub mod reminders;
pub mod states;
pub mod subscriptions;
mod values;

pub use values::row;

use super::Store;
use futures_util::{FutureExt, future::BoxFuture};
use std::{panic::AssertUnwindSafe, sync::Arc};

/// A law by its name.
pub struct Law {
    /// What it says.
    pub name: &'static str,
    /// Tries a fresh store; panics if the store breaks the law.
    pub holds: fn(Arc<dyn Store>) -> BoxFuture<'static, ()>,
}

/// All laws.
pub const LAWS: &[Law] = crate::store_conformance!(@each table ());

/// Tries all laws, each on a store of its own.
///
/// # Panics
/// If the stores break a law; the text names each that is broken, and what was seen was printed as it came.
pub async fn all(make: impl Fn() -> Arc<dyn Store>) {
    let mut broken = Vec::new();
    for law in LAWS {
        let trial = AssertUnwindSafe((law.holds)(make())).catch_unwind();
        if trial.await.is_err() {
            broken.push(law.name);
        }
    }
    assert!(
        broken.is_empty(),
        "the store breaks {} of {} laws: {broken:?}",
        broken.len(),
        LAWS.len()
    );
}

/// Tries one law on a runtime of its own: the body of a test.
///
/// # Panics
/// If the store that `make` makes breaks the law.
pub fn check<F: Future<Output = ()>>(law: impl FnOnce(Arc<dyn Store>) -> F, make: impl FnOnce() -> Arc<dyn Store>) {
    // The store is made on the runtime, because a client of a server may bind to it.
    race::runtime().block_on(async { law(make()).await });
}

/// Makes a test of each law of [`conformance`](crate::store::conformance): `store_conformance!(expression)` in a test
/// module, where the expression makes a fresh `Arc` of a store.
#[macro_export]
macro_rules! store_conformance {
    (@each $form:ident $given:tt) => {
        $crate::store_conformance! { @$form $given
            members::a_new_store_is_empty_at_view_zero,
            members::an_accepted_change_grows_the_view_by_one,
            members::a_change_at_another_view_changes_nothing_and_answers_the_table,
            members::concurrent_changes_of_the_view_have_one_winner,
            members::concurrent_changes_that_retry_all_take_effect,
            members::an_accepted_change_is_told_to_who_watches,
            members::a_heartbeat_does_not_change_the_view,
            members::a_put_does_not_change_the_heartbeat_of_an_existing_row,
            members::a_heartbeat_of_an_unknown_silo_answers_none,
            members::a_removed_row_is_gone,
            members::rows_are_ordered_by_silo,
            members::rows_come_back_as_they_were_put,
            entries::an_actor_that_never_had_an_owner_has_the_default_entry,
            entries::register_takes_a_free_entry_at_the_next_epoch,
            entries::register_at_once_is_register_or_nothing,
            entries::register_leaves_an_owned_entry_and_answers_it,
            entries::concurrent_registers_have_one_winner,
            entries::concurrent_registers_of_batches_have_one_winner_for_each_actor,
            entries::concurrent_changes_of_an_entry_have_one_winner,
            entries::a_conflict_answers_the_entry_as_it_is,
            entries::the_epoch_grows_when_an_entry_becomes_free_and_register_goes_on_after_it,
            entries::a_change_that_does_not_raise_the_epoch_is_refused,
            entries::a_batch_is_answered_in_order_and_item_by_item,
            entries::a_batch_that_names_an_actor_twice_sees_its_own_changes,
            entries::owned_by_is_exact_and_ordered,
            entries::numbers_keep_all_their_bits,
            entries::empty_batches_answer_nothing,
            entries::a_large_batch_is_answered_whole,
            states::the_first_save_is_number_one_and_each_next_is_one_more,
            states::register_answers_the_saved_state,
            states::a_save_by_another_than_the_owner_is_refused,
            states::a_save_that_expects_another_number_tells_both,
            states::the_owner_is_checked_before_the_number,
            states::concurrent_saves_have_one_winner,
            states::no_save_succeeds_after_the_entry_has_moved,
            states::a_batch_of_saves_is_answered_item_by_item,
            states::states_are_loaded_in_order_whoever_owns_the_actors,
            states::a_state_of_a_megabyte_comes_back_whole,
            states::an_empty_state_is_a_state,
            states::a_cleared_state_of_an_actor_is_gone_and_begins_again,
            states::what_else_a_save_says_holds_for_one_that_clears,
            states::an_entry_and_its_state_are_read_of_one_moment,
            named::named_states_are_saved_with_their_actor_or_not_at_all,
            named::named_states_have_numbers_of_their_own,
            named::a_cleared_state_is_gone_and_begins_again,
            named::names_kinds_and_keys_do_not_collide,
            named::concurrent_saves_of_a_named_state_have_one_winner,
            posts::who_is_saved_with_posts_is_a_poster_until_saved_without,
            posts::a_save_that_is_refused_changes_no_poster,
            posts::posters_are_ordered_and_stay_whoever_owns_them,
            documents::a_document_comes_back_as_it_was_last_put,
            documents::a_put_that_expects_another_number_tells_the_document_as_it_is,
            documents::concurrent_puts_of_a_document_have_one_winner,
            documents::documents_of_other_names_are_other_documents,
            reminders::a_reminder_comes_back_as_it_was_last_set,
            reminders::a_removed_reminder_is_gone,
            reminders::writes_of_one_batch_take_effect_in_order,
            reminders::an_actor_that_has_another_owner_sets_no_reminder,
            reminders::reminders_of_other_actors_and_names_are_others,
            reminders::a_bucket_is_read_in_windows,
            reminders::a_bucket_has_one_owner_at_a_time,
            reminders::concurrent_claims_of_a_bucket_have_one_winner,
            reminders::a_tick_is_due_for_the_owner_of_its_bucket_alone,
            reminders::a_tick_is_advanced_once,
            reminders::an_advance_neither_reverts_nor_revives,
            reminders::a_large_batch_of_reminders_is_answered_whole,
            subscriptions::subscriptions_come_back_until_they_are_ended,
            subscriptions::who_does_not_own_a_stream_subscribes_nobody_to_it,
            names::equal_keys_of_different_kinds_are_different_actors,
            names::odd_names_do_not_collide,
            names::odd_silo_names_do_not_collide,
        }
    };
    (@test { $make:expr } $($area:ident::$law:ident,)+) => {
        $(
            #[test]
            fn $law() {
                $crate::store::conformance::check($crate::store::conformance::$area::$law, || $make);
            }
        )+
    };
    (@table () $($area:ident::$law:ident,)+) => {
        &[$(
            Law {
                name: stringify!($law),
                holds: |store| Box::pin($area::$law(store)),
            },
        )+]
    };
    ($make:expr) => {
        $crate::store_conformance! { @each test { $make } }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    #[should_panic(expected = "a_new_store_is_empty_at_view_zero")]
    fn all_names_the_laws_that_are_broken() {
        // One store for all laws is no fresh store for each.
        let used = MemoryStore::new();
        let one = || -> Arc<dyn Store> { Arc::new(used.clone()) };
        race::runtime().block_on(async {
            members::an_accepted_change_grows_the_view_by_one(one()).await;
            all(one).await;
        });
    }
}
