//! Messages that are to have one effect: how they say which, and the asks that send one again until they know what became of it.
//!
//! ```text
//!   a request:   c1 | 1 | its id, 16 bytes | message                            no document begins with c1
//!   a post:      c1 | 2 | its outbox, 16 bytes | its number, u64 | message
//! ```
//! So the effect goes wherever the message goes: over links, with its actor, into the dead letters and back.

use super::{
    CallError, Effect, Message, Port, TryError, Undelivered,
    ask::{Terms, answered, timed_out},
    image::MARK,
};
use crate::{
    clock::{Clock, Moment},
    ident::OnceId,
    mailbox::{Body, Chain, Letter, ReplySender, ReplyTo, ReplyWait, reply_pair},
    wire::{self, Failure, FailureCode, Ran},
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use std::{sync::Arc, time::Duration};

/// How long an ask pauses before it is sent again: so long at first, twice as long each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(1);

const REQUEST: u8 = 1;
const POSTED: u8 = 2;

/// A message's body that says which effect it is to have.
pub fn seal(effect: &Effect, message: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(2 + OnceId::BYTES + size_of::<u64>() + message.len());
    match effect {
        Effect::Request(id) => {
            body.extend_from_slice(&[MARK, REQUEST]);
            body.extend_from_slice(&id.to_bytes());
        }
        Effect::Posted { outbox, number } => {
            body.extend_from_slice(&[MARK, POSTED]);
            body.extend_from_slice(&outbox.to_bytes());
            body.extend_from_slice(&number.to_be_bytes());
        }
    }
    body.extend_from_slice(message);
    body.into()
}

/// The effect that a body says, if it says one that is known here, and the message. A body that says another is no document.
pub(super) fn open(body: &[u8]) -> (Option<Effect>, &[u8]) {
    opened(body).map_or((None, body), |(effect, message)| (Some(effect), message))
}

fn opened(body: &[u8]) -> Option<(Effect, &[u8])> {
    let [MARK, kind, rest @ ..] = body else { return None };
    let (id, rest) = rest.split_first_chunk()?;
    let id = OnceId::from_bytes(*id);
    match *kind {
        REQUEST => Some((Effect::Request(id), rest)),
        POSTED => {
            let (number, rest) = rest.split_first_chunk()?;
            let number = u64::from_be_bytes(*number);
            Some((Effect::Posted { outbox: id, number }, rest))
        }
        _ => None,
    }
}

/// A message's body, as it travels, that says which effect it is to have.
fn sealed<M: Message>(id: OnceId, message: &M) -> Result<Bytes, CallError> {
    match wire::encode(message) {
        Ok(bytes) => Ok(seal(&Effect::Request(id), &bytes)),
        Err(error) => {
            let text = format!("{} cannot be serialized: {error}", M::NAME);
            Err(Failure::new(FailureCode::Unreadable, Ran::No, text).into())
        }
    }
}

/// A tell that is to have one effect.
///
/// # Errors
/// If it cannot be serialized.
pub(super) fn tell<M: Message>(id: OnceId, message: &M, chain: Chain) -> Result<Letter, CallError> {
    Ok(Letter {
        body: Body::Encoded {
            name: M::NAME.into(),
            bytes: sealed(id, message)?,
        },
        reply: ReplyTo::Nobody,
        deadline: None,
        chain,
    })
}

/// Sends a message, and sends it again while what became of it is not known, until its deadline.
pub(super) async fn ask<M: Message>(
    port: Arc<dyn Port>,
    id: OnceId,
    message: M,
    terms: Terms,
) -> Result<M::Reply, CallError> {
    let asking = Asking::of(port, id, &message, terms)?;
    drop(message);
    asking.go_on::<M>(None).await
}

/// Sends a message if there is room now; answers what sends it again and waits for its reply, as [`ask`] does.
///
/// # Errors
/// [`TryError`]; with the message if there is no room.
pub(super) fn try_ask<M: Message>(
    port: &Arc<dyn Port>,
    id: OnceId,
    message: M,
) -> Result<BoxFuture<'static, Result<M::Reply, CallError>>, TryError<M>> {
    let terms = Terms::now(&**port, None, None);
    let asking = Asking::of(port.clone(), id, &message, terms).map_err(TryError::Failed)?;
    let (sender, wait) = reply_pair::<M::Reply>();
    match port.send(asking.letter(sender)) {
        Ok(()) => Ok(Box::pin(asking.go_on::<M>(Some(wait)))),
        Err(Undelivered::Failed(_, failure)) => Err(TryError::Failed(failure.into())),
        Err(Undelivered::Full(_)) => Err(TryError::Full(message)),
    }
}

