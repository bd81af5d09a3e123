//! Rollout: bringing a new version of some kinds to a share of the actors, step by step, and back.
//!
//! Owns the record of a rollout ([`Rollout`], kept in the store), what it may do next ([`Rollout::advance`],
//! [`Rollout::obey`]), the comparison of the new version with the old ([`judge`]) and the check before it begins ([`Plan`]).
//! Whichever silo is the first of the Active ones carries it on: every step is a check-and-set of the whole record, so that
//! it may die at any line and two that believe to be the first do no harm. Moving actors is not done here: every silo reads
//! the weight and moves what it makes wrong about its own actors.
//!
//! ```text
//!   Plan::new --start--> Moving(step) --all silos settled--> Watching(step) --good--> Moving(step + 1) ... Complete --finalize--> Finalized
//!                           ^ |                                  | bad
//!                    resume | v pause, or not settled in time    v
//!                         Paused <----- undecided too long --- RollingBack --all silos settled--> RolledBack
//!                                                                 ^ |
//!                                                          resume | v not settled in time
//!                                                               PausedBack
//! ```
//!
//! **Invariants** (by the names of the tests): `the_weight_only_grows_on_the_way_forward`, `nothing_moves_on_before_all_silos_have_settled`,
//! `a_bad_verdict_rolls_back_by_itself`, `a_controller_that_takes_over_goes_on_where_the_record_stands`.
//!
//! Imports `ident`, `schema`, `store` (plain values), `telemetry`, `version`.

mod advance;
mod ask;
mod commands;
mod criteria;
mod forecast;
mod judge;
mod plan;
mod record;

pub use advance::{Observed, SiloReport};
pub use ask::{Answered, Asked, REPORT_QUERY, ROLLOUT_QUERY, RolloutError};
pub use commands::{Command, CommandError};
pub use criteria::{BadCriteria, Criteria, OnBad};
pub use forecast::{Forecast, Receipt};
pub use judge::{Finding, Verdict, judge};
pub use plan::{Plan, PlanError, PlannedKind, Request};
pub use record::{LogEntry, Phase, Rollout, StepReceipt, Target};

#[cfg(test)]
mod tests;
