//! Frames as bytes.
//!
//! Owns the layout of frames: [`Outgoing`] writes them back to back, [`Decoder`] takes them off a buffer. Does no I/O.
//!
//! A frame is a fixed header, a head and a payload. Numbers are little endian.
//!
//! ```text
//!  byte  0    4     5      6       8           12        20       28                28 + head length
//!       ┌────┬─────┬──────┬───────┬───────────┬─────────┬────────┬─────────────────┬─────────────────┐
//!       │ len│kind │flags │layout │head length│ number  │ epoch  │ head            │ payload         │
//!       │ u32│ u8  │ u8   │ u16   │ u32       │ u64     │ u64    │ fixed│extension │                 │
//!       └────┴─────┴──────┴───────┴───────────┴─────────┴────────┴─────────────────┴─────────────────┘
//! ```
//!
//! - `len` counts what follows it. A length of 0 is the goodbye: nothing follows, the stream ends as it should.
//! - `kind`: the numbers in `kind.rs`. `layout` is 0; a change of the fixed parts would raise it for that kind. A frame of
//!   an unknown kind or layout becomes [`crate::wire::Frame::Unrecognized`].
//! - `flags`: bits that a receiver does not know are ignored.
//! - The head has a *fixed* part by kind, and behind it an *extension*: a named MessagePack map, left out when it has
//!   nothing to say. Unknown keys are ignored: new fields go there.
//! - The payload is carried as it is: bodies, replies, memory. On both sides it is a slice, not a copy.
//!
//! | kind | number | epoch | flags | fixed | extension | payload |
//! |---|---|---|---|---|---|---|
//! | Call | request | | | call | trace | body |
//! | Fence, Mark, Handled, Enter, NotHere | k | | | actor | | |
//! | Lookup | request | | | actor | | |
//! | Query | request | | | | name | body |
//! | Ping, Pong | n | | | | | |
//! | Reply, Answer | request | | 1 = failure | | | reply, or the failure (named MessagePack) |
//! | Bounce | request | | | call | hint, why, trace | body |
//! | Fenced | k | | 1 = lost | actor | hint | |
//! | Moved | | | | actor | hint | |
//! | Located | request | | | | found | |
//! | View | view | | | | silos | |
//! | Offer | batch | | | | items | |
//! | OfferAnswer | batch | | | | refusals, serves | |
//! | Package | | epoch | | actor | version, etag, unsaved, frozen_at | u32 length, memory; then waiting Call frames |
//! | Part | offset | epoch | | actor | total | a part of a Package frame |
//! | PartTaken | upto | epoch | | actor | | |
//! | Go, Committed | | epoch | | actor | | |
//! | Refused | | epoch | | actor | why | |
//! | Forward | n | stream | | u64 request, call | trace | body |
//! | Rested, Returned, Lost | n | stream | | actor | | |
//! | Closed, AskClosed | | stream | | actor | | |
//! | Leaving, LeavingAck, Flushed | | | | | | |
//! | Piece | bytes of the whole frame | | 1 = last | | | a piece of a frame |
//!
//! ```text
//! name   u16 length, that many bytes of UTF-8 (at most 1024)
//! actor  name kind, name key
//! call   actor, name message, from, u32 time left, u16 actors in the chain, so many actors
//! from   u8 0, name silo, u64 incarnation   or   u8 1, u64 client
//! time left   milliseconds, rounded up, at least 1; 0 is without end; more than 49 days is 49 days
//! ```
//!
//! **Invariants**: `every_frame_survives_the_wire`, `every_prefix_of_a_frame_needs_more`,
//! `random_bytes_never_panic`, `a_frame_beyond_the_limits_is_refused_before_it_arrives`.

mod cursor;
mod decode;
#[cfg(test)]
mod documentation;
mod encode;
mod head;
mod header;
mod interner;
pub(super) mod kind;
mod outgoing;
mod pieces;
#[cfg(test)]
mod plain_tests;
#[cfg(test)]
mod properties;
mod recent;
#[cfg(test)]
mod seeds;
mod whole;

pub use decode::{Decoder, Step};
pub use outgoing::Outgoing;
pub use pieces::PIECE_BYTES;

pub(super) use head::{LocatedHead, RefusalHead};
