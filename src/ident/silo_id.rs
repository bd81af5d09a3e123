//! The id of a silo: a name and an incarnation.

use super::InvalidName;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// One run of one silo process: a restarted silo has the same name and a higher incarnation, and is a new silo.
///
/// One whose name cannot be ([`SiloId::checked`]) is not deserialized.
#[derive(Clone, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct SiloId {
    name: Arc<str>,
    incarnation: u64,
}

/// As it comes, from wherever.
#[derive(Deserialize)]
struct Unchecked {
    name: Arc<str>,
    incarnation: u64,
}

impl TryFrom<Unchecked> for SiloId {
    type Error = InvalidName;

    fn try_from(id: Unchecked) -> Result<Self, InvalidName> {
        Self::checked(id.name, id.incarnation)
    }
}

impl SiloId {
    /// A silo id whose name comes from outside.
    ///
    /// # Errors
    /// The name is empty, longer than [`super::ActorId::MAX_LEN`] bytes, or contains a control character.
    pub fn checked(name: impl Into<Arc<str>>, incarnation: u64) -> Result<Self, InvalidName> {
        let name = name.into();
        InvalidName::check("silo name", &name)?;
        Ok(Self { name, incarnation })
    }

    /// A silo id of a name that was checked.
    pub fn new(name: impl Into<Arc<str>>, incarnation: u64) -> Self {
        Self {
            name: name.into(),
            incarnation,
        }
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Grows with each start of a silo of this name.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }
}

impl PartialEq for SiloId {
    fn eq(&self, other: &Self) -> bool {
        // Most that are compared in a silo are its own, and one text.
        let is_same = || Arc::ptr_eq(&self.name, &other.name) || self.name == other.name;
        self.incarnation == other.incarnation && is_same()
    }
}

impl Hash for SiloId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&*self.name, self.incarnation).hash(state);
    }
}

impl fmt::Display for SiloId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.incarnation)
    }
}

impl fmt::Debug for SiloId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_id_is_not_deserialized() {
        let read = |name: &str| {
            let id = serde_json::json!({ "name": name, "incarnation": 7 });
            serde_json::from_value::<SiloId>(id)
        };
        assert_eq!(read("one").expect("valid"), SiloId::new("one", 7));
        for name in ["", "a\0", &"x".repeat(1025)] {
            let error = read(name).expect_err("malformed").to_string();
            assert!(error.contains("the silo name"), "{error}");
        }
    }

    #[test]
    fn an_id_reads_back_from_what_it_is_written_as() {
        let id = SiloId::new("one", u64::MAX);
        let bytes = rmp_serde::to_vec_named(&id).expect("encodes");
        assert_eq!(rmp_serde::from_read::<_, SiloId>(&bytes[..]).expect("reads back"), id);
    }
}
