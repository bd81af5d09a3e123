//! The turn of one message: the handler's future, the actor that it borrows, and the reply.

use super::{
    Actor, AnyActor, Effect, Handler, KindEntry, Message, Remote,
    cell::Cell,
    frame::{Frame, Memory, Polled, Turn},
    once,
    replying::{OtherReply, Reply, Replying, reply_of},
    scope,
};
use crate::{
    clock::{Clock, Moment},
    mailbox::{Asked, Body, Call, Chain, Form, Front, Letter, Payload, Replied, Told, TypedMessage, reply_pair},
    wire::{self, Failure, FailureCode},
};
use bytes::Bytes;
use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// Where a message comes from.
pub enum Source<'a> {
    /// The first in a queue.
    Queue(Front<'a>),
    /// A caller on this thread, who looks at what became of it: a [`Call`] of the message's types.
    Here(&'a mut dyn Any),
}

/// What a turn is made of.
pub struct Begin<'a> {
    /// Of the entry's kind.
    pub actor: Box<dyn AnyActor>,
    /// The message.
    pub source: Source<'a>,
    /// What the message belongs to.
    pub kind: &'a KindEntry,
    /// For deadlines.
    pub clock: &'a Clock,
    /// For the turn's future.
    pub memory: &'a mut Option<Memory>,
}

/// What became of a message whose turn did not simply end with the actor idle again.
#[derive(Default)]
pub enum Rare {
    /// Nothing to tell (yet).
    #[default]
    Nothing,
    /// Its turn has begun and waits.
    Waits(Frame),
    /// Its turn has ended.
    Ended {
        /// The actor, back from the turn.
        actor: Box<dyn AnyActor>,
        /// [`AnyActor::is_stale`] or [`AnyActor::wants_to_end`].
        wants: bool,
        /// To be sent.
        remote: Option<Box<Remote>>,
    },
    /// The handler panicked; the actor is lost with it.
    Panicked {
        /// What it said.
        text: String,
        /// To be sent.
        remote: Option<Box<Remote>>,
        /// The tell that ran, if it is to be a dead letter, and why.
        told: Option<Box<(Letter, Failure)>>,
    },
    /// It did not run, and why.
    Refused {
        /// The actor, unchanged.
        actor: Box<dyn AnyActor>,
        /// The message, and what its caller is to hear.
        refused: Box<(Letter, Failure)>,
    },
}

/// A message with what belongs to it.
struct Parts<M: Message> {
    message: M,
    reply: Reply<M::Reply>,
    deadline: Option<Moment>,
    callers: Chain,
    /// The effect that it is to have once.
    once: Option<Box<Effect>>,
}

impl<M: Message> Parts<M> {
    /// A tell with its message twice.
    #[cold]
    fn kept(mut self) -> Self {
        if matches!(self.reply, Reply::Nobody) {
            // The user's code serializes it.
            let encoded = catch_unwind(AssertUnwindSafe(|| wire::encode(&self.message)));
            let body = encoded.ok().and_then(Result::ok).unwrap_or_default();
            let body = match &self.once {
                Some(effect) if !body.is_empty() => once::seal(effect, &body),
                _ => body,
            };
            self.reply = OtherReply::Kept(body).into();
        }
        self
    }
}

