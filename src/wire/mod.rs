//! The wire: what processes say to each other, byte by byte.
//!
//! Owns the frames, their encoding, named MessagePack with its limits, and error codes.
//! Imports `ident` and the plain values of `store`.

mod failure;
mod frame;
mod msgpack;

pub use failure::{Failure, FailureCode, Ran};
pub use frame::{BounceReason, Call, Frame, Located, OfferItem, Outcome, Package, Refusal, SiloAddress};
pub use msgpack::{DecodeError, EncodeError, decode, encode};
