//! Reminders as actors use them: messages to themselves that are kept in the store until they have run.

use super::{Context, Handler, Message};
use crate::{
    ident::{ActorId, Epoch, InvalidName},
    store::{Entry, Missed, Reminder, ReminderId, ReminderSpec, StoreError, Unknown},
    wire::{self, EncodeError},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, time::Duration};

/// The shortest period of a reminder.
const SHORTEST: Duration = Duration::from_millis(100);

/// A tick of a reminder, delivered at least once.
///
/// What an actor sets a reminder with comes back in it; the actor lists `Tick<M>` among its messages:
///
/// ```
/// use quark::{actor::{Schedule, Tick}, prelude::*};
/// use std::time::Duration;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Invoice {
///     paid: bool,
/// }
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(name = "invoice.send")]
/// struct Send;
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(name = "invoice.dun")]
/// struct Dun {
///     level: u8,
/// }
///
/// #[actor(kind = "invoice", messages(Send, Tick<Dun>))]
/// impl Actor for Invoice {}
///
/// impl Handler<Send> for Invoice {
///     async fn handle(&mut self, _: Send, ctx: &mut Context<Self>) {
///         let in_two_weeks = Schedule::once(Duration::from_secs(14 * 24 * 3600));
///         ctx.set_reminder("dun", in_two_weeks, &Dun { level: 1 }).await.expect("the store answers");
///     }
/// }
///
/// impl Handler<Tick<Dun>> for Invoice {
///     async fn handle(&mut self, dun: Tick<Dun>, _: &mut Context<Self>) {
///         if !self.paid {
///             println!("reminder number {}, due at {}", dun.message.level, dun.due_micros);
///         }
///     }
/// }
/// ```
///
/// It can come again if a silo or its store fails before the tick is marked as done. Name and due time are the same then, and of no
/// other tick: an actor that must do something once keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick<M> {
    /// The name of the reminder.
    pub reminder: String,
    /// When it was due, in microseconds of the wall clock since the Unix epoch.
    pub due_micros: u64,
    /// What the reminder was set with.
    pub message: M,
}

#[diagnostic::do_not_recommend]
impl<M: Message> Message for Tick<M> {
    type Reply = ();
    const NAME: &'static str = super::wrapped_name::<M, TickSuffix>();
    const AT_LEAST_ONCE: bool = true;
}

/// The end of the wire names of ticks.
struct TickSuffix;

impl super::Suffix for TickSuffix {
    const TEXT: &'static str = ".tick";
}

impl<M: Message> Tick<M> {
    /// The wire name of a tick that brings an `M`: that of `M` and `.tick`.
    pub fn wire_name() -> &'static str {
        <Self as Message>::NAME
    }
}

/// A tick as it travels, from the message as it is stored.
///
/// # Errors
/// If the name is longer than a string of MessagePack can be.
pub fn encode_tick(reminder: &Reminder) -> Result<Bytes, EncodeError> {
    // A map of three, the last of which is a map already.
    let mut bytes = vec![0x83];
    bytes.extend_from_slice(&wire::encode("reminder")?);
    bytes.extend_from_slice(&wire::encode(&*reminder.id.name)?);
    bytes.extend_from_slice(&wire::encode("due_micros")?);
    bytes.extend_from_slice(&wire::encode(&reminder.due_micros)?);
    bytes.extend_from_slice(&wire::encode("message")?);
    bytes.extend_from_slice(&reminder.spec.body);
    Ok(bytes.into())
}

/// When a reminder ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    first: Duration,
    every: Option<Duration>,
    missed: Missed,
}

impl Schedule {
    /// Once, when `after` has passed.
    pub fn once(after: Duration) -> Self {
        Self {
            first: after,
            every: None,
            missed: Missed::default(),
        }
    }

    /// Each time that `every` (100 ms at least) has passed, without drift: each tick is due `every` after the last was.
    pub fn every(every: Duration) -> Self {
        Self {
            first: every,
            every: Some(every),
            missed: Missed::default(),
        }
    }

    /// The first tick is due when `after` has passed.
    pub fn starting(self, after: Duration) -> Self {
        Self { first: after, ..self }
    }

    /// What becomes of ticks whose time came while no silo could deliver them; [`Missed::Once`] unless told otherwise.
    pub fn missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }
}

/// A reminder that is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderInfo {
    /// Its name.
    pub name: String,
    /// When its next tick is due, in microseconds of the wall clock since the Unix epoch.
    pub due_micros: u64,
    /// The time between two ticks; `None` if there is one alone.
    pub every: Option<Duration>,
    /// What becomes of missed ticks.
    pub missed: Missed,
    /// The wire name of its ticks.
    pub message: String,
}

impl From<Reminder> for ReminderInfo {
    fn from(reminder: Reminder) -> Self {
        Self {
            name: (*reminder.id.name).to_owned(),
            due_micros: reminder.due_micros,
            every: reminder.spec.every_micros.map(Duration::from_micros),
            missed: reminder.spec.missed,
            message: reminder.spec.message,
        }
    }
}

