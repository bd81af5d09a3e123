//! The SQL of the directory.

use super::{failure::Failure, file::File, states::Reader as StateReader};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{Entry, EntryChange, EntryOutcome, RegisterOutcome, Registered},
};
use rusqlite::{CachedStatement, OptionalExtension, params};

/// Reads entries, one statement for all.
pub(super) struct Reader<'f> {
    cluster: i64,
    select: CachedStatement<'f>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f File) -> Result<Self, Failure> {
        Ok(Self {
            cluster: file.cluster(),
            select: file.prepare(
                "SELECT owner, incarnation, epoch FROM entries WHERE cluster = ?1 AND kind = ?2 AND key = ?3",
            )?,
        })
    }

    pub(super) fn read(&mut self, actor: &ActorId) -> Result<Entry, Failure> {
        let found = self
            .select
            .query_row(params![self.cluster, actor.kind(), actor.key()], |row| {
                Ok((
                    row.get::<_, Option<String>>(0)?,
                    row.get::<_, Option<i64>>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            })
            .optional()?;
        let Some((owner, incarnation, epoch)) = found else {
            return Ok(Entry::default());
        };
        let owner = owner
            .zip(incarnation)
            .map(|(name, incarnation)| SiloId::checked(name, incarnation.cast_unsigned()));
        Ok(Entry {
            owner: (owner.transpose()).map_err(|why| Failure::corrupt(format!("the entry of {actor}"), why))?,
            epoch: Epoch(epoch.cast_unsigned()),
        })
    }
}

/// Writes entries, one statement for all.
struct Writer<'f> {
    cluster: i64,
    upsert: CachedStatement<'f>,
}

impl<'f> Writer<'f> {
    fn new(file: &'f File) -> Result<Self, Failure> {
        Ok(Self {
            cluster: file.cluster(),
            upsert: file.prepare(
                "INSERT INTO entries (cluster, kind, key, owner, incarnation, epoch) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE
                 SET owner = excluded.owner, incarnation = excluded.incarnation, epoch = excluded.epoch",
            )?,
        })
    }

    fn write(&mut self, actor: &ActorId, owner: Option<&SiloId>, epoch: Epoch) -> Result<(), Failure> {
        self.upsert.execute(params![
            self.cluster,
            actor.kind(),
            actor.key(),
            owner.map(SiloId::name),
            owner.map(|silo| silo.incarnation().cast_signed()),
            epoch.0.cast_signed()
        ])?;
        Ok(())
    }
}

/// The entries as they are.
pub(super) fn read(file: &File, actors: &[ActorId]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Reader::new(file)?;
    actors.iter().map(|actor| entries.read(actor)).collect()
}

/// Takes the free ones among the entries for `owner`.
pub(super) fn register(file: &File, owner: &SiloId, actors: &[ActorId]) -> Result<Vec<RegisterOutcome>, Failure> {
    let mut entries = Reader::new(file)?;
    let mut writer = Writer::new(file)?;
    let mut states = StateReader::new(file)?;
    let mut register = |actor: &ActorId| {
        let entry = entries.read(actor)?;
        if entry.owner.is_some() {
            return Ok(RegisterOutcome::Owned(entry));
        }
        let epoch = entry.epoch.0.checked_add(1).map(Epoch).ok_or_else(|| {
            Failure::corrupt(format!("the entry of {actor}"), "its epoch is the last number there is")
        })?;
        writer.write(actor, Some(owner), epoch)?;
        let state = states.read(actor)?;
        Ok(RegisterOutcome::Registered(Registered { epoch, state }))
    };
    actors.iter().map(&mut register).collect()
}

/// Changes the entries that are as expected.
pub(super) fn change(file: &File, changes: &[EntryChange]) -> Result<Vec<EntryOutcome>, Failure> {
    let mut entries = Reader::new(file)?;
    let mut writer = Writer::new(file)?;
    let mut change = |change: &EntryChange| {
        let actual = entries.read(&change.actor)?;
        if !change.applies_to(&actual) {
            return Ok(EntryOutcome::Conflict(actual));
        }
        writer.write(&change.actor, change.new.owner.as_ref(), change.new.epoch)?;
        Ok(EntryOutcome::Changed)
    };
    changes.iter().map(&mut change).collect()
}

/// The actors of `owner`, ordered as [`ActorId`] is: by the bytes of kind and key.
pub(super) fn owned_by(file: &File, owner: &SiloId) -> Result<Vec<ActorId>, Failure> {
    let mut select = file.prepare(
        "SELECT kind, key FROM entries WHERE cluster = ?1 AND owner = ?2 AND incarnation = ?3 ORDER BY kind, key",
    )?;
    let mut found = select.query(params![file.cluster(), owner.name(), owner.incarnation().cast_signed()])?;
    let mut owned = Vec::new();
    while let Some(row) = found.next()? {
        let (kind, key): (String, String) = (row.get(0)?, row.get(1)?);
        let what = format!("the entry of {kind}/{key}");
        owned.push(ActorId::new(kind, key).map_err(|why| Failure::corrupt(what, why))?);
    }
    Ok(owned)
}
