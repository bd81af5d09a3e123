//! Why a link could not be made, or ended.

use super::{CertificateProblem, TlsError};
use crate::{
    ident::{InvalidName, ProcessId, SiloId},
    wire::{FrameError, ProtocolRange},
};
use std::{io, time::Duration};

/// Why a link could not be made, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The address cannot be read.
    #[error("the address {address:?} cannot be used: {why}")]
    BadAddress {
        /// As given.
        address: String,
        /// What is wrong and what is right.
        why: &'static str,
    },
    /// The host's name does not resolve.
    #[error("the host of {address} cannot be resolved: check its spelling and this machine's name service")]
    Unresolvable {
        /// As given.
        address: String,
        /// The resolver's word.
        source: io::Error,
    },
    /// Another process listens there.
    #[error("{address} is in use: choose another port, or end the process that listens there")]
    AddressInUse {
        /// As given.
        address: String,
    },
    /// Listening failed otherwise.
    #[error("cannot listen on {address}: it must be an address of this machine and a port this user may open")]
    CannotListen {
        /// As given.
        address: String,
        /// The system's word.
        source: io::Error,
    },
    /// The next peer could not be taken. Wait a moment before trying again.
    #[error("the system refuses to accept another connection")]
    CannotAccept {
        /// The system's word.
        source: io::Error,
    },
    /// Unencrypted TCP outside this machine.
    #[error(
        "plain TCP on {address} is refused, because it is not a loopback address: anybody on the network could read and \
         change what is sent; give certificates with `tls` (`quark cert` makes some for development), or set `insecure` if \
         the network is trusted"
    )]
    PlainTextRefused {
        /// As given, with what it resolves to.
        address: String,
    },
    /// Nobody listens there.
    #[error("{address} refuses connections: nothing listens there (yet)")]
    Refused {
        /// As given.
        address: String,
    },
    /// Dialling failed otherwise.
    #[error("cannot connect to {address}")]
    CannotConnect {
        /// As given.
        address: String,
        /// The system's word.
        source: io::Error,
    },
    /// No connection, or no end of the handshake, in time.
    #[error("{address} did not {what} within {after:?}")]
    TimedOut {
        /// Whose.
        address: String,
        /// `answer` or `complete the handshake`.
        what: &'static str,
        /// The timeout.
        after: Duration,
    },
    /// This process's own name cannot be used.
    #[error("this process cannot introduce itself")]
    BadIdentity(#[from] InvalidName),
    /// The system has no random numbers for the handshake.
    #[error("the system gives no random numbers for the handshake")]
    NoRandomness {
        /// The system's word.
        source: io::Error,
    },
    /// What answers speaks something else.
    #[error("{address} does not speak Quark's protocol: is it the right port?")]
    NotQuark {
        /// Whose.
        address: String,
    },
    /// A message of the handshake is malformed.
    #[error("the handshake of {address} is malformed: {why}")]
    BadHandshake {
        /// Whose.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// The connection ended before the handshake did.
    #[error("{address} closed the connection during the handshake")]
    HandshakeCut {
        /// Whose.
        address: String,
        /// The system's word.
        source: io::Error,
    },
    /// The peer belongs to another cluster.
    #[error("{address} belongs to the cluster {theirs:?}, this process to {ours:?}")]
    WrongCluster {
        /// Whose.
        address: String,
        /// This process's cluster.
        ours: String,
        /// The peer's.
        theirs: String,
    },
    /// No protocol version is common.
    #[error("{address} speaks versions {theirs} of the protocol, this process {ours}: upgrade the older one")]
    NoCommonProtocol {
        /// Whose.
        address: String,
        /// What this process speaks.
        ours: ProtocolRange,
        /// What the peer speaks.
        theirs: ProtocolRange,
    },
    /// Somebody else answered than expected.
    #[error("{address} is {actual}, not {expected}: its address has been taken over, or it was restarted")]
    WrongPeer {
        /// Whose.
        address: String,
        /// Who was dialled.
        expected: ProcessId,
        /// Who answers.
        actual: ProcessId,
    },
    /// This process has a secret and the peer has none.
    #[error("this process has a cluster secret and {address} has none: give both the same, or neither one")]
    PeerWithoutSecret {
        /// Whose.
        address: String,
    },
    /// The peer has a secret and this process has none.
    #[error("{address} has a cluster secret and this process has none: give both the same, or neither one")]
    SecretMissing {
        /// Whose.
        address: String,
    },
    /// The peer does not know the secret.
    #[error("{address} has another cluster secret than this process")]
    WrongSecret {
        /// Whose.
        address: String,
    },
    /// The peer refused the handshake for a reason that this version does not know.
    #[error("{address} refused the handshake: {why}")]
    Rejected {
        /// Whose.
        address: String,
        /// The peer's words, cut to 512 characters.
        why: String,
    },
    /// This process's certificates cannot be used.
    #[error("the certificates cannot be used: {0}")]
    Tls(#[from] TlsError),
    /// The peer's certificate is not accepted by this process.
    #[error("the certificate of {address} {problem}")]
    BadCertificate {
        /// Whose.
        address: String,
        /// What is wrong with it.
        problem: CertificateProblem,
    },
    /// This process's certificate is not accepted by the peer.
    #[error("{address} refuses this process's certificate, which {problem}")]
    CertificateRefused {
        /// Whose word it is.
        address: String,
        /// What is wrong with it.
        problem: CertificateProblem,
    },
    /// A peer says it is a silo and has a client's certificate.
    #[error(
        "{address} calls itself the silo {silo}, but its certificate is one of a client: give silos certificates for servers"
    )]
    NotASilo {
        /// Whose.
        address: String,
        /// Who it says it is.
        silo: SiloId,
    },
    /// The peer that was dialled speaks TLS, and this process has no certificates.
    #[error("{address} speaks TLS alone, and this process has no certificates: set `tls`")]
    TlsNeeded {
        /// Whose.
        address: String,
    },
    /// The peer that was dialled does not speak TLS.
    #[error(
        "{address} does not speak TLS, and this process does: is it the right port? Set `tls` there, or on neither side"
    )]
    NoTls {
        /// Whose.
        address: String,
    },
    /// A peer has dialled without TLS, and this process listens for it.
    #[error("{address} has dialled without TLS, and this process speaks it: set `tls` there, or on neither side")]
    PlainPeer {
        /// Whose.
        address: String,
    },
    /// A peer has dialled with TLS, and this process has no certificates.
    #[error("{address} has dialled with TLS, and this process has no certificates: set `tls`")]
    UnexpectedTls {
        /// Whose.
        address: String,
    },
    /// TLS failed otherwise.
    #[error("TLS with {address} failed: {why}")]
    TlsFailed {
        /// Whose.
        address: String,
        /// What happened.
        why: String,
    },
    /// Bytes that are no frame: the link is of no use any more.
    #[error("the peer sent a frame that cannot be read")]
    BadFrame(#[from] FrameError),
    /// The link ended without a goodbye: the peer crashed, aborted, or the network failed.
    #[error("the link was lost")]
    Lost {
        /// The system's word.
        source: io::Error,
    },
    /// This process aborted the link.
    #[error("the link was aborted by this process")]
    Aborted,
}
