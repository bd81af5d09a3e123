//! The transport: links between processes, proven before the first frame is read.
//!
//! Owns the contract ([`Transport`], [`Listener`], [`Connection`]), the handshake over any byte stream, the queue and the
//! writer of a link, and two makes of streams: TCP, plain or below TLS, and in-process. It spawns nothing: the owner drives
//! [`Connection::driver`], [`FrameReceiver::recv`] and [`Accepting`]. Imports `wire`, `ident` and `clock`.
//!
//! ```text
//! dial ── handshake ──┐                                  ┌── FrameSender   send, writable, flushed, close, abort
//!                     ├─ Connection { peer, .. } ── link ┤── driver        one write for all that is queued
//! accept ─ Accepting ─┘                                  └── FrameReceiver recv
//! ```
//!
//! **Invariants** (by the names of the tests): `order_of_sends_is_order_on_the_wire`, `nothing_is_read_after_abort`,
//! `a_frame_in_place_of_the_proof_is_not_read`, `an_end_without_goodbye_is_an_error`.

#[cfg(feature = "testkit")]
mod carried;
mod contract;
mod driver;
mod error;
#[cfg(feature = "testkit")]
mod faulty;
mod handshake;
mod link;
mod loopback;
mod queue;
mod receiver;
mod roaming;
mod secret;
mod sender;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;

#[cfg(feature = "testkit")]
pub(crate) use carried::{Carried, CarriedTransport, Carrier};
pub use contract::{Accepting, Connection, Listener, LocalEnd, Peer, Transport};
pub use error::TransportError;
pub use link::LinkOptions;
pub use loopback::LoopbackNetwork;
pub use receiver::FrameReceiver;
pub use secret::{Secret, SecretTooShort};
pub use sender::{Ended, FrameSender, SendError};
pub use tcp::{TcpOptions, TcpTransport};
pub use tls::{CertificateProblem, Tls, TlsError, TlsOptions};
