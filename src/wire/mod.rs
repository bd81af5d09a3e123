//! The wire: what processes say to each other, byte by byte.
//!
//! Owns the frames, their encoding, named MessagePack with its limits, the messages of the handshake, the protocol range
//! and error codes. Does no I/O. Imports `ident` and the plain values of `store`.

mod actors;
mod codec;
mod failure;
mod frame;
mod frame_error;
pub(crate) mod handshake;
mod keeping;
mod limits;
mod moving;
mod msgpack;
mod operating;
mod protocol;
mod shape;
mod status;

pub use actors::{ACTOR_QUERY, ACTORS_QUERY, ActorFound, ActorLine, ActorsAsked, ActorsListed, SavedState};
pub use codec::{Decoder, Outgoing, PIECE_BYTES, Step};
pub use failure::{Failure, FailureCode, Ran};
pub use frame::{
    BounceReason, Call, Envelope, Frame, Located, OfferItem, Outcome, Package, PackedSubscription, PackedTimer,
    PlainCall, Refusal, SiloAddress,
};
pub use frame_error::FrameError;
pub use keeping::{Kept, decode_keeping};
pub use limits::Limits;
pub use moving::{MoveCounts, MoveFailure, MoveRequest, MoveState, MoveStatus, Moved};
pub use msgpack::{DecodeError, EncodeError, MAX_DEPTH, decode, encode};
pub(crate) use msgpack::{Scratch, encode_into, with_field};
pub use operating::{
    LEAVE_QUERY, LETTERS_QUERY, LeaveAnswered, LeaveAsked, LetterLine, LettersAnswered, LettersAsked, MOVE_QUERY,
    MoveAnswered, MoveAsked, SHAPES_QUERY,
};
pub use protocol::ProtocolRange;
pub use shape::ShapeError;
pub use status::{
    ArrivedActor, DrainProgress, Health, MovedActor, STATUS_QUERY, ShutdownReport, StatusReport, StuckTurn,
    WorkerStatus,
};
