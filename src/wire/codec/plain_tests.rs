//! Calls and replies that are written and read by reference are those that any frame is.

use super::properties::{body, bytes_of, call, frame, request, simple_call};
use crate::{
    ident::{RequestId, TraceContext},
    wire::{Call, Decoder, Failure, FailureCode, Frame, Limits, Outcome, Outgoing, Ran, Step},
};
use bytes::{Buf, BytesMut};
use proptest::{collection::vec, prelude::*};

/// What is read plainly when its names have come before.
fn plain() -> impl Strategy<Value = Frame> {
    let call = call().prop_map(|call| {
        Frame::Call(Call {
            chain: Vec::new(),
            trace: None,
            ..call
        })
    });
    let reply = (request(), body()).prop_map(|(request, body)| Frame::Reply {
        request,
        outcome: Outcome::Reply(body),
    });
    prop_oneof![call, reply]
}

proptest! {
    #[test]
    fn a_call_by_reference_has_the_bytes_of_the_whole_one(call in call()) {
        let mut out = Outgoing::new();
        out.push_call(call.envelope(), &call.body, &Limits::default()).expect("within the limits");
        let bytes = out.copy_to_bytes(out.remaining());
        prop_assert_eq!(call.envelope().call(call.body.clone()), call.clone());
        prop_assert_eq!(&bytes[..], bytes_of(&Frame::Call(call)));
    }

    /// Twice, so that all names have come before.
    #[test]
    fn what_is_read_plainly_is_what_any_reader_reads(frames in vec(prop_oneof![frame(), plain()], 1..6), pieces in any::<bool>()) {
        let mut out = Outgoing::new();
        for frame in frames.iter().chain(&frames) {
            out.push(frame, &Limits::default()).expect("within the limits");
        }
        let mut bytes = out.copy_to_bytes(out.remaining()).to_vec();
        if pieces {
            bytes.truncate(bytes.len() - 1);
        }
        let (mut buffer, mut decoder) = (BytesMut::from(&bytes[..]), Decoder::new(Limits::default()));
        let mut read = Vec::new();
        loop {
            if let Some(call) = decoder.plain_call(&mut buffer) {
                read.push(Frame::Call(call.whole()));
            } else if let Some((request, reply)) = decoder.plain_reply(&mut buffer) {
                read.push(Frame::Reply { request, outcome: Outcome::Reply(reply) });
            } else if let Ok(Step::Frame(frame)) = decoder.step(&mut buffer) {
                read.push(frame);
            } else {
                break;
            }
        }
        let count = 2 * frames.len() - usize::from(pieces);
        prop_assert_eq!(read, frames.iter().chain(&frames).take(count).cloned().collect::<Vec<_>>());
    }
}

#[test]
fn a_call_is_read_plainly_when_its_names_have_come_before_and_only_then() {
    let repeated = bytes_of(&Frame::Call(simple_call()));
    let mut buffer = BytesMut::from(&repeated.repeat(2)[..]);
    let mut decoder = Decoder::new(Limits::default());
    assert!(decoder.plain_call(&mut buffer).is_none());
    assert_eq!(buffer, repeated.repeat(2), "nothing is taken");
    assert!(decoder.plain_reply(&mut buffer).is_none());
    assert!(matches!(decoder.step(&mut buffer), Ok(Step::Frame(Frame::Call(_)))));
    let call = decoder.plain_call(&mut buffer).expect("its names are known");
    assert_eq!(call.whole(), simple_call());
    assert!(buffer.is_empty());
    let traced = Call {
        trace: TraceContext::new([1; 16], [2; 8], 1).ok(),
        ..simple_call()
    };
    let chained = Call {
        chain: vec![traced.actor.clone()],
        ..simple_call()
    };
    let failed = Frame::Reply {
        request: RequestId(1),
        outcome: Outcome::Failure(Failure::new(FailureCode::Unknown, Ran::Unknown, "why")),
    };
    for frame in [Frame::Call(traced), Frame::Call(chained), failed] {
        let mut buffer = BytesMut::from(&bytes_of(&frame)[..]);
        assert!(decoder.plain_call(&mut buffer).is_none() && decoder.plain_reply(&mut buffer).is_none());
        assert!(matches!(decoder.step(&mut buffer), Ok(Step::Frame(read)) if read == frame));
    }
}
