//! An actor with its context, and the erased tables by which the runtime runs it.

use super::{
    ActivationError, Actor, Begin, Context, DeactivateReason, Handler, Hosted, Message, Rare, SaveError, StateError,
    save, turn::run,
};
use crate::{
    mailbox::Mailbox,
    schema::{Form, KindSchemas, Schema, describe_by},
    store::ETag,
    wire::{EncodeError, Failure, PackedSubscription},
};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use std::{
    any::{Any, TypeId, type_name},
    collections::BTreeSet,
    fmt,
    sync::Arc,
    task,
};
use xxhash_rust::xxh3::xxh3_64;

/// An actor and its context, whatever its type. Stays on one thread; futures own it and give it back.
pub trait AnyActor: Any {
    /// Runs `on_activate`.
    fn activate(self: Box<Self>) -> LocalBoxFuture<'static, (Box<dyn AnyActor>, Result<(), ActivationError>)>;

    /// Runs `on_deactivate`.
    fn deactivate(self: Box<Self>, reason: DeactivateReason) -> LocalBoxFuture<'static, Box<dyn AnyActor>>;

    /// Saves the actor if it differs from what is saved.
    fn save_if_changed(self: Box<Self>) -> LocalBoxFuture<'static, (Box<dyn AnyActor>, Result<(), SaveError>)>;

    /// The actor as it travels.
    ///
    /// # Errors
    /// If it cannot be serialized.
    fn dehydrate(&self) -> Result<Dehydrated, EncodeError>;

    /// Whether the activation has lost its right to be: it is to be discarded, nothing of it saved.
    fn is_stale(&self) -> bool;

    /// Whether the actor asked to be deactivated.
    fn wants_to_end(&self) -> bool;

    /// What the caller of the last turn is to hear instead of its reply.
    fn take_failure(&mut self) -> Option<Failure>;

    /// Whether the actor is to be saved before its next turn; not asked twice.
    fn takes_save(&mut self) -> bool;

    /// Such a save has failed, and is to be tried again.
    fn save_again(&mut self);

    /// Takes a message of its silo, one of [`OWN_MESSAGES`](super::OWN_MESSAGES).
    fn told_by_silo(&mut self, message: &str, body: &[u8]);
}

/// An actor as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dehydrated {
    /// Named MessagePack, with what is to be said of it.
    pub memory: Bytes,
    /// The number of the state that is saved.
    pub etag: Option<ETag>,
    /// Whether `memory` differs from what is saved.
    pub unsaved: bool,
    /// What it is subscribed to.
    pub streams: Vec<PackedSubscription>,
}

/// What an actor is made of.
pub struct Hydrate {
    /// The actor's. Its host offers an `Arc<dyn Services>`.
    pub mailbox: Arc<Mailbox>,
    /// Its memory; `None` makes it anew.
    pub memory: Option<Bytes>,
    /// The number of the state that is saved.
    pub etag: Option<ETag>,
    /// Whether `memory` differs from what is saved.
    pub unsaved: bool,
    /// What it is subscribed to, as far as is known.
    pub streams: Vec<PackedSubscription>,
}

pub(super) struct Cell<A> {
    pub(super) actor: A,
    pub(super) ctx: Context<A>,
}

impl<A: Actor> Cell<A> {
    fn hydrate(from: Hydrate) -> Result<Box<dyn AnyActor>, StateError> {
        let mut ctx = Context::new(from.mailbox);
        let actor = match &from.memory {
            Some(memory) => {
                let (actor, side) = save::read(memory)?;
                ctx.came_with(side);
                actor
            }
            None => A::default(),
        };
        let saved_hash = match (&from.memory, from.etag, from.unsaved) {
            (Some(memory), Some(_), false) => Some(xxh3_64(memory)),
            _ => None,
        };
        if from.etag.is_some() {
            ctx.saved(from.etag, saved_hash);
        }
        ctx.set_streams(from.streams);
        Ok(Box::new(Self { actor, ctx }))
    }