/// Runs the message as a turn of the actor, until it ends or waits: in time, of its type, readable. What is not is refused.
/// Answers the actor if the turn has ended and that is all; else `rare` tells.
pub(super) fn run<A: Handler<M>, M: Message>(
    begin: Begin<'_>,
    cx: &mut Context<'_>,
    rare: &mut Rare,
) -> Option<Box<dyn AnyActor>> {
    let Begin {
        actor,
        source,
        kind,
        clock,
        memory,
    } = begin;
    let (mut here, mut home) = (None, None);
    // Part by part: as one value they would be copied as a whole, before they are written through.
    let (message, to, deadline, callers, effect) = 'parts: {
        let unpacked = match source {
            Source::Here(call) => {
                let call = call.downcast_mut::<Call<M, M::Reply>>();
                let call = call.expect("invariant: an entry runs calls of its message only");
                let message = call.message.take().expect("invariant: a call runs once");
                let (deadline, chain) = (call.deadline, mem::take(&mut call.chain));
                here = Some(call);
                break 'parts (message, Reply::Nobody, deadline, chain, None);
            }
            Source::Queue(front) if kind.keeps_panicked() => {
                unpack_letter(front.into_letter(), kind, clock).map(Parts::<M>::kept)
            }
            Source::Queue(front) => match front.form() {
                Form::Told => match front.take::<Told<M>>() {
                    Ok(Told(message)) => break 'parts (message, Reply::Nobody, None, Chain::NONE, None),
                    Err(front) => unpack_letter(front.into_letter(), kind, clock),
                },
                Form::Asked => match front.take::<Asked<M, M::Reply>>() {
                    Ok(asked) if asked.deadline.is_some_and(|deadline| clock.has_come(deadline)) => {
                        Err(too_late(M::NAME, asked.into_letter()))
                    }
                    Ok(asked) => {
                        let reply = asked.reply.map_or(Reply::Nobody, Reply::Sender);
                        home = asked.home;
                        break 'parts (asked.message, reply, asked.deadline, asked.chain, None);
                    }
                    Err(front) => unpack_letter(front.into_letter(), kind, clock),
                },
                Form::Letter => unpack_letter(front.into_letter(), kind, clock),
            },
        };
        match unpacked {
            Ok(Parts {
                message,
                reply,
                deadline,
                callers,
                once,
            }) => (message, reply, deadline, callers, once),
            Err(refused) => {
                *rare = Rare::Refused { actor, refused };
                return None;
            }
        }
    };
    scope::set_turn(deadline, callers);
    let mut cell = Cell::<A>::of(actor);
    let refused = match (effect, message.published_by()) {
        (None, None) => None,
        (Some(effect), _) => cell.ctx.begin_once::<M>(*effect),
        (None, Some(by)) => cell.ctx.hear(by),
    };
    if let Some(failure) = refused {
        let remote = Replying { to, home }.send(M::NAME, Err(failure));
        let wants = cell.ctx.wants();
        let actor: Box<dyn AnyActor> = cell;
        *rare = Rare::Ended { actor, wants, remote };
        return None;
    }
    let turn = || Running::<_, M, _> {
        future: async move {
            let Cell { actor, ctx, .. } = &mut *cell;
            let reply = match ctx.known_reply::<M>() {
                None => actor.handle(message, ctx).await,
                Some(reply) => reply,
            };
            if let Some(rest) = ctx.finish::<M>(actor, &reply) {
                rest.await;
            }
            if M::AT_LEAST_ONCE {
                ctx.fail_if_lost::<M>();
            }
            (cell, reply)
        },
        reply: Replying { to, home },
        end: end::<A, M>,
    };
    let ran = Frame::start(memory, turn, |turn| {
        let this = turn.project();
        let idle = match &mut here {
            None => go_on::<_, M>(this.future, this.reply, end::<A, M>, cx, rare),
            Some(call) => go_here::<_, M>(this.future, this.reply, end::<A, M>, cx, rare, call, clock),
        };
        match idle {
            // The future has ended, and the reply is sent or was for nobody.
            Some(actor) => Polled::Spent(Some(actor)),
            None if matches!(rare, Rare::Nothing) => Polled::Waits,
            None => Polled::Ended(None),
        }
    });
    ran.unwrap_or_else(|frame| {
        *rare = Rare::Waits(frame);
        None
    })
}

/// What the future of a turn comes to: the actor, whether it wants something, and the reply.
type Ended<M> = (Box<dyn AnyActor>, bool, <M as Message>::Reply);

/// Polls a turn and sends its reply when it has ended. Answers the actor if that is all; else `rare` tells, if it has ended.
#[inline(always)]
fn go_on<F: Future, M: Message>(
    future: Pin<&mut F>,
    reply: &mut Replying<M::Reply>,
    end: impl FnOnce(F::Output) -> Ended<M>,
    cx: &mut Context<'_>,
    rare: &mut Rare,
) -> Option<Box<dyn AnyActor>> {
    // The reply as well: the user's code serializes and drops it.
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let Poll::Ready(output) = future.poll(cx) else {
            return None;
        };
        let (mut actor, wants, value) = end(output);
        let value = match wants {
            false => Ok(value),
            true => actor.take_failure().map_or(Ok(value), Err),
        };
        let remote = if matches!(reply.to, Reply::Nobody) {
            None
        } else {
            reply.send(M::NAME, value)
        };
        if !wants && remote.is_none() {
            return Some(actor);
        }
        *rare = Rare::Ended { actor, wants, remote };
        None
    }));
    polled.unwrap_or_else(|panic| {
        let (text, failure) = panicked::<M>(&*panic);
        let told = reply.kept(M::NAME).map(|letter| Box::new((letter, failure.clone())));
        let remote = reply.send(M::NAME, Err(failure));
        *rare = Rare::Panicked { text, remote, told };
        None
    })
}

/// The same for a caller who has a look: the reply is not sent, unless the turn waits.
#[inline]
fn go_here<F: Future, M: Message>(
    future: Pin<&mut F>,
    reply: &mut Replying<M::Reply>,
    end: impl FnOnce(F::Output) -> Ended<M>,
    cx: &mut Context<'_>,
    rare: &mut Rare,
    call: &mut Call<M, M::Reply>,
    clock: &Clock,
) -> Option<Box<dyn AnyActor>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Ready(output)) => {
            let (mut actor, wants, value) = end(output);
            if !wants {
                call.answer = Some(Ok(Replied::Typed(value)));
                return Some(actor);
            }
            let value = Ok(Replied::Typed(value));
            call.answer = Some(actor.take_failure().map_or(value, Err));
            let remote = None;
            *rare = Rare::Ended { actor, wants, remote };
        }
        Ok(Poll::Pending) => {
            let (sender, wait) = reply_pair();
            reply.to = Reply::Sender(sender);
            call.wait = Some(wait);
            if call.deadline.is_none() {
                call.deadline = Some(clock.recently() + call.timeout);
                scope::set_deadline(call.deadline);
            }
        }
        Err(panic) => {
            let (text, failure) = panicked::<M>(&*panic);
            call.answer = Some(Err(failure));
            *rare = Rare::Panicked {
                text,
                remote: None,
                told: None,
            };
        }
    }
    None
}

