//! The directory as this silo writes and reads it: in batches, off the message path.

use super::{Gate, Node, found::Found, place::Place};
use crate::{
    caller::back_off,
    clock::Moment,
    ident::{ActorId, Epoch, Hint},
    migration::Purpose,
    store::{Entry, EntryChange, EntryOutcome, RegisterOutcome, StoreError},
    wire::{BounceReason, Failure, FailureCode, Located, Ran},
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::mpsc;

/// The most items of one batch.
const BATCH: usize = 512;

/// How often it is said that entries cannot be read.
const COMPLAIN: Duration = Duration::from_secs(1);

/// How long a store that did not answer is left alone.
const RETRY: Duration = Duration::from_millis(50);

/// Takes what is to be written.
pub(super) struct Directory {
    registrations: mpsc::UnboundedSender<ActorId>,
    changes: mpsc::UnboundedSender<WantedChange>,
    /// When it was last said that entries cannot be read.
    complained: Mutex<Option<Moment>>,
}

struct WantedChange {
    purpose: Purpose,
    change: EntryChange,
}

/// What was handed in and waits to be written.
pub(super) struct Intake {
    registrations: mpsc::UnboundedReceiver<ActorId>,
    changes: mpsc::UnboundedReceiver<WantedChange>,
}

impl Directory {
    pub(super) fn new() -> (Self, Intake) {
        let (registrations, wanted_registrations) = mpsc::unbounded_channel();
        let (changes, wanted_changes) = mpsc::unbounded_channel();
        let intake = Intake {
            registrations: wanted_registrations,
            changes: wanted_changes,
        };
        let complained = Mutex::default();
        let directory = Self {
            registrations,
            changes,
            complained,
        };
        (directory, intake)
    }

    /// Whether it is time to say that entries cannot be read: one actor in doubt says it for all.
    fn complains(&self, now: Moment) -> bool {
        let mut last = self.complained.lock();
        let is_time = last.is_none_or(|last| now.since(last) >= COMPLAIN);
        if is_time {
            *last = Some(now);
        }
        is_time
    }

    /// Asks for the entry of an actor, bounded by the seats that wait for it.
    pub(super) fn register(&self, actor: ActorId) {
        let _ended_with_the_silo = self.registrations.send(actor);
    }
}

impl Intake {
    /// Writes what is handed in until the node ends.
    pub(super) fn run(self, node: &Arc<Node>) -> [BoxFuture<'static, ()>; 2] {
        [
            Box::pin(register_all(Arc::downgrade(node), self.registrations)),
            Box::pin(change_all(Arc::downgrade(node), self.changes)),
        ]
    }
}

async fn register_all(node: Weak<Node>, mut wanted: mpsc::UnboundedReceiver<ActorId>) {
    let mut batch = Vec::new();
    while wanted.recv_many(&mut batch, BATCH).await > 0 {
        let Some(node) = node.upgrade() else { return };
        let actors = std::mem::take(&mut batch);
        match node.store.register(&node.me, actors.clone()).await {
            Ok(outcomes) => {
                let mut taken = Vec::new();
                for (actor, outcome) in actors.into_iter().zip(outcomes) {
                    match outcome {
                        RegisterOutcome::Registered(registered) => {
                            node.activate(&actor, registered.epoch, registered.state)
                        }
                        RegisterOutcome::Owned(entry) => taken.push((actor, entry)),
                    }
                }
                node.take_over(taken).await;
            }
            Err(error) => node.not_registered(&actors, &error).await,
        }
    }
}

async fn change_all(node: Weak<Node>, mut wanted: mpsc::UnboundedReceiver<WantedChange>) {
    let mut batch = Vec::new();
    while wanted.recv_many(&mut batch, BATCH).await > 0 {
        let Some(node) = node.upgrade() else { return };
        let batch = std::mem::take(&mut batch);
        let changes: Vec<_> = batch.iter().map(|wanted| wanted.change.clone()).collect();
        match node.store.change_entries(changes).await {
            Ok(outcomes) => {
                for (wanted, outcome) in batch.into_iter().zip(outcomes) {
                    let EntryChange { actor, new, .. } = wanted.change;
                    node.at(&actor, |place| {
                        let gone = |silo: &_| node.is_gone(silo);
                        place.seat.entry_changed(wanted.purpose, &new, outcome, gone);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, changes = batch.len(), "whether directory entries were changed is not known; they are read");
                for wanted in batch {
                    node.read_entry(wanted.change.actor);
                }
            }
        }
    }
}

impl Node {
    /// Entries that somebody owns: taken if that is nobody any more, or this silo without its doing; else the owner is told.
    async fn take_over(self: &Arc<Self>, owned: Vec<(ActorId, Entry)>) {
        let mut mine = Vec::new();
        for (actor, entry) in owned {
            let phase = self
                .seats
                .peek(&actor, |place| place.seat.phase().map(|(phase, _)| phase.clone()));
            match Found::of(&entry, &self.me, phase.flatten().as_ref(), |silo| self.is_gone(silo)) {
                Found::Mine => mine.push((actor, entry)),
                Found::Theirs => {
                    if let Some(owner) = &entry.owner {
                        self.services.owner_seen(self, owner);
                    }
                    self.owned_elsewhere(&actor, entry);
                }
                Found::Leave => {}
            }
        }
        if mine.is_empty() {
            return;
        }
        let take = |(actor, entry): &(ActorId, Entry)| EntryChange {
            actor: actor.clone(),
            expected: entry.clone(),
            new: Entry::owned(self.me.clone(), entry.epoch.next()),
        };
        let actors: Vec<_> = mine.iter().map(|(actor, _)| actor.clone()).collect();
        let outcomes = match self.store.change_entries(mine.iter().map(take).collect()).await {
            Ok(outcomes) => outcomes,
            Err(error) => return self.not_registered(&actors, &error).await,
        };
        let mut won = Vec::new();
        for ((actor, entry), outcome) in mine.into_iter().zip(outcomes) {
            match outcome {
                EntryOutcome::Changed => won.push((actor, entry.epoch.next())),
                EntryOutcome::Conflict(actual) => self.owned_elsewhere(&actor, actual),
            }
        }
        match self
            .store
            .load(won.iter().map(|(actor, _)| actor.clone()).collect())
            .await
        {
            Ok(states) => {
                for ((actor, epoch), state) in won.into_iter().zip(states) {
                    self.activate(&actor, epoch, state);
                }
            }
            // The entry names this silo; the next attempt raises its epoch.
            Err(error) => {
                let actors: Vec<_> = won.into_iter().map(|(actor, _)| actor).collect();
                self.not_registered(&actors, &error).await;
            }
        }
    }

    fn owned_elsewhere(self: &Arc<Self>, actor: &ActorId, entry: Entry) {
        let hint = entry.owner.filter(|owner| *owner != self.me).map(|silo| Hint {
            silo,
            epoch: entry.epoch,
        });
        self.at(actor, |place| place.seat.register_failed(hint, BounceReason::NotOwner));
    }

    async fn not_registered(self: &Arc<Self>, actors: &[ActorId], error: &StoreError) {
        tracing::warn!(%error, actors = actors.len(), "actors could not be registered; their callers try again");
        self.clock.sleep(RETRY).await;
        for actor in actors {
            self.at(actor, |place| place.seat.register_failed(None, BounceReason::NotNow));
        }
    }

    pub(super) fn change_entry(&self, actor: ActorId, purpose: Purpose, expected: Entry, new: Entry) {
        let change = EntryChange { actor, expected, new };
        let _ended_with_the_silo = self.directory.changes.send(WantedChange { purpose, change });
    }

    /// Reads an entry for its seat, until the store answers.
    pub(super) fn read_entry(self: &Arc<Self>, actor: ActorId) {
        let node = Arc::downgrade(self);
        self.spawn(async move {
            while let Some(node) = node.upgrade() {
                let epoch = |place: &Place| place.seat.phase().map(|(_, epoch)| epoch);
                let asked = node.seats.peek(&actor, epoch).flatten();
                match node.store.entries(vec![actor.clone()]).await {
                    Ok(entries) => {
                        let entry = entries.into_iter().next().unwrap_or_default();
                        let gone = |silo: &_| node.is_gone(silo);
                        return node.at(&actor, |place| place.seat.entry_read_by(asked, &entry, gone));
                    }
                    Err(error) if node.gate() != Gate::Shut => {
                        if node.directory.complains(node.clock.now()) {
                            tracing::warn!(%actor, %error, "directory entries cannot be read now, among them that of this actor");
                        }
                        node.clock.sleep(RETRY).await;
                    }
                    Err(_) => return,
                }
            }
        });
    }

    /// The silo that should have an actor, unless that is this one and takes none.
    pub(super) fn placed(&self, actor: &ActorId) -> Option<Hint> {
        let silo = self.place(actor).ok()?;
        (silo != self.me || self.gate() == Gate::Open).then_some(Hint {
            silo,
            epoch: Epoch::ZERO,
        })
    }

    /// Finds out who owns an actor or who should, for this silo's own callers.
    pub(super) fn locate(self: &Arc<Self>, actor: &ActorId, attempt: u32, first: bool) -> Option<Hint> {
        if first
            && attempt == 0
            && let Some(hint) = self.placed(actor)
        {
            return Some(hint);
        }
        let (node, actor) = (self.clone(), actor.clone());
        self.spawn(async move {
            if attempt > 0 {
                node.clock.sleep(back_off(attempt)).await;
            }
            match node.look_up(&actor, true).await {
                Located::At(hint) => node.board().located(&actor, hint),
                Located::Nowhere(failure) => node.board().not_located(&actor, &failure),
                Located::NotNow(_) => node.board().locate_again(&actor),
            }
        });
        None
    }

    /// Who owns an actor by the directory, or who should. `own`: for what this silo itself sends to it.
    pub(super) async fn look_up(self: &Arc<Self>, actor: &ActorId, own: bool) -> Located {
        let entry = match self.store.entries(vec![actor.clone()]).await {
            Ok(entries) => entries.into_iter().next().unwrap_or_default(),
            Err(error) => {
                let text = format!("who owns {actor} cannot be read now: {error}");
                return Located::NotNow(Failure::new(FailureCode::StoreUnavailable, Ran::No, text));
            }
        };
        let epoch = entry.epoch;
        if let Some(owner) = entry.owner {
            if owner != self.me && !self.view.read().knows(&owner) {
                self.services.owner_seen(self, &owner);
                let text = format!("{actor} is owned by {owner}, whom this silo does not know yet");
                return Located::NotNow(Failure::new(FailureCode::StoreUnavailable, Ran::No, text));
            }
            if !self.is_gone(&owner) {
                let not_admitted = own.then(|| self.not_admitted(actor, &owner)).flatten();
                return match not_admitted {
                    None => Located::At(Hint { silo: owner, epoch }),
                    Some(error) => self.not_placed(&error),
                };
            }
        }
        match self.place(actor) {
            Ok(silo) if silo == self.me && self.gate() != Gate::Open => {
                let text = format!("{actor} should come up on {silo}, which leaves");
                Located::NotNow(Failure::new(FailureCode::ShuttingDown, Ran::No, text))
            }
            Ok(silo) => Located::At(Hint { silo, epoch }),
            Err(error) => self.not_placed(&error),
        }
    }
}
