//! Frames to bytes.

use super::{
    head::{
        BounceHead, CallHead, FoundHead, HintHead, OfferAnswerHead, OfferHead, PackageHead, PartHead, QueryHead,
        RefusedHead, ViewHead,
    },
    header::Header,
    kind,
    outgoing::Outgoing,
};
use crate::{
    ident::{ActorId, Epoch, ProcessId, RequestId, TraceContext},
    wire::{Envelope, Frame, FrameError, Limits, Outcome, Package, msgpack},
};
use bytes::Bytes;
use serde::Serialize;
use std::{borrow::Cow, time::Duration};

/// The first bit of the flags: the answer is a failure, or something was lost.
pub(super) const FLAG: u8 = 1;

/// The part of a head that depends on the kind alone.
enum Fixed<'a> {
    Nothing,
    Actor(&'a ActorId),
    Call(Envelope<'a>),
    Forward(Envelope<'a>),
}

const NO_EXTENSION: Option<&()> = None;

impl Outgoing {
    /// Appends a frame.
    ///
    /// # Errors
    /// The frame breaks a limit, which the error names with the actor and the message. Nothing was appended.
    pub fn push(&mut self, frame: &Frame, limits: &Limits) -> Result<(), FrameError> {
        self.undo_unless(|out| out.push_frame(frame, limits))
    }

    /// Appends the frame of a call, with a copy of its message; errors as those of [`Outgoing::push`].
    pub fn push_call(&mut self, call: Envelope<'_>, body: &[u8], limits: &Limits) -> Result<(), FrameError> {
        self.undo_unless(|out| {
            let header = header(kind::CALL, call.request.0, Epoch::ZERO);
            Put { out, limits }.head(header, Fixed::Call(call), call_head(call.trace).as_ref(), body.len())?;
            out.tail().extend_from_slice(body);
            Ok(())
        })
    }

    /// Appends the frame of a package; errors as those of [`Outgoing::push`].
    pub(super) fn push_package(&mut self, package: &Package, limits: &Limits) -> Result<(), FrameError> {
        self.undo_unless(|out| Put { out, limits }.package(package))
    }

    fn undo_unless(&mut self, push: impl FnOnce(&mut Self) -> Result<(), FrameError>) -> Result<(), FrameError> {
        let start = self.tail().len();
        // Payloads are pushed when nothing can fail any more, so what is to be undone is in the tail.
        let result = push(self);
        if result.is_err() {
            self.tail().truncate(start);
        }
        result
    }

    /// Appends the goodbye: the peer sees that the stream ends as it should.
    pub fn push_end(&mut self) {
        self.tail().extend_from_slice(&Header::end());
    }

    fn push_frame(&mut self, frame: &Frame, limits: &Limits) -> Result<(), FrameError> {
        let mut put = Put { out: self, limits };
        match frame {
            Frame::Call(call) => {
                let header = header(kind::CALL, call.request.0, Epoch::ZERO);
                put.call(
                    header,
                    Fixed::Call(call.envelope()),
                    call_head(call.trace).as_ref(),
                    &call.body,
                )
            }
            Frame::Forward { stream, n, call } => put.call(
                header(kind::FORWARD, *n, *stream),
                Fixed::Forward(call.envelope()),
                call_head(call.trace).as_ref(),
                &call.body,
            ),
            Frame::Bounce { call, hint, why } => {
                let hint = hint.as_ref().map(Cow::Borrowed);
                let header = header(kind::BOUNCE, call.request.0, Epoch::ZERO);
                put.call(
                    header,
                    Fixed::Call(call.envelope()),
                    Some(&BounceHead {
                        hint,
                        why: *why,
                        trace: call.trace,
                    }),
                    &call.body,
                )
            }
            Frame::Reply { request, outcome } => put.outcome(kind::REPLY, *request, outcome),
            Frame::Answer { request, outcome } => put.outcome(kind::ANSWER, *request, outcome),
            Frame::Query { request, name, body } => {
                let name = Cow::Borrowed(&**name);
                let header = header(kind::QUERY, request.0, Epoch::ZERO);
                put.head(header, Fixed::Nothing, Some(&QueryHead { name }), body.len())?;
                put.out.push_payload(body);
                Ok(())
            }
            Frame::Package(package) => put.package(package),
            Frame::Part {
                actor,
                epoch,
                offset,
                total,
                bytes,
            } => put.call(
                header(kind::PART, *offset, *epoch),
                Fixed::Actor(actor),
                Some(&PartHead { total: *total }),
                bytes,
            ),
            Frame::Fenced { actor, k, hint, lost } => {
                let mut header = header(kind::FENCED, *k, Epoch::ZERO);
                header.flags = if *lost { FLAG } else { 0 };
                let hint = hint.as_ref().map(|hint| HintHead {
                    hint: Some(Cow::Borrowed(hint)),
                });
                put.head(header, Fixed::Actor(actor), hint.as_ref(), 0)
            }
            Frame::Moved { actor, hint } => {
                let hint = Some(Cow::Borrowed(hint));
                put.extended(
                    header(kind::MOVED, 0, Epoch::ZERO),
                    Fixed::Actor(actor),
                    &HintHead { hint },
                )
            }
            Frame::Refused { actor, epoch, why } => {
                let why = Cow::Borrowed(why);
                put.extended(
                    header(kind::REFUSED, 0, *epoch),
                    Fixed::Actor(actor),
                    &RefusedHead { why },
                )
            }
            Frame::Located { request, found } => {
                let found = Cow::Borrowed(found);
                put.extended(
                    header(kind::LOCATED, request.0, Epoch::ZERO),
                    Fixed::Nothing,
                    &FoundHead { found },
                )
            }
            Frame::View { view, silos } => {
                let silos = Cow::Borrowed(&**silos);
                put.extended(
                    header(kind::VIEW, *view, Epoch::ZERO),
                    Fixed::Nothing,
                    &ViewHead { silos },
                )
            }
            Frame::Offer { batch, items } => {
                let items = Cow::Borrowed(&**items);
                put.extended(
                    header(kind::OFFER, *batch, Epoch::ZERO),
                    Fixed::Nothing,
                    &OfferHead { items },
                )
            }
            Frame::OfferAnswer {
                batch,
                refusals,
                serves,
            } => {
                let (refusals, serves) = (Cow::Borrowed(&**refusals), *serves);
                let header = header(kind::OFFER_ANSWER, *batch, Epoch::ZERO);
                put.extended(header, Fixed::Nothing, &OfferAnswerHead { refusals, serves })
            }
            Frame::Fence { actor, k } => put.actor(kind::FENCE, *k, Epoch::ZERO, actor),
            Frame::Enter { actor, k } => put.actor(kind::ENTER, *k, Epoch::ZERO, actor),
            Frame::NotHere { actor, k } => put.actor(kind::NOT_HERE, *k, Epoch::ZERO, actor),
            Frame::Mark { actor, k } => put.actor(kind::MARK, *k, Epoch::ZERO, actor),
            Frame::Handled { actor, k } => put.actor(kind::HANDLED, *k, Epoch::ZERO, actor),
            Frame::Lookup { request, actor } => put.actor(kind::LOOKUP, request.0, Epoch::ZERO, actor),
            Frame::Go { actor, epoch } => put.actor(kind::GO, 0, *epoch, actor),
            Frame::PartTaken { actor, epoch, upto } => put.actor(kind::PART_TAKEN, *upto, *epoch, actor),
            Frame::Committed { actor, epoch } => put.actor(kind::COMMITTED, 0, *epoch, actor),
            Frame::Closed { actor, stream } => put.actor(kind::CLOSED, 0, *stream, actor),
            Frame::AskClosed { actor, stream } => put.actor(kind::ASK_CLOSED, 0, *stream, actor),
            Frame::Rested { actor, stream, n } => put.actor(kind::RESTED, *n, *stream, actor),
            Frame::Returned { actor, stream, n } => put.actor(kind::RETURNED, *n, *stream, actor),
            Frame::Lost { actor, stream, n } => put.actor(kind::LOST, *n, *stream, actor),
            Frame::Ping { n } => put.bare(kind::PING, *n),
            Frame::Pong { n } => put.bare(kind::PONG, *n),
            Frame::Leaving => put.bare(kind::LEAVING, 0),
            Frame::LeavingAck => put.bare(kind::LEAVING_ACK, 0),
            Frame::Flushed => put.bare(kind::FLUSHED, 0),
            Frame::Unrecognized { kind } => Err(FrameError::Unrecognized { kind: *kind }),
        }
    }
}

fn call_head(trace: Option<TraceContext>) -> Option<CallHead> {
    let trace = Some(trace?);
    Some(CallHead { trace })
}

fn header(kind: u8, number: u64, epoch: Epoch) -> Header {
    Header {
        kind,
        number,
        epoch: epoch.0,
        ..Header::default()
    }
}

/// Writes the parts of one frame.
struct Put<'a> {
    out: &'a mut Outgoing,
    limits: &'a Limits,
}

impl Put<'_> {
    fn bare(&mut self, kind: u8, number: u64) -> Result<(), FrameError> {
        self.head(header(kind, number, Epoch::ZERO), Fixed::Nothing, NO_EXTENSION, 0)
    }

    fn actor(&mut self, kind: u8, number: u64, epoch: Epoch, actor: &ActorId) -> Result<(), FrameError> {
        self.head(header(kind, number, epoch), Fixed::Actor(actor), NO_EXTENSION, 0)
    }

    fn extended<E: Serialize>(&mut self, header: Header, fixed: Fixed<'_>, extension: &E) -> Result<(), FrameError> {
        self.head(header, fixed, Some(extension), 0)
    }

    fn call<E: Serialize>(
        &mut self,
        header: Header,
        fixed: Fixed<'_>,
        extension: Option<&E>,
        body: &Bytes,
    ) -> Result<(), FrameError> {
        self.head(header, fixed, extension, body.len())?;
        self.out.push_payload(body);
        Ok(())
    }

    fn outcome(&mut self, kind: u8, request: RequestId, outcome: &Outcome) -> Result<(), FrameError> {
        let mut header = header(kind, request.0, Epoch::ZERO);
        match outcome {
            Outcome::Reply(reply) => self.call(header, Fixed::Nothing, NO_EXTENSION, reply),
            Outcome::Failure(failure) => {
                header.flags = FLAG;
                let failure = msgpack::encode(failure).map_err(|source| FrameError::Unencodable { kind, source })?;
                self.call(header, Fixed::Nothing, NO_EXTENSION, &failure)
            }
        }
    }

    fn package(&mut self, package: &Package) -> Result<(), FrameError> {
        let mut payload = size_of::<u32>() + package.memory.len();
        for call in &package.waiting {
            check_call(&call.envelope(), self.limits)?;
            let extension = call_head(call.trace).map_or(0, |_| CallHead::BYTES);
            payload += Header::BYTES + call_bytes(&call.envelope()) + extension + call.body.len();
        }
        let extension = PackageHead {
            version: Cow::Borrowed(&package.version),
            etag: package.etag,
            unsaved: package.unsaved,
            frozen_at: package.frozen_at_micros,
            timers: Cow::Borrowed(&package.timers),
            streams: Cow::Borrowed(&package.streams),
        };
        let head = header(kind::PACKAGE, 0, package.epoch);
        self.head(head, Fixed::Actor(&package.actor), Some(&extension), payload)?;
        let memory = u32::try_from(package.memory.len()).expect("invariant: the limits were checked");
        self.out.tail().extend_from_slice(&memory.to_le_bytes());
        self.out.push_payload(&package.memory);
        for call in &package.waiting {
            let header = header(kind::CALL, call.request.0, Epoch::ZERO);
            self.call(
                header,
                Fixed::Call(call.envelope()),
                call_head(call.trace).as_ref(),
                &call.body,
            )?;
        }
        Ok(())
    }

    /// Writes header and head of a frame whose payload will have `payload` bytes, all limits checked.
    fn head<E: Serialize>(
        &mut self,
        mut header: Header,
        fixed: Fixed<'_>,
        extension: Option<&E>,
        payload: usize,
    ) -> Result<(), FrameError> {
        let kind = header.kind;
        let tail = self.out.tail();
        let start = tail.len();
        match &fixed {
            Fixed::Nothing => tail.resize(start + Header::BYTES, 0),
            Fixed::Actor(actor) => {
                check_actor(actor, || subject(kind, &fixed))?;
                tail.resize(start + Header::BYTES, 0);
                put_actor(tail, actor);
            }
            Fixed::Call(call) | Fixed::Forward(call) => {
                check_call(call, self.limits)?;
                tail.reserve(Header::BYTES + size_of::<u64>() + call_bytes(call) + payload.min(1024));
                tail.resize(start + Header::BYTES, 0);
                if let Fixed::Forward(call) = &fixed {
                    tail.extend_from_slice(&call.request.0.to_le_bytes());
                }
                put_call(tail, call);
            }
        }
        if let Some(extension) = extension {
            msgpack::encode_into(tail, extension).map_err(|source| FrameError::Unencodable { kind, source })?;
        }
        let written = tail.len() - start;
        let total = written.saturating_add(payload);
        match kind {
            kind::CALL => self.limits.check_call_frame(total, || subject(kind, &fixed))?,
            _ => self.limits.check_frame(total, || subject(kind, &fixed))?,
        }
        header.head = u32::try_from(written - Header::BYTES).expect("invariant: the limits were checked");
        tail[start..start + Header::BYTES].copy_from_slice(&header.to_bytes(total));
        Ok(())
    }
}

