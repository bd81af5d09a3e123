//! The id of a silo: a name and an incarnation.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// One run of one silo process: a restarted silo has the same name and a higher incarnation, and is a new silo.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SiloId {
    name: Arc<str>,
    incarnation: u64,
}

impl SiloId {
    /// A silo id.
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
