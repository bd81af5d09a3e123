//! What actors of this silo have posted and saved: sent until it is taken. And posters that nobody has: woken, wherever they belong.
//!
//! ```text
//!   saved --> line of (sender, receiver): first post --ask--> receiver takes it, or has taken it before
//!                    ^                        | neither: pause, and again        |
//!                    '------- next post <-----+----------- sender is told <------'
//! ```
//! A line ends when it is empty, or its sender is not active here any more: whoever has it next sends what is left.

use super::{Node, sending::letter};
use crate::{
    actor::{FORGET, Forget, Posted, SETTLED, Settled, Undelivered, WAKE, seal},
    clock::Moment,
    ident::{ActorId, Epoch, OnceId},
    mailbox::Mailbox,
    wire::{self, Failure, FailureCode, Ran},
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque, btree_map},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often it is looked for posters that nobody has.
pub(super) const WAKE_INTERVAL: Duration = Duration::from_secs(2);

/// How long one attempt may take. No copy of a post begins later: receivers remember what they have taken for longer.
const ATTEMPT: Duration = Duration::from_secs(30);

/// The pause after an attempt that failed: so long at first, twice as long each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// How often a handler may panic before its message is a dead letter.
const MAX_PANICS: u32 = 5;

/// From whom to whom, and for which of the sender's activations.
type Line = (ActorId, ActorId, Epoch);

/// What is being sent.
#[derive(Default)]
pub(super) struct Outboxes {
    lines: Mutex<BTreeMap<Line, VecDeque<Posted>>>,
    looks: AtomicBool,
}

impl Outboxes {
    /// Adds posts. Answers the lines that nobody empties yet.
    fn add(&self, from: &ActorId, epoch: Epoch, posts: Vec<Posted>) -> Vec<Line> {
        let mut lines = self.lines.lock();
        let mut new = Vec::new();
        for post in posts {
            let line = (from.clone(), post.to.clone(), epoch);
            match lines.entry(line) {
                btree_map::Entry::Vacant(place) => {
                    new.push(place.key().clone());
                    place.insert(VecDeque::from([post]));
                }
                // An activation that comes up sends all that it has.
                btree_map::Entry::Occupied(mut place) => {
                    if place.get().back().is_none_or(|last| last.number < post.number) {
                        place.get_mut().push_back(post);
                    }
                }
            }
        }
        new
    }

    /// The post that is sent next; without one the line is gone.
    fn first(&self, line: &Line) -> Option<Posted> {
        let mut lines = self.lines.lock();
        let first = lines.get(line)?.front().cloned();
        if first.is_none() {
            lines.remove(line);
        }
        first
    }

    fn taken(&self, line: &Line) {
        if let Some(posts) = self.lines.lock().get_mut(line) {
            posts.pop_front();
        }
    }

    fn end(&self, line: &Line) {
        self.lines.lock().remove(line);
    }
}

/// How an attempt ended.
enum Attempt {
    Taken,
    Panicked(Failure),
    Failed(Failure),
}

impl Node {
    /// Sends what an actor has posted and saved, and tells receivers what is not sent again.
    pub(super) fn send_posts(
        self: &Arc<Self>,
        from: Arc<Mailbox>,
        outbox: OnceId,
        posts: Vec<Posted>,
        forget: Vec<(ActorId, u64)>,
    ) {
        for (to, number) in forget {
            self.tell_actor(&to, FORGET, &Forget { outbox, number });
        }
        let epoch = from.epoch();
        for line in self.outboxes.add(from.actor(), epoch, posts) {
            let (node, from) = (Arc::downgrade(self), from.clone());
            let clock = self.clock.clone();
            self.spawn(async move {
                let (mut pause, mut panics) = (FIRST_PAUSE, 0);
                while let Some(node) = node.upgrade() {
                    if from.epoch() != epoch || from.slot().is_none() {
                        return node.outboxes.end(&line);
                    }
                    if !node.may_serve() {
                        // The lease may be given again, or the silo ends.
                        drop(node);
                        clock.sleep(LAST_PAUSE).await;
                        continue;
                    }
                    let Some(post) = node.outboxes.first(&line) else {
                        return;
                    };
                    match node.send_post(&post, outbox, clock.now() + ATTEMPT).await {
                        Attempt::Taken => {}
                        Attempt::Panicked(why) if panics + 1 == MAX_PANICS => {
                            node.keep_dead_letter(post.to.clone(), post.message.clone(), post.body.clone(), why);
                        }
                        Attempt::Panicked(why) | Attempt::Failed(why) => {
                            panics += u32::from(why.code == FailureCode::Panicked as u16);
                            tracing::debug!(from = %line.0, to = %line.1, number = post.number, %why, "a posted message is sent again");
                            drop(node);
                            clock.sleep(pause).await;
                            pause = LAST_PAUSE.min(pause * 2);
                            continue;
                        }
                    }
                    (pause, panics) = (FIRST_PAUSE, 0);
                    node.outboxes.taken(&line);
                    let settled = Settled {
                        outbox,
                        number: post.number,
                    };
                    node.tell_settled(&line.0, &settled, || from.epoch() == epoch && from.slot().is_some())
                        .await;
                }
            });
        }
    }

