//! References to actors, and the calls made through them.

use super::{
    Accepts, Body, CallError, Kind, Letter, Message, Port, ReplyTo, ReplyValue, TryError, TypedMessage, Undelivered,
    current_scope, letter::ReplyWait, reply_pair,
};
use crate::{
    clock::{Moment, Sleep},
    ident::ActorId,
    wire::{self, Failure, FailureCode, Ran},
};
use futures_util::future::BoxFuture;
use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A reference to an actor, wherever it lives. Cheap to clone; stays good when the actor moves.
pub struct ActorRef<K: ?Sized> {
    port: Arc<dyn Port>,
    kind: PhantomData<fn(&K)>,
}

impl<K: Kind> ActorRef<K> {
    /// A reference that sends to `port`.
    pub fn new(port: Arc<dyn Port>) -> Self {
        Self {
            port,
            kind: PhantomData,
        }
    }

    /// Which actor.
    pub fn id(&self) -> &ActorId {
        self.port.actor()
    }

    /// Sends a message and waits for its reply, also for room in the mailbox. Nothing is sent before the first poll.
    ///
    /// Ends at the deadline at the latest: by default the silo's ask timeout (30 s), or what is left of the calling turn's
    /// own deadline if that is less. Dropping the future gives up the reply, not the message.
    pub fn ask<M: Message>(&self, message: M) -> Ask<M>
    where
        K: Accepts<M>,
    {
        Ask {
            port: self.port.clone(),
            timeout: None,
            state: State::New(message),
        }
    }

    /// Sends a message; ready when it is in the mailbox or on its way there. Nothing is sent before the first poll.
    ///
    /// What cannot be delivered afterwards goes to the dead letters.
    pub fn tell<M: Message>(&self, message: M) -> Tell<M>
    where
        K: Accepts<M>,
    {
        Tell {
            port: self.port.clone(),
            state: State::New(message),
        }
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`TryError::Full`] with the message.
    pub fn try_tell<M: Message>(&self, message: M) -> Result<(), TryError<M>>
    where
        K: Accepts<M>,
    {
        let letter = letter(&*self.port, message, ReplyTo::Nobody, None);
        send_or_return(&*self.port, letter)
    }

    /// Sends a message if there is room now, and answers a future of its reply.
    ///
    /// # Errors
    /// [`TryError::Full`] with the message.
    pub fn try_ask<M: Message>(&self, message: M) -> Result<Ask<M>, TryError<M>>
    where
        K: Accepts<M>,
    {
        let (slot, wait) = reply_pair();
        let letter = letter(&*self.port, message, ReplyTo::Here(slot), None);
        let deadline = letter.deadline;
        send_or_return(&*self.port, letter)?;
        Ok(Ask {
            state: State::Waiting {
                wait,
                sleep: deadline.map(|at| self.port.clock().sleep_until(at)),
            },
            timeout: None,
            port: self.port.clone(),
        })
    }
}

fn send_or_return<M: Message>(port: &dyn Port, letter: Letter) -> Result<(), TryError<M>> {
    match port.send(letter) {
        Ok(()) => Ok(()),
        Err(Undelivered::Failed(_, failure)) => Err(TryError::Failed(failure.into())),
        Err(Undelivered::Full(letter)) => match letter.body {
            Body::Typed(message) => Err(TryError::Full(
                *message
                    .into_any()
                    .downcast()
                    .expect("invariant: a port gives back the letter it was given"),
            )),
            Body::Encoded { .. } => unreachable!("invariant: a port gives back the letter it was given"),
        },
    }
}

fn letter<M: Message>(port: &dyn Port, message: M, reply: ReplyTo, timeout: Option<Duration>) -> Letter {
    let scope = current_scope().unwrap_or_default();
    let own = match (&reply, timeout) {
        (_, Some(timeout)) => Some(port.clock().now() + timeout),
        (ReplyTo::Nobody, None) => None,
        (_, None) => Some(port.clock().now() + port.ask_timeout()),
    };
    let is_tell = matches!(reply, ReplyTo::Nobody);
    Letter {
        body: Body::Typed(Box::new(message) as Box<dyn TypedMessage>),
        reply,
        // A tell outlives the turn that sent it, and nobody waits for it.
        deadline: if is_tell { own } else { earlier(own, scope.deadline) },
        chain: if is_tell { Vec::new() } else { scope.chain },
    }
}

fn earlier(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl<K: ?Sized> Clone for ActorRef<K> {
    fn clone(&self) -> Self {
        Self {
            port: self.port.clone(),
            kind: PhantomData,
        }
    }
}

impl<K: ?Sized> fmt::Debug for ActorRef<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({})", self.port.actor())
    }
}

enum State<M> {
    New(M),
    NoRoom {
        letter: Letter,
        room: BoxFuture<'static, ()>,
        wait: Option<ReplyWait>,
        sleep: Option<Sleep>,
    },
    Waiting {
        wait: ReplyWait,
        sleep: Option<Sleep>,
    },
    Done,
}

// Messages are moved in and out by value, never pinned in place.
impl<M> Unpin for Ask<M> {}
impl<M> Unpin for Tell<M> {}

/// An ask under way; see [`ActorRef::ask`].
#[must_use = "nothing is sent before it is awaited"]
pub struct Ask<M> {
    port: Arc<dyn Port>,
    timeout: Option<Duration>,
    state: State<M>,
}