    fn is_changed(&self, memory: &[u8]) -> Result<bool, EncodeError> {
        Ok(match (self.ctx.saved_hash(), self.ctx.etag()) {
            (Some(saved), _) => saved != xxh3_64(memory),
            // Nothing is saved: what equals a new actor need not be.
            (None, None) => self.ctx.anew().image(&A::default())? != memory,
            (None, Some(_)) => true,
        })
    }

    #[inline]
    pub(super) fn of(actor: Box<dyn AnyActor>) -> Box<Self> {
        (actor as Box<dyn Any>)
            .downcast()
            .expect("invariant: a message entry runs actors of its own type only")
    }
}

impl<A: Actor> AnyActor for Cell<A> {
    fn activate(mut self: Box<Self>) -> LocalBoxFuture<'static, (Box<dyn AnyActor>, Result<(), ActivationError>)> {
        Box::pin(async move {
            let cell = &mut *self;
            let result = cell.actor.on_activate(&mut cell.ctx).await;
            if result.is_ok() {
                cell.ctx.resume_posts();
            }
            (self as Box<dyn AnyActor>, result)
        })
    }

    fn deactivate(mut self: Box<Self>, reason: DeactivateReason) -> LocalBoxFuture<'static, Box<dyn AnyActor>> {
        Box::pin(async move {
            let cell = &mut *self;
            cell.actor.on_deactivate(&mut cell.ctx, reason).await;
            self as Box<dyn AnyActor>
        })
    }

    fn save_if_changed(mut self: Box<Self>) -> LocalBoxFuture<'static, (Box<dyn AnyActor>, Result<(), SaveError>)> {
        Box::pin(async move {
            let cell = &mut *self;
            let result = match cell.dehydrate() {
                _ if A::VOLATILE => Ok(()),
                Ok(dehydrated) if !dehydrated.unsaved => Ok(()),
                Ok(_) => cell.ctx.save(&cell.actor).await.map(drop),
                Err(source) => Err(SaveError::Unwritable {
                    actor: cell.ctx.id().clone(),
                    source,
                }),
            };
            (self as Box<dyn AnyActor>, result)
        })
    }

    fn dehydrate(&self) -> Result<Dehydrated, EncodeError> {
        let memory = self.ctx.image(&self.actor)?;
        let unsaved = self.is_changed(&memory)? || self.ctx.has_unsaved_states();
        let memory = match self.ctx.has_unsaved_states() {
            true => self.ctx.package(&self.actor)?,
            false => memory,
        };
        Ok(Dehydrated {
            memory,
            etag: self.ctx.etag(),
            unsaved,
            streams: self.ctx.streams(),
        })
    }

    fn is_stale(&self) -> bool {
        self.ctx.is_stale()
    }

    fn wants_to_end(&self) -> bool {
        self.ctx.wants_to_end()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.ctx.take_failure()
    }

    fn takes_save(&mut self) -> bool {
        self.ctx.takes_save()
    }

    fn save_again(&mut self) {
        self.ctx.save_again();
    }

    fn told_by_silo(&mut self, message: &str, body: &[u8]) {
        self.ctx.told_by_silo(message, body);
    }
}

type Run = fn(Begin<'_>, &mut task::Context<'_>, &mut Rare) -> Option<Box<dyn AnyActor>>;

/// How a message of a kind is run.
#[derive(Clone)]
pub struct MessageEntry {
    number: u16,
    name: &'static str,
    type_id: TypeId,
    run: Run,
    schema: fn() -> Schema,
}

/// A message with its reply.
fn schema_of<M: Message>() -> Schema {
    describe_by(|types| {
        let (message, reply) = M::shapes(types);
        Form::Tuple(vec![message, reply])
    })
}

impl MessageEntry {
    /// The entry of `A`'s message `M`.
    pub fn of<A: Handler<M>, M: Message>() -> Self {
        Self {
            number: 0,
            name: M::NAME,
            type_id: TypeId::of::<M>(),
            run: run::<A, M>,
            schema: schema_of::<M>,
        }
    }

