//! Quark: virtual actors on a cluster of silos that is upgraded while it works.

pub mod activity;
pub mod actor;
pub mod clock;
pub mod ident;
pub mod membership;
pub mod placement;
pub mod store;
pub mod transport;
pub mod version;
pub mod wire;
