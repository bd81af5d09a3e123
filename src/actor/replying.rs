//! Where the reply of a turn goes.

use crate::{
    ident::{ProcessId, RequestId},
    mailbox::{Body, Chain, Home, Letter, Replied, ReplySender, ReplySlot, ReplyTo, ReplyValue},
    wire::{self, Failure, FailureCode, Outcome},
};
use bytes::Bytes;
use std::{mem, sync::Arc};

/// Where the reply of a turn goes.
pub(super) enum Reply<R> {
    /// Nobody waits.
    Nobody,
    /// To a caller in this process that holds the other end.
    Sender(ReplySender<R>),
    /// What is too large to be moved with every turn.
    Other(Box<OtherReply>),
}

/// How the reply of a turn goes there.
pub(super) struct Replying<R> {
    pub(super) to: Reply<R>,
    /// The thread on which the sender's caller waits, if that is another.
    pub(super) home: Option<Arc<dyn Home>>,
}

/// Where the reply of a turn goes, if not on the short way.
pub(super) enum OtherReply {
    /// Nobody waits; here is the message, for the dead letters if its handler panics.
    Kept(Bytes),
    /// To the other end of a letter.
    Slot(ReplySlot),
    /// To a process, by its request.
    Process(ProcessId, RequestId),
}

impl<R> From<OtherReply> for Reply<R> {
    fn from(other: OtherReply) -> Self {
        Self::Other(Box::new(other))
    }
}

/// The answer to a process, which the silo sends.
#[derive(Debug)]
pub struct Remote {
    /// To whom.
    pub process: ProcessId,
    /// Its request.
    pub request: RequestId,
    /// The answer.
    pub outcome: Outcome,
}

pub(super) fn reply_of<R>(reply: ReplyTo) -> Reply<R> {
    match reply {
        ReplyTo::Nobody | ReplyTo::Timer(_) => Reply::Nobody,
        ReplyTo::Here(slot) => OtherReply::Slot(slot).into(),
        ReplyTo::Process { process, request } => OtherReply::Process(process, request).into(),
    }
}

impl<R: serde::Serialize + Send + 'static> Replying<R> {
    /// The message of a tell that was kept.
    pub(super) fn kept(&mut self, name: &str) -> Option<Letter> {
        let Reply::Other(other) = &mut self.to else { return None };
        let OtherReply::Kept(bytes) = &mut **other else {
            return None;
        };
        let (name, bytes) = (name.into(), mem::take(bytes));
        Some(Letter {
            body: Body::Encoded { name, bytes },
            reply: ReplyTo::Nobody,
            deadline: None,
            chain: Chain::NONE,
        })
    }

    /// Sends the reply where it goes; answers what the silo has to send.
    #[inline]
    pub(super) fn send(&mut self, name: &str, reply: Result<R, Failure>) -> Option<Box<Remote>> {
        match mem::replace(&mut self.to, Reply::Nobody) {
            Reply::Nobody => None,
            Reply::Sender(sender) => {
                let answer = reply.map(Replied::Typed);
                match self.home.take() {
                    None => drop(sender.answer(answer)),
                    Some(home) => sender.answer_at(home, answer),
                }
                None
            }
            Reply::Other(other) => other.send(name, reply),
        }
    }
}

impl OtherReply {
    #[cold]
    fn send<R: serde::Serialize + Send + 'static>(self, name: &str, reply: Result<R, Failure>) -> Option<Box<Remote>> {
        match self {
            Self::Kept(_) => None,
            Self::Slot(slot) => {
                slot.answer(reply.map(|reply| ReplyValue::Typed(Box::new(reply))));
                None
            }
            Self::Process(process, request) => {
                let encoded = reply.and_then(|reply| {
                    wire::encode(&reply).map_err(|error| {
                        let text = format!("the reply to {name} cannot be serialized: {error}");
                        Failure::new(FailureCode::BadReply, wire::Ran::Yes, text)
                    })
                });
                Some(Box::new(Remote {
                    process,
                    request,
                    outcome: encoded.map_or_else(Outcome::Failure, Outcome::Reply),
                }))
            }
        }
    }
}
