//! Why there is no silo for an actor.

use crate::version::NoMatch;
use semver::Version;

/// No silo may take the actor. It did not run, so the request is safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// No silo takes actors at all.
    #[error("no silo of the cluster is Active; start one, or wait until one that joins is")]
    NoActiveSilo,
    /// Active silos there are, but none for this kind.
    #[error(
        "no Active silo hosts the kind {kind:?}; start one whose program links the crate of the actor (and names it: \
         `use that_crate as _;`)"
    )]
    NotHosted {
        /// The kind.
        kind: String,
    },
    /// The kind is hosted, in versions that the policy forbids.
    #[error(
        "no Active silo hosts the kind {kind:?} in a version that {policy} allows for {wanted} (hosted: {}); start one \
         that does, or widen the version policy",
        list(.hosted)
    )]
    VersionMismatch {
        /// The kind.
        kind: String,
        /// The version that was wanted.
        wanted: Version,
        /// The versions there are, oldest first.
        hosted: Vec<Version>,
        /// The policy of the kind, as text.
        policy: String,
        /// What the policy says of such a request.
        on_no_match: NoMatch,
    },
}

fn list(versions: &[Version]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
