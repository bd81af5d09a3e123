//! One view of the membership table.

use crate::{
    ident::SiloId,
    store::{MemberRow, MembershipTable, SiloStatus},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// How many silos that have gone a view remembers.
const MAX_GONE: usize = 4096;

/// One numbered state of the membership table, as this silo knows it. Cheap to clone.
///
/// Heartbeats in it are those of the moment when the view was first read.
#[derive(Clone, PartialEq, Eq)]
pub struct View(Arc<Inner>);

#[derive(Clone, PartialEq, Eq, Default)]
struct Inner {
    number: u64,
    rows: BTreeMap<SiloId, MemberRow>,
    /// Silos that were seen and are Dead or have left, and owners that a read of the table did not find. The oldest
    /// names go first when there are too many.
    gone: BTreeSet<SiloId>,
}

impl View {
    /// The view before the first read: number 0, no silo.
    pub fn empty() -> Self {
        Self(Arc::default())
    }

    /// A view of this table alone, without memory of earlier ones.
    pub fn of(table: MembershipTable) -> Self {
        Self::empty().followed_by(table, false)
    }

    /// The view that `table` gives after this one. A table that lost writes (`went_back`) proves no departure.
    pub(super) fn followed_by(&self, table: MembershipTable, went_back: bool) -> Self {
        let number = table.view;
        let rows: BTreeMap<_, _> = table.rows.into_iter().map(|row| (row.silo.clone(), row)).collect();
        let mut gone = self.0.gone.clone();
        gone.extend(
            rows.values()
                .filter(|row| row.status == SiloStatus::Dead)
                .map(|row| row.silo.clone()),
        );
        if !went_back {
            gone.extend(self.0.rows.keys().filter(|silo| !rows.contains_key(*silo)).cloned());
        }
        Self(Arc::new(Inner { number, rows, gone })).trimmed()
    }

    /// This view with the knowledge that `silo` has gone.
    pub(super) fn without(&self, silo: SiloId) -> Self {
        let mut inner = Inner::clone(&self.0);
        inner.gone.insert(silo);
        Self(Arc::new(inner)).trimmed()
    }

    fn trimmed(mut self) -> Self {
        if self.0.gone.len() > MAX_GONE {
            let inner = Arc::make_mut(&mut self.0);
            while inner.gone.len() > MAX_GONE {
                // Without a row these are found gone again by a read; see `is_gone`.
                inner.gone.pop_first();
            }
        }
        self
    }

    /// The number of the view; 0 before the first read.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// All rows, ordered by silo.
    pub fn rows(&self) -> impl Iterator<Item = &MemberRow> {
        self.0.rows.values()
    }

    /// The row of a silo.
    pub fn get(&self, silo: &SiloId) -> Option<&MemberRow> {
        self.0.rows.get(silo)
    }

    /// Where a silo stands; `None` if it has no row.
    pub fn status(&self, silo: &SiloId) -> Option<SiloStatus> {
        self.get(silo).map(|row| row.status)
    }

    /// The silos that take actors, ordered by silo.
    pub fn active(&self) -> impl Iterator<Item = &MemberRow> {
        self.rows().filter(|row| row.status == SiloStatus::Active)
    }

    /// The silos that may be running: all with a row but the Dead, ordered by silo.
    pub fn living(&self) -> impl Iterator<Item = &MemberRow> {
        self.rows().filter(|row| row.status != SiloStatus::Dead)
    }

    /// Whether the table names the silo Dead. See [`View::is_gone`] for "may its actors be taken".
    pub fn is_dead(&self, silo: &SiloId) -> bool {
        self.status(silo) == Some(SiloStatus::Dead)
    }

    /// Whether this incarnation has ended for good, so that what the directory says it owns is free to take.
    ///
    /// It has if the table names it Dead, or names a higher incarnation of its name (which declared it Dead when it
    /// joined), or named it earlier and does so no more (it has left), or was read after somebody asked
    /// ([`super::Event::OwnerUnknown`]) and did not name it.
    ///
    /// Having no row in this view is by itself no proof: the silo may have joined in a later one. A silo owns no entry
    /// before its row exists, since it registers only while it holds a lease, and there is none before the row. So a
    /// table that is read *after* the entry names a living owner, and one that does not proves that the owner has gone.
    pub fn is_gone(&self, silo: &SiloId) -> bool {
        self.is_dead(silo) || self.0.gone.contains(silo) || self.successor(silo).is_some()
    }

    /// Whether the silo has a row or is known to have gone; if not, ask by [`super::Event::OwnerUnknown`].
    pub fn knows(&self, silo: &SiloId) -> bool {
        self.get(silo).is_some() || self.is_gone(silo)
    }

    /// A silo of the same name and a higher incarnation.
    pub fn successor(&self, silo: &SiloId) -> Option<&SiloId> {
        let after = (std::ops::Bound::Excluded(silo), std::ops::Bound::Unbounded);
        let next = self.0.rows.range(after).next().map(|(next, _)| next);
        next.filter(|next| next.name() == silo.name())
    }

    /// Whether the silo is among those that were seen to go.
    pub(super) fn remembers(&self, silo: &SiloId) -> bool {
        self.0.gone.contains(silo)
    }

    /// Whether a table says the same as this view, heartbeats aside.
    pub(super) fn agrees_with(&self, table: &MembershipTable) -> bool {
        let same = |row: &MemberRow| {
            self.get(&row.silo).is_some_and(|known| {
                let MemberRow {
                    silo,
                    address,
                    status,
                    heartbeat: _,
                    manifest,
                    labels,
                    unknown,
                } = known;
                (silo, address, status, manifest, labels, unknown)
                    == (
                        &row.silo,
                        &row.address,
                        &row.status,
                        &row.manifest,
                        &row.labels,
                        &row.unknown,
                    )
            })
        };
        self.0.number == table.view && self.0.rows.len() == table.rows.len() && table.rows.iter().all(same)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {} ", self.0.number)?;
        f.debug_map()
            .entries(self.rows().map(|row| (&row.silo, row.status)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Manifest;

    fn silo(name: &str, incarnation: u64) -> SiloId {
        SiloId::new(name, incarnation)
    }

    fn table(view: u64, rows: &[(&str, u64, SiloStatus)]) -> MembershipTable {
        let row = |(name, incarnation, status): &(&str, u64, SiloStatus)| MemberRow {
            silo: silo(name, *incarnation),
            address: format!("{name}:7000"),
            status: *status,
            heartbeat: 0,
            manifest: Manifest::default(),
            labels: BTreeMap::new(),
            unknown: Default::default(),
        };
        MembershipTable {
            view,
            rows: rows.iter().map(row).collect(),
        }
    }

    #[test]
    fn a_silo_without_a_row_is_not_gone_until_that_is_proved() {
        let view = View::of(table(3, &[("a", 1, SiloStatus::Active)]));
        assert!(!view.is_gone(&silo("b", 1)) && !view.knows(&silo("b", 1)));
        assert!(!view.is_gone(&silo("a", 2)), "it may be about to join");
        assert!(view.without(silo("b", 1)).is_gone(&silo("b", 1)));
    }

    /// R67, R84
    #[test]
    fn dead_left_and_replaced_silos_are_gone_for_good() {
        let first = View::of(table(
            1,
            &[("a", 1, SiloStatus::Active), ("b", 5, SiloStatus::ShuttingDown)],
        ));
        assert!(!first.is_gone(&silo("a", 1)) && !first.is_gone(&silo("b", 5)));
        assert!(first.is_gone(&silo("b", 4)), "a higher incarnation has joined");
        let second = first.followed_by(table(3, &[("a", 1, SiloStatus::Dead)]), false);
        assert!(second.is_gone(&silo("a", 1)) && second.is_dead(&silo("a", 1)));
        assert!(second.is_gone(&silo("b", 5)) && !second.is_dead(&silo("b", 5)));
        let third = second.followed_by(table(4, &[]), false);
        assert!(third.is_gone(&silo("a", 1)) && third.is_gone(&silo("b", 5)));
    }

    #[test]
    fn a_table_that_lost_writes_proves_no_departure_and_revives_nobody() {
        let view = View::of(table(7, &[("a", 1, SiloStatus::Active), ("b", 1, SiloStatus::Dead)]));
        let after = view.followed_by(table(5, &[("b", 1, SiloStatus::Active)]), true);
        assert!(!after.is_gone(&silo("a", 1)));
        assert!(after.is_gone(&silo("b", 1)));
    }

    #[test]
    fn what_a_view_remembers_is_bounded() {
        let mut view = View::empty();
        for incarnation in 0..=u64::try_from(MAX_GONE).expect("small") {
            view = view.without(silo("a", incarnation));
        }
        assert_eq!(view.0.gone.len(), MAX_GONE);
        assert!(!view.is_gone(&silo("a", 0)) && view.is_gone(&silo("a", 1)));
    }

    /// R78
    #[test]
    fn heartbeats_make_no_new_view() {
        let mut after = table(3, &[("a", 1, SiloStatus::Active)]);
        let view = View::of(after.clone());
        after.rows[0].heartbeat = 9;
        assert!(view.agrees_with(&after));
        after.rows[0].status = SiloStatus::ShuttingDown;
        assert!(!view.agrees_with(&after));
    }
}