/// Names a frame in errors.
fn subject(kind: u8, fixed: &Fixed<'_>) -> String {
    let name = kind::name(kind);
    match fixed {
        Fixed::Nothing => format!("the {name} frame"),
        Fixed::Actor(actor) => format!("the {name} frame for {actor}"),
        Fixed::Call(call) | Fixed::Forward(call) => {
            format!("the {name} frame with message {} for {}", call.message, call.actor)
        }
    }
}

fn check_actor(actor: &ActorId, subject: impl Fn() -> String) -> Result<(), FrameError> {
    Limits::check_name(actor.kind().as_bytes(), || format!("a kind in {}", subject()))?;
    Limits::check_name(actor.key_bytes(), || format!("a key in {}", subject()))
}

fn check_call(call: &Envelope<'_>, limits: &Limits) -> Result<(), FrameError> {
    let subject = || format!("the message {} for {}", call.message, call.actor);
    check_actor(call.actor, subject)?;
    Limits::check_name(call.message.as_bytes(), || format!("the name of {}", subject()))?;
    if let ProcessId::Silo(silo) = call.from {
        Limits::check_name(silo.name().as_bytes(), || format!("the sender's name in {}", subject()))?;
    }
    limits.check_chain(call.chain.len(), || format!("the chain of {}", subject()))?;
    call.chain.iter().try_for_each(|actor| check_actor(actor, subject))
}