#[cold]
fn panicked<M: Message>(panic: &(dyn Any + Send)) -> (String, Failure) {
    let (said, actor) = (panic_text(panic), scope::running_actor());
    let text = format!(
        "{} panicked in {actor}: {said}; the activation is rebuilt from its saved state",
        M::NAME
    );
    let is_lost = M::AT_LEAST_ONCE && scope::is_lost();
    let ran = if is_lost { wire::Ran::Unknown } else { wire::Ran::Yes };
    (said, Failure::new(FailureCode::Panicked, ran, text))
}

#[cold]
fn too_late(name: &str, letter: Letter) -> Box<(Letter, Failure)> {
    Box::new((letter, late(name)))
}

fn late(name: &str) -> Failure {
    let actor = scope::running_actor();
    let text = format!("{name} to {actor} waited past its deadline; it did not run");
    Failure::new(FailureCode::TimedOut, wire::Ran::No, text)
}

#[cold]
fn unpack_letter<M: Message>(
    letter: Letter,
    kind: &KindEntry,
    clock: &Clock,
) -> Result<Parts<M>, Box<(Letter, Failure)>> {
    if letter.deadline.is_some_and(|deadline| clock.has_come(deadline)) {
        let failure = late(letter.body.name());
        return Err(Box::new((letter, failure)));
    }
    let Letter {
        body,
        reply,
        deadline,
        chain,
    } = letter;
    let mut once = None;
    let (message, body) = match body {
        Body::Encoded { name, bytes } => {
            let (effect, document) = once::open(&bytes);
            once = effect.map(Box::new);
            (decode::<M>(document), Body::Encoded { name, bytes })
        }
        Body::Typed(message) if (&*message as &dyn Any).is::<M>() => {
            let message = message
                .into_any()
                .downcast::<M>()
                .expect("invariant: it was asked before");
            let parts = Parts {
                message: *message,
                reply: reply_of(reply),
                deadline,
                callers: chain,
                once,
            };
            return Ok(parts);
        }
        // The same name by another type of this program: it goes by its bytes.
        Body::Typed(message) => match message.encode() {
            Ok(bytes) => {
                let name = message.name().into();
                (decode::<M>(&bytes), Body::Encoded { name, bytes })
            }
            Err(error) => {
                let text = format!("{} cannot be serialized: {error}", message.name());
                let failure = Failure::new(FailureCode::Unreadable, wire::Ran::No, text);
                let letter = Letter {
                    body: Body::Typed(message),
                    reply,
                    deadline,
                    chain,
                };
                return Err(Box::new((letter, failure)));
            }
        },
    };
    match message {
        Ok(message) => Ok(Parts {
            message,
            reply: reply_of(reply),
            deadline,
            callers: chain,
            once,
        }),
        Err(error) => {
            let text = format!(
                "{} cannot be read by {} {}: {error}",
                M::NAME,
                kind.kind(),
                kind.version()
            );
            let letter = Letter {
                body,
                reply,
                deadline,
                chain,
            };
            Err(Box::new((
                letter,
                Failure::new(FailureCode::Unreadable, wire::Ran::No, text),
            )))
        }
    }
}

/// Within the fence: it is the user's code that reads.
fn decode<M: Message>(bytes: &[u8]) -> Result<M, String> {
    match catch_unwind(|| wire::decode::<M>(bytes)) {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("reading it panicked: {}", panic_text(&*panic))),
    }
}

impl<M: Message> TypedMessage for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn encode(&self) -> Result<Bytes, wire::EncodeError> {
        wire::encode(self)
    }

    fn encode_into(&self, bytes: &mut Vec<u8>) -> Result<(), wire::EncodeError> {
        wire::encode_into(bytes, self)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// What the future of a turn comes to: the actor, back, and the reply.
type Handled<A, M> = (Box<Cell<A>>, <M as Message>::Reply);

pin_project_lite::pin_project! {
    struct Running<F, M, E>
    where
        F: Future,
        M: Message,
    {
        #[pin]
        future: F,
        reply: Replying<M::Reply>,
        end: E,
    }
}

#[inline]
fn end<A: Actor, M: Message>((cell, reply): Handled<A, M>) -> Ended<M> {
    let wants = cell.ctx.wants();
    (cell, wants, reply)
}

impl<F: Future, M: Message, E: Fn(F::Output) -> Ended<M>> Turn for Running<F, M, E> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, rare: &mut Rare) -> Poll<Option<Box<dyn AnyActor>>> {
        let this = self.project();
        let idle = go_on::<F, M>(this.future, this.reply, &*this.end, cx, rare);
        if idle.is_none() && matches!(rare, Rare::Nothing) {
            Poll::Pending
        } else {
            Poll::Ready(idle)
        }
    }

    fn name(&self) -> &'static str {
        M::NAME
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    (panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}
