//! What the kinds of a silo look like on the wire: recorded in the store, and compared with those of the living silos before it
//! joins.

use super::{Node, SchemaConflicts, SiloOptions, StartError, rules};
use crate::{
    actor::registry::Registry,
    clock::Clock,
    placement::{Placement, Rules},
    schema::{Conflict, Hash, KindHashes, Lock, Schema, Ways, conflicts},
    store::{MemberRow, SiloStatus, Store, StoreError},
    wire,
};
use futures_util::future::try_join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How long the store may take to be asked what the living silos look like.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Schemas by their hashes.
pub(super) type Schemas = BTreeMap<Hash, Schema>;

/// By kind: what it and that of living silos cannot read of each other.
type Conflicts = BTreeMap<String, Vec<String>>;

/// What the kinds of a silo look like.
pub(super) struct Shapes {
    lock: Lock,
    /// Whether the store has it.
    is_recorded: bool,
}

impl Shapes {
    pub(super) fn of(registry: &Registry) -> Self {
        Self {
            lock: registry.lock(),
            is_recorded: false,
        }
    }

    /// The hashes of a kind.
    pub(super) fn hashes(&self, kind: &str) -> KindHashes {
        let versions = self.lock.kinds.get(kind);
        let hosted = versions.and_then(|versions| versions.values().next());
        hosted.cloned().unwrap_or_default()
    }

    /// What its kinds and those of the rows cannot read of each other, where the policies let messages and actors pass between them.
    fn conflicts(&self, rows: &[&MemberRow], schemas: &Schemas, placement: &Placement) -> Conflicts {
        let schema = |hash: &Hash| self.lock.schemas.get(hash).or_else(|| schemas.get(hash));
        let mut found = Conflicts::new();
        for row in rows {
            for (kind, theirs) in &row.manifest.kinds {
                let Some((version, ours)) = self.lock.kinds.get(kind).and_then(BTreeMap::first_key_value) else {
                    continue;
                };
                let ((from, old), (to, new)) = if theirs.version <= *version {
                    ((&theirs.version, &theirs.schemas), (version, ours))
                } else {
                    ((version, ours), (&theirs.version, &theirs.schemas))
                };
                let policy = placement.policy(kind);
                let ways = Ways {
                    forward: policy.allows(from, to),
                    back: policy.allows(to, from),
                };
                let texts = conflicts(old, new, ways, schema).into_iter().map(|conflict: Conflict| {
                    format!(
                        "{kind} {version} here and {} of {}: {conflict}",
                        theirs.version, row.silo
                    )
                });
                for text in texts {
                    found.entry(kind.clone()).or_default().push(text);
                }
            }
        }
        found
    }
}

/// The hashes by which rows say something else of the same message or state of a kind.
pub(super) fn differing(rows: &[&MemberRow]) -> BTreeSet<Hash> {
    let mut needed = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        for other in rows.iter().skip(at + 1) {
            for (kind, ours) in &row.manifest.kinds {
                if let Some(theirs) = other.manifest.kinds.get(kind) {
                    needed.extend(ours.schemas.differing(&theirs.schemas));
                }
            }
        }
    }
    needed
}

fn document(hash: &Hash) -> String {
    format!("schema:{hash}")
}

/// Records what hashes stand for.
async fn record<'a>(
    store: &dyn Store,
    schemas: impl Iterator<Item = (&'a Hash, &'a Schema)>,
) -> Result<(), StoreError> {
    let puts = schemas.map(|(hash, schema)| async move {
        match wire::encode(schema) {
            // Who lost against another finds the same there.
            Ok(body) => store.put_document(&document(hash), None, body).await.map(drop),
            Err(error) => {
                tracing::error!(%hash, %error, "a schema cannot be recorded");
                Ok(())
            }
        }
    });
    try_join_all(puts).await.map(drop)
}

