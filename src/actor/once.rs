//! Messages that are to have one effect: how they say which, and the ask that sends one again until it knows what became of it.
//!
//! ```text
//!   a request:   c1 | 1 | its id, 16 bytes | message                            no document begins with c1
//!   a post:      c1 | 2 | its outbox, 16 bytes | its number, u64 | message
//! ```
//! So the effect goes wherever the message goes: over links, with its actor, into the dead letters and back.

use super::{
    CallError, Effect, Message, Port, Undelivered,
    ask::{Terms, answered, timed_out},
    image::MARK,
};
use crate::{
    clock::{Clock, Moment},
    ident::OnceId,
    mailbox::{Body, Letter, ReplyTo, reply_pair},
    wire::{self, Failure, FailureCode, Ran},
};
use bytes::Bytes;
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

/// Sends a message, and sends it again while what became of it is not known, until its deadline.
pub(super) async fn ask<M: Message>(
    port: Arc<dyn Port>,
    id: OnceId,
    message: M,
    terms: Terms,
) -> Result<M::Reply, CallError> {
    let deadline = terms.deadline(&*port);
    let body = match wire::encode(&message) {
        Ok(body) => seal(&Effect::Request(id), &body),
        Err(error) => {
            let text = format!("{} cannot be serialized: {error}", M::NAME);
            return Err(Failure::new(FailureCode::Unreadable, Ran::No, text).into());
        }
    };
    drop(message);
    let clock = port.clock().clone();
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match send::<M>(&port, &clock, &body, &terms, deadline).await {
            Err(error) if is_open(&error) => error,
            ended => return ended,
        };
        if clock.now() + pause >= deadline {
            return Err(error);
        }
        tracing::debug!(actor = %port.actor(), message = M::NAME, %id, %error, "an idempotent message is sent again");
        clock.sleep(pause).await;
        pause = LAST_PAUSE.min(pause * 2);
    }
}

/// Whether the message may have had its effect or not, or had none because its activation was lost.
fn is_open(error: &CallError) -> bool {
    error.ran() == Ran::Unknown || error.failure().code == FailureCode::Discarded as u16
}

async fn send<M: Message>(
    port: &Arc<dyn Port>,
    clock: &Clock,
    body: &Bytes,
    terms: &Terms,
    deadline: Moment,
) -> Result<M::Reply, CallError> {
    let (sender, wait) = reply_pair::<M::Reply>();
    let mut letter = Letter {
        body: Body::Encoded {
            name: M::NAME.into(),
            bytes: body.clone(),
        },
        reply: ReplyTo::Here(sender.into()),
        deadline: Some(deadline),
        chain: terms.chain.clone(),
    };
    loop {
        match port.send(letter) {
            Ok(()) => break,
            Err(Undelivered::Failed(_, failure)) => return Err(failure.into()),
            Err(Undelivered::Full(back)) => letter = back,
        }
        if clock.timeout_at(deadline, port.clone().room()).await.is_none() {
            return Err(timed_out(&**port, M::NAME, Ran::No));
        }
    }
    match clock.timeout_at(deadline, wait).await {
        Some(answer) => answered(answer, &**port, M::NAME),
        None => Err(timed_out(&**port, M::NAME, Ran::Unknown)),
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
