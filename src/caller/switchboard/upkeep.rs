//! Forgetting lines that nobody needs, and ending what waits for too long.

use super::{Shard, Switchboard};
use crate::{
    caller::Line,
    directory::Way,
    ident::ActorId,
    mailbox::ReplyTo,
    wire::{Failure, FailureCode, Ran},
};
use std::{sync::Arc, time::Duration};

/// How long a line stays that nobody holds, before a fence is spent on forgetting it.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(30);

/// How many lines of a shard a sweep looks at, if no more than a quarter as many were made since the last.
pub(super) const LOOKS: usize = 32;

/// For so many lines a sweep holds a shard's lock at once.
const AT_ONCE: usize = 64;

impl Switchboard {
    /// Ends what waits past its deadline, and forgets lines that nobody holds. To be called now and then. Looks at the lines
    /// where something may wait, and at some of the others.
    pub fn sweep(&self) {
        self.pending.sweep(self.clock.now());
        for unsettled in &self.unsettled {
            let actors = std::mem::take(&mut *unsettled.lock());
            for line in actors.iter().filter_map(|actor| self.line(actor)) {
                self.end_overdue(&line);
                if line.peek(|way| way.is_unsettled()) {
                    self.unsettled(line.actor());
                }
            }
        }
        for shard in &self.lines {
            let mut left = usize::MAX;
            while left > 0 {
                let (_, rest, unused) = self.look_round(&mut shard.lock(), left);
                left = rest;
                for line in unused {
                    self.change(&line, Way::retire);
                }
            }
        }
    }

    /// Looks at the next lines of a shard, `left` at the most. Forgets those that nobody holds and that can be forgotten;
    /// answers how many it looked at, how many are left to be looked at in this sweep, and those whose ways are to be retired first.
    pub(super) fn look_round(&self, shard: &mut Shard, left: usize) -> (usize, usize, Vec<Arc<Line>>) {
        let now = self.clock.now();
        let left = left.min(LOOKS.max(shard.made * 4)).min(shard.round.len());
        let looks = left.min(AT_ONCE);
        let mut unused = Vec::new();
        for _ in 0..looks {
            let Some(line) = shard.round.pop_front() else { break };
            // This one and the table's. With the shard locked nobody else can take one that nobody holds.
            let held = Arc::strong_count(&line) > 2;
            if !held && line.is_idle() == Some(true) {
                shard.lines.remove(line.actor());
                continue;
            }
            if let Some(since) = line.seen_held(held, now)
                && now.since(since) >= FORGET_AFTER
            {
                line.seen_held(true, now);
                line.seen_held(false, now);
                unused.push(line.clone());
            }
            shard.round.push_back(line);
        }
        if shard.round.len() < shard.round.capacity() / 4 {
            let room = shard.round.len() * 2;
            shard.round.shrink_to(room);
        }
        let left = left - looks;
        if left == 0 {
            shard.made = 0;
        }
        (looks, left, unused)
    }

    pub(super) fn drop_overdue(&self, actor: &ActorId) {
        if let Some(line) = self.line(actor) {
            self.end_overdue(&line);
        }
    }

    /// Ends what waits for a way past its deadline.
    pub(in crate::caller) fn end_overdue(&self, line: &Line) {
        let now = self.clock.now();
        let over = line.remove_if(|letter| {
            let late = letter.deadline.is_some_and(|deadline| deadline <= now);
            late || matches!(&letter.reply, ReplyTo::Here(slot) if slot.is_abandoned())
        });
        for letter in over {
            let actor = line.actor();
            let text = format!(
                "{} to {actor} waited past its deadline; it did not run",
                letter.body.name()
            );
            self.fail(actor, letter, Failure::new(FailureCode::TimedOut, Ran::No, text));
        }
    }
}
