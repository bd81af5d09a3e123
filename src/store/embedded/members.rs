//! The SQL of the membership table.
//!
//! The heartbeat has a column of its own, and the rest of a row is one record. So a heartbeat leaves the record as it
//! is, with all that a newer program put into it.

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
        let heartbeat = row.get::<_, i64>(2)?.cast_unsigned();
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

/// Sets a row's heartbeat.
pub(super) fn heartbeat(file: &File, silo: &SiloId, heartbeat: u64) -> Result<Option<MemberRow>, Failure> {
    file.prepare(
        "UPDATE members SET heartbeat = ?4 WHERE cluster = ?1 AND name = ?2 AND incarnation = ?3 RETURNING record",
    )?
    .query_row(
        params![
            file.cluster(),
            silo.name(),
            silo.incarnation().cast_signed(),
            heartbeat.cast_signed()
        ],
        |row| row.get::<_, Vec<u8>>(0),
    )
    .optional()?
    .map(|bytes| understand(silo, heartbeat, &bytes))
    .transpose()
}

fn view(file: &File) -> Result<u64, Failure> {
    let view: i64 = file
        .prepare("SELECT view FROM clusters WHERE id = ?1")?
        .query_row([file.cluster()], |row| row.get(0))?;
    Ok(view.cast_unsigned())
}

fn put(file: &File, row: &MemberRow) -> Result<(), Failure> {
    let bytes = record::encode(row).map_err(|why| Failure::corrupt(name(&row.silo), why))?;
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
