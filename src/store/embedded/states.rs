//! The SQL of saved states.

use super::{entries::Reader as EntryReader, failure::Failure, file::File, named};
use crate::{
    ident::ActorId,
    store::{ETag, Entry, SaveOutcome, SaveRequest, StoredState},
};
use rusqlite::{CachedStatement, OptionalExtension, params};

/// Reads states, one statement for all.
pub(super) struct Reader<'f> {
    cluster: i64,
    select: CachedStatement<'f>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f File) -> Result<Self, Failure> {
        Ok(Self {
            cluster: file.cluster(),
            select: file
                .prepare("SELECT etag, version, body FROM states WHERE cluster = ?1 AND kind = ?2 AND key = ?3")?,
        })
    }

    pub(super) fn read(&mut self, actor: &ActorId) -> Result<Option<StoredState>, Failure> {
        Ok(self
            .select
            .query_row(params![self.cluster, actor.kind(), actor.key()], |row| {
                Ok(StoredState {
                    etag: ETag(row.get::<_, i64>(0)?.cast_unsigned()),
                    version: row.get(1)?,
                    body: row.get::<_, Vec<u8>>(2)?.into(),
                })
            })
            .optional()?)
    }
}

/// The states as they are.
pub(super) fn load(file: &File, actors: &[ActorId]) -> Result<Vec<Option<StoredState>>, Failure> {
    let mut states = Reader::new(file)?;
    actors.iter().map(|actor| states.read(actor)).collect()
}

/// The entry and the state: a transaction sees the file as it was at one moment.
pub(super) fn load_owned(file: &File, actor: &ActorId) -> Result<(Entry, Option<StoredState>), Failure> {
    Ok((EntryReader::new(file)?.read(actor)?, Reader::new(file)?.read(actor)?))
}

/// Saves the states whose writer owns the actor and knows the state that it replaces.
pub(super) fn save(file: &File, saves: &[SaveRequest]) -> Result<Vec<SaveOutcome>, Failure> {
    let mut entries = EntryReader::new(file)?;
    let mut etags = file.prepare("SELECT etag FROM states WHERE cluster = ?1 AND kind = ?2 AND key = ?3")?;
    let mut upsert = file.prepare(
        "INSERT INTO states (cluster, kind, key, etag, version, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET etag = excluded.etag, version = excluded.version, body = excluded.body",
    )?;
    let mut clear = file.prepare("DELETE FROM states WHERE cluster = ?1 AND kind = ?2 AND key = ?3")?;
    let mut add = file.prepare("INSERT OR IGNORE INTO posters (cluster, kind, key) VALUES (?1, ?2, ?3)")?;
    let mut remove = file.prepare("DELETE FROM posters WHERE cluster = ?1 AND kind = ?2 AND key = ?3")?;
    let mut any = file.prepare("SELECT EXISTS (SELECT 1 FROM posters)")?;
    let mut may_be_poster = any.query_row([], |row| row.get::<_, bool>(0))?;
    let mut save = |save: &SaveRequest| {
        let (kind, key) = (save.actor.kind(), save.actor.key());
        let entry = entries.read(&save.actor)?;
        if !entry.is_owned_by(&save.owner) {
            return Ok(SaveOutcome::NotOwner(entry));
        }
        let actual = etags
            .query_row(params![file.cluster(), kind, key], |row| row.get::<_, i64>(0))
            .optional()?
            .map(|etag| ETag(etag.cast_unsigned()));
        if actual != save.expected {
            return Ok(SaveOutcome::Conflict {
                expected: save.expected,
                actual,
            });
        }
        if let Some(conflict) = named::conflict(file, &save.actor, &save.named)? {
            return Ok(conflict);
        }
        named::change(file, &save.actor, &save.named)?;
        let outcome = match &save.body {
            Some(body) => {
                let etag = actual.map_or(0, |last| last.0).checked_add(1).ok_or_else(|| {
                    Failure::corrupt(
                        format!("the state of {}", save.actor),
                        "its e-tag is the last number there is",
                    )
                })?;
                upsert.execute(params![
                    file.cluster(),
                    kind,
                    key,
                    etag.cast_signed(),
                    save.version,
                    &body[..]
                ])?;
                SaveOutcome::Saved(ETag(etag))
            }
            None => {
                clear.execute(params![file.cluster(), kind, key])?;
                SaveOutcome::Cleared
            }
        };
        may_be_poster |= save.has_posts;
        if may_be_poster {
            let posters = if save.has_posts { &mut add } else { &mut remove };
            posters.execute(params![file.cluster(), kind, key])?;
        }
        Ok(outcome)
    };
    saves.iter().map(&mut save).collect()
}

/// The actors whose states have messages that are still to be sent, ordered as [`ActorId`] is.
pub(super) fn posters(file: &File) -> Result<Vec<ActorId>, Failure> {
    let mut select = file.prepare("SELECT kind, key FROM posters WHERE cluster = ?1 ORDER BY kind, key")?;
    let mut found = select.query(params![file.cluster()])?;
    let mut posters = Vec::new();
    while let Some(row) = found.next()? {
        let (kind, key): (String, String) = (row.get(0)?, row.get(1)?);
        let what = format!("the poster {kind}/{key}");
        posters.push(ActorId::new(kind, key).map_err(|why| Failure::corrupt(what, why))?);
    }
    Ok(posters)
}