    /// The wire name of the message.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its place among the messages of its kind.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Runs the message as a turn, until it ends or waits. It must be of this entry's name, and the actor of its kind.
    ///
    /// Answers the actor if the turn has ended and that is all; else `rare` tells.
    #[inline]
    pub fn run(&self, begin: Begin<'_>, cx: &mut task::Context<'_>, rare: &mut Rare) -> Option<Box<dyn AnyActor>> {
        (self.run)(begin, cx, rare)
    }
}

/// What a silo knows of a kind that it hosts.
#[derive(Clone)]
pub struct KindEntry {
    kind: &'static str,
    version: &'static str,
    type_id: TypeId,
    type_name: &'static str,
    messages: Vec<MessageEntry>,
    hydrate: fn(Hydrate) -> Result<Box<dyn AnyActor>, StateError>,
    schema: fn() -> Schema,
    schema_name: &'static str,
    other_schemas: fn() -> (BTreeSet<String>, Option<String>),
    keeps_panicked: bool,
    movable: bool,
    streams: &'static [&'static str],
}

impl KindEntry {
    /// The entry of an actor type.
    pub fn of<A: Actor>() -> Self {
        Self {
            kind: A::KIND,
            version: A::VERSION,
            type_id: TypeId::of::<A>(),
            type_name: type_name::<A>(),
            messages: (A::messages().into_iter().zip(0..))
                .map(|(message, number)| MessageEntry { number, ..message })
                .collect(),
            hydrate: Cell::<A>::hydrate,
            schema: || describe_by(<A as Hosted>::shape),
            schema_name: A::FORMS.written(),
            other_schemas: || A::FORMS.others(),
            keeps_panicked: false,
            movable: A::MOVABLE,
            streams: A::STREAMS,
        }
    }

    /// From now on tells are serialized before they run, so that one whose handler panics can be a dead letter.
    pub fn keep_panicked(&mut self) {
        self.keeps_panicked = true;
    }

    /// Whether tells whose handlers panic are dead letters.
    pub fn keeps_panicked(&self) -> bool {
        self.keeps_panicked
    }

    /// Whether its actors may go to other silos.
    pub fn is_movable(&self) -> bool {
        self.movable
    }

    /// The namespaces of streams whose events its actors get without subscribing.
    pub fn streams(&self) -> &'static [&'static str] {
        self.streams
    }

    /// The stable wire name.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The version as declared.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The Rust type.
    pub fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// The Rust type's name, for logs.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Its messages.
    pub fn messages(&self) -> &[MessageEntry] {
        &self.messages
    }

    /// What its messages and its state look like.
    pub fn schemas(&self) -> KindSchemas {
        let messages = self.messages.iter();
        let (reads, back) = (self.other_schemas)();
        KindSchemas {
            messages: messages
                .map(|message| (message.name.to_owned(), (message.schema)()))
                .collect(),
            states: [(self.schema_name.to_owned(), (self.schema)())].into(),
            reads,
            back,
        }
    }

    /// The message of a wire name.
    pub fn message(&self, name: &str) -> Option<&MessageEntry> {
        self.messages.iter().find(|message| message.name == name)
    }

    /// The message of a Rust type. `hint` is its likely place, and its place afterwards.
    pub fn message_of(&self, type_id: TypeId, hint: &mut u32) -> Option<&MessageEntry> {
        let hinted = self.messages.get(*hint as usize);
        if let Some(message) = hinted.filter(|message| message.type_id == type_id) {
            return Some(message);
        }
        let at = self.messages.iter().position(|message| message.type_id == type_id)?;
        *hint = u32::try_from(at).unwrap_or(0);
        self.messages.get(at)
    }

    /// Makes an actor.
    ///
    /// # Errors
    /// If its memory cannot be read by this version.
    pub fn hydrate(&self, from: Hydrate) -> Result<Box<dyn AnyActor>, StateError> {
        (self.hydrate)(from)
    }
}

impl fmt::Debug for KindEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.kind, self.version, self.type_name)
    }
}
