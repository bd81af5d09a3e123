//! A document of the store as a silo goes by it: in the order of its changes, however late a read of it comes back.

use crate::store::{Document, ETag};
use bytes::Bytes;
use std::sync::Arc;

/// A document as a silo goes by it.
pub(super) struct Followed<T> {
    known: Option<Known<T>>,
    taken: u64,
}

struct Known<T> {
    etag: ETag,
    body: Bytes,
    value: Arc<T>,
}

/// When a read or a put of the document was sent, by what was known then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent(u64);

impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self { known: None, taken: 0 }
    }
}

impl<T> Followed<T> {
    /// The document with its number, if there is one.
    pub(super) fn value(&self) -> Option<(ETag, Arc<T>)> {
        self.known.as_ref().map(|known| (known.etag, known.value.clone()))
    }

    /// To be asked before a read or a put is sent.
    pub(super) fn sending(&self) -> Sent {
        Sent(self.taken)
    }

    /// Whether the answer to what was sent then is to be gone by: it is newer, or it is another and nothing was taken since it was
    /// asked for. The latter is a store that lost writes; else it would be a read that comes back after a newer one.
    pub(super) fn is_news(&self, document: &Document, sent: Sent) -> bool {
        match &self.known {
            None => true,
            Some(known) if known.etag == document.etag && known.body == document.body => false,
            Some(known) => document.etag > known.etag || sent == self.sending(),
        }
    }

    /// Goes by the document from now on.
    pub(super) fn take(&mut self, document: &Document, value: Arc<T>) {
        self.taken += 1;
        self.known = Some(Known {
            etag: document.etag,
            body: document.body.clone(),
            value,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(etag: u64, body: &'static str) -> Document {
        Document {
            etag: ETag(etag),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// Goes by the document if it is news; answers what is gone by then.
    fn hear(followed: &mut Followed<Bytes>, document: &Document, sent: Sent) -> Option<ETag> {
        if followed.is_news(document, sent) {
            followed.take(document, Arc::new(document.body.clone()));
        }
        followed.value().map(|(etag, _)| etag)
    }

    /// The interleaving: a read is sent; this silo puts the next record; the answer of the read comes.
    #[test]
    fn a_late_read_takes_nothing_back() {
        let mut followed = Followed::default();
        let (read, put) = (followed.sending(), followed.sending());
        assert_eq!(hear(&mut followed, &document(8, "next"), put), Some(ETag(8)));
        assert_eq!(hear(&mut followed, &document(7, "last"), read), Some(ETag(8)));
        let after = followed.sending();
        assert_eq!(hear(&mut followed, &document(9, "newer"), read), Some(ETag(9)));
        assert_eq!(hear(&mut followed, &document(8, "next"), after), Some(ETag(9)));
    }

    #[test]
    fn a_store_that_lost_writes_is_followed_back() {
        let mut followed = Followed::default();
        let first = followed.sending();
        hear(&mut followed, &document(8, "lost"), first);
        let later = followed.sending();
        assert_eq!(hear(&mut followed, &document(7, "before"), later), Some(ETag(7)));
        let (late, put) = (followed.sending(), followed.sending());
        hear(&mut followed, &document(8, "another eighth"), put);
        assert!(!followed.is_news(&document(8, "another eighth"), late), "it is known");
        assert!(
            !followed.is_news(&document(8, "lost"), late),
            "which of the two is older is not known"
        );
        let now = followed.sending();
        assert!(followed.is_news(&document(8, "a third"), now));
    }
}
