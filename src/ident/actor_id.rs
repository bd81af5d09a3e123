//! The id of an actor: its kind and its key, never the key alone.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Names one actor of the cluster: (kind, key).
///
/// Two kinds may use equal keys; they are different actors. Cheap to clone. One that could not be made by [`ActorId::new`] is
/// not deserialized either.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct ActorId {
    kind: Arc<str>,
    key: Arc<str>,
}

/// As it comes, from wherever.
#[derive(Deserialize)]
struct Unchecked {
    kind: Arc<str>,
    key: Arc<str>,
}

impl TryFrom<Unchecked> for ActorId {
    type Error = InvalidName;

    fn try_from(id: Unchecked) -> Result<Self, InvalidName> {
        Self::new(id.kind, id.key)
    }
}

impl ActorId {
    /// The longest kind or key, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// An actor id. Kind and key are 1 to [`ActorId::MAX_LEN`] bytes without control characters.
    ///
    /// # Errors
    /// [`InvalidName`] says which part is wrong and why.
    pub fn new(kind: impl Into<Arc<str>>, key: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        let id = Self {
            kind: kind.into(),
            key: key.into(),
        };
        InvalidName::check("kind", &id.kind)?;
        InvalidName::check("key", &id.key)?;
        Ok(id)
    }

    /// The id of an actor that cannot be, for references whose calls say so.
    pub(crate) fn unusable(kind: &str) -> Self {
        Self {
            kind: kind.into(),
            key: "?".into(),
        }
    }

    /// The stable wire name of the actor's type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The key within the kind.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A 64-bit hash that is the same in every process and on every platform (xxh3 of kind, a zero byte and key).
    pub fn stable_hash(&self) -> u64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(self.kind.as_bytes());
        hasher.update(&[0]);
        hasher.update(self.key.as_bytes());
        hasher.digest()
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

/// A kind, key, silo or cluster name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} {name:?} cannot be used: {why}")]
pub struct InvalidName {
    /// What the name is for: `kind`, `key`, `silo name`, `cluster name`.
    pub what: &'static str,
    /// The name as given, cut to 64 characters.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl InvalidName {
    /// Checks a name: 1 to [`ActorId::MAX_LEN`] bytes, no control characters.
    ///
    /// # Errors
    /// The name with what is wrong.
    pub fn check(what: &'static str, name: &str) -> Result<(), Self> {
        let why = if name.is_empty() {
            "it is empty"
        } else if name.len() > ActorId::MAX_LEN {
            "it is longer than 1024 bytes"
        } else if name.chars().any(char::is_control) {
            "it contains a control character"
        } else {
            return Ok(());
        };
        Err(Self {
            what,
            name: name.chars().take(64).collect(),
            why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R24
    #[test]
    fn equal_keys_of_different_kinds_are_different_actors() {
        let cart = ActorId::new("cart", "alice").expect("valid");
        let user = ActorId::new("user", "alice").expect("valid");
        assert_ne!(cart, user);
        assert_ne!(cart.stable_hash(), user.stable_hash());
    }

    #[test]
    fn stable_hash_is_the_published_value() {
        let id = ActorId::new("cart", "alice").expect("valid");
        assert_eq!(id.stable_hash(), xxhash_rust::xxh3::xxh3_64(b"cart\0alice"));
    }

    #[test]
    fn a_malformed_id_is_not_deserialized() {
        fn read(kind: &str, key: &str) -> serde_json::Result<ActorId> {
            serde_json::from_value(serde_json::json!({ "kind": kind, "key": key }))
        }
        let id = read("cart", "alice").expect("valid");
        assert_eq!(id, ActorId::new("cart", "alice").expect("valid"));
        for (kind, key, what) in [
            ("", "a", "kind"),
            ("a", "", "key"),
            ("a", "x\0y", "key"),
            ("a\n", "b", "kind"),
        ] {
            let error = read(kind, key).expect_err("malformed").to_string();
            assert!(error.contains(&format!("the {what} ")), "{error}");
        }
        assert!(read("a", &"x".repeat(ActorId::MAX_LEN + 1)).is_err());
        assert!(read(&"x".repeat(ActorId::MAX_LEN), "a").is_ok());
    }

    #[test]
    fn names_that_could_be_misread_are_refused() {
        assert_eq!(ActorId::new("", "a").expect_err("empty").what, "kind");
        assert_eq!(ActorId::new("a", "x\0y").expect_err("control").what, "key");
        assert!(ActorId::new("a", "x".repeat(1025)).is_err());
    }
}
