//! Why a silo does not start, or ends before its time.

use crate::{actor::registry::RegistryError, ident::InvalidName, store::StoreError, transport::TransportError};

/// Why a silo did not start. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An option that cannot be.
    #[error("the option {option} cannot be used: {why}")]
    BadOption {
        /// Which.
        option: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The kinds that the program was linked with cannot be hosted.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No kinds at all.
    #[error(
        "this program hosts no actors: put `#[actor(...)]` above an `impl Actor`, and if they live in another crate, name it \
         in a `use my_actors as _;`, or the linker leaves it out"
    )]
    NoActors,
    /// The store cannot be used.
    #[error("the store cannot be used: {0}")]
    Store(#[from] StoreError),
    /// The silo cannot listen.
    #[error("the silo cannot listen: {0}")]
    Transport(#[from] TransportError),
    /// Its kinds and those of living silos cannot read each other's messages or states.
    #[error(
        "the silo and living silos could not read each other: {}; mend that, or raise the major version of the kind; the option \
         `schema_conflicts` lets the silo join without the kinds, or in spite of all",
        .conflicts.join("; ")
    )]
    Schemas {
        /// One sentence for each thing.
        conflicts: Vec<String>,
    },
    /// The membership table did not take the silo.
    #[error("the silo could not join the cluster: {why}")]
    NotJoined {
        /// What happened.
        why: String,
    },
    /// It was told to stop before it was Active, by a signal or because nobody waited for its start.
    #[error("the silo was told to stop before it was active: {reason}")]
    Stopped {
        /// By whom.
        reason: String,
    },
    /// A thread could not be started.
    #[error("a thread of the silo could not be started")]
    Thread(#[source] std::io::Error),
}
