//! One thread, many callers: what shares a transaction, and what a failure takes with it.

use super::{Gate, Place, actor, block_on, send};
use crate::{
    ident::SiloId,
    store::{
        Change, EmbeddedStore, RegisterOutcome, Store, StoreError, StoreFuture,
        conformance::row,
        embedded::{failure::Failure, job::Access},
    },
};
use futures_util::future::join_all;
use std::sync::atomic::Ordering;

fn silo() -> SiloId {
    SiloId::new("a", 1)
}

fn transactions(store: &EmbeddedStore) -> u64 {
    store.transactions.load(Ordering::Relaxed)
}

fn is_unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable { .. }))
}

#[test]
fn operations_that_wait_share_one_transaction() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        let gate = Gate::close(&store);
        let before = transactions(&store);
        let mut waiting: Vec<StoreFuture<'_, Vec<RegisterOutcome>>> = (0..1_000)
            .map(|key| store.register(&silo(), vec![actor(&key.to_string())]))
            .collect();
        assert!(waiting.iter_mut().all(send));
        gate.open().await;
        assert!(join_all(waiting).await.iter().all(Result::is_ok));
        assert_eq!(transactions(&store) - before, 1);
    });
}

#[test]
fn ten_thousand_concurrent_registers_take_far_fewer_transactions() {
    let place = Place::new();
    let store = place.open();
    let actors: Vec<_> = (0..10_000).map(|key| actor(&format!("{key:05}"))).collect();
    block_on(async {
        let gate = Gate::close(&store);
        let registers = actors.iter().map(|actor| store.register(&silo(), vec![actor.clone()]));
        let (answers, ()) = futures_util::future::join(join_all(registers), gate.open()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(store.owned_by(&silo()).await.unwrap(), actors);
    });
    let transactions = transactions(&store);
    assert!(
        transactions < 1_000,
        "{transactions} transactions for 10,000 operations"
    );
}

#[test]
fn a_transaction_takes_no_more_than_its_share() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        let gate = Gate::close(&store);
        let before = transactions(&store);
        let mut waiting: Vec<_> = (0..4)
            .map(|_| store.submit(Access::Writes, 8_192, |_| Ok(())))
            .collect();
        assert!(waiting.iter_mut().all(send));
        gate.open().await;
        assert!(join_all(waiting).await.iter().all(Result::is_ok));
        assert_eq!(transactions(&store) - before, 4);
    });
}

#[test]
fn a_job_that_fails_leaves_no_trace_and_its_neighbours_alone() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        let gate = Gate::close(&store);
        let before = transactions(&store);
        let mut first = store.register(&silo(), vec![actor("first")]);
        let mut failing: StoreFuture<'_, ()> = store.submit(Access::Writes, 1, |file| {
            file.prepare("UPDATE entries SET epoch = 99")?.execute([])?;
            file.prepare("INSERT INTO entries (cluster, kind, key, epoch) VALUES (1, 'cart', 'first', 7)")?
                .execute([])?;
            Ok(())
        });
        let mut last = store.register(&silo(), vec![actor("last")]);
        assert!(send(&mut first) && send(&mut failing) && send(&mut last));
        gate.open().await;
        assert_eq!(first.await.unwrap().len(), 1);
        assert!(is_unavailable(&failing.await), "it breaks the primary key");
        assert_eq!(last.await.unwrap().len(), 1);
        assert_eq!(transactions(&store) - before, 1, "they were in one transaction");
        let entries = store.entries(vec![actor("first"), actor("last")]).await.unwrap();
        assert!(entries.iter().all(|entry| entry.epoch.0 == 1), "{entries:?}");
    });
}

#[test]
fn a_transaction_that_cannot_be_finished_fails_all_its_jobs_and_changes_nothing() {
    let place = Place::new();
    let store = place.open();
    let limit_pages = |limit: u32| {
        store.submit(Access::Reads, 1, move |file| {
            let sql = format!("PRAGMA max_page_count = {limit}");
            file.connection().query_row(&sql, [], |_| Ok(())).map_err(Failure::from)
        })
    };
    let key = |part: u32| actor(&format!("{part:0>1000}"));
    block_on(async {
        limit_pages(1).await.unwrap();
        let gate = Gate::close(&store);
        let mut small = store.register(&silo(), vec![actor("small")]);
        let mut large = store.register(&silo(), (0..100).map(key).collect());
        let mut late = store.register(&silo(), vec![actor("late")]);
        assert!(send(&mut small) && send(&mut large) && send(&mut late));
        gate.open().await;
        let text = large.await.unwrap_err().to_string();
        assert!(text.contains("make room"), "{text}");
        assert!(is_unavailable(&small.await), "its transaction is lost");
        assert!(is_unavailable(&late.await), "its transaction is lost");
        assert_eq!(store.owned_by(&silo()).await.unwrap(), []);

        limit_pages(1 << 20).await.unwrap();
        let again = store.register(&silo(), (0..100).map(key).collect()).await;
        assert_eq!(again.unwrap().len(), 100, "the store goes on when there is room");
    });
}

