//! How often and when a tell that did not run is tried again.

use crate::{
    ident::ActorId,
    wire::{Failure, FailureCode, Ran},
};
use std::time::Duration;

/// How often and when a tell that provably did not run is tried again, before it is a dead letter.
///
/// The pause before the first retry is `first_wait`; each further one is `factor` times as long, at most `max_wait`. Each
/// is shortened by up to the share `jitter` of it, so that the tells of many actors do not come back together.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The most retries. Default 5.
    pub max_retries: u32,
    /// The pause before the first retry. Default 100 ms.
    pub first_wait: Duration,
    /// By how much each pause is longer than the one before, 1 at least. Default 2.
    pub factor: f64,
    /// The longest pause. Default 10 s.
    pub max_wait: Duration,
    /// The share of a pause by which it may be shortened, 0 to 1. Default 0.2.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 5,
            first_wait: Duration::from_millis(100),
            factor: 2.0,
            max_wait: Duration::from_secs(10),
            jitter: 0.2,
        }
    }
}

impl RetryPolicy {
    /// Whether a message that ended so may run later. What may have run is never tried again, nor what will fail in the same way.
    pub fn is_worth_it(why: &Failure) -> bool {
        const LATER: [FailureCode; 6] = [
            FailureCode::ActivationFailed,
            FailureCode::NotHosted,
            FailureCode::ShuttingDown,
            FailureCode::StoreUnavailable,
            FailureCode::Full,
            FailureCode::Discarded,
        ];
        why.ran == Ran::No && LATER.iter().any(|code| *code as u16 == why.code)
    }

    /// The pause before the `retry`th retry, counted from 1, of tells to `actor`. The same for the same arguments.
    pub fn wait(&self, actor: &ActorId, retry: u32) -> Duration {
        let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first_wait.as_secs_f64() * self.factor.powi(exponent);
        let seconds = seconds.min(self.max_wait.as_secs_f64());
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(actor.to_string().as_bytes(), u64::from(retry));
        let share = f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        Duration::try_from_secs_f64(seconds * (1.0 - self.jitter * share)).unwrap_or(self.max_wait)
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// What is wrong and what it may be.
    pub fn check(&self) -> Result<(), String> {
        if !(self.factor >= 1.0 && self.factor.is_finite()) {
            return Err(format!("its factor is {}; it must be 1 or more", self.factor));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(format!("its jitter is {}; it must be 0 to 1", self.jitter));
        }
        if self.first_wait.is_zero() || self.first_wait > self.max_wait {
            return Err(format!(
                "its first_wait is {:?}; it must be more than zero and at most max_wait ({:?})",
                self.first_wait, self.max_wait
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(key: &str) -> ActorId {
        ActorId::new("k", key).expect("valid")
    }

    /// R108
    #[test]
    fn pauses_double_up_to_the_cap() {
        let policy = RetryPolicy {
            jitter: 0.0,
            ..RetryPolicy::default()
        };
        let millis = |retry| policy.wait(&actor("a"), retry).as_millis();
        assert_eq!([1, 2, 3, 4].map(millis), [100, 200, 400, 800]);
        assert_eq!([8, 100, u32::MAX].map(millis), [10_000; 3]);
    }

    /// R108
    #[test]
    fn jitter_shortens_a_pause_by_its_share_at_most_and_spreads_the_actors() {
        let policy = RetryPolicy::default();
        let waits: std::collections::BTreeSet<_> = (0..100).map(|n| policy.wait(&actor(&n.to_string()), 1)).collect();
        assert!(waits.len() > 90, "{} different pauses", waits.len());
        let (first, last) = (waits.first().expect("some"), waits.last().expect("some"));
        assert!(*first >= Duration::from_millis(80) && *last <= Duration::from_millis(100));
        assert!(*last - *first > Duration::from_millis(15), "they are spread");
    }

    /// R108
    #[test]
    fn what_may_have_run_or_will_fail_again_is_not_tried_again() {
        let failure = |code, ran| Failure::new(code, ran, "");
        assert!(RetryPolicy::is_worth_it(&failure(
            FailureCode::ActivationFailed,
            Ran::No
        )));
        for ran in [Ran::Yes, Ran::Unknown] {
            assert!(!RetryPolicy::is_worth_it(&failure(FailureCode::Discarded, ran)));
        }
        for code in [
            FailureCode::UnknownMessage,
            FailureCode::Unreadable,
            FailureCode::BadName,
        ] {
            assert!(!RetryPolicy::is_worth_it(&failure(code, Ran::No)));
        }
    }

    #[test]
    fn a_policy_that_cannot_be_is_refused() {
        RetryPolicy::default().check().expect("the default fits");
        let bad = |change: fn(&mut RetryPolicy)| {
            let mut policy = RetryPolicy::default();
            change(&mut policy);
            policy.check().expect_err("must be refused")
        };
        assert!(bad(|policy| policy.factor = 0.5).contains("factor"));
        assert!(bad(|policy| policy.factor = f64::NAN).contains("factor"));
        assert!(bad(|policy| policy.jitter = 1.5).contains("jitter"));
        assert!(bad(|policy| policy.first_wait = Duration::ZERO).contains("first_wait"));
        assert!(bad(|policy| policy.max_wait = Duration::ZERO).contains("max_wait"));
    }
}
