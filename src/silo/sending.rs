//! Messages that a silo sends for somebody who does not wait: dead letters, posts, ticks, and its own.

use super::Node;
use crate::{
    actor::{Port, Undelivered},
    clock::Moment,
    ident::ActorId,
    mailbox::{Body, Chain, Letter, ReplyTo, ReplyWait, reply_pair},
    wire::{Failure, FailureCode, Ran},
};
use bytes::Bytes;
use std::sync::Arc;

/// A message that was encoded before, which nobody answers.
pub(super) fn letter(message: &str, bytes: Bytes) -> Letter {
    Letter {
        body: Body::Encoded {
            name: message.into(),
            bytes,
        },
        reply: ReplyTo::Nobody,
        deadline: None,
        chain: Chain::NONE,
    }
}

impl Node {
    /// Sends a message as soon as there is room. Answers where its reply comes, of whatever type that is: nobody looks at it.
    pub(super) async fn send_encoded(
        &self,
        actor: &ActorId,
        message: &str,
        bytes: Bytes,
        deadline: Option<Moment>,
    ) -> Result<ReplyWait<()>, Failure> {
        let port: Arc<dyn Port> = self.board().port(actor.clone());
        let (sender, wait) = reply_pair::<()>();
        let mut letter = Letter {
            reply: ReplyTo::Here(sender.into()),
            deadline,
            ..letter(message, bytes)
        };
        loop {
            match port.send(letter) {
                Ok(()) => return Ok(wait),
                Err(Undelivered::Failed(_, failure)) => return Err(failure),
                Err(Undelivered::Full(back)) => letter = back,
            }
            let room = port.clone().room();
            match deadline {
                None => room.await,
                Some(deadline) => self.clock.timeout_at(deadline, room).await.ok_or_else(|| {
                    let text = format!("the mailbox of {actor} stayed full; {message} did not run");
                    Failure::new(FailureCode::Full, Ran::No, text)
                })?,
            }
        }
    }
}
