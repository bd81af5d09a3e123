//! What scripts and reads answer: strings, some of them missing.

use super::failure::Failure;
use crate::{
    ident::{Epoch, SiloId},
    store::{ETag, Entry, StoredState},
};
use bytes::Bytes;
use deadpool_redis::redis::{FromRedisValue, ParsingError, Value};
use std::{
    fmt::{self, Display},
    vec,
};

/// The answer about one item.
pub(super) type Reply = Vec<Option<Bytes>>;

/// A script's answer about one item: its strings, or one string of their words if none is missing or has a space in it. That costs
/// both sides less.
pub(super) struct Told(pub(super) Reply);

impl FromRedisValue for Told {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::BulkString(words) = value else {
            return Reply::from_redis_value(value).map(Self);
        };
        let words = Bytes::from(words);
        let split = words.split(|byte| *byte == b' ');
        Ok(Self(split.map(|word| Some(words.slice_ref(word))).collect()))
    }
}

/// What a reply is about: put into words when they are needed.
pub(super) struct Of<'a, T>(pub(super) &'static str, pub(super) &'a T);

impl<T: Display> Display for Of<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

/// Reads the strings of a reply in turn, and says whose it is if one is not as it must be.
pub(super) struct Reader<W> {
    what: W,
    rest: vec::IntoIter<Option<Bytes>>,
}

impl<W: Display> Reader<W> {
    /// Of a reply about `what`.
    pub(super) fn new(what: W, reply: Reply) -> Self {
        Self {
            what,
            rest: reply.into_iter(),
        }
    }

    /// The next string, if it is there.
    pub(super) fn optional(&mut self) -> Option<Bytes> {
        self.rest.next().flatten()
    }

    /// The next string.
    pub(super) fn text(&mut self) -> Result<String, Failure> {
        let found = self.optional().ok_or_else(|| self.corrupt("a part of it is missing"))?;
        String::from_utf8(found.into()).map_err(|why| self.corrupt(why))
    }

    /// The next string, a number.
    pub(super) fn number(&mut self) -> Result<u64, Failure> {
        let found = self.optional().ok_or_else(|| self.corrupt("a part of it is missing"))?;
        let number = std::str::from_utf8(&found).ok().and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.corrupt(format!("{:?} is no number", String::from_utf8_lossy(&found))))
    }

    /// The next three, an entry; a missing epoch is that of an actor that never had an owner.
    pub(super) fn entry(&mut self) -> Result<Entry, Failure> {
        let (owner, incarnation, epoch) = (self.optional(), self.optional(), self.optional());
        let part = |part: Option<Bytes>| Reader::new(&self.what, vec![part]);
        let owner = match incarnation.filter(|incarnation| !incarnation.is_empty()) {
            None => None,
            Some(incarnation) => Some(SiloId::new(part(owner).text()?, part(Some(incarnation)).number()?)),
        };
        let epoch = match epoch {
            None if owner.is_none() => 0,
            epoch => part(epoch).number()?,
        };
        Ok(Entry {
            owner,
            epoch: Epoch(epoch),
        })
    }

    /// The next three, a state; a missing e-tag is no state.
    pub(super) fn state(&mut self) -> Result<Option<StoredState>, Failure> {
        let (etag, version, body) = (self.optional(), self.optional(), self.optional());
        let Some(etag) = etag else { return Ok(None) };
        let part = |part: Option<Bytes>| Reader::new(&self.what, vec![part]);
        Ok(Some(StoredState {
            etag: ETag(part(Some(etag)).number()?),
            version: part(version).text()?,
            body: body.ok_or_else(|| self.corrupt("its body is missing"))?,
        }))
    }

    /// The failure to read it.
    pub(super) fn corrupt(&self, why: impl ToString) -> Failure {
        Failure::corrupt(&self.what, why)
    }

    /// The failure that its first string says, or that it says nothing known.
    pub(super) fn unexpected(mut self, ended: &str) -> Failure {
        match ended {
            "corrupt" => {
                let what = self.text().unwrap_or_default();
                self.corrupt(format!("{what:?} is the last number there is, or none"))
            }
            other => self.corrupt(format!("the script answered {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(parts: &[Option<&'static str>]) -> Reader<&'static str> {
        Reader::new("it", parts.iter().map(|part| part.map(Bytes::from)).collect())
    }

    #[test]
    fn an_entry_is_owned_free_or_new() {
        let read = |parts: &[Option<&'static str>]| reader(parts).entry().expect("an entry");
        assert_eq!(
            read(&[Some("s"), Some("3"), Some("7")]),
            Entry::owned(SiloId::new("s", 3), Epoch(7))
        );
        assert_eq!(read(&[Some(""), Some(""), Some("8")]), Entry::free(Epoch(8)));
        assert_eq!(read(&[None, None, Some("8")]), Entry::free(Epoch(8)));
        assert_eq!(read(&[None, None, None]), Entry::default());
    }

    #[test]
    fn what_cannot_be_understood_says_whose_it_is() {
        let read = |parts: &[Option<&'static str>]| match reader(parts).entry() {
            Err(Failure::Corrupt { what, why }) => {
                assert_eq!(what, "it");
                why
            }
            other => panic!("{other:?}"),
        };
        assert!(read(&[Some("s"), Some("three"), Some("7")]).contains("three"));
        assert!(read(&[Some("s"), Some("3"), None]).contains("missing"));
        assert!(read(&[None, None, Some("-1")]).contains("-1"));
        let state = reader(&[Some("1"), Some("1.0.0"), None]).state();
        assert!(matches!(state, Err(Failure::Corrupt { .. })), "{state:?}");
    }
}
