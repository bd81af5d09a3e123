//! Documents: one hash, a field for each number and one for each body.

use super::{failure::Failure, scripts::PUT_DOCUMENT, server::Server};
use crate::store::{Document, ETag};
use bytes::Bytes;
use deadpool_redis::redis::cmd;

/// The document of that name.
pub(super) async fn read(server: &Server, name: &str) -> Result<Option<Document>, Failure> {
    let mut get = cmd("HMGET");
    get.arg(server.keys().documents())
        .arg(format!("e:{name}"))
        .arg(format!("b:{name}"));
    let (etag, body): (Option<Bytes>, Option<Bytes>) = server.query(&get).await?;
    document(name, etag, body)
}

/// Puts a document in place of the one numbered `expected`.
pub(super) async fn put(
    server: &Server,
    name: &str,
    expected: Option<ETag>,
    body: Bytes,
) -> Result<Result<ETag, Option<Document>>, Failure> {
    let mut call = PUT_DOCUMENT.key(server.keys().documents());
    call.arg(name)
        .arg(expected.map_or(String::new(), |etag| etag.to_string()))
        .arg(&body[..]);
    let answer: Vec<Option<Bytes>> = server.script(&call).await?;
    let mut parts = answer.into_iter();
    let ended = parts.next().flatten().unwrap_or_default();
    let (etag, found) = (parts.next().flatten(), parts.next().flatten());
    match (&ended[..], etag) {
        (b"put", Some(etag)) => Ok(Ok(number(name, &etag)?)),
        (b"conflict", etag) => Ok(Err(document(name, etag, found)?)),
        (_, etag) => {
            let etag = etag.unwrap_or_default();
            let etag = String::from_utf8_lossy(&etag);
            Err(Failure::corrupt(
                label(name),
                format!("its e-tag {etag:?} is the last number there is, or none"),
            ))
        }
    }
}

fn document(name: &str, etag: Option<Bytes>, body: Option<Bytes>) -> Result<Option<Document>, Failure> {
    match (etag, body) {
        (Some(etag), Some(body)) => Ok(Some(Document {
            etag: number(name, &etag)?,
            body,
        })),
        (None, None) => Ok(None),
        _ => Err(Failure::corrupt(label(name), "its number or its body is missing")),
    }
}

fn number(name: &str, bytes: &[u8]) -> Result<ETag, Failure> {
    let text = String::from_utf8_lossy(bytes);
    let number = text
        .parse()
        .map_err(|why| Failure::corrupt(label(name), format!("{text:?}: {why}")));
    number.map(ETag)
}

fn label(name: &str) -> String {
    format!("the document {name:?}")
}
