//! Bytes to frames.

use super::{
    cursor::Cursor,
    encode::FLAG,
    head::{
        BounceHead, CallHead, FoundHead, HintHead, OfferAnswerHead, OfferHead, PackageHead, PartHead, QueryHead,
        RefusedHead, ViewHead,
    },
    header::{Header, Length},
    interner::Interner,
    kind,
    pieces::Pieces,
};
use crate::{
    ident::{Epoch, RequestId, TraceContext},
    wire::{Call, Frame, FrameError, Limits, OfferItem, Outcome, Package, PlainCall, decode},
};
use bytes::{Buf, Bytes, BytesMut};
use std::borrow::Cow;

/// What a buffer begins with.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, straight to the reader")]
pub enum Step {
    /// A part of a frame: so many more bytes are needed at least.
    Need(usize),
    /// A frame.
    Frame(Frame),
    /// The goodbye: nothing follows.
    End,
}

/// Takes frames off the bytes of one link.
///
/// Bodies and memories are slices of the buffer that they came in and keep it alive: who keeps small ones for long should
/// copy them. Names that repeat (kinds, messages, silos) share one allocation.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    names: Interner,
    pieces: Pieces,
}

impl Decoder {
    /// A decoder for one link.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            names: Interner::default(),
            pieces: Pieces::default(),
        }
    }

    /// Takes the next frame off the front of the buffer.
    ///
    /// # Errors
    /// The bytes are no frame, or one that breaks a limit: the link is of no use any more.
    pub fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, FrameError> {
        loop {
            match Header::measure(buffer, &self.limits)? {
                Length::Need(more) => return Ok(Step::Need(more)),
                Length::End if self.pieces.are_missing() => {
                    return Err(FrameError::Malformed {
                        kind: kind::PIECE,
                        field: "the last piece",
                        why: "is missing",
                    });
                }
                Length::End => return Ok(Step::End),
                Length::Frame(total) => {
                    let frame = buffer.split_to(total).freeze();
                    let header = Header::from_frame(&frame)?;
                    // Nearly all are whole, and between no pieces.
                    if header.kind != kind::PIECE && !self.pieces.are_missing() {
                        return self.read(header, frame).map(Step::Frame);
                    }
                    if let Some(frame) = self.pieces.take(frame, &self.limits)? {
                        return self.frame(frame).map(Step::Frame);
                    }
                }
            }
        }
    }

    /// Takes the next frame off the front of the buffer if it is a call that can be read without a new name. Else nothing is taken:
    /// [`Decoder::step`] tells what is there.
    pub fn plain_call(&mut self, buffer: &mut BytesMut) -> Option<PlainCall<'_>> {
        let (header, total) = self.whole(kind::CALL, buffer)?;
        let end = Header::BYTES + header.head as usize;
        let head = &mut Cursor {
            kind: header.kind,
            rest: &buffer[Header::BYTES..end],
        };
        let actor = head.known_actor(&self.names)?;
        let message = head.known_message(&self.names)?;
        let from = head.known_process(&self.names)?;
        let time_left = head.time_left().ok()?;
        // No chain and no trace.
        if head.rest != [0; size_of::<u16>()] {
            return None;
        }
        buffer.advance(end);
        Some(PlainCall {
            actor,
            message,
            request: RequestId(header.number),
            from,
            time_left,
            body: buffer.split_to(total - end).freeze(),
        })
    }

    /// Takes the next frame off the front of the buffer if it is a reply, and no failure. Else nothing is taken, as above.
    pub fn plain_reply(&mut self, buffer: &mut BytesMut) -> Option<(RequestId, Bytes)> {
        let (header, total) = self.whole(kind::REPLY, buffer)?;
        if header.flags & FLAG != 0 {
            return None;
        }
        let end = Header::BYTES + header.head as usize;
        buffer.advance(end);
        Some((RequestId(header.number), buffer.split_to(total - end).freeze()))
    }

    /// The next frame's header and its bytes, if it is there, of this kind, and can be read as it stands.
    fn whole(&self, kind: u8, buffer: &[u8]) -> Option<(Header, usize)> {
        let Ok(Length::Frame(total)) = Header::measure(buffer, &self.limits) else {
            return None;
        };
        let header = Header::from_frame(&buffer[..total]).ok()?;
        let is_plain = header.kind == kind && header.layout == 0 && !self.pieces.are_missing();
        is_plain.then_some((header, total))
    }

    fn frame(&mut self, frame: Bytes) -> Result<Frame, FrameError> {
        let header = Header::from_frame(&frame)?;
        self.read(header, frame)
    }

    fn read(&mut self, header: Header, frame: Bytes) -> Result<Frame, FrameError> {
        if header.layout != 0 {
            return Ok(Frame::Unrecognized { kind: header.kind });
        }
        let end = Header::BYTES + header.head as usize;
        let head = &mut Cursor {
            kind: header.kind,
            rest: &frame[Header::BYTES..end],
        };
        // Taken when the head has been read: the frame itself becomes its payload.
        let payload = |mut frame: Bytes| {
            frame.advance(end);
            frame
        };
        let names = &mut self.names;
        let (n, k, request, epoch) = (
            header.number,
            header.number,
            RequestId(header.number),
            Epoch(header.epoch),
        );
        let stream = epoch;
        Ok(match header.kind {
            kind::CALL => {
                let mut call = self.call(request, head)?;
                call.trace = trace(head)?;
                call.body = payload(frame);
                Frame::Call(call)
            }
            kind::FORWARD => {
                let request = RequestId(head.u64("the request")?);
                let mut call = self.call(request, head)?;
                call.trace = trace(head)?;
                call.body = payload(frame);
                Frame::Forward { stream, n, call }
            }
            kind::BOUNCE => {
                let mut call = self.call(request, head)?;
                let BounceHead { hint, why, trace } = head.extension()?;
                let hint = hint.map(Cow::into_owned);
                call.trace = trace;
                call.body = payload(frame);
                Frame::Bounce { call, hint, why }
            }
            kind::REPLY => {
                let outcome = outcome(header, payload(frame))?;
                Frame::Reply { request, outcome }
            }
            kind::ANSWER => {
                let outcome = outcome(header, payload(frame))?;
                Frame::Answer { request, outcome }
            }
            kind::QUERY => {
                let QueryHead { name } = head.extension()?;
                Frame::Query {
                    request,
                    name: name.into_owned(),
                    body: payload(frame),
                }
            }
            kind::PACKAGE => {
                let package = self.package(epoch, head)?;
                Frame::Package(self.contents(package, payload(frame))?)
            }
            kind::PART => {
                let actor = head.actor(names)?;
                let PartHead { total } = head.extension()?;
                Frame::Part {
                    actor,
                    epoch,
                    offset: n,
                    total,
                    bytes: payload(frame),
                }
            }
            kind::FENCED => {
                let actor = head.actor(names)?;
                let HintHead { hint } = head.extension()?;
                Frame::Fenced {
                    actor,
                    k,
                    hint: hint.map(Cow::into_owned),
                    lost: header.flags & FLAG != 0,
                }
            }
            kind::MOVED => {
                let actor = head.actor(names)?;
                let HintHead { hint } = head.extension()?;
                let hint = hint.ok_or_else(|| head.malformed("the hint", "is missing"))?;
                let hint = hint.into_owned();
                Frame::Moved { actor, hint }
            }
            kind::REFUSED => {
                let actor = head.actor(names)?;
                let RefusedHead { why } = head.extension()?;
                let why = why.into_owned();
                Frame::Refused { actor, epoch, why }
            }
            kind::LOCATED => {
                let FoundHead { found } = head.extension()?;
                let found = found.into_owned();
                Frame::Located { request, found }
            }
            kind::VIEW => {
                let ViewHead { silos } = head.extension()?;
                let silos = silos.into_owned();
                Frame::View { view: n, silos }
            }
            kind::OFFER => {
                let OfferHead { items } = head.extension()?;
                let item = |item: OfferItem| {
                    let actor = head.interned(names, &item.actor)?;
                    Ok(OfferItem { actor, ..item })
                };
                let items = items
                    .into_owned()
                    .into_iter()
                    .map(item)
                    .collect::<Result<_, FrameError>>()?;
                Frame::Offer { batch: n, items }
            }
            kind::OFFER_ANSWER => {
                let OfferAnswerHead { refusals, serves } = head.extension()?;
                let refusals = refusals.into_owned();
                Frame::OfferAnswer {
                    batch: n,
                    refusals,
                    serves,
                }
            }
            kind::FENCE => Frame::Fence {
                actor: head.actor(names)?,
                k,
            },
            kind::ENTER => Frame::Enter {
                actor: head.actor(names)?,
                k,
            },
            kind::NOT_HERE => Frame::NotHere {
                actor: head.actor(names)?,
                k,
            },
            kind::MARK => Frame::Mark {
                actor: head.actor(names)?,
                k,
            },
            kind::HANDLED => Frame::Handled {
                actor: head.actor(names)?,
                k,
            },
            kind::LOOKUP => {
                let actor = head.actor(names)?;
                Frame::Lookup { request, actor }
            }
            kind::GO => Frame::Go {
                actor: head.actor(names)?,
                epoch,
            },
            kind::PART_TAKEN => Frame::PartTaken {
                actor: head.actor(names)?,
                epoch,
                upto: n,
            },
            kind::COMMITTED => Frame::Committed {
                actor: head.actor(names)?,
                epoch,
            },
            kind::CLOSED => Frame::Closed {
                actor: head.actor(names)?,
                stream,
            },
            kind::ASK_CLOSED => Frame::AskClosed {
                actor: head.actor(names)?,
                stream,
            },
            kind::RESTED => Frame::Rested {
                actor: head.actor(names)?,
                stream,
                n,
            },
            kind::RETURNED => Frame::Returned {
                actor: head.actor(names)?,
                stream,
                n,
            },
            kind::LOST => Frame::Lost {
                actor: head.actor(names)?,
                stream,
                n,
            },
            kind::PING => Frame::Ping { n },
            kind::PONG => Frame::Pong { n },
            kind::LEAVING => Frame::Leaving,
            kind::LEAVING_ACK => Frame::LeavingAck,
            kind::FLUSHED => Frame::Flushed,
            kind => Frame::Unrecognized { kind },
        })
    }

    /// A call without its body.
    fn call(&mut self, request: RequestId, head: &mut Cursor<'_>) -> Result<Call, FrameError> {
        let names = &mut self.names;
        Ok(Call {
            actor: head.actor(names)?,
            message: head.message(names)?,
            request,
            from: head.process(names)?,
            time_left: head.time_left()?,
            chain: head.chain(names, &self.limits)?,
            trace: None,
            body: Bytes::new(),
        })
    }

    /// A package without its contents.
    fn package(&mut self, epoch: Epoch, head: &mut Cursor<'_>) -> Result<Package, FrameError> {
        let actor = head.actor(&mut self.names)?;
        let PackageHead {
            version,
            etag,
            unsaved,
            frozen_at,
            timers,
            streams,
        } = head.extension()?;
        Ok(Package {
            actor,
            epoch,
            version: version.into_owned(),
            memory: Bytes::new(),
            etag,
            unsaved,
            waiting: Vec::new(),
            frozen_at_micros: frozen_at,
            timers: timers.into_owned(),
            streams: streams.into_owned(),
        })
    }

    fn contents(&mut self, mut package: Package, mut rest: Bytes) -> Result<Package, FrameError> {
        let malformed = |field, why| FrameError::Malformed {
            kind: kind::PACKAGE,
            field,
            why,
        };
        package.memory = match rest.try_get_u32_le() {
            Ok(length) if length as usize <= rest.len() => rest.split_to(length as usize),
            _ => return Err(malformed("the memory", "is cut off")),
        };
        while !rest.is_empty() {
            let Length::Frame(total) = Header::measure(&rest, &self.limits)? else {
                return Err(malformed("a waiting message", "is cut off"));
            };
            let frame = rest.split_to(total);
            // Looked at before it is read: packages within packages would exhaust the stack.
            if Header::from_frame(&frame)?.kind != kind::CALL {
                return Err(malformed("a waiting message", "is no Call"));
            }
            let Frame::Call(call) = self.frame(frame)? else {
                return Err(malformed("a waiting message", "has an unknown layout"));
            };
            package.waiting.push(call);
        }
        Ok(package)
    }
}

/// The trace of a call that has one, which most have not.
fn trace(head: &Cursor<'_>) -> Result<Option<TraceContext>, FrameError> {
    if head.rest.is_empty() {
        return Ok(None);
    }
    let CallHead { trace } = head.extension()?;
    Ok(trace)
}

fn outcome(header: Header, payload: Bytes) -> Result<Outcome, FrameError> {
    if header.flags & FLAG == 0 {
        return Ok(Outcome::Reply(payload));
    }
    let kind = header.kind;
    decode(&payload)
        .map(Outcome::Failure)
        .map_err(|source| FrameError::Undecodable { kind, source })
}