impl<M> Ask<M> {
    /// Waits for `timeout` at the longest. Has no effect on what was sent already.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

fn timed_out(port: &dyn Port, name: &str, ran: Ran) -> CallError {
    let what = match ran {
        Ran::No => "it did not run",
        _ => "it may have run",
    };
    let text = format!(
        "{name} to {} was not answered before its deadline; {what}",
        port.actor()
    );
    Failure::new(FailureCode::TimedOut, ran, text).into()
}

impl<M: Message> Future for Ask<M> {
    type Output = Result<M::Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.state, State::Done) {
                State::New(message) => {
                    let (slot, wait) = reply_pair();
                    let letter = letter(&*this.port, message, ReplyTo::Here(slot), this.timeout);
                    let sleep = letter.deadline.map(|at| this.port.clock().sleep_until(at));
                    this.state = match this.port.send(letter) {
                        Ok(()) => State::Waiting { wait, sleep },
                        Err(Undelivered::Failed(_, failure)) => return Poll::Ready(Err(failure.into())),
                        Err(Undelivered::Full(letter)) => State::NoRoom {
                            letter,
                            room: this.port.room(),
                            wait: Some(wait),
                            sleep,
                        },
                    };
                }
                State::NoRoom {
                    letter,
                    mut room,
                    wait,
                    mut sleep,
                } => {
                    if is_over(&mut sleep, cx) {
                        return Poll::Ready(Err(timed_out(&*this.port, M::NAME, Ran::No)));
                    }
                    if room.as_mut().poll(cx).is_pending() {
                        this.state = State::NoRoom {
                            letter,
                            room,
                            wait,
                            sleep,
                        };
                        return Poll::Pending;
                    }
                    this.state = match this.port.send(letter) {
                        Ok(()) => State::Waiting {
                            wait: wait.expect("invariant: an ask waits for a reply"),
                            sleep,
                        },
                        Err(Undelivered::Failed(_, failure)) => return Poll::Ready(Err(failure.into())),
                        Err(Undelivered::Full(letter)) => State::NoRoom {
                            letter,
                            room: this.port.room(),
                            wait,
                            sleep,
                        },
                    };
                }
                State::Waiting { mut wait, mut sleep } => {
                    if let Poll::Ready(reply) = Pin::new(&mut wait).poll(cx) {
                        return Poll::Ready(typed(reply, &*this.port, M::NAME));
                    }
                    if is_over(&mut sleep, cx) {
                        return Poll::Ready(Err(timed_out(&*this.port, M::NAME, Ran::Unknown)));
                    }
                    this.state = State::Waiting { wait, sleep };
                    return Poll::Pending;
                }
                State::Done => panic!("an ask was polled after it had ended"),
            }
        }
    }
}

fn is_over(sleep: &mut Option<Sleep>, cx: &mut Context<'_>) -> bool {
    sleep.as_mut().is_some_and(|sleep| Pin::new(sleep).poll(cx).is_ready())
}

fn typed<R: serde::de::DeserializeOwned + 'static>(
    reply: Option<Result<ReplyValue, Failure>>,
    port: &dyn Port,
    name: &str,
) -> Result<R, CallError> {
    match reply {
        None => {
            let text = format!("{name} to {} was dropped unanswered; it may have run", port.actor());
            Err(Failure::new(FailureCode::Discarded, Ran::Unknown, text).into())
        }
        Some(Err(failure)) => Err(failure.into()),
        Some(Ok(ReplyValue::Typed(value))) => match (value as Box<dyn Any>).downcast() {
            Ok(reply) => Ok(*reply),
            Err(_) => {
                let text = format!("the reply to {name} is of another type than `reply` of its message says");
                Err(Failure::new(FailureCode::BadReply, Ran::Yes, text).into())
            }
        },
        Some(Ok(ReplyValue::Encoded(bytes))) => wire::decode(&bytes).map_err(|error| {
            let text = format!("the reply to {name} cannot be read: {error}");
            Failure::new(FailureCode::BadReply, Ran::Yes, text).into()
        }),
    }
}

/// A tell under way; see [`ActorRef::tell`].
#[must_use = "nothing is sent before it is awaited"]
pub struct Tell<M> {
    port: Arc<dyn Port>,
    state: State<M>,
}

impl<M: Message> Future for Tell<M> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let next = match std::mem::replace(&mut this.state, State::Done) {
                State::New(message) => letter(&*this.port, message, ReplyTo::Nobody, None),
                State::NoRoom { letter, mut room, .. } => {
                    if room.as_mut().poll(cx).is_pending() {
                        this.state = State::NoRoom {
                            letter,
                            room,
                            wait: None,
                            sleep: None,
                        };
                        return Poll::Pending;
                    }
                    letter
                }
                State::Waiting { .. } | State::Done => panic!("a tell was polled after it had ended"),
            };
            match this.port.send(next) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(Undelivered::Failed(_, failure)) => return Poll::Ready(Err(failure.into())),
                Err(Undelivered::Full(letter)) => {
                    this.state = State::NoRoom {
                        letter,
                        room: this.port.room(),
                        wait: None,
                        sleep: None,
                    };
                }
            }
        }
    }
}
