//! What actors and others set and remove: written together, as many as have come while the last write was under way.

use crate::{
    actor::{Asker, ReminderAnswer, ReminderAsk, ReminderError, reminder_id},
    ident::ActorId,
    reminder::Event,
    silo::{Node, queries::News},
    store::{Owner, Reminder, ReminderWrite, ReminderWritten, StoreError},
};
use std::{mem, sync::Arc, time::Duration};
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
        match self.write_reminder(write.clone()).await.map_err(failed)? {
            ReminderWritten::NotOwner(entry) => Err(ReminderError::NotOwner {
                actor: actor.clone(),
                entry,
            }),
            ReminderWritten::Written { number, replaced } => {
                self.reminder_written(write, number);
                Ok(ReminderAnswer::Done { was: replaced })
            }
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
            let (writes, tell): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            match self.store.write_reminders(writes).await {
                Ok(outcomes) => {
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

    /// Tells whoever looks after its bucket, if that has to know before it reads on.
    fn reminder_written(&self, write: ReminderWrite, number: u64) {
        let bucket = write.id.bucket();
        let home = self.reminding.home(bucket);
        let Some((due_micros, spec)) = write.new else {
            if home.as_ref() == Some(&self.me) {
                (self.reminding).happened(Event::Removed { id: write.id, number });
            }
            return;
        };
        let soon = u64::try_from(SOON.as_micros()).unwrap_or(u64::MAX);
        if due_micros > self.clock.wall_micros().saturating_add(soon) {
            return;
        }
        match home {
            Some(home) if home != self.me => self.notify(&home, News::ReminderSet { bucket, due_micros }),
            _ => self.reminding.happened(Event::Set(Box::new(Reminder {
                id: write.id,
                number,
                due_micros,
                spec,
            }))),
        }
    }
}
