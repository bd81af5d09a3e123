//! Schemas: what messages, replies and states look like on the wire, and whether two programs read each other's.
//!
//! Owns the canonical description of a type ([`Schema`], made by `#[derive(Shape)]` and `#[derive(Message)]` from the type and its serde
//! attributes), its 128-bit hash, and the comparison of an older one with a newer one ([`compare`]): what each of the two would fail to
//! read of the other, and how to keep it readable. Imports `ident`.
//!
//! **Invariants** (by the names of the tests): `a_schema_is_compatible_with_itself`, `what_is_called_compatible_is_read_both_ways`,
//! `the_hash_is_of_the_canonical_text_alone`.

mod compare;
mod describe;
mod model;

pub use compare::{Break, Breaks, compare};
pub use describe::{Describe, Shape, Types, Unknown, describe};
pub use model::{Container, Field, Form, Hash, Schema, Variant, Written};
