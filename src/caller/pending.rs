//! Asks of this process that wait for replies from elsewhere.

use crate::{
    clock::Moment,
    ident::{ActorId, RequestId, SiloId},
    mailbox::{ReplySlot, ReplyValue},
    wire::{Failure, FailureCode, Outcome, Ran},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const SHARDS: usize = 16;

/// Who asks ends its ask itself at its deadline, if it looks at the time: so much later nobody does.
const GRACE: Duration = Duration::from_secs(1);

/// Asks of this process that wait for replies from elsewhere.
pub struct Pending {
    next: AtomicU64,
    shards: [Mutex<HashMap<RequestId, Waiting, crate::chance::Hashing>>; SHARDS],
}

struct Waiting {
    slot: ReplySlot,
    actor: ActorId,
    deadline: Option<Moment>,
    /// The silo over whose link the message was sent, while that link decides about it.
    on: Option<SiloId>,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(1),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Pending {
    fn shard(&self, request: RequestId) -> &Mutex<HashMap<RequestId, Waiting, crate::chance::Hashing>> {
        &self.shards[usize::try_from(request.0).unwrap_or(0) % SHARDS]
    }

    /// A new ask. `on`: its message goes out over the link to that silo, unless it is sent later.
    pub fn register(&self, slot: ReplySlot, actor: ActorId, deadline: Option<Moment>, on: Option<SiloId>) -> RequestId {
        let request = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let waiting = Waiting {
            slot,
            actor,
            deadline,
            on,
        };
        self.shard(request).lock().insert(request, waiting);
        request
    }

    /// The message goes out over the link to `silo`. `false`: nobody waits any more.
    pub fn sent(&self, request: RequestId, silo: &SiloId) -> bool {
        let mut shard = self.shard(request).lock();
        match shard.get_mut(&request) {
            Some(waiting) if waiting.slot.is_abandoned() => {
                shard.remove(&request);
                false
            }
            Some(waiting) => {
                waiting.on = Some(silo.clone());
                true
            }
            None => false,
        }
    }

    /// The message came back unrun. Answers its deadline, `None` if nobody waits any more.
    pub fn came_back(&self, request: RequestId) -> Option<Option<Moment>> {
        let mut shard = self.shard(request).lock();
        let waiting = shard.get_mut(&request)?;
        if waiting.slot.is_abandoned() {
            shard.remove(&request);
            return None;
        }
        waiting.on = None;
        Some(waiting.deadline)
    }

    /// A reply has come. `false` if nobody waits any more.
    pub fn answer(&self, request: RequestId, outcome: Outcome) -> bool {
        let waiting = self.shard(request).lock().remove(&request);
        waiting.is_some_and(|waiting| {
            waiting.slot.answer(match outcome {
                Outcome::Reply(bytes) => Ok(ReplyValue::Encoded(bytes)),
                Outcome::Failure(failure) => Err(failure),
            })
        })
    }

    /// A silo says that it leaves in order: what was sent to it is no longer lost with its link.
    pub fn flushed(&self, silo: &SiloId) {
        for shard in &self.shards {
            for waiting in shard.lock().values_mut() {
                if waiting.on.as_ref() == Some(silo) {
                    waiting.on = None;
                }
            }
        }
    }

    /// The link to a silo was lost: what was sent over it and not answered ends unknown. Answers how many did.
    pub fn link_lost(&self, silo: &SiloId) -> usize {
        let mut lost = Vec::new();
        for shard in &self.shards {
            lost.extend(shard.lock().extract_if(|_, waiting| waiting.on.as_ref() == Some(silo)));
        }
        let count = lost.len();
        for (_, waiting) in lost {
            let text = format!(
                "the link to {silo} was lost before it answered for {}; the message may have run",
                waiting.actor
            );
            waiting
                .slot
                .answer(Err(Failure::new(FailureCode::Unknown, Ran::Unknown, text)));
        }
        count
    }

    /// Forgets the asks that were given up, and ends those whose deadline has passed: of a message that was moved on or passed on
    /// nobody tells that its silo was lost.
    pub fn sweep(&self, now: Moment) {
        let mut over = Vec::new();
        for shard in &self.shards {
            over.extend(shard.lock().extract_if(|_, waiting| {
                waiting.slot.is_abandoned() || waiting.deadline.is_some_and(|deadline| deadline + GRACE < now)
            }));
        }
        for (_, waiting) in over.into_iter().filter(|(_, waiting)| !waiting.slot.is_abandoned()) {
            let text = format!(
                "nobody answered for {} until the deadline; the message may have run",
                waiting.actor
            );
            let failure = Failure::new(FailureCode::TimedOut, Ran::Unknown, text);
            waiting.slot.answer(Err(failure));
        }
    }

    /// Ends all that wait, unknown; `why` is the begin of a sentence.
    pub fn end(&self, why: &str) {
        let shards = self.shards.iter();
        let all: Vec<_> = shards.flat_map(|shard| std::mem::take(&mut *shard.lock())).collect();
        for (_, waiting) in all {
            let text = format!("{why} before {} answered; the message may have run", waiting.actor);
            let failure = Failure::new(FailureCode::Unknown, Ran::Unknown, text);
            waiting.slot.answer(Err(failure));
        }
    }

    /// How many asks wait.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::reply_pair;
    use futures_util::FutureExt;

    /// A message is moved on with its actor, and the silo that it came to is lost: nobody tells its caller.
    #[test]
    fn an_ask_that_nobody_answers_ends_soon_after_its_deadline() {
        let pending = Pending::default();
        let actor = ActorId::new("ledger", "a").expect("a name");
        let (sender, wait) = reply_pair::<()>();
        let deadline = Moment::default() + Duration::from_secs(5);
        let request = pending.register(sender.into(), actor, Some(deadline), None);
        assert!(pending.sent(request, &SiloId::new("a", 1)));
        pending.flushed(&SiloId::new("a", 1));
        pending.sweep(deadline + GRACE);
        assert_eq!(pending.len(), 1);
        pending.sweep(deadline + GRACE + Duration::from_millis(1));
        assert!(pending.is_empty());
        let failure = match wait.now_or_never() {
            Some(Some(Err(failure))) => failure,
            _ => panic!("it is answered"),
        };
        assert_eq!(
            (failure.code, failure.ran),
            (FailureCode::TimedOut as u16, Ran::Unknown)
        );
    }
}
