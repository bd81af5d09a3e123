//! The silo: one process's part of a cluster, put together.
//!
//! Owns the builder and the handle, the actix supervisors with their services, the seats of the actors here, and the order of
//! starting and leaving. Passes the commands of one engine to others as events.
//!
//! ```text
//!   SiloSupervisor (actix)
//!     |- MembershipSupervisor --- membership engine ---> views, leases, deaths
//!     |- MigrationSupervisor  --- offers, time limits of moves
//!     |- ReminderSupervisor   --- reminder engine ---> claims, ticks, hand-over of buckets
//!   link threads -- frames --> Node: Seats (migration engine per actor) --> runtime, directory, links
//! ```
//!
//! What services decide on belongs to the `Node`, so that a service which is started again goes on where its predecessor was.
//!
//! Imports every room below.

mod about_actors;
mod accepted;
mod actors;
mod balancing;
#[cfg(feature = "testkit")]
mod broken;
mod builder;
mod callers;
mod cluster;
mod cordon;
mod dead_letters;
mod directory;
mod doorstep;
mod end;
mod error;
mod followed;
mod found;
mod ground;
mod handle;
mod inbound;
mod incarnation;
mod intervals;
mod leaving;
mod leftovers;
mod link_tasks;
mod membership_service;
mod migration_service;
mod migrations;
mod moves;
mod node;
mod older_forms;
mod operating;
mod options;
mod outboxes;
mod parcels;
mod place;
mod queries;
mod reminders;
mod retries;
mod rollouts;
mod rules;
mod run;
mod seats;
mod sending;
mod services;
mod shapes;
mod standing;
mod store_loss;
mod supervisor;
mod watching;

pub use crate::placement::BalanceOptions;
pub use crate::wire::{MoveCounts, MoveFailure, MoveRequest, MoveState, MoveStatus, Moved};
pub use builder::{Silo, SiloBuilder};
pub use dead_letters::{ReplayError, Replayed};
pub use end::{CordonError, Ended};
pub use error::StartError;
pub use handle::SiloHandle;
pub use options::{SchemaConflicts, SiloOptions};
#[cfg(fuzzing)]
pub(crate) use queries::Notice;
pub use reminders::ReminderStatus;
pub use rules::RulesError;
#[cfg(feature = "testkit")]
pub(crate) use {ground::Ground, run::serve};

use node::{Gate, Node};
use services::ServiceAddresses;
