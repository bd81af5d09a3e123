//! Asks of this process that wait for replies from elsewhere.

use crate::{
    clock::Moment,
    ident::{ActorId, RequestId, SiloId},
    mailbox::{ReplySlot, ReplyValue},
    wire::{Failure, FailureCode, Outcome, Ran},
};
use parking_lot::Mutex;
use slab::Slab;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Waker,
    time::Duration,
};

const SHARD_BITS: u32 = 4;
const SHARDS: usize = 1 << SHARD_BITS;

/// Who asks ends its ask itself at its deadline, if it looks at the time: so much later nobody does.
const GRACE: Duration = Duration::from_secs(1);

/// Asks of this process that wait for replies from elsewhere.
///
/// A request tells where its ask stands, which is found without a search:
///
/// ```text
/// bit  63            32           4       0
///      | number, not 0 | place    | shard |
/// ```
///
/// A place is used again by another number, the next of its shard: a reply that comes late meets nobody.
#[derive(Default)]
pub struct Pending {
    next: AtomicUsize,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    all: Slab<Waiting>,
    last: u32,
}

struct Waiting {
    request: RequestId,
    slot: ReplySlot,
    actor: ActorId,
    deadline: Option<Moment>,
    /// Whether it is to be woken before its deadline.
    watched: bool,
    /// The silo over whose link the message was sent, while that link decides about it.
    on: Option<SiloId>,
}

/// Where an ask stands in its shard.
#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
fn place(request: RequestId) -> usize {
    (request.0 as u32 >> SHARD_BITS) as usize
}

impl Shard {
    fn get(&mut self, request: RequestId) -> Option<&mut Waiting> {
        let waiting = self.all.get_mut(place(request));
        waiting.filter(|waiting| waiting.request == request)
    }

    fn remove(&mut self, request: RequestId) -> Option<Waiting> {
        self.get(request)?;
        Some(self.all.remove(place(request)))
    }

    fn extract_if(&mut self, mut over: impl FnMut(&Waiting) -> bool) -> Vec<Waiting> {
        let places: Vec<_> = (self.all.iter())
            .filter_map(|(place, waiting)| over(waiting).then_some(place))
            .collect();
        places.into_iter().map(|place| self.all.remove(place)).collect()
    }
}

impl Pending {
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of shards")]
    fn shard(&self, request: RequestId) -> &Mutex<Shard> {
        &self.shards[request.0 as usize % SHARDS]
    }

    /// A new ask. `on`: its message goes out over the link to that silo, unless it is sent later.
    pub fn register(&self, slot: ReplySlot, actor: ActorId, deadline: Option<Moment>, on: Option<SiloId>) -> RequestId {
        self.add(slot, actor, deadline, on, false)
    }

    /// The same; [`Pending::wake_before`] wakes who waits for it.
    pub fn register_watched(&self, slot: ReplySlot, actor: ActorId, deadline: Moment, on: SiloId) -> RequestId {
        self.add(slot, actor, Some(deadline), Some(on), true)
    }

    fn add(
        &self,
        slot: ReplySlot,
        actor: ActorId,
        deadline: Option<Moment>,
        on: Option<SiloId>,
        watched: bool,
    ) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut shard = self.shards[number].lock();
        shard.last = shard.last.wrapping_add(1).max(1);
        let (last, entry) = (u64::from(shard.last), shard.all.vacant_entry());
        let place = entry.key();
        assert!(
            place < 1 << (u32::BITS - SHARD_BITS),
            "invariant: fewer than 2^32 asks wait"
        );
        let request = RequestId(last << u32::BITS | ((place << SHARD_BITS) | number) as u64);
        entry.insert(Waiting {
            request,
            slot,
            actor,
            deadline,
            watched,
            on,
        });
        request
    }

    /// Wakes those that are to be woken before their deadlines, if these come before `end`: once each.
    pub fn wake_before(&self, end: Moment) {
        for shard in &self.shards {
            let mut wakers = Vec::new();
            for (_, waiting) in &mut shard.lock().all {
                if waiting.deadline.is_some_and(|deadline| deadline < end) && std::mem::take(&mut waiting.watched) {
                    wakers.extend(waiting.slot.take_waker());
                }
            }
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// The message goes out over the link to `silo`. `false`: nobody waits any more.
    pub fn sent(&self, request: RequestId, silo: &SiloId) -> bool {
        let mut shard = self.shard(request).lock();
        match shard.get(request) {
            Some(waiting) if waiting.slot.is_abandoned() => {
                shard.remove(request);
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
        let waiting = shard.get(request)?;
        if waiting.slot.is_abandoned() {
            shard.remove(request);
            return None;
        }
        waiting.on = None;
        Some(waiting.deadline)
    }

    /// A reply has come. `false` if nobody waits any more.
    pub fn answer(&self, request: RequestId, outcome: Outcome) -> bool {
        let waiting = self.shard(request).lock().remove(request);
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
            for (_, waiting) in &mut shard.lock().all {
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
            lost.extend(shard.lock().extract_if(|waiting| waiting.on.as_ref() == Some(silo)));
        }
        let count = lost.len();
        for waiting in lost {
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
            over.extend(shard.lock().extract_if(|waiting| {
                waiting.slot.is_abandoned() || waiting.deadline.is_some_and(|deadline| deadline + GRACE < now)
            }));
        }
        for waiting in over.into_iter().filter(|waiting| !waiting.slot.is_abandoned()) {
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
        // Their numbers go on: one of a reply that comes late is not given again.
        let all: Vec<_> = shards.flat_map(|shard| shard.lock().extract_if(|_| true)).collect();
        for waiting in all {
            let text = format!("{why} before {} answered; the message may have run", waiting.actor);
            let failure = Failure::new(FailureCode::Unknown, Ran::Unknown, text);
            waiting.slot.answer(Err(failure));
        }
    }

    /// How many asks wait.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().all.len()).sum()
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

    #[test]
    fn a_reply_that_comes_late_meets_nobody() {
        let pending = Pending::default();
        let register = || {
            let actor = ActorId::new("ledger", "a").expect("a name");
            let (sender, wait) = reply_pair::<()>();
            (pending.register(sender.into(), actor, None, None), wait)
        };
        let (old, _wait) = register();
        let reply = || Outcome::Reply(bytes::Bytes::new());
        assert!(pending.answer(old, reply()));
        // So many that one stands in its place.
        let all: Vec<_> = (0..SHARDS).map(|_| register()).collect();
        assert!(
            all.iter()
                .any(|(request, _)| place(*request) == place(old) && request.0 % 16 == old.0 % 16)
        );
        assert!(!pending.answer(old, reply()));
        assert_eq!(pending.len(), SHARDS);
        for (request, wait) in all {
            assert_ne!(request, RequestId::NONE);
            assert!(pending.answer(request, reply()));
            assert!(matches!(wait.now_or_never(), Some(Some(Ok(_)))));
        }
        assert!(pending.is_empty());
        // Nobody stands there at all.
        assert!(!pending.answer(RequestId(u64::MAX), reply()));
    }

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
