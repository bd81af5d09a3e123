//! The SQL of named states.

use super::{failure::Failure, file::File};
use crate::{
    ident::ActorId,
    store::{ETag, NamedChange, SaveOutcome, StoredState},
};
use rusqlite::{OptionalExtension, params};

/// A state as it is.
pub(super) fn load(file: &File, actor: &ActorId, name: &str) -> Result<Option<StoredState>, Failure> {
    let mut select = file.prepare(
        "SELECT etag, version, body FROM named_states WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4",
    )?;
    let found = select.query_row(params![file.cluster(), actor.kind(), actor.key(), name], |row| {
        Ok(StoredState {
            etag: ETag(row.get::<_, i64>(0)?.cast_unsigned()),
            version: row.get(1)?,
            body: row.get::<_, Vec<u8>>(2)?.into(),
        })
    });
    Ok(found.optional()?)
}

/// The first change that expects another number.
pub(super) fn conflict(file: &File, actor: &ActorId, changes: &[NamedChange]) -> Result<Option<SaveOutcome>, Failure> {
    for change in changes {
        let actual = etag(file, actor, &change.name)?;
        if actual != change.expected {
            return Ok(Some(SaveOutcome::NamedConflict {
                name: change.name.clone(),
                expected: change.expected,
                actual,
            }));
        }
    }
    Ok(None)
}

fn etag(file: &File, actor: &ActorId, name: &str) -> Result<Option<ETag>, Failure> {
    let mut select =
        file.prepare("SELECT etag FROM named_states WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4")?;
    let found = select.query_row(params![file.cluster(), actor.kind(), actor.key(), name], |row| {
        row.get::<_, i64>(0)
    });
    Ok(found.optional()?.map(|etag| ETag(etag.cast_unsigned())))
}

/// Makes changes that conflict with nothing.
pub(super) fn change(file: &File, actor: &ActorId, changes: &[NamedChange]) -> Result<(), Failure> {
    for change in changes {
        let (kind, key) = (actor.kind(), actor.key());
        match &change.new {
            Some(new) => {
                let mut upsert = file.prepare(
                    "INSERT INTO named_states (cluster, kind, key, name, etag, version, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE
                     SET etag = excluded.etag, version = excluded.version, body = excluded.body",
                )?;
                let etag = change.after().0.cast_signed();
                upsert.execute(params![
                    file.cluster(),
                    kind,
                    key,
                    change.name,
                    etag,
                    new.version,
                    &new.body[..]
                ])?;
            }
            None => {
                let mut delete = file
                    .prepare("DELETE FROM named_states WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4")?;
                delete.execute(params![file.cluster(), kind, key, change.name])?;
            }
        }
    }
    Ok(())
}
