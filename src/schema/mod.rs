//! Schemas: what messages, replies and states look like on the wire, and whether two programs read each other's.
//!
//! Owns the canonical description of a type ([`Schema`], made by `#[derive(Shape)]` and `#[derive(Message)]` from the type and its serde
//! attributes), its 128-bit hash, and the comparison of an older one with a newer one ([`compare`]): what each of the two would fail to
//! read of the other, and how to keep it readable. Of a kind the same for all its messages, replies and states ([`conflicts`]), and
//! the file in which a program's shapes are recorded, version by version ([`Lock`]). Imports `ident`.
//!
//! **Invariants** (by the names of the tests): `a_schema_is_compatible_with_itself`, `what_is_called_compatible_is_read_both_ways`,
//! `the_hash_is_of_the_canonical_text_alone`.

mod compare;
mod describe;
mod kind;
mod lock;
mod model;

pub use compare::{Break, Breaks, compare};
pub use describe::{Describe, Shape, Types, Unknown, describe, describe_by, opaque};
pub use kind::{Conflict, KindHashes, KindSchemas, STATE, Ways, conflicts};
pub use lock::{Difference, Lock, LockError};
pub use model::{Container, Field, Form, Hash, Schema, Variant, Written};
