//! What a test does to the frames of a link before they are queued.

use super::link::{Link, Unsent};
use crate::{
    faults::{self, Fate},
    ident::ActorId,
    wire::{Envelope, Frame},
};
use parking_lot::Mutex;

/// A frame that the next one overtakes.
#[derive(Default)]
pub(super) struct Faulty(Mutex<Option<Frame>>);

impl Faulty {
    /// Sends a frame as its fate is.
    pub(super) fn send(&self, link: &Link, frame: &Frame) -> Result<(), Unsent> {
        let fate = faults::fate(name(frame));
        faults::sends(name(frame), actor(frame));
        self.meet(fate, link, frame)
    }

    /// The same with a call that was never made whole.
    pub(super) fn send_call(&self, link: &Link, call: Envelope<'_>, body: &[u8]) -> Result<(), Unsent> {
        let fate = faults::fate("call");
        faults::sends("call", Some(call.actor));
        if matches!(fate, Fate::Sent) && self.0.lock().is_none() {
            return link.send_call(call, body);
        }
        self.meet(fate, link, &Frame::Call(call.call(body.to_vec().into())))
    }

    fn meet(&self, fate: Fate, link: &Link, frame: &Frame) -> Result<(), Unsent> {
        let mut behind = self.0.lock();
        match fate {
            Fate::Sent => {}
            Fate::Dropped => return Ok(()),
            Fate::Cut => {
                link.close();
                return Ok(());
            }
            Fate::Repeated => link.send(frame)?,
            Fate::Overtaken => {
                if let Some(before) = behind.replace(frame.clone()) {
                    link.send(&before)?;
                }
                return Ok(());
            }
        }
        link.send(frame)?;
        behind.take().map_or(Ok(()), |frame| link.send(&frame))
    }
}

/// The actor that a frame is about, if it is about one.
fn actor(frame: &Frame) -> Option<&ActorId> {
    match frame {
        Frame::Call(call) | Frame::Bounce { call, .. } | Frame::Forward { call, .. } => Some(&call.actor),
        Frame::Package(package) => Some(&package.actor),
        Frame::Fence { actor, .. }
        | Frame::Enter { actor, .. }
        | Frame::Fenced { actor, .. }
        | Frame::Mark { actor, .. }
        | Frame::Handled { actor, .. }
        | Frame::NotHere { actor, .. }
        | Frame::Moved { actor, .. }
        | Frame::Go { actor, .. }
        | Frame::Closed { actor, .. }
        | Frame::Refused { actor, .. }
        | Frame::Committed { actor, .. }
        | Frame::Rested { actor, .. }
        | Frame::Returned { actor, .. }
        | Frame::Lost { actor, .. }
        | Frame::AskClosed { actor, .. }
        | Frame::Lookup { actor, .. } => Some(actor),
        _ => None,
    }
}

fn name(frame: &Frame) -> &'static str {
    match frame {
        Frame::Call(_) => "call",
        Frame::Fence { .. } => "fence",
        Frame::Enter { .. } => "enter",
        Frame::Reply { .. } => "reply",
        Frame::Bounce { .. } => "bounce",
        Frame::Fenced { .. } => "fenced",
        Frame::Mark { .. } => "mark",
        Frame::Handled { .. } => "handled",
        Frame::NotHere { .. } => "not_here",
        Frame::Moved { .. } => "moved",
        Frame::Offer { .. } => "offer",
        Frame::Package(_) => "package",
        Frame::Go { .. } => "go",
        Frame::Forward { .. } => "forward",
        Frame::Closed { .. } => "closed",
        Frame::OfferAnswer { .. } => "offer_answer",
        Frame::Refused { .. } => "refused",
        Frame::Committed { .. } => "committed",
        Frame::Rested { .. } => "rested",
        Frame::Returned { .. } => "returned",
        Frame::Lost { .. } => "lost",
        Frame::AskClosed { .. } => "ask_closed",
        Frame::Lookup { .. } => "lookup",
        Frame::Located { .. } => "located",
        Frame::Leaving => "leaving",
        Frame::LeavingAck => "leaving_ack",
        Frame::Flushed => "flushed",
        Frame::View { .. } => "view",
        _ => "other",
    }
}
