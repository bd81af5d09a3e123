//! Counts answers, for tests that wait until a load has gone on.
#![allow(unreachable_pub, missing_docs, reason = "nobody else sees it")]

use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time};

/// How many messages were answered. Clones count together.
#[derive(Clone, Debug)]
pub struct Answered(Arc<watch::Sender<u64>>);

impl Default for Answered {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Answered {
    /// One more is.
    pub fn count(&self) {
        self.0.send_modify(|answered| *answered += 1);
    }

    /// Waits until so many more are.
    pub async fn more(&self, more: u64) {
        let mut answered = self.0.subscribe();
        let wanted = *answered.borrow() + more;
        let reached = answered.wait_for(|answered| *answered >= wanted);
        time::timeout(Duration::from_secs(60), reached)
            .await
            .expect("the load goes on")
            .expect("it is counted");
    }
}