/// Whether the message may have had its effect or not, or had none because its activation was lost.
fn is_open(error: &CallError) -> bool {
    error.ran() == Ran::Unknown || error.failure().code == FailureCode::Discarded as u16
}

/// An ask that is sent as often as need be.
struct Asking {
    port: Arc<dyn Port>,
    clock: Clock,
    id: OnceId,
    name: Arc<str>,
    body: Bytes,
    chain: Chain,
    deadline: Moment,
}

impl Asking {
    fn of<M: Message>(port: Arc<dyn Port>, id: OnceId, message: &M, terms: Terms) -> Result<Self, CallError> {
        Ok(Self {
            clock: port.clock().clone(),
            id,
            name: M::NAME.into(),
            body: sealed(id, message)?,
            deadline: terms.deadline(&*port),
            chain: terms.chain,
            port,
        })
    }

    fn letter<R: Send + 'static>(&self, sender: ReplySender<R>) -> Letter {
        Letter {
            body: Body::Encoded {
                name: self.name.clone(),
                bytes: self.body.clone(),
            },
            reply: ReplyTo::Here(sender.into()),
            deadline: Some(self.deadline),
            chain: self.chain.clone(),
        }
    }

    /// Waits for the answer, and sends again while it is not known. `sent`: it was sent a first time.
    async fn go_on<M: Message>(self, mut sent: Option<ReplyWait<M::Reply>>) -> Result<M::Reply, CallError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = match sent.take() {
                Some(wait) => self.answer::<M>(wait).await,
                None => match self.send::<M>().await {
                    Ok(wait) => self.answer::<M>(wait).await,
                    Err(error) => Err(error),
                },
            };
            let error = match answer {
                Err(error) if is_open(&error) => error,
                ended => return ended,
            };
            if self.clock.now() + pause >= self.deadline {
                return Err(error);
            }
            let (actor, id) = (self.port.actor(), self.id);
            tracing::debug!(%actor, message = M::NAME, %id, %error, "an idempotent message is sent again");
            self.clock.sleep(pause).await;
            pause = LAST_PAUSE.min(pause * 2);
        }
    }

    async fn send<M: Message>(&self) -> Result<ReplyWait<M::Reply>, CallError> {
        let (sender, wait) = reply_pair::<M::Reply>();
        let mut letter = self.letter(sender);
        loop {
            match self.port.send(letter) {
                Ok(()) => return Ok(wait),
                Err(Undelivered::Failed(_, failure)) => return Err(failure.into()),
                Err(Undelivered::Full(back)) => letter = back,
            }
            let room = self.port.clone().room();
            if self.clock.timeout_at(self.deadline, room).await.is_none() {
                return Err(timed_out(&*self.port, M::NAME, Ran::No));
            }
        }
    }

    async fn answer<M: Message>(&self, mut wait: ReplyWait<M::Reply>) -> Result<M::Reply, CallError> {
        let in_time = self.clock.timeout_at(self.deadline, &mut wait).await;
        let answer = in_time.or_else(|| {
            // If it has not even left this process, it is told so now.
            self.port.end_overdue();
            wait.now_or_never()
        });
        match answer {
            Some(answer) => answered(answer, &*self.port, M::NAME),
            None => Err(timed_out(&*self.port, M::NAME, Ran::Unknown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_its_effect_or_is_the_message_alone() {
        let (id, message) = (OnceId::of("a"), wire::encode(&7_u8).expect("encodes"));
        for effect in [Effect::Request(id), Effect::Posted { outbox: id, number: 7 }] {
            assert_eq!(open(&seal(&effect, &message)), (Some(effect), &message[..]));
        }
        assert_eq!(open(&message), (None, &message[..]));
        for cut in [
            &b""[..],
            b"\xc1",
            b"\xc1\x01\x01",
            b"\xc1\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(open(cut), (None, cut), "which no type reads");
        }
    }
}
