//! Laws of the membership table.

use super::{
    race::{CALLERS, race},
    values::{change_view, row, silo, table},
};
use crate::{
    clock::Clock,
    ident::SiloId,
    schema::{KindHashes, describe},
    store::{Change, KindManifest, Manifest, MemberRow, MembershipTable, SiloStatus, Store, Unknown},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A long time for a change to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// A new store has no rows and view 0.
pub async fn a_new_store_is_empty_at_view_zero(store: Arc<dyn Store>) {
    assert_eq!(table(&*store).await, MembershipTable::default());
}

/// Every accepted change grows the view by one and answers the table after it.
pub async fn an_accepted_change_grows_the_view_by_one(store: Arc<dyn Store>) {
    let (here, absent) = (silo("a"), silo("absent"));
    let changes = [
        Change::Put(row(&here)),
        Change::Put(row(&here)),
        Change::Remove(absent),
        Change::Remove(here),
    ];
    for (view, change) in (0..).zip(changes) {
        let after = change_view(&*store, view, change.clone()).await;
        assert_eq!(after.view, view + 1, "after {change:?}");
        assert_eq!(after, table(&*store).await, "after {change:?}");
    }
}

/// A change that expects an older or a newer view does nothing and answers the table as it is.
pub async fn a_change_at_another_view_changes_nothing_and_answers_the_table(store: Arc<dyn Store>) {
    change_view(&*store, 0, Change::Put(row(&silo("a")))).await;
    let before = change_view(&*store, 1, Change::Put(row(&silo("b")))).await;
    for view in [0, 1, 3, u64::MAX] {
        for change in [Change::Put(row(&silo("c"))), Change::Remove(silo("a"))] {
            let answer = store.change_member(view, change).await.expect("change_member answers");
            assert_eq!(answer, Err(before.clone()), "at view {view}");
        }
    }
    assert_eq!(table(&*store).await, before);
}

/// Of many changes that expect one view, one is made; the others answer a table that has it.
pub async fn concurrent_changes_of_the_view_have_one_winner(store: Arc<dyn Store>) {
    for view in 0..10 {
        let outcomes = race(&store, move |store, caller| {
            Box::pin(async move {
                let put = Change::Put(row(&SiloId::new(format!("silo-{caller}"), view)));
                store.change_member(view, put).await.expect("change_member answers")
            })
        })
        .await;
        let winners: Vec<&MembershipTable> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        let [winner] = winners[..] else {
            panic!("{} callers changed view {view}", winners.len());
        };
        for loser in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(loser, winner);
        }
        assert_eq!(table(&*store).await, *winner);
    }
}

/// Callers that try again with the view they were answered all get their change in, and no change undoes another.
pub async fn concurrent_changes_that_retry_all_take_effect(store: Arc<dyn Store>) {
    let views = race(&store, |store, caller| {
        Box::pin(async move {
            let put = Change::Put(row(&silo(&format!("silo-{caller}"))));
            let mut view = 0;
            // Each conflict is another caller's success, so there are not more of them than callers.
            for _ in 0..CALLERS {
                match store
                    .change_member(view, put.clone())
                    .await
                    .expect("change_member answers")
                {
                    Ok(after) => return after.view,
                    Err(actual) => view = actual.view,
                }
            }
            panic!("caller {caller} got no change in");
        })
    })
    .await;
    let mut sorted = views.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        (1..=CALLERS).collect::<Vec<_>>(),
        "each change has a view of its own"
    );
    let after = table(&*store).await;
    assert_eq!((after.view, after.rows.len() as u64), (CALLERS, CALLERS));
}

/// Who watches hears of each change that is made through the store, and of none that is refused.
pub async fn an_accepted_change_is_told_to_who_watches(store: Arc<dyn Store>) {
    let clock = Clock::system();
    let mut views = store.views();
    for view in 0..3 {
        change_view(&*store, view, Change::Put(row(&silo("a")))).await;
        let refused = store.change_member(view, Change::Remove(silo("a"))).await;
        refused.expect("change_member answers").expect_err("the view is old");
        let told = clock.timeout(PATIENCE, views.wait_for(|told| *told > view)).await;
        let told = told
            .expect("a view that nobody is told of")
            .expect("the store is there");
        assert_eq!(*told, view + 1);
    }
}

/// A heartbeat changes its row's heartbeat, and neither the view nor anything else.
pub async fn a_heartbeat_does_not_change_the_view(store: Arc<dyn Store>) {
    let (beating, other) = (silo("a"), silo("b"));
    change_view(&*store, 0, Change::Put(row(&beating))).await;
    let before = change_view(&*store, 1, Change::Put(row(&other))).await;
    let answer = store.heartbeat(&beating, 7).await.expect("heartbeat answers");
    let expected = MemberRow {
        heartbeat: 7,
        ..row(&beating)
    };
    assert_eq!(answer, Some(expected.clone()));
    let after = table(&*store).await;
    assert_eq!(after.view, before.view);
    assert_eq!(after.rows, [expected, row(&other)]);
}

