//! The SQL of documents.

use super::{failure::Failure, file::File};
use crate::store::{Document, ETag};
use rusqlite::{OptionalExtension, params};

/// The document of that name.
pub(super) fn read(file: &File, name: &str) -> Result<Option<Document>, Failure> {
    let mut select = file.prepare("SELECT etag, body FROM documents WHERE cluster = ?1 AND name = ?2")?;
    let found = select.query_row(params![file.cluster(), name], |row| {
        Ok(Document {
            etag: ETag(row.get::<_, i64>(0)?.cast_unsigned()),
            body: row.get::<_, Vec<u8>>(1)?.into(),
        })
    });
    Ok(found.optional()?)
}

/// Puts a document in place of the one numbered `expected`.
pub(super) fn put(
    file: &File,
    name: &str,
    expected: Option<ETag>,
    body: &[u8],
) -> Result<Result<ETag, Option<Document>>, Failure> {
    let found = read(file, name)?;
    if found.as_ref().map(|document| document.etag) != expected {
        return Ok(Err(found));
    }
    let etag = expected.map_or(0, |last| last.0).checked_add(1).ok_or_else(|| {
        Failure::corrupt(
            format!("the document {name:?}"),
            "its e-tag is the last number there is",
        )
    })?;
    let mut upsert = file.prepare(
        "INSERT INTO documents (cluster, name, etag, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET etag = excluded.etag, body = excluded.body",
    )?;
    upsert.execute(params![file.cluster(), name, etag.cast_signed(), body])?;
    Ok(Ok(ETag(etag)))
}
