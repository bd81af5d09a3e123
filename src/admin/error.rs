//! Why an administrator's question has no answer.

use crate::{actor::CallError, ident::SiloId};

/// Why an administrator's question has no answer, or a wish was not fulfilled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The client knows of no silo that is Active.
    #[error("the cluster has no active silo that this client knows of")]
    NoSilo,
    /// No silo of that name.
    #[error("no silo is called {name:?}; there are: {known}")]
    UnknownSilo {
        /// As asked.
        name: String,
        /// Those that the client knows.
        known: String,
    },
    /// A silo did not answer as it should.
    #[error("{silo}: {source}")]
    Silo {
        /// Which.
        silo: SiloId,
        /// What happened.
        source: CallError,
    },
    /// What a silo answered cannot be read.
    #[error("the answer of {silo} to {query:?} cannot be read ({why}); use the command line of its version")]
    Unreadable {
        /// Which.
        silo: SiloId,
        /// The name of the query.
        query: &'static str,
        /// Why.
        why: String,
    },
    /// It cannot be done; nothing was changed.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// The actor cannot be moved, or was not.
    #[error("{actor} was not moved: {why}")]
    NotMoved {
        /// Which.
        actor: crate::ident::ActorId,
        /// Why.
        why: crate::wire::MoveFailure,
    },
    /// The actor has no owner.
    #[error("{0} is active on no silo; its next message activates it")]
    NotActive(crate::ident::ActorId),
}
