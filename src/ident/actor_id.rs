//! The id of an actor: its kind and its key, never the key alone.

use super::kind_names;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{BuildHasher, Hash, Hasher},
    sync::LazyLock,
};
use triomphe::ThinArc;

/// Names one actor of the cluster: (kind, key).
///
/// Two kinds may use equal keys; they are different actors. Cheap to clone: clones share one block. One that could not be
/// made by [`ActorId::new`] is not deserialized either.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Unchecked<'_>")]
pub struct ActorId(ThinArc<Header, u8>);

/// What stands before the key.
struct Header {
    /// Of kind and key; another in every process.
    hash: u32,
    /// The kind's number, or [`UNNUMBERED`]: then the kind itself stands before the key.
    kind: u16,
    /// How long that is, in bytes.
    kind_len: u16,
}

const UNNUMBERED: u16 = u16::MAX;

/// As it comes, from wherever.
#[derive(Deserialize)]
struct Unchecked<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
}

impl TryFrom<Unchecked<'_>> for ActorId {
    type Error = InvalidName;

    fn try_from(id: Unchecked<'_>) -> Result<Self, InvalidName> {
        Self::new(id.kind, id.key)
    }
}

impl Serialize for ActorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ActorId", 2)?;
        fields.serialize_field("kind", self.kind())?;
        fields.serialize_field("key", self.key())?;
        fields.end()
    }
}

impl ActorId {
    /// The longest kind or key, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// An actor id. Kind and key are 1 to [`ActorId::MAX_LEN`] bytes without control characters.
    ///
    /// # Errors
    /// [`InvalidName`] says which part is wrong and why.
    pub fn new(kind: impl AsRef<str>, key: impl AsRef<str>) -> Result<Self, InvalidName> {
        let (kind, key) = (kind.as_ref(), key.as_ref());
        let number = kind_names::known(kind);
        if number.is_none() {
            InvalidName::check("kind", kind)?;
        }
        InvalidName::check("key", key)?;
        Ok(Self::unchecked(kind, number, key))
    }

    /// The id of an actor that cannot be, for references whose calls say so.
    pub(crate) fn unusable(kind: &str) -> Self {
        Self::unchecked(kind, None, "?")
    }

    fn unchecked(kind: &str, number: Option<u16>, key: &str) -> Self {
        let number = number.or_else(|| kind_names::number_of(kind));
        let mut header = Header {
            hash: hash(kind, key),
            kind: number.unwrap_or(UNNUMBERED),
            kind_len: 0,
        };
        match number {
            Some(_) => Self(ThinArc::from_header_and_slice(header, key.as_bytes())),
            None => {
                header.kind_len = u16::try_from(kind.len()).unwrap_or(u16::MAX);
                let text = [kind.as_bytes(), key.as_bytes()].concat();
                Self(ThinArc::from_header_and_slice(header, &text))
            }
        }
    }

    fn header(&self) -> &Header {
        &self.0.header.header
    }

    fn split(&self) -> (&[u8], &[u8]) {
        self.0.slice.split_at(usize::from(self.header().kind_len))
    }

    /// The stable wire name of the actor's type.
    pub fn kind(&self) -> &str {
        match self.header().kind {
            UNNUMBERED => text(self.split().0),
            number => kind_names::name_of(number),
        }
    }

    /// The key within the kind.
    pub fn key(&self) -> &str {
        text(self.split().1)
    }

    /// The key's text; it need not be looked at to be known as such.
    pub(crate) fn key_bytes(&self) -> &[u8] {
        self.split().1
    }

    /// A hash that is ready to be used, of 64 bits made from 32; another in every process.
    pub(crate) fn quick_hash(&self) -> u64 {
        u64::from(self.header().hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// A 64-bit hash that is the same in every process and on every platform (xxh3 of kind, a zero byte and key).
    pub fn stable_hash(&self) -> u64 {
        let (kind, key) = (self.kind().as_bytes(), self.split().1);
        let mut text = [0; 128];
        let len = kind.len() + 1 + key.len();
        if len > text.len() {
            return xxhash_rust::xxh3::xxh3_64(&[kind, &[0], key].concat());
        }
        text[..kind.len()].copy_from_slice(kind);
        text[kind.len() + 1..len].copy_from_slice(key);
        xxhash_rust::xxh3::xxh3_64(&text[..len])
    }
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("invariant: an id is made of text")
}

fn hash(kind: &str, key: &str) -> u32 {
    static SEED: LazyLock<crate::chance::Hashing> = LazyLock::new(Default::default);
    let hash = SEED.hash_one((kind, key));
    #[allow(clippy::cast_possible_truncation, reason = "both halves go in")]
    let folded = (hash ^ (hash >> 32)) as u32;
    folded
}

impl PartialEq for ActorId {
    fn eq(&self, other: &Self) -> bool {
        // A kind has one number or none, so equal texts under equal headers are equal ids.
        let (one, two) = (self.header(), other.header());
        self.0.ptr() == other.0.ptr()
            || (one.hash, one.kind, one.kind_len) == (two.hash, two.kind, two.kind_len) && self.0.slice == other.0.slice
    }
}

impl Eq for ActorId {}

impl Hash for ActorId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.header().hash);
    }
}

impl Ord for ActorId {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (self.header().kind, other.header().kind);
        if one == two && one != UNNUMBERED {
            return self.0.slice.cmp(&other.0.slice);
        }
        (self.kind(), self.split().1).cmp(&(other.kind(), other.split().1))
    }
}

impl PartialOrd for ActorId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.key())
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.key())
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
        // Nearly all names; without a branch per byte.
        let is_plain = name
            .bytes()
            .fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte));
        if is_plain && (1..=ActorId::MAX_LEN).contains(&name.len()) {
            return Ok(());
        }
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
        let (kind, key) = ("c".repeat(100), "k".repeat(1000));
        let long = ActorId::new(&kind, &key).expect("valid");
        assert_eq!(
            long.stable_hash(),
            xxhash_rust::xxh3::xxh3_64(format!("{kind}\0{key}").as_bytes())
        );
    }

    /// However many kinds there are, and however long their names.
    #[test]
    fn an_id_whose_kind_has_no_number_is_as_good_as_any() {
        let long = "x".repeat(ActorId::MAX_LEN);
        let one = ActorId::new(&long, "a").expect("valid");
        assert_eq!((one.kind(), one.key()), (&*long, "a"));
        assert_eq!(one, ActorId::new(&long, "a").expect("valid"));
        // The same text, cut elsewhere.
        let other = ActorId::new(&long[1..], "xa").expect("valid");
        assert_ne!(one, other);
        assert!(other < one);
        assert!(ActorId::new("b", "a").expect("valid") < one);
    }

    #[test]
    fn a_block_holds_what_it_must_and_a_key_of_16_bytes_in_40() {
        assert_eq!((size_of::<ActorId>(), size_of::<Header>()), (8, 8));
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
