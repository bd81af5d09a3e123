//! TLS below the handshake: who may speak to the cluster at all.
//!
//! Owns the certificates of a process ([`Tls`]), read from the files that [`TlsOptions`] names and read again when they
//! change, and the TLS 1.3 handshake over a TCP stream, in which each side shows a certificate of the cluster's authority.
//! Imports `clock`.
//!
//! ```text
//! dialler                                            listener
//!   checks: CA, time, use as a server, name          checks: CA, time, use as a client
//!                                                    whoever introduces itself as a silo: use as a server
//! ```
//! The name is the host that was dialled, or [`TlsOptions::server_name`]. Sessions are not resumed: every link shows its
//! certificate anew, so a changed CA holds for every link made from then on. Links that are up live on.
//!
//! **Invariants**: `no_link_without_a_certificate_of_the_ca`, `files_that_cannot_be_used_leave_the_ones_before_in_use`,
//! `a_client_certificate_makes_no_silo`.

mod certificates;
mod error;
mod greet;
mod options;
mod reload;

pub use error::{CertificateProblem, TlsError};
pub use options::TlsOptions;
pub use reload::Tls;

pub(super) use greet::{Greeted, failure};
