//! Letters as they travel, and back.

use crate::{
    clock::{Clock, Moment},
    ident::{ActorId, ProcessId, RequestId, TraceContext},
    mailbox::{Body, Chain, Letter, ReplyTo},
    wire::{Call, Failure, FailureCode, Frame, FrameError, Outcome, Ran},
};
use std::time::Duration;

/// What is left until a deadline; at least a millisecond, so that the receiver decides whether it is over.
pub fn time_left(deadline: Option<Moment>, now: Moment) -> Option<Duration> {
    deadline.map(|deadline| deadline.since(now).max(Duration::from_millis(1)))
}

/// From so far on a deadline needs no exact time.
const FAR: Duration = Duration::from_secs(1);

/// The time for what has this deadline: exact if that is near.
pub(super) fn near(deadline: Option<Moment>, clock: &Clock) -> Moment {
    let recently = clock.recently();
    match deadline {
        Some(deadline) if deadline.since(recently) < FAR => clock.now(),
        _ => recently,
    }
}

/// The time of a call that has come: exact if its deadline is near.
pub fn arrival(time_left: Option<Duration>, clock: &Clock) -> Moment {
    match time_left {
        Some(left) if left < FAR => clock.now(),
        _ => clock.recently(),
    }
}

/// A call as it came by the wire: to whom, and what.
pub fn from_call(call: Call, now: Moment) -> (ActorId, Letter) {
    let letter = Letter {
        body: Body::Encoded {
            name: call.message,
            bytes: call.body,
        },
        reply: if call.request == RequestId::NONE {
            ReplyTo::Nobody
        } else {
            ReplyTo::Process {
                process: call.from,
                request: call.request,
            }
        },
        deadline: call.time_left.map(|left| now + left),
        chain: chain(call.chain, call.trace),
    };
    (call.actor, letter)
}

/// The actors stand above the trace, which so goes with what they ask.
fn chain(actors: Vec<ActorId>, trace: Option<TraceContext>) -> Chain {
    let start = trace.map_or(Chain::NONE, |trace| Chain::NONE.traced(trace));
    actors.into_iter().fold(start, |callers, actor| callers.with(actor))
}

/// Whether the letter answers an ask of `process`, and which.
pub(super) fn own_request(letter: &Letter, process: &ProcessId) -> Option<RequestId> {
    match &letter.reply {
        ReplyTo::Process { process: own, request } if own == process => Some(*request),
        _ => None,
    }
}

/// How long to wait before the directory is asked for the `attempt`th time: 1 ms, doubled up to 64 ms.
pub fn back_off(attempt: u32) -> Duration {
    Duration::from_millis(1 << attempt.saturating_sub(1).min(6))
}

/// What is sent in place of an answer that no link carries, so that whoever waits for it hears why.
pub fn in_place_of(unsendable: &Frame, cause: &FrameError) -> Option<Frame> {
    let failure = || {
        let text = format!("the message ran, but its reply cannot be sent: {cause}");
        Outcome::Failure(Failure::new(FailureCode::TooLarge, Ran::Yes, text))
    };
    match unsendable {
        Frame::Reply {
            request,
            outcome: Outcome::Reply(_),
        } => Some(Frame::Reply {
            request: *request,
            outcome: failure(),
        }),
        Frame::Answer {
            request,
            outcome: Outcome::Reply(_),
        } => Some(Frame::Answer {
            request: *request,
            outcome: failure(),
        }),
        _ => None,
    }
}
