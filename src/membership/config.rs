//! The time budgets of membership.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The time budgets of membership. All silos of a cluster must have the same; they prove things to each other by them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MembershipConfig {
    /// How often the silo writes its heartbeat. Default 1 s.
    pub heartbeat_interval: Duration,
    /// How often it reads the table, beside what peers push. Default 2 s.
    pub read_interval: Duration,
    /// How long a peer's heartbeat must stay the same before the peer is suspected. Default 5 s.
    pub failure_timeout: Duration,
    /// How long the silo may serve after it sent its last successful heartbeat. Default 4 s.
    pub lease: Duration,
    /// How long a probe may take; a second opinion may take twice as long, since the peer probes too. Default 1 s.
    pub probe_timeout: Duration,
    /// When an operation of the store that has not answered counts as failed. Whoever runs the operations gives them up
    /// at the same time. Default 2 s.
    pub store_timeout: Duration,
    /// When a peer that answers probes but writes no heartbeat is declared Dead all the same: it has stopped serving
    /// when its lease ended, and its actors are wanted elsewhere. Default 15 s.
    pub mute_timeout: Duration,
    /// How long the row of a Dead silo stays in the table, for it to see. Default 10 min.
    pub dead_retention: Duration,
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(1),
            read_interval: Duration::from_secs(2),
            failure_timeout: Duration::from_secs(5),
            lease: Duration::from_secs(4),
            probe_timeout: Duration::from_secs(1),
            store_timeout: Duration::from_secs(2),
            mute_timeout: Duration::from_secs(15),
            dead_retention: Duration::from_secs(600),
        }
    }
}

impl MembershipConfig {
    /// Checks that the budgets nest, with a fifth of the failure timeout for clocks that do not run at one rate and for
    /// the time it takes to stop.
    ///
    /// # Errors
    /// The first two budgets that do not fit, and what to change.
    pub fn check(&self) -> Result<(), BudgetError> {
        for (what, time) in [
            ("heartbeat_interval", self.heartbeat_interval),
            ("read_interval", self.read_interval),
            ("probe_timeout", self.probe_timeout),
            ("store_timeout", self.store_timeout),
        ] {
            if time.is_zero() {
                return Err(BudgetError::Zero { what });
            }
        }
        if self.lease > self.failure_timeout * 4 / 5 {
            return Err(BudgetError::LeaseTooLong {
                lease: self.lease,
                failure_timeout: self.failure_timeout,
            });
        }
        if self.heartbeat_interval * 3 > self.lease {
            return Err(BudgetError::HeartbeatTooSlow {
                heartbeat_interval: self.heartbeat_interval,
                lease: self.lease,
            });
        }
        if self.read_interval * 2 > self.failure_timeout {
            return Err(BudgetError::ReadTooSlow {
                read_interval: self.read_interval,
                failure_timeout: self.failure_timeout,
            });
        }
        if self.store_timeout > self.lease {
            return Err(BudgetError::StoreTooSlow {
                store_timeout: self.store_timeout,
                lease: self.lease,
            });
        }
        if self.mute_timeout < self.failure_timeout * 2 {
            return Err(BudgetError::MuteTooShort {
                mute_timeout: self.mute_timeout,
                failure_timeout: self.failure_timeout,
            });
        }
        if self.dead_retention < self.mute_timeout * 2 {
            return Err(BudgetError::RetentionTooShort {
                dead_retention: self.dead_retention,
                mute_timeout: self.mute_timeout,
            });
        }
        Ok(())
    }

    /// Within this time after it crashed a silo is Dead in the table, while an observer reads the table without failure:
    /// the failure timeout, a read interval until its last heartbeat is seen, a probe and a second opinion. The answers
    /// of the store and the pushes of the view come on top.
    pub fn detection_bound(&self) -> Duration {
        self.failure_timeout + self.read_interval + self.probe_timeout * 3
    }
}

