//! Laws of documents.

use super::race::{CALLERS, race};
use crate::store::{Document, ETag, Store};
use bytes::Bytes;
use std::sync::Arc;

async fn put(store: &dyn Store, name: &str, expected: Option<u64>, body: &str) -> Result<ETag, Option<Document>> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let answer = store.put_document(name, expected.map(ETag), body).await;
    answer.expect("put_document answers")
}

async fn read(store: &dyn Store, name: &str) -> Option<Document> {
    store.document(name).await.expect("document answers")
}

fn document(etag: u64, body: &str) -> Document {
    Document {
        etag: ETag(etag),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// The number counts what was put under the name.
pub async fn a_document_comes_back_as_it_was_last_put(store: Arc<dyn Store>) {
    assert_eq!(read(&*store, "rollout").await, None);
    assert_eq!(put(&*store, "rollout", None, "first").await, Ok(ETag(1)));
    assert_eq!(put(&*store, "rollout", Some(1), "").await, Ok(ETag(2)));
    assert_eq!(read(&*store, "rollout").await, Some(document(2, "")));
}

/// An expectation that is not the number of the document, `None` included, puts nothing and tells what there is.
pub async fn a_put_that_expects_another_number_tells_the_document_as_it_is(store: Arc<dyn Store>) {
    for expected in [0, 1] {
        assert_eq!(put(&*store, "rollout", Some(expected), "of nothing").await, Err(None));
    }
    put(&*store, "rollout", None, "first").await.expect("put");
    for expected in [None, Some(0), Some(2)] {
        let outcome = put(&*store, "rollout", expected, "late").await;
        assert_eq!(outcome, Err(Some(document(1, "first"))), "{expected:?}");
    }
    assert_eq!(read(&*store, "rollout").await, Some(document(1, "first")));
}

/// Of many that expect the same, one puts its document and the others are told of it.
pub async fn concurrent_puts_of_a_document_have_one_winner(store: Arc<dyn Store>) {
    for expected in [None, Some(1)] {
        let outcomes = race(&store, move |store, caller| {
            Box::pin(async move { put(&*store, "rollout", expected, &caller.to_string()).await })
        })
        .await;
        let now = read(&*store, "rollout").await.expect("one was put");
        for (caller, outcome) in (0..CALLERS).zip(outcomes) {
            let won = now.body == caller.to_string();
            let due = if won { Ok(now.etag) } else { Err(Some(now.clone())) };
            assert_eq!(outcome, due, "caller {caller}");
        }
    }
}

/// Names with other letters, spaces or signs are other names.
pub async fn documents_of_other_names_are_other_documents(store: Arc<dyn Store>) {
    let names = [
        "rollout", "Rollout", "rollout ", "roll:out", "r", "e:r", "b:r", "'", "%", "東京",
    ];
    for name in names {
        assert_eq!(put(&*store, name, None, name).await, Ok(ETag(1)), "{name:?}");
    }
    for name in names {
        assert_eq!(read(&*store, name).await, Some(document(1, name)));
    }
}
