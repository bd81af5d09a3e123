//! Administration: a cluster looked at and steered from outside.
//!
//! Owns [`Admin`], a client that asks silos about themselves, their actors and the rollout, and tells them what to do: what the
//! command line stands on. Each question is a query of a silo by name, with plain values both ways, so that programs of
//! different versions understand each other.
//!
//! Imports `client`, `ident`, `placement` and `rollout` (plain values), `schema`, `wire`.

mod error;
mod operating;
mod steering;

pub use error::AdminError;
pub use steering::Admin;