/// Budgets that do not nest; the silo must not start with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// A budget of no time.
    #[error("{what} is zero; give it a time")]
    Zero {
        /// Which.
        what: &'static str,
    },
    /// A silo could be declared Dead while it still serves.
    #[error(
        "lease ({lease:?}) is longer than four fifths of failure_timeout ({failure_timeout:?}): a silo could be \
         declared dead while it serves; shorten lease or lengthen failure_timeout"
    )]
    LeaseTooLong {
        /// As given.
        lease: Duration,
        /// As given.
        failure_timeout: Duration,
    },
    /// A single lost heartbeat would cost the lease.
    #[error(
        "heartbeat_interval ({heartbeat_interval:?}) is longer than a third of lease ({lease:?}): one slow heartbeat \
         would stop the silo; shorten heartbeat_interval or lengthen lease (and failure_timeout with it)"
    )]
    HeartbeatTooSlow {
        /// As given.
        heartbeat_interval: Duration,
        /// As given.
        lease: Duration,
    },
    /// Two reads do not fit into the failure timeout.
    #[error(
        "read_interval ({read_interval:?}) is longer than half of failure_timeout ({failure_timeout:?}): a silence would \
         be judged by too few reads; shorten read_interval or lengthen failure_timeout"
    )]
    ReadTooSlow {
        /// As given.
        read_interval: Duration,
        /// As given.
        failure_timeout: Duration,
    },
    /// The lease would end before the silo knows that the store does not answer.
    #[error(
        "store_timeout ({store_timeout:?}) is longer than lease ({lease:?}): the lease would end while the store may \
         still answer; shorten store_timeout or lengthen lease (and failure_timeout with it)"
    )]
    StoreTooSlow {
        /// As given.
        store_timeout: Duration,
        /// As given.
        lease: Duration,
    },
    /// A probe that is answered would buy no time.
    #[error(
        "mute_timeout ({mute_timeout:?}) is shorter than twice failure_timeout ({failure_timeout:?}): an answered probe \
         would buy no time; lengthen mute_timeout"
    )]
    MuteTooShort {
        /// As given.
        mute_timeout: Duration,
        /// As given.
        failure_timeout: Duration,
    },
    /// A silo could miss its own death.
    #[error(
        "dead_retention ({dead_retention:?}) is shorter than twice mute_timeout ({mute_timeout:?}): dead silos would be \
         forgotten at once; lengthen dead_retention"
    )]
    RetentionTooShort {
        /// As given.
        dead_retention: Duration,
        /// As given.
        mute_timeout: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_defaults_nest() {
        assert_eq!(MembershipConfig::default().check(), Ok(()));
        assert_eq!(MembershipConfig::default().detection_bound(), secs(10));
    }

    /// Guarantee 17
    #[test]
    fn budgets_that_do_not_nest_are_refused_with_both_values() {
        type Spoil = fn(&mut MembershipConfig);
        let cases: [(Spoil, &str, &str); 7] = [
            (|c| c.heartbeat_interval = Duration::ZERO, "heartbeat_interval", "zero"),
            (|c| c.lease = secs(5), "lease (5s)", "failure_timeout (5s)"),
            (
                |c| c.heartbeat_interval = secs(2),
                "heartbeat_interval (2s)",
                "lease (4s)",
            ),
            (
                |c| c.read_interval = secs(3),
                "read_interval (3s)",
                "failure_timeout (5s)",
            ),
            (|c| c.store_timeout = secs(6), "store_timeout (6s)", "lease (4s)"),
            (
                |c| c.mute_timeout = secs(9),
                "mute_timeout (9s)",
                "failure_timeout (5s)",
            ),
            (
                |c| c.dead_retention = secs(20),
                "dead_retention (20s)",
                "mute_timeout (15s)",
            ),
        ];
        for (spoil, one, other) in cases {
            let mut config = MembershipConfig::default();
            spoil(&mut config);
            let text = config.check().expect_err("refused").to_string();
            assert!(text.contains(one) && text.contains(other), "{text}");
        }
    }
}