    async fn send_post(self: &Arc<Self>, post: &Posted, outbox: OnceId, deadline: Moment) -> Attempt {
        let body = seal(&post.effect(outbox), &post.body);
        let wait = match self.send_encoded(&post.to, &post.message, body, Some(deadline)).await {
            Ok(wait) => wait,
            Err(failure) => return Attempt::Failed(failure),
        };
        match self.clock.timeout_at(deadline, wait).await {
            Some(Some(Ok(_))) => Attempt::Taken,
            Some(Some(Err(failure))) if failure.code == FailureCode::Panicked as u16 => Attempt::Panicked(failure),
            Some(Some(Err(failure))) if is_taken(&failure) => Attempt::Taken,
            Some(Some(Err(failure))) => Attempt::Failed(failure),
            Some(None) | None => Attempt::Failed(late(post)),
        }
    }

    /// Tells a poster that a post was taken: until it is told, or `is_here` no more, as nobody tells it again while it is active.
    async fn tell_settled(&self, poster: &ActorId, settled: &Settled, is_here: impl Fn() -> bool) {
        let Ok(body) = wire::encode(settled) else { return };
        let port = self.board().port(poster.clone());
        let mut letter = letter(SETTLED, body);
        while is_here() {
            match port.send(letter) {
                Ok(()) => return,
                Err(Undelivered::Full(back)) => letter = back,
                Err(Undelivered::Failed(_, why)) => {
                    return tracing::debug!(actor = %poster, %why, "a poster cannot be told that its post was taken");
                }
            }
            // It looks again in between whether the poster is here.
            let _room_or_late = self.clock.timeout(ATTEMPT, port.clone().room()).await;
        }
    }

    /// Tells an actor something that is Quark's own; what gets lost is told again, or not needed.
    fn tell_actor<T: Serialize>(&self, actor: &ActorId, message: &str, body: &T) {
        let Ok(body) = wire::encode(body) else { return };
        match self.board().port(actor.clone()).send(letter(message, body)) {
            Ok(()) => {}
            Err(Undelivered::Full(_)) => tracing::debug!(%actor, message, "an actor's mailbox is full"),
            Err(Undelivered::Failed(_, why)) => tracing::debug!(%actor, message, %why, "an actor cannot be told"),
        }
    }

    /// Looks for posters that nobody has, if this silo is the first of the Active ones, unless that is being done.
    pub(super) fn wake_posters(self: &Arc<Self>) {
        let is_first = (self.view.read().active().next()).is_some_and(|row| row.silo == self.me);
        if !is_first || self.outboxes.looks.swap(true, Ordering::AcqRel) {
            return;
        }
        let look = Look(self.clone());
        self.spawn(async move {
            if let Err(error) = look.0.wake_those_nobody_has().await {
                tracing::debug!(%error, "posters cannot be looked for now");
            }
        });
    }

    async fn wake_those_nobody_has(self: &Arc<Self>) -> Result<(), crate::store::StoreError> {
        let posters = self.store.posters().await?;
        if posters.is_empty() {
            return Ok(());
        }
        let entries = self.store.entries(posters.clone()).await?;
        for (poster, entry) in posters.iter().zip(entries) {
            let has_it = |owner| !self.view.read().is_gone(owner);
            if let Some(owner) = &entry.owner {
                // One that nobody knows is looked for, and found dead.
                self.services.owner_seen(self, owner);
            }
            if !entry.owner.as_ref().is_some_and(has_it) {
                tracing::debug!(%poster, "an actor that nobody has is woken to send what it has posted");
                self.tell_actor(poster, WAKE, &());
            }
        }
        Ok(())
    }
}

/// A look that is under way.
struct Look(Arc<Node>);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.outboxes.looks.store(false, Ordering::Release);
    }
}

/// Whether it was taken, though there is no reply that could be read here.
fn is_taken(failure: &Failure) -> bool {
    let codes = [FailureCode::BadReply as u16, FailureCode::Discarded as u16];
    failure.ran == Ran::Yes && codes.contains(&failure.code)
}

fn late(post: &Posted) -> Failure {
    let text = format!("{} to {} was not answered in time", post.message, post.to);
    Failure::new(FailureCode::Unknown, Ran::Unknown, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(number: u64, to: &str) -> Posted {
        Posted {
            number,
            to: ActorId::new("k", to).expect("valid"),
            message: "m".into(),
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn posts_are_sent_in_order_per_receiver_and_not_twice() {
        let outboxes = Outboxes::default();
        let (from, epoch) = (ActorId::new("k", "from").expect("valid"), Epoch(1));
        let new = outboxes.add(&from, epoch, vec![post(1, "a"), post(2, "b"), post(3, "a")]);
        assert_eq!(new.len(), 2, "a line for each receiver");
        let again = outboxes.add(
            &from,
            epoch,
            vec![post(1, "a"), post(2, "b"), post(3, "a"), post(4, "b")],
        );
        assert!(again.is_empty(), "somebody empties them");
        let mut sent = Vec::new();
        for line in &new {
            while let Some(post) = outboxes.first(line) {
                sent.push(post.number);
                outboxes.taken(line);
            }
        }
        assert_eq!(sent, [1, 3, 2, 4]);
        assert!(outboxes.lines.lock().is_empty());
    }
}