/// Why a reminder was not set, removed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReminderError {
    /// A name that cannot be used.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A period that is too short.
    #[error("a reminder cannot tick every {every:?}: every 100 ms at the most; for shorter times there are timers")]
    TooOften {
        /// What was asked for.
        every: Duration,
    },
    /// The message cannot be serialized.
    #[error("the message of the reminder {name:?} cannot be serialized: {source}")]
    Unwritable {
        /// The reminder.
        name: String,
        /// Why.
        source: EncodeError,
    },
    /// The silo does not own the actor any more; this activation is discarded when its turn ends.
    #[error("{actor} is owned by {entry:?} by now; this activation is discarded")]
    NotOwner {
        /// Whose.
        actor: ActorId,
        /// The directory entry.
        entry: Entry,
    },
    /// The store failed; whether the reminder was set or removed may not be known. Setting it again does no harm.
    #[error("the reminders of {actor}: {source}")]
    Store {
        /// Whose.
        actor: ActorId,
        /// Why.
        source: StoreError,
    },
}

/// What an actor wants done with its reminders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReminderAsk {
    /// Set it, in place of one of its name.
    Set {
        /// Which.
        name: Cow<'static, str>,
        /// How long until the first tick.
        first: Duration,
        /// What it does.
        spec: ReminderSpec,
    },
    /// Remove it.
    Remove(Cow<'static, str>),
    /// Read all.
    Read,
}

/// What came of a [`ReminderAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReminderAnswer {
    /// It was done; whether there was one of that name.
    Done {
        /// Whether there was one.
        was: bool,
    },
    /// The reminders, by name.
    All(Vec<Reminder>),
}

/// By what right an actor asks: whose reminders, and the epoch it is owned by.
pub type Asker = (ActorId, Epoch);

impl<A: Serialize> Context<A> {
    /// Sets a reminder: a [`Tick`] with `message` comes to this actor when it is due, wherever the actor lives then, and activates it
    /// if need be. Takes the place of one of the same name. When this returns, the reminder survives crashes and restarts of the
    /// whole cluster.
    ///
    /// Unlike a timer it is in the store, costs a write there when it is set and one for each tick, and does not end with the
    /// activation.
    ///
    /// # Errors
    /// [`ReminderError`].
    pub async fn set_reminder<M: Message>(
        &mut self,
        name: &str,
        schedule: Schedule,
        message: &M,
    ) -> Result<(), ReminderError>
    where
        A: Handler<Tick<M>>,
    {
        InvalidName::check("reminder", name)?;
        if let Some(every) = schedule.every.filter(|every| *every < SHORTEST) {
            return Err(ReminderError::TooOften { every });
        }
        let body = wire::encode(message).map_err(|source| ReminderError::Unwritable {
            name: name.to_owned(),
            source,
        })?;
        let spec = ReminderSpec {
            every_micros: schedule.every.map(micros),
            missed: schedule.missed,
            message: Tick::<M>::wire_name().to_owned(),
            body,
            unknown: Unknown::default(),
        };
        let (name, first) = (name.to_owned().into(), schedule.first);
        self.remind(ReminderAsk::Set { name, first, spec }).await.map(drop)
    }

    /// Removes a reminder. Answers whether it was set. A tick that is on its way already may still come.
    ///
    /// # Errors
    /// [`ReminderError`].
    pub async fn cancel_reminder(&mut self, name: &str) -> Result<bool, ReminderError> {
        let asked = self.remind(ReminderAsk::Remove(name.to_owned().into())).await?;
        Ok(asked == ReminderAnswer::Done { was: true })
    }

    /// The reminders of this actor, by name.
    ///
    /// # Errors
    /// [`ReminderError::Store`].
    pub async fn reminders(&mut self) -> Result<Vec<ReminderInfo>, ReminderError> {
        match self.remind(ReminderAsk::Read).await? {
            ReminderAnswer::All(all) => Ok(all.into_iter().map(ReminderInfo::from).collect()),
            ReminderAnswer::Done { .. } => Ok(Vec::new()),
        }
    }

    async fn remind(&mut self, ask: ReminderAsk) -> Result<ReminderAnswer, ReminderError> {
        let asker = (self.id().clone(), self.epoch());
        let answer = self.services().remind(asker, ask).await;
        if matches!(answer, Err(ReminderError::NotOwner { .. })) {
            self.discard();
        }
        answer
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The id of a reminder of an actor.
pub fn reminder_id(actor: &ActorId, name: &str) -> ReminderId {
    ReminderId {
        actor: actor.clone(),
        name: name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Pay {
        amount: u64,
    }

    impl Message for Pay {
        type Reply = ();
        const NAME: &'static str = "cart.pay";
    }

    #[test]
    fn a_tick_travels_as_if_it_had_been_serialized_whole() {
        let tick = Tick {
            reminder: "pay: é".into(),
            due_micros: 1_790_000_000_000_001,
            message: Pay { amount: 7 },
        };
        let stored = Reminder {
            id: reminder_id(&ActorId::new("cart", "alice").expect("valid"), "pay: é"),
            number: 1,
            due_micros: tick.due_micros,
            spec: ReminderSpec {
                every_micros: None,
                missed: Missed::Once,
                message: Tick::<Pay>::wire_name().into(),
                body: wire::encode(&tick.message).expect("encodes"),
                unknown: Unknown::default(),
            },
        };
        let bytes = encode_tick(&stored).expect("encodes");
        assert_eq!(bytes, wire::encode(&tick).expect("encodes"));
        assert_eq!(decode::<Tick<Pay>>(&bytes).expect("is read"), tick);
    }

    #[test]
    fn a_tick_is_named_after_what_it_brings() {
        assert_eq!(Tick::<Pay>::NAME, "cart.pay.tick");
        assert_eq!(Tick::<Tick<Pay>>::NAME, "cart.pay.tick.tick");
    }
}
