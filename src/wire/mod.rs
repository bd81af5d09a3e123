//! The wire: what processes say to each other, byte by byte.
//!
//! Owns the frames, their encoding, named MessagePack with its limits, and error codes.
//! Imports `ident` and the plain values of `store`.

mod failure;
mod frame;
mod frame_error;
mod limits;
mod msgpack;
mod protocol;

pub use failure::{Failure, FailureCode, Ran};
pub use frame::{BounceReason, Call, Frame, Located, OfferItem, Outcome, Package, Refusal, SiloAddress};
pub use frame_error::FrameError;
pub use limits::Limits;
pub use msgpack::{DecodeError, EncodeError, decode, encode};
pub use protocol::ProtocolRange;
