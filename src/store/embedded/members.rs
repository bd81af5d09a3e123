//! The SQL of the membership table.
//!
//! A row is one record and the heartbeat that it was first put with; what is beaten since is in [`super::beats::Beats`]. So a
//! heartbeat leaves the record as it is, with all that a newer program put into it.

use super::{failure::Failure, file::File};
use crate::{
    ident::SiloId,
    store::{Change, MemberRow, MembershipTable, record},
};
use rusqlite::{OptionalExtension, params};

/// The table as it is.
pub(super) fn table(file: &File) -> Result<MembershipTable, Failure> {
    let mut select = file.prepare("SELECT name, incarnation, heartbeat, record FROM members WHERE cluster = ?1")?;
    let mut found = select.query([file.cluster()])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let silo = SiloId::checked(row.get::<_, String>(0)?, row.get::<_, i64>(1)?.cast_unsigned())
            .map_err(|why| Failure::corrupt("a member", why))?;
        let first = row.get::<_, i64>(2)?.cast_unsigned();
        let heartbeat = file.beats().read(&silo).unwrap_or(first);
        rows.push(understand(&silo, heartbeat, &row.get::<_, Vec<u8>>(3)?)?);
    }
    rows.sort_unstable_by(|a, b| a.silo.cmp(&b.silo));
    Ok(MembershipTable {
        view: view(file)?,
        rows,
    })
}

/// Changes a row if the view is `expected_view`.
pub(super) fn change(
    file: &File,
    expected_view: u64,
    change: &Change,
) -> Result<Result<MembershipTable, MembershipTable>, Failure> {
    let view = view(file)?;
    if view != expected_view {
        return Ok(Err(table(file)?));
    }
    match change {
        Change::Put(row) => put(file, row)?,
        Change::Remove(silo) => remove(file, silo)?,
    }
    let next = view
        .checked_add(1)
        .ok_or_else(|| Failure::corrupt("the view", "it is the last number there is"))?;
    file.prepare("UPDATE clusters SET view = ?2 WHERE id = ?1")?
        .execute(params![file.cluster(), next.cast_signed()])?;
    Ok(Ok(table(file)?))
}

/// Sets a row's heartbeat. To be run in a transaction of its own, which then sees what was committed before the heartbeat was
/// written: a death that the heartbeat was too late for.
pub(super) fn heartbeat(file: &File, silo: &SiloId, heartbeat: u64) -> Result<Option<MemberRow>, Failure> {
    file.beats().write(silo, heartbeat)?;
    match record_of(file, silo)? {
        Some(bytes) => understand(silo, heartbeat, &bytes).map(Some),
        None => {
            file.beats().forget(silo)?;
            Ok(None)
        }
    }
}

fn record_of(file: &File, silo: &SiloId) -> Result<Option<Vec<u8>>, Failure> {
    let mut select =
        file.prepare("SELECT record FROM members WHERE cluster = ?1 AND name = ?2 AND incarnation = ?3")?;
    let record = select.query_row(
        params![file.cluster(), silo.name(), silo.incarnation().cast_signed()],
        |row| row.get::<_, Vec<u8>>(0),
    );
    Ok(record.optional()?)
}

fn view(file: &File) -> Result<u64, Failure> {
    let view: i64 = file
        .prepare("SELECT view FROM clusters WHERE id = ?1")?
        .query_row([file.cluster()], |row| row.get(0))?;
    Ok(view.cast_unsigned())
}

fn put(file: &File, row: &MemberRow) -> Result<(), Failure> {
    let bytes = record::encode(row).map_err(|why| Failure::corrupt(name(&row.silo), why))?;
    if record_of(file, &row.silo)?.is_none() {
        file.beats().forget(&row.silo)?;
    }
    file.prepare(
        "INSERT INTO members (cluster, name, incarnation, heartbeat, record) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET record = excluded.record",
    )?
    .execute(params![
        file.cluster(),
        row.silo.name(),
        row.silo.incarnation().cast_signed(),
        row.heartbeat.cast_signed(),
        bytes
    ])?;
    Ok(())
}

fn remove(file: &File, silo: &SiloId) -> Result<(), Failure> {
    file.prepare("DELETE FROM members WHERE cluster = ?1 AND name = ?2 AND incarnation = ?3")?
        .execute(params![file.cluster(), silo.name(), silo.incarnation().cast_signed()])?;
    file.beats().forget(silo)?;
    Ok(())
}

fn understand(silo: &SiloId, heartbeat: u64, bytes: &[u8]) -> Result<MemberRow, Failure> {
    let row: MemberRow = record::decode(bytes).map_err(|why| Failure::corrupt(name(silo), why))?;
    if row.silo != *silo {
        return Err(Failure::corrupt(name(silo), format!("it speaks of {}", row.silo)));
    }
    Ok(MemberRow { heartbeat, ..row })
}

fn name(silo: &SiloId) -> String {
    format!("the member {silo}")
}