/// What hashes stand for, as far as it is recorded.
pub(super) async fn recorded(store: &dyn Store, hashes: impl IntoIterator<Item = Hash>) -> Result<Schemas, StoreError> {
    let reads = hashes.into_iter().map(|hash| async move {
        let document = store.document(&document(&hash)).await?;
        let schema = document.and_then(|document| wire::decode::<Schema>(&document.body).ok());
        Ok(schema
            .filter(|schema| schema.hash() == hash)
            .map(|schema| (hash, schema)))
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// Placement by the options of a silo.
pub(super) fn placement(options: &SiloOptions) -> Placement {
    let own = Placement::new(options.version_policy);
    let kinds = options.kind_policies.iter();
    kinds.fold(own, |placement, (kind, policy)| {
        placement.with_kind_policy(kind, *policy)
    })
}

/// Whether a kind is Quark's own: every silo hosts it, and no program records it.
fn is_own(kind: &str) -> bool {
    kind.starts_with("quark.")
}

fn is_living(row: &MemberRow) -> bool {
    row.status != SiloStatus::Dead
}

/// The kinds that a silo may host beside the living ones, and what they look like, which is recorded from now on.
///
/// # Errors
/// If the silo may not join with them.
pub(super) async fn admit(
    store: &dyn Store,
    mut registry: Registry,
    options: &SiloOptions,
    clock: &Clock,
) -> Result<(Registry, Shapes), StartError> {
    let mut shapes = Shapes::of(&registry);
    let look = async {
        let members = clock.timeout(options.membership.store_timeout, store.members());
        // Joining says whether the store answers.
        let Some(table) = members.await else { return Ok(None) };
        let rows = table?.rows;
        let known: BTreeSet<Hash> = (rows.iter().filter(|row| is_living(row)))
            .flat_map(|row| row.manifest.kinds.values())
            .flat_map(|kind| kind.schemas.all().copied().collect::<Vec<_>>())
            .collect();
        let new = shapes.lock.schemas.iter().filter(|(hash, _)| !known.contains(*hash));
        record(store, new).await?;
        let mut placement = placement(options);
        if let Some(document) = store.document(rules::DOCUMENT).await?
            && let Ok(rules) = wire::decode::<Rules>(&document.body)
        {
            placement.ruled(Arc::new(rules));
        }
        let others: Vec<_> = rows
            .iter()
            .filter(|row| is_living(row) && row.silo.name() != options.name)
            .collect();
        shapes.compare(store, &others, &placement).await.map(Some)
    };
    let found = match clock.timeout(TIMEOUT, look).await {
        Some(Ok(Some(found))) => found,
        // It is looked at again when the store has answered.
        Some(Err(error)) => {
            tracing::warn!(%error, "what the living silos look like cannot be read yet");
            return Ok((registry, shapes));
        }
        Some(Ok(None)) | None => {
            tracing::warn!("what the living silos look like cannot be read yet: the store does not answer");
            return Ok((registry, shapes));
        }
    };
    shapes.is_recorded = true;
    if found.is_empty() {
        return Ok((registry, shapes));
    }
    match options.schema_conflicts {
        SchemaConflicts::Refuse => Err(refusal(found)),
        SchemaConflicts::Mask => {
            for (kind, why) in &found {
                tracing::error!(
                    kind,
                    why = why.join("; "),
                    "the silo does not host the kind: living silos could not read it"
                );
                registry.mask(kind);
            }
            if registry.kinds().all(|kind| is_own(kind.entry.kind())) {
                return Err(refusal(found));
            }
            shapes.lock = registry.lock();
            Ok((registry, shapes))
        }
        SchemaConflicts::Allow => {
            let why: Vec<_> = found.into_values().flatten().collect();
            tracing::warn!(
                why = why.join("; "),
                "the silo joins though living silos cannot read it"
            );
            Ok((registry, shapes))
        }
    }
}

fn refusal(found: Conflicts) -> StartError {
    StartError::Schemas {
        conflicts: found.into_values().flatten().collect(),
    }
}

impl Shapes {
    async fn compare(
        &self,
        store: &dyn Store,
        rows: &[&MemberRow],
        placement: &Placement,
    ) -> Result<Conflicts, StoreError> {
        let theirs = rows.iter().flat_map(|row| row.manifest.kinds.iter());
        let needed: BTreeSet<Hash> = theirs
            .filter(|(kind, _)| self.lock.kinds.contains_key(*kind))
            .flat_map(|(_, theirs)| theirs.schemas.all().copied().collect::<Vec<_>>())
            .filter(|hash| !self.lock.schemas.contains_key(hash))
            .collect();
        let schemas = recorded(store, needed).await?;
        Ok(self.conflicts(rows, &schemas, placement))
    }
}

impl Node {
    /// Compares this silo's kinds with those of all that joined before or beside it, now that they see it.
    ///
    /// # Errors
    /// If it may not become Active with them.
    pub(super) async fn check_shapes(&self) -> Result<(), StartError> {
        let failed = |error: StoreError| StartError::NotJoined {
            why: format!("what silos look like cannot be read or recorded: {error}"),
        };
        if !self.shapes.is_recorded {
            (record(&*self.store, self.shapes.lock.schemas.iter()).await).map_err(failed)?;
        }
        if self.options.schema_conflicts == SchemaConflicts::Allow {
            return Ok(());
        }
        let view = self.view.read().clone();
        let placement = self.placement.read().clone();
        let others: Vec<_> = view.living().filter(|row| row.silo.name() != self.me.name()).collect();
        match self.shapes.compare(&*self.store, &others, &placement).await {
            Ok(found) if found.is_empty() => Ok(()),
            Ok(found) => Err(refusal(found)),
            Err(error) => Err(failed(error)),
        }
    }

    /// Records what this silo looks like again: the store has lost writes.
    pub(super) fn record_shapes(self: &Arc<Self>) {
        let node = self.clone();
        self.spawn(async move {
            if let Err(error) = record(&*node.store, node.shapes.lock.schemas.iter()).await {
                tracing::warn!(%error, "what this silo looks like cannot be recorded again now");
            }
        });
    }

    /// What the kinds of the living silos look like, as their programs record them.
    pub(super) async fn live_shapes(&self) -> Result<Lock, StoreError> {
        let mut live = Lock::default();
        let mut hashes = BTreeSet::new();
        for row in self.view.read().living() {
            for (kind, manifest) in row.manifest.kinds.iter().filter(|(kind, _)| !is_own(kind)) {
                hashes.extend(manifest.schemas.all().copied());
                let versions = live.kinds.entry(kind.clone()).or_default();
                versions.insert(manifest.version.clone(), manifest.schemas.clone());
            }
        }
        live.schemas = recorded(&*self.store, hashes).await?;
        Ok(live)
    }
}
