//! The client: a caller outside the cluster.
//!
//! Owns [`Client`]: finds the cluster from any silo, learns where actors live, follows their moves, and survives the loss of
//! any silo. Runs on a thread of its own, so that it works in any executor.
//!
//! Imports `actor`, `caller`, `clock`, `ident`, `store` (plain values), `transport`, `wire`.

mod builder;
mod core;
mod error;
mod handle;

pub use builder::ClientBuilder;
pub use error::ConnectError;
pub use handle::Client;
pub(crate) use handle::QUERY_TIMEOUT;
