//! Rules of the silo that a test takes away, one at a time, to see whether its invariants notice. With the feature `testkit` alone.

use super::Node;
use crate::{clock::Moment, faults::is_broken, runtime::Packed};

/// What a package becomes.
pub(super) fn packed(mut packed: Box<Packed>) -> Box<Packed> {
    if is_broken("copy a timer instead of moving it") {
        let mut copies = packed.timers.clone();
        copies.iter_mut().for_each(|timer| timer.name.push_str(" again"));
        packed.timers.extend(copies);
    }
    if is_broken("leave timers behind") {
        packed.timers.clear();
    }
    if is_broken("leave behind what waits") {
        packed.waiting.clear();
    }
    if is_broken("move an older state") {
        packed.actor.memory = Default::default();
    }
    packed
}

impl Node {
    /// Until when a lease is taken to hold.
    pub(super) fn leased(&self, until: Moment) -> Moment {
        if is_broken("count the lease from the answer") {
            return self.clock.now() + self.options.membership.lease;
        }
        if is_broken("serve without a lease") {
            Moment(u64::MAX)
        } else {
            until
        }
    }

    /// Whether turns go on although the lease is lost, for as long as it was taken to hold.
    pub(super) fn keeps_lease(&self) -> bool {
        is_broken("count the lease from the answer") || is_broken("serve without a lease")
    }
}
