//! A silo that its peers have declared dead, or that has left, never comes back as the same incarnation, unless the store itself
//! forgot that. (Guarantee 14)

use crate::story::Run;
use quark::{
    ident::SiloId,
    store::{MembershipTable, SiloStatus},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What is known of silos after a table.
#[derive(Clone, Default)]
struct Known<'a> {
    last: BTreeMap<&'a SiloId, SiloStatus>,
    gone: BTreeSet<&'a SiloId>,
}

impl<'a> Known<'a> {
    fn add(&mut self, at: Duration, table: &'a MembershipTable) -> Result<(), String> {
        let rows: BTreeMap<_, _> = table.rows.iter().map(|row| (&row.silo, row.status)).collect();
        self.gone
            .extend(self.last.keys().filter(|silo| !rows.contains_key(*silo)).copied());
        for (silo, status) in &rows {
            let was_dead = self.last.get(silo) == Some(&SiloStatus::Dead);
            if self.gone.contains(silo) || (was_dead && *status != SiloStatus::Dead) {
                return Err(format!(
                    "{silo} is {status:?} in view {} at {at:?}, after it was gone",
                    table.view
                ));
            }
        }
        self.last = rows;
        Ok(())
    }
}

pub(crate) fn check(run: &Run) -> Result<(), String> {
    let mut known = Known::default();
    let mut lost = run.lost_writes.iter();
    let mut next = lost.next();
    // What was known when the store fell behind.
    let mut kept: Option<Known<'_>> = None;
    for (at, table) in &run.membership {
        while let Some((since, until)) = next {
            if *at > *since && kept.is_none() {
                kept = Some(known.clone());
            }
            if *at < *until {
                break;
            }
            if let Some(kept) = kept.take() {
                known = kept;
            }
            next = lost.next();
        }
        known.add(*at, table)?;
    }
    Ok(())
}
