//! Placement: which silo an actor should be on.
//!
//! Owns the choice of a silo for an actor that has none, and of the targets that a silo may move its actors to. Both ask
//! the same three questions: is the silo Active, does it host the kind, does the version policy allow its version. Among
//! the silos that are left rendezvous hashing chooses, so that every process that sees the same view chooses the same,
//! and a silo that comes or goes moves no actor but its own share. Actors that are pinned or switched to a version ([`Rules`]), or
//! whose kind is rolled out ([`Canary`]), belong to the silos with some versions ([`Bound`]) as long as there are any. Placement is a guess for new actors; where an actor is, only the directory
//! knows. [`Balance`] decides when a silo that has more than its share gives actors away, and to whom.
//! Imports `ident`, `clock` (moments), `version` and the plain values of `store`; sees no other engine.
//!
//! ```text
//! rows of a view --view_changed--> hosts by kind --place(actor, wanted)--> one silo
//!                                               \--targets(kind, version)--> newest version first
//! loads of silos --compare--> nothing, or a relief: how many cold ones to whom, or a part of the hot ones
//! ```
//!
//! **Invariants**
//! - `only_active_silos_that_host_the_kind_in_an_allowed_version_are_chosen`
//! - `the_choice_is_the_same_on_every_platform`
//! - `a_silo_that_joins_takes_its_share_and_moves_nothing_else`
//! - `a_restarted_silo_gets_its_actors_back`
//! - `while_a_kind_is_rolled_out_each_actor_is_placed_on_its_side`
//! - `a_pinned_actor_belongs_to_its_version_whatever_is_rolled_out_or_switched`
//! - `targets_are_of_the_newest_allowed_version_first`
//! - `silos_that_compare_at_once_settle_and_stay`

mod asked;
mod balance;
mod bound;
mod canary;
mod engine;
mod error;
mod rendezvous;
mod rules;
mod spread;

pub use asked::{RULES_QUERY, RulesAnswered, RulesAsked};
pub use balance::{Balance, BalanceOptions, Relief, SiloLoad};
pub use bound::Bound;
pub use canary::Canary;
pub use engine::{Host, Placement};
pub use error::PlacementError;
pub use rendezvous::{Candidate, place};
pub use rules::{Keys, Pins, RuleChange, Rules, Switch};
pub use spread::spread;