fn actor_bytes(actor: &ActorId) -> usize {
    2 * size_of::<u16>() + actor.kind().len() + actor.key_bytes().len()
}

/// What [`put_call`] writes.
fn call_bytes(call: &Envelope<'_>) -> usize {
    let from = match call.from {
        ProcessId::Silo(silo) => size_of::<u16>() + silo.name().len() + size_of::<u64>(),
        ProcessId::Client(_) => size_of::<u64>(),
    };
    actor_bytes(call.actor)
        + size_of::<u16>()
        + call.message.len()
        + size_of::<u8>()
        + from
        + size_of::<u32>()
        + size_of::<u16>()
        + call.chain.iter().map(actor_bytes).sum::<usize>()
}

fn put_name(bytes: &mut Vec<u8>, name: &[u8]) {
    let length = u16::try_from(name.len()).expect("invariant: the limits were checked");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(name);
}

fn put_actor(bytes: &mut Vec<u8>, actor: &ActorId) {
    put_name(bytes, actor.kind().as_bytes());
    put_name(bytes, actor.key_bytes());
}

fn put_call(bytes: &mut Vec<u8>, call: &Envelope<'_>) {
    put_actor(bytes, call.actor);
    put_name(bytes, call.message.as_bytes());
    match call.from {
        ProcessId::Silo(silo) => {
            bytes.push(0);
            put_name(bytes, silo.name().as_bytes());
            bytes.extend_from_slice(&silo.incarnation().to_le_bytes());
        }
        ProcessId::Client(client) => {
            bytes.push(1);
            bytes.extend_from_slice(&client.0.to_le_bytes());
        }
    }
    bytes.extend_from_slice(&call.time_left.map_or(0, millis).to_le_bytes());
    let chain = u16::try_from(call.chain.len()).expect("invariant: the limits were checked");
    bytes.extend_from_slice(&chain.to_le_bytes());
    call.chain.iter().for_each(|actor| put_actor(bytes, actor));
}

/// Time left in milliseconds, rounded up so that what is left stays something; 0 is kept for "without end".
fn millis(time: Duration) -> u32 {
    let part = u64::from(time.subsec_nanos().div_ceil(1_000_000));
    let millis = time.as_secs().saturating_mul(1000).saturating_add(part);
    u32::try_from(millis).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_never_becomes_none_on_the_wire() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(1)), 1);
        assert_eq!(millis(Duration::from_micros(1001)), 2);
        assert_eq!(millis(Duration::MAX), u32::MAX);
    }
}
