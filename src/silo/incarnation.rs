//! The incarnation that a silo starts as.

use crate::{
    chance,
    clock::Clock,
    ident::SiloId,
    store::{MembershipTable, Store},
};
use std::time::Duration;

/// By how much at most a silo goes beyond its predecessors where its clock is behind theirs, in microseconds. By chance: one that has
/// left and has no row any more is not to be met again.
const STEP: u64 = 1_000_000;

/// The next silo of this name: by the wall clock, and above all that have a row, whatever clock they started by. A store that does not
/// answer within `timeout` is not waited for: joining says so.
pub(super) async fn next(name: &str, store: &dyn Store, clock: &Clock, timeout: Duration) -> SiloId {
    let wall = clock.wall_micros();
    let table = match clock.timeout(timeout, store.members()).await {
        Some(Ok(table)) => table,
        Some(Err(_)) | None => MembershipTable::default(),
    };
    let predecessors = table.rows.iter().filter(|row| row.silo.name() == name);
    let newest = predecessors.map(|row| row.silo.incarnation()).max();
    let incarnation = match newest.filter(|newest| *newest >= wall) {
        Some(newest) => {
            tracing::warn!(
                silo = name,
                ahead_micros = newest - wall,
                "a predecessor started by a clock that was ahead of this one"
            );
            newest.saturating_add(1 + chance::number() % STEP)
        }
        None => wall,
    };
    SiloId::new(name, incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, Manifest, MemberRow, MemoryStore, SiloStatus, Unknown};

    fn row(silo: SiloId) -> MemberRow {
        MemberRow {
            silo,
            address: String::new(),
            status: SiloStatus::Dead,
            heartbeat: 0,
            manifest: Manifest::default(),
            labels: Default::default(),
            unknown: Unknown::default(),
        }
    }

    #[tokio::test]
    async fn a_silo_is_above_all_of_its_name_and_by_the_clock_where_it_can_be() {
        let (store, (clock, _hand)) = (MemoryStore::new(), Clock::manual());
        let wall = clock.wall_micros();
        let me = async || next("a", &store, &clock, Duration::from_secs(1)).await.incarnation();
        assert_eq!(me().await, wall);
        for (view, silo) in [SiloId::new("b", wall + 9_000), SiloId::new("a", wall + 5_000)]
            .into_iter()
            .enumerate()
        {
            let change = Change::Put(row(silo));
            let changed = store.change_member(view as u64, change).await.expect("it answers");
            changed.expect("the view is known");
        }
        let next = me().await;
        assert!(next > wall + 5_000 && next <= wall + 5_000 + STEP, "{next}");
    }
}
