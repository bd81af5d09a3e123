//! What actors and others set and remove: written together, as many as have come while the last write was under way.

use crate::{
    actor::{Asker, ReminderAnswer, ReminderAsk, ReminderError, reminder_id},
    ident::ActorId,
    reminder::{Event, Written},
    silo::{Node, queries::News},
    store::{Bucket, Owner, Reminder, ReminderWrite, ReminderWritten, StoreError},
};
use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// The most writes of one batch.
const MAX_BATCH: usize = 512;

/// Who looks after a bucket finds by itself what is due later than this.
const SOON: Duration = Duration::from_secs(30);

type Answer = Result<ReminderWritten, StoreError>;

/// A write, and who waits for its end.
type Waiting = (ReminderWrite, oneshot::Sender<Answer>);

/// What waits to be written: at most one of each turn that is under way.
#[derive(Default)]
pub(super) struct Intake {
    waiting: Vec<Waiting>,
    writes: bool,
}

impl Node {
    /// Does what an actor wants done with its reminders.
    pub(in crate::silo) async fn remind(
        self: &Arc<Self>,
        (actor, epoch): Asker,
        ask: ReminderAsk,
    ) -> Result<ReminderAnswer, ReminderError> {
        let silo = self.me.clone();
        self.remind_as(&actor, Some(Owner { silo, epoch }), ask).await
    }

    /// The same, as the actor's owner or, without one, as somebody else.
    pub(super) async fn remind_as(
        self: &Arc<Self>,
        actor: &ActorId,
        owner: Option<Owner>,
        ask: ReminderAsk,
    ) -> Result<ReminderAnswer, ReminderError> {
        let failed = |source| ReminderError::Store {
            actor: actor.clone(),
            source,
        };
        let (name, new) = match ask {
            ReminderAsk::Read => {
                let all = self.store.reminders_of(actor).await.map_err(failed)?;
                return Ok(ReminderAnswer::All(all));
            }
            ReminderAsk::Remove(name) => (name, None),
            ReminderAsk::Set { name, first, spec } => {
                let first = u64::try_from(first.as_micros()).unwrap_or(u64::MAX);
                (name, Some((self.clock.wall_micros().saturating_add(first), spec)))
            }
        };
        let write = ReminderWrite {
            id: reminder_id(actor, &name),
            owner,
            new,
        };
        match self.write_reminder(write).await.map_err(failed)? {
            ReminderWritten::NotOwner(entry) => Err(ReminderError::NotOwner {
                actor: actor.clone(),
                entry,
            }),
            ReminderWritten::Written { replaced, .. } => Ok(ReminderAnswer::Done { was: replaced }),
        }
    }

    async fn write_reminder(self: &Arc<Self>, write: ReminderWrite) -> Answer {
        let (tell, told) = oneshot::channel();
        let begins = {
            let mut intake = self.reminding.intake.lock();
            intake.waiting.push((write, tell));
            !mem::replace(&mut intake.writes, true)
        };
        if begins {
            let node = self.clone();
            self.spawn(async move { node.write_waiting().await });
        }
        told.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable {
                place: self.store.describe(),
                why: "the silo ended".into(),
            })
        })
    }

    async fn write_waiting(&self) {
        while let Some(batch) = self.next_writes() {
            let (writes, tell): (Vec<ReminderWrite>, Vec<_>) = batch.into_iter().unzip();
            match self.store.write_reminders(writes.clone()).await {
                Ok(outcomes) => {
                    self.reminders_written(writes, &outcomes);
                    for (tell, outcome) in tell.into_iter().zip(outcomes) {
                        // Who does not wait any more has given up its turn.
                        let _gone = tell.send(Ok(outcome));
                    }
                }
                Err(error) => {
                    for tell in tell {
                        let _gone = tell.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// What is written next, together; `None` ends the writing.
    fn next_writes(&self) -> Option<Vec<Waiting>> {
        let mut intake = self.reminding.intake.lock();
        intake.writes = !intake.waiting.is_empty();
        let count = intake.waiting.len().min(MAX_BATCH);
        let rest = intake.waiting.split_off(count);
        let batch = mem::replace(&mut intake.waiting, rest);
        (!batch.is_empty()).then_some(batch)
    }

    /// Tells whoever looks after their buckets what has to be known before the next reads.
    fn reminders_written(&self, writes: Vec<ReminderWrite>, outcomes: &[ReminderWritten]) {
        let soon = u64::try_from(SOON.as_micros()).unwrap_or(u64::MAX);
        let soon = self.clock.wall_micros().saturating_add(soon);
        let (mut own, mut elsewhere) = (Vec::new(), BTreeMap::<Bucket, u64>::new());
        for (write, outcome) in writes.into_iter().zip(outcomes) {
            let ReminderWritten::Written { number, .. } = *outcome else {
                continue;
            };
            let bucket = write.id.bucket();
            let is_elsewhere = self.reminding.home(bucket).is_some_and(|home| home != self.me);
            match write.new {
                Some((due_micros, _)) if is_elsewhere && due_micros <= soon => {
                    let first = elsewhere.entry(bucket).or_insert(due_micros);
                    *first = due_micros.min(*first);
                }
                _ if is_elsewhere => {}
                Some((due_micros, spec)) => own.push(Written::Set(Reminder {
                    id: write.id,
                    number,
                    due_micros,
                    spec,
                })),
                None => own.push(Written::Removed(write.id, number)),
            }
        }
        if !own.is_empty() {
            self.reminding.happened(Event::Written(own));
        }
        for (bucket, due_micros) in elsewhere {
            if let Some(home) = self.reminding.home(bucket) {
                self.notify(&home, News::ReminderSet { bucket, due_micros });
            }
        }
    }
}
