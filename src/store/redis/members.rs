//! The membership table: one hash, so that one script sees all of it.
//!
//! A row is one record, and its heartbeat has a field of its own: a heartbeat leaves the record as it is, with all that
//! a newer program put into it.

use super::{
    failure::Failure,
    keys,
    scripts::{CHANGE_MEMBER, HEARTBEAT},
    server::Server,
};
use crate::{
    ident::SiloId,
    store::{Change, MemberRow, MembershipTable, record},
};
use bytes::Bytes;
use deadpool_redis::redis::cmd;
use std::collections::BTreeMap;

/// The hash as it is.
type Fields = BTreeMap<Vec<u8>, Bytes>;

/// The table as it is.
pub(super) async fn table(server: &Server) -> Result<MembershipTable, Failure> {
    let mut all = cmd("HGETALL");
    all.arg(server.keys().members());
    understand(&server.query(&all).await?)
}

/// The number of the view.
pub(super) async fn view(server: &Server) -> Result<u64, Failure> {
    let mut get = cmd("HGET");
    get.arg(server.keys().members()).arg("view");
    let view: Option<Bytes> = server.query(&get).await?;
    view.map_or(Ok(0), |view| number("the view", &view))
}

/// Changes a row if the view is `expected_view`.
pub(super) async fn change(
    server: &Server,
    expected_view: u64,
    change: Change,
) -> Result<Result<MembershipTable, MembershipTable>, Failure> {
    let (verb, silo, record, heartbeat) = match change {
        Change::Put(row) => {
            let record = record::encode(&row).map_err(|why| Failure::corrupt(name(&row.silo), why))?;
            ("put", row.silo, record, row.heartbeat)
        }
        Change::Remove(silo) => ("remove", silo, Vec::new(), 0),
    };
    let mut call = CHANGE_MEMBER.key(server.keys().members());
    call.arg(expected_view.to_string())
        .arg(verb)
        .arg(silo.to_string())
        .arg(record)
        .arg(heartbeat.to_string())
        .arg(server.keys().views());
    let (ended, fields): (String, Fields) = server.script(&call).await?;
    match ended.as_str() {
        "changed" => understand(&fields).map(Ok),
        "conflict" => understand(&fields).map(Err),
        _ => Err(Failure::corrupt("the view", "it is the last number there is, or none")),
    }
}

/// Sets a row's heartbeat.
pub(super) async fn heartbeat(server: &Server, silo: SiloId, heartbeat: u64) -> Result<Option<MemberRow>, Failure> {
    let mut call = HEARTBEAT.key(server.keys().members());
    call.arg(silo.to_string()).arg(heartbeat.to_string());
    let record: Option<Bytes> = server.script(&call).await?;
    record.map(|record| row(silo, heartbeat, &record)).transpose()
}

fn understand(fields: &Fields) -> Result<MembershipTable, Failure> {
    let mut table = MembershipTable::default();
    for (field, value) in fields {
        // Fields of newer programs are theirs.
        if field == b"view" {
            table.view = number("the view", value)?;
        } else if let Some(written) = field.strip_prefix(b"r:") {
            let shown = || String::from_utf8_lossy(written);
            let silo = keys::silo(written)
                .ok_or_else(|| Failure::corrupt(format!("the member {:?}", shown()), "this is no silo's name"))?;
            let heartbeat = match fields.get(&[b"h:", written].concat()) {
                Some(heartbeat) => number(&format!("the heartbeat of {silo}"), heartbeat)?,
                None => 0,
            };
            table.rows.push(row(silo, heartbeat, value)?);
        }
    }
    table.rows.sort_unstable_by(|a, b| a.silo.cmp(&b.silo));
    Ok(table)
}

fn row(silo: SiloId, heartbeat: u64, bytes: &[u8]) -> Result<MemberRow, Failure> {
    let row: MemberRow = record::decode(bytes).map_err(|why| Failure::corrupt(name(&silo), why))?;
    if row.silo != silo {
        return Err(Failure::corrupt(name(&silo), format!("it speaks of {}", row.silo)));
    }
    Ok(MemberRow { heartbeat, ..row })
}

fn number(what: &str, bytes: &[u8]) -> Result<u64, Failure> {
    let text = String::from_utf8_lossy(bytes);
    text.parse()
        .map_err(|why| Failure::corrupt(what, format!("{text:?}: {why}")))
}

fn name(silo: &SiloId) -> String {
    format!("the member {silo}")
}
