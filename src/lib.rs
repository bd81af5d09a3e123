//! Quark: virtual actors on a cluster of silos that is upgraded while it works.

#[allow(
    unused_extern_crates,
    reason = "the macros name Quark `::quark`, also in its own tests"
)]
extern crate self as quark;

pub mod activity;
pub mod actor;
pub mod admin;
pub mod caller;
mod chance;
pub mod client;
pub mod clock;
pub mod directory;
#[cfg(feature = "testkit")]
pub mod faults;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod ident;
pub mod lifecycle;
pub mod mailbox;
pub mod membership;
pub mod migration;
pub mod placement;
pub mod reminder;
pub mod rollout;
pub mod runtime;
pub mod schema;
pub mod silo;
pub mod store;
pub mod stream;
mod sync;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod transport;
pub mod version;
pub mod wire;

pub mod prelude {
    //! What most programs need. Serde's derives want `serde` among the program's own dependencies too.
    pub use crate::actor::{
        ActivationError, Actor, ActorRef, CallError, Context, DeactivateReason, Handler, Message, State,
    };
    pub use crate::schema::Shape;
    pub use quark_macros::{Message, Shape, State, actor, actor_interface};
    pub use serde::{Deserialize, Serialize};
}

pub mod lock {
    //! What a program says over the wire, recorded in a file that is checked in, and the test that holds the program to it.
    pub use crate::actor::lock::{check, check_against};
    pub use crate::schema::{Difference, Lock, LockError};
}

#[doc(hidden)]
pub mod macro_support {
    //! What the macros' output names.
    pub use crate::actor::{
        Accepts, Back, Forms, FormsOf, Hosted, Kind, KindEntry, Message, MessageEntry, NoSchema, Older, State,
        assert_distinct, registry::LINKED,
    };
    pub use crate::schema::{self, Shape};
    pub use linkme;
}

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What docs/ shows compiles.
#[cfg(doctest)]
mod docs {
    #[doc = include_str!("../docs/operations.md")]
    struct Operations;

    #[doc = include_str!("../docs/state.md")]
    struct State;
    #[doc = include_str!("../docs/reminders.md")]
    struct Reminders;

    #[doc = include_str!("../docs/streams.md")]
    struct Streams;

    #[cfg(feature = "testkit")]
    #[doc = include_str!("../docs/simulation.md")]
    struct Simulation;

    #[doc = include_str!("../docs/upgrade-guide.md")]
    struct UpgradeGuide;

    #[doc = include_str!("../docs/wire-format.md")]
    struct WireFormat;
}
