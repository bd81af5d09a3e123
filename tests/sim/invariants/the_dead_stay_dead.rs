//! A silo that its peers have declared dead, or that has left, never comes back as the same incarnation. (Guarantee 14)

use crate::story::Run;
use quark::store::SiloStatus;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(run: &Run) -> Result<(), String> {
    // A store that forgets may forget a death, until it is declared again.
    if !run.lost_writes.is_empty() {
        return Ok(());
    }
    let (mut last, mut gone) = (BTreeMap::new(), BTreeSet::new());
    for table in &run.membership {
        let rows: BTreeMap<_, _> = table.rows.iter().map(|row| (&row.silo, row.status)).collect();
        gone.extend(last.keys().filter(|silo| !rows.contains_key(*silo)).copied());
        for (silo, status) in &rows {
            let was_dead = last.get(silo) == Some(&SiloStatus::Dead);
            if gone.contains(silo) || (was_dead && *status != SiloStatus::Dead) {
                return Err(format!(
                    "{silo} is {status:?} in view {}, after it was gone",
                    table.view
                ));
            }
        }
        last = rows;
    }
    Ok(())
}