/// A row's heartbeat is the put one when the row is new; another put changes all but the heartbeat.
pub async fn a_put_does_not_change_the_heartbeat_of_an_existing_row(store: Arc<dyn Store>) {
    let silo = silo("a");
    let put = |status, heartbeat| {
        Change::Put(MemberRow {
            status,
            heartbeat,
            ..row(&silo)
        })
    };
    let new = change_view(&*store, 0, put(SiloStatus::Joining, 5)).await;
    assert_eq!(new.rows[0].heartbeat, 5, "a new row");
    store.heartbeat(&silo, 9).await.expect("heartbeat answers");
    let again = change_view(&*store, 1, put(SiloStatus::Dead, 100)).await;
    assert_eq!((again.rows[0].heartbeat, again.rows[0].status), (9, SiloStatus::Dead));
    assert_eq!(table(&*store).await, again);
}

/// A heartbeat of a silo without a row, such as another incarnation, answers `None` and makes none.
pub async fn a_heartbeat_of_an_unknown_silo_answers_none(store: Arc<dyn Store>) {
    let before = change_view(&*store, 0, Change::Put(row(&SiloId::new("a", 2)))).await;
    for unknown in [SiloId::new("a", 1), SiloId::new("a", 3), SiloId::new("b", 2)] {
        let answer = store.heartbeat(&unknown, 4).await.expect("heartbeat answers");
        assert_eq!(answer, None, "{unknown}");
    }
    assert_eq!(table(&*store).await, before);
}

/// A removed row is gone with its heartbeat: a heartbeat does not bring it back, and put again it is new.
pub async fn a_removed_row_is_gone(store: Arc<dyn Store>) {
    let (gone, stays) = (SiloId::new("a", 1), SiloId::new("a", 2));
    change_view(&*store, 0, Change::Put(row(&gone))).await;
    change_view(&*store, 1, Change::Put(row(&stays))).await;
    store.heartbeat(&gone, 8).await.expect("heartbeat answers");
    let after = change_view(&*store, 2, Change::Remove(gone.clone())).await;
    assert_eq!(after.rows, [row(&stays)]);
    assert_eq!(store.heartbeat(&gone, 9).await.expect("heartbeat answers"), None);
    let again = change_view(&*store, 3, Change::Put(row(&gone))).await;
    assert_eq!(again.rows, [row(&gone), row(&stays)]);
}

/// Rows are ordered by name, byte by byte, and then by incarnation as a number.
pub async fn rows_are_ordered_by_silo(store: Arc<dyn Store>) {
    let mut silos = [
        SiloId::new("b", 10),
        SiloId::new("ä", 1),
        SiloId::new("b", 9),
        SiloId::new("B", u64::MAX),
        SiloId::new("B", 1),
        SiloId::new("b-1", 1),
        SiloId::new("B", 1 << 63),
        SiloId::new("a", 1),
    ];
    for (view, silo) in (0..).zip(&silos) {
        change_view(&*store, view, Change::Put(row(silo))).await;
    }
    silos.sort();
    let found: Vec<SiloId> = table(&*store).await.rows.into_iter().map(|row| row.silo).collect();
    assert_eq!(found, silos);
}

/// All of a row is kept: address, every status, manifest, labels, and what only a newer program knows.
pub async fn rows_come_back_as_they_were_put(store: Arc<dyn Store>) {
    let kind = KindManifest {
        version: semver::Version::new(1, 2, 3),
        messages: vec!["cart.add".into(), "cart.clear".into()],
        schemas: KindHashes {
            messages: [("cart.add".to_owned(), describe::<String>().hash())].into(),
            states: [("käufer".to_owned(), describe::<u8>().hash())].into(),
            reads: ["gast".to_owned()].into(),
            back: Some("gast".into()),
        },
        unknown: unknown(),
    };
    let mut put = Vec::new();
    for status in [
        SiloStatus::Joining,
        SiloStatus::Active,
        SiloStatus::ShuttingDown,
        SiloStatus::Dead,
    ] {
        put.push(MemberRow {
            silo: silo(&format!("{}-{status:?}", put.len())),
            address: "[::1]:7000".into(),
            status,
            heartbeat: u64::MAX - put.len() as u64,
            manifest: Manifest {
                kinds: [("cart".to_owned(), kind.clone()), ("käufer".to_owned(), kind.clone())].into(),
                protocol_min: 1,
                protocol_max: u16::MAX,
                streams: [("news".to_owned(), vec!["cart".to_owned()])].into(),
                unknown: unknown(),
            },
            labels: [
                ("zone".to_owned(), "a'\"\\ 東".to_owned()),
                (String::new(), String::new()),
            ]
            .into(),
            unknown: unknown(),
        });
    }
    for (view, row) in (0..).zip(&put) {
        change_view(&*store, view, Change::Put(row.clone())).await;
    }
    assert_eq!(table(&*store).await.rows, put);
}

/// What a newer program may say.
fn unknown() -> Unknown {
    let fields = BTreeMap::from([("region", vec!["mars"]), ("moons", vec!["phobos", "deimos"])]);
    let bytes = crate::wire::encode(&fields).expect("plain values");
    crate::wire::decode(&bytes).expect("plain values")
}