#[test]
fn a_panic_costs_its_transaction_and_nothing_else() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        let gate = Gate::close(&store);
        let mut beside = store.register(&silo(), vec![actor("beside")]);
        // Heavy, so that the next job has a transaction of its own.
        let mut fatal: StoreFuture<'_, ()> = store.submit(Access::Writes, 10_000, |_| panic!("meant to happen"));
        let mut behind = store.register(&silo(), vec![actor("behind")]);
        assert!(send(&mut beside) && send(&mut fatal) && send(&mut behind));
        gate.open().await;
        for lost in [beside.await.err(), fatal.await.err()] {
            let error = lost.expect("its transaction is lost");
            assert!(
                error.is_transient() && error.to_string().contains("panicked"),
                "{error}"
            );
        }
        assert_eq!(behind.await.unwrap().len(), 1, "the store goes on");
        for _ in 0..2_000 {
            store.members().await.expect("every place in the queue is given back");
        }
        assert_eq!(store.owned_by(&silo()).await.unwrap(), [actor("behind")]);
    });
}

#[test]
fn dropping_the_store_finishes_what_it_accepted() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        let gate = Gate::close(&store);
        let mut accepted = store.register(&silo(), vec![actor("accepted")]);
        assert!(send(&mut accepted));
        drop(accepted);
        gate.release.send(()).unwrap();
    });
    drop(store);
    let again = place.open();
    assert_eq!(block_on(again.owned_by(&silo())).unwrap(), [actor("accepted")]);
}

/// What a lease hangs on waits for no disk: another process stands in its commit, as it does beside a program that fills the disk.
#[test]
fn heartbeats_wait_for_no_writer() {
    let place = Place::new();
    let (store, other) = (place.open(), place.open());
    let put = Change::Put(row(&silo()));
    block_on(store.change_member(0, put)).unwrap().unwrap();
    let commit = place.sql();
    commit.execute_batch("BEGIN IMMEDIATE").unwrap();
    block_on(async {
        // This process waits for the other's commit, and its queue is full.
        let mut saves: Vec<_> = (0..2_000)
            .map(|key| store.register(&silo(), vec![actor(&key.to_string())]))
            .collect();
        assert!(saves.iter_mut().all(send));
        for beat in 1..=3 {
            let row = store.heartbeat(&silo(), beat).await.unwrap();
            assert_eq!(row.map(|row| row.heartbeat), Some(beat));
            assert_eq!(other.members().await.unwrap().rows[0].heartbeat, beat);
        }
        commit.execute_batch("ROLLBACK").unwrap();
        assert!(join_all(saves).await.iter().all(Result::is_ok));
    });
}

#[test]
fn the_membership_table_is_changed_ahead_of_all_that_waits() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        let gate = Gate::close(&store);
        let before = transactions(&store);
        let (tell, told) = crossbeam_channel::unbounded();
        let mut waiting: Vec<_> = (0..3)
            .map(|_| {
                let tell = tell.clone();
                store.submit(Access::Writes, 8_192, move |file| {
                    tell.send(crate::store::embedded::members::table(file)?.view).unwrap();
                    Ok(())
                })
            })
            .collect();
        assert!(waiting.iter_mut().all(send));
        let mut change = store.change_member(0, Change::Put(row(&silo())));
        assert!(send(&mut change));
        gate.open().await;
        change.await.unwrap().unwrap();
        join_all(waiting).await;
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(transactions(&store) - before, 3);
    });
}

#[test]
fn a_file_that_stays_locked_is_unavailable_and_then_usable_again() {
    let place = Place::new();
    let store = EmbeddedStore::open_and_try(&place.path(), "test", 3).unwrap();
    let other = place.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    block_on(async {
        let error = store.register(&silo(), vec![actor("alice")]).await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains("another process"),
            "{error}"
        );
        assert_eq!(
            store.owned_by(&silo()).await.unwrap(),
            [],
            "who only reads need not wait"
        );
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(store.register(&silo(), vec![actor("alice")]).await.unwrap().len(), 1);
    });
}
