//! References to actors.

use super::{
    Accepts, Kind, Message, Port, TryError, Undelivered,
    ask::{Ask, Far, Terms, far},
    once, scope,
    tell::{Tell, chain_of, traced},
};
use crate::{
    ident::{ActorId, OnceId},
    mailbox::{Asked, Body, Letter, Payload, Refused, ReplyTo, Told, reply_pair},
};
use std::{fmt, marker::PhantomData, sync::Arc};

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
    ///
    /// An idle actor of the same arbiter runs its turn within the first poll.
    pub fn ask<M: Message>(&self, message: M) -> Ask<'_, M>
    where
        K: Accepts<M>,
    {
        Ask::new(&self.port, message)
    }

    /// Sends a message; ready when it is in the mailbox or on its way there. Nothing is sent before the first poll.
    ///
    /// What cannot be delivered afterwards goes to the dead letters. A full mailbox makes it wait; only a turn that tells its
    /// own actor gets [`super::CallError::Full`], as it would wait for itself.
    pub fn tell<M: Message>(&self, message: M) -> Tell<'_, M>
    where
        K: Accepts<M>,
    {
        Tell::new(&self.port, message)
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`TryError::Full`] with the message.
    pub fn try_tell<M: Message>(&self, message: M) -> Result<(), TryError<M>>
    where
        K: Accepts<M>,
    {
        if M::IDEMPOTENT {
            return self.try_tell_once(message, OnceId::random());
        }
        let told = Told(message);
        let trace = scope::trace();
        if trace.is_some() {
            return send_traced(&*self.port, traced(told, trace));
        }
        let told = match self.port.direct().or_else(|| self.port.open()) {
            None => told,
            Some(mailbox) => match mailbox.push(told) {
                Ok(()) => return Ok(()),
                Err(Refused::Full(Told(message))) => return Err(TryError::Full(message)),
                Err(Refused::Closed(told)) => told,
            },
        };
        send_or_return(&*self.port, told.into_letter())
    }

    /// Sends a message if there is room now, and says what it is to do, as [`Tell::once`] does.
    ///
    /// # Errors
    /// [`TryError::Full`] with the message; [`TryError::Failed`] also if it cannot be serialized.
    pub fn try_tell_once<M: Message>(&self, message: M, id: OnceId) -> Result<(), TryError<M>>
    where
        K: Accepts<M>,
    {
        let letter = once::tell(id, &message, chain_of(scope::trace())).map_err(TryError::Failed)?;
        match self.port.send(letter) {
            Ok(()) => Ok(()),
            Err(Undelivered::Failed(_, failure)) => Err(TryError::Failed(failure.into())),
            Err(Undelivered::Full(_)) => Err(TryError::Full(message)),
        }
    }

    /// Sends a message if there is room now, and says what it is to do, as [`Ask::once`] does: the future that this answers sends it
    /// again until its deadline while what became of it is not known.
    ///
    /// # Errors
    /// [`TryError::Full`] with the message; [`TryError::Failed`] also if it cannot be serialized.
    pub fn try_ask_once<M: Message>(&self, message: M, id: OnceId) -> Result<Ask<'_, M>, TryError<M>>
    where
        K: Accepts<M>,
    {
        Ok(Ask::sent_once(&self.port, once::try_ask(&self.port, id, message)?))
    }

    /// Sends a message if there is room now, and answers a future of its reply.
    ///
    /// # Errors
    /// [`TryError::Full`] with the message.
    pub fn try_ask<M: Message>(&self, message: M) -> Result<Ask<'_, M>, TryError<M>>
    where
        K: Accepts<M>,
    {
        if M::IDEMPOTENT {
            return self.try_ask_once(message, OnceId::random());
        }
        let port: &dyn Port = &*self.port;
        let terms = Terms::now(port, None, None);
        let deadline = Some(terms.deadline(port));
        let direct = port.direct().or_else(|| port.open());
        let direct = direct.filter(|_| !terms.chain.contains(port.actor()));
        let (sender, wait) = reply_pair();
        let (far, home) = far(direct);
        let asked = Asked {
            message,
            reply: Some(sender),
            home,
            deadline,
            chain: terms.chain,
        };
        let asked = match direct {
            None => asked,
            Some(mailbox) => match mailbox.push(asked) {
                Ok(()) => return Ok(Ask::sent(&self.port, wait, deadline, far)),
                Err(Refused::Full(asked)) => return Err(TryError::Full(asked.message)),
                Err(Refused::Closed(asked)) => asked,
            },
        };
        send_or_return(port, asked.into_letter())?;
        Ok(Ask::sent(&self.port, wait, deadline, Far::No))
    }
}

#[cold]
fn send_traced<M: Message>(port: &dyn Port, letter: Letter) -> Result<(), TryError<M>> {
    let letter = match port.direct() {
        None => letter,
        Some(mailbox) => match mailbox.push(letter) {
            Ok(()) => return Ok(()),
            Err(Refused::Full(letter)) => return Err(TryError::Full(message_of(letter))),
            Err(Refused::Closed(letter)) => letter,
        },
    };
    send_or_return(port, letter)
}

fn send_or_return<M: Message>(port: &dyn Port, letter: Letter) -> Result<(), TryError<M>> {
    match port.send(letter) {
        Ok(()) => Ok(()),
        Err(Undelivered::Failed(_, failure)) => Err(TryError::Failed(failure.into())),
        Err(Undelivered::Full(letter)) => Err(TryError::Full(message_of(letter))),
    }
}

/// The message of a letter that was not taken.
fn message_of<M: Message>(letter: Letter) -> M {
    match letter {
        Letter {
            body: Body::Typed(message),
            reply: ReplyTo::Nobody | ReplyTo::Here(_),
            ..
        } => *message
            .into_any()
            .downcast()
            .expect("invariant: a port gives back the letter it was given"),
        _ => unreachable!("invariant: a port gives back the letter it was given"),
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
