//! Laws of the codec, for any frame and any bytes.

use super::{Decoder, Outgoing, Step, header::Header, kind};
use crate::{
    ident::{ActorId, ClientId, Epoch, Hint, ProcessId, RequestId, SiloId, TraceContext},
    store::{ETag, SiloStatus},
    wire::{
        BounceReason, Call, Failure, FailureCode, Frame, FrameError, Limits, Located, OfferItem, Outcome, Package,
        PackedSubscription, PackedTimer, Ran, Refusal, SiloAddress,
    },
};
use bytes::{Buf, Bytes, BytesMut};
use proptest::{collection::vec, option, prelude::*, strategy::BoxedStrategy};
use semver::Version;
use std::time::Duration;

/// Strategies are boxed: else their values lie in each other on the test's stack.
fn name() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[a-zA-Z0-9._/-]{1,20}",
        1 => "[^\\p{Cc}]{1,60}",
        1 => "x{1024}",
    ]
    .boxed()
}

fn actor() -> BoxedStrategy<ActorId> {
    (name(), name())
        .prop_map(|(kind, key)| ActorId::new(kind, key).expect("valid"))
        .boxed()
}

fn silo() -> BoxedStrategy<SiloId> {
    (name(), any::<u64>())
        .prop_map(|(name, incarnation)| SiloId::new(name, incarnation))
        .boxed()
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_map(Epoch)
}

pub(super) fn request() -> impl Strategy<Value = RequestId> {
    any::<u64>().prop_map(RequestId)
}

fn hint() -> BoxedStrategy<Hint> {
    (silo(), epoch()).prop_map(|(silo, epoch)| Hint { silo, epoch }).boxed()
}

/// Small ones and ones that are sent by reference.
pub(super) fn body() -> BoxedStrategy<Bytes> {
    prop_oneof![
        6 => vec(any::<u8>(), 0..100).prop_map(Bytes::from),
        1 => (any::<u8>(), 16_000..40_000_usize).prop_map(|(byte, size)| Bytes::from(vec![byte; size])),
    ]
    .boxed()
}

pub(super) fn call() -> BoxedStrategy<Call> {
    let from = prop_oneof![
        silo().prop_map(ProcessId::Silo),
        any::<u64>().prop_map(|id| ProcessId::Client(ClientId(id))),
    ];
    let millis = option::of(1..=u32::MAX).prop_map(|left| left.map(|millis| Duration::from_millis(millis.into())));
    let trace = option::weighted(0.2, any::<[u8; 25]>()).prop_map(|bytes| TraceContext::from_bytes(&bytes?).ok());
    let context = (vec(actor(), 0..5), trace);
    (actor(), name(), request(), from, millis, context, body())
        .prop_map(
            |(actor, message, request, from, time_left, (chain, trace), body)| Call {
                actor,
                message: message.into(),
                request,
                from,
                time_left,
                chain,
                trace,
                body,
            },
        )
        .boxed()
}

fn failure() -> BoxedStrategy<Failure> {
    let ran = prop_oneof![Just(Ran::No), Just(Ran::Yes), Just(Ran::Unknown)];
    (any::<u16>(), ran, ".{0,80}")
        .prop_map(|(code, ran, text)| Failure { code, ran, text })
        .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    prop_oneof![body().prop_map(Outcome::Reply), failure().prop_map(Outcome::Failure)].boxed()
}

fn version() -> BoxedStrategy<Version> {
    (any::<u64>(), 0..9_u64, 0..9_u64, option::of("[a-z]{1,5}"))
        .prop_map(|(major, minor, patch, pre)| {
            let mut version = Version::new(major, minor, patch);
            if let Some(pre) = pre {
                version.pre = pre.parse().expect("valid");
            }
            version
        })
        .boxed()
}

fn refusal() -> BoxedStrategy<Refusal> {
    prop_oneof![
        Just(Refusal::NotActive),
        Just(Refusal::NotHosted),
        (version(), version()).prop_map(|(source, target)| Refusal::Version { source, target }),
        Just(Refusal::Full),
        ".{0,30}".prop_map(Refusal::Unreadable),
        Just(Refusal::Busy),
        Just(Refusal::Other),
    ]
    .boxed()
}

fn timer() -> BoxedStrategy<PackedTimer> {
    (".{0,20}", any::<i64>(), option::of(any::<u64>()), name(), body())
        .prop_map(|(name, left_micros, every_micros, message, body)| PackedTimer {
            name,
            left_micros,
            every_micros,
            message,
            body,
        })
        .boxed()
}

fn subscription() -> BoxedStrategy<PackedSubscription> {
    (actor(), name(), any::<u64>())
        .prop_map(|(stream, event, epoch)| PackedSubscription {
            stream,
            event,
            epoch: Epoch(epoch),
        })
        .boxed()
}

fn package() -> BoxedStrategy<Package> {
    let flags = (option::of(any::<u64>()), any::<bool>(), any::<u64>());
    let contents = (vec(call(), 0..4), vec(timer(), 0..4), vec(subscription(), 0..4));
    (actor(), epoch(), version(), body(), flags, contents)
        .prop_map(
            |(actor, epoch, version, memory, (etag, unsaved, frozen_at_micros), (waiting, timers, streams))| Package {
                actor,
                epoch,
                version,
                memory,
                etag: etag.map(ETag),
                unsaved,
                waiting,
                frozen_at_micros,
                timers,
                streams,
            },
        )
        .boxed()
}

pub(super) fn frame() -> impl Strategy<Value = Frame> {
    let why = prop_oneof![
        Just(BounceReason::NotOwner),
        Just(BounceReason::Full),
        Just(BounceReason::NotNow),
        Just(BounceReason::Other),
    ]
    .boxed();
    let status = prop_oneof![
        Just(SiloStatus::Active),
        Just(SiloStatus::ShuttingDown),
        Just(SiloStatus::Other)
    ]
    .boxed();
    let address =
        (silo(), "[a-z:0-9]{0,20}", status).prop_map(|(silo, address, status)| SiloAddress { silo, address, status });
    let item = (actor(), epoch(), version()).prop_map(|(actor, epoch, version)| OfferItem { actor, epoch, version });
    let located = prop_oneof![
        hint().prop_map(Located::At),
        failure().prop_map(Located::Nowhere),
        failure().prop_map(Located::NotNow),
    ]
    .boxed();
    let calls = prop_oneof![
        call().prop_map(Frame::Call),
        (epoch(), any::<u64>(), call()).prop_map(|(stream, n, call)| Frame::Forward { stream, n, call }),
        (call(), option::of(hint()), why).prop_map(|(call, hint, why)| Frame::Bounce { call, hint, why }),
        package().prop_map(Frame::Package),
    ]
    .boxed();
    let asks = prop_oneof![
        (request(), actor()).prop_map(|(request, actor)| Frame::Lookup { request, actor }),
        (request(), name(), body()).prop_map(|(request, name, body)| Frame::Query { request, name, body }),
        (request(), outcome()).prop_map(|(request, outcome)| Frame::Reply { request, outcome }),
        (request(), outcome()).prop_map(|(request, outcome)| Frame::Answer { request, outcome }),
        (request(), located).prop_map(|(request, found)| Frame::Located { request, found }),
        any::<u64>().prop_map(|n| Frame::Ping { n }),
        any::<u64>().prop_map(|n| Frame::Pong { n }),
        (any::<u64>(), vec(address, 0..4)).prop_map(|(view, silos)| Frame::View { view, silos }),
    ]
    .boxed();
    let fences =
        prop_oneof![
            (actor(), any::<u64>()).prop_map(|(actor, k)| Frame::Fence { actor, k }),
            (actor(), any::<u64>()).prop_map(|(actor, k)| Frame::Enter { actor, k }),
            (actor(), any::<u64>()).prop_map(|(actor, k)| Frame::NotHere { actor, k }),
            (actor(), any::<u64>()).prop_map(|(actor, k)| Frame::Mark { actor, k }),
            (actor(), any::<u64>()).prop_map(|(actor, k)| Frame::Handled { actor, k }),
            (actor(), any::<u64>(), option::of(hint()), any::<bool>())
                .prop_map(|(actor, k, hint, lost)| Frame::Fenced { actor, k, hint, lost }),
            (actor(), hint()).prop_map(|(actor, hint)| Frame::Moved { actor, hint }),
            Just(Frame::Leaving),
            Just(Frame::LeavingAck),
            Just(Frame::Flushed),
        ];
    let moves = prop_oneof![
        (any::<u64>(), vec(item, 0..4)).prop_map(|(batch, items)| Frame::Offer { batch, items }),
        (any::<u64>(), vec(option::of(refusal()), 0..6), any::<bool>()).prop_map(|(batch, refusals, serves)| {
            Frame::OfferAnswer {
                batch,
                refusals,
                serves,
            }
        }),
        (actor(), epoch(), refusal()).prop_map(|(actor, epoch, why)| Frame::Refused { actor, epoch, why }),
        (actor(), epoch()).prop_map(|(actor, epoch)| Frame::Go { actor, epoch }),
        (actor(), epoch()).prop_map(|(actor, epoch)| Frame::Committed { actor, epoch }),
        (actor(), epoch(), any::<u64>(), any::<u64>(), body()).prop_map(|(actor, epoch, offset, total, bytes)| {
            Frame::Part {
                actor,
                epoch,
                offset,
                total,
                bytes,
            }
        }),
        (actor(), epoch(), any::<u64>()).prop_map(|(actor, epoch, upto)| Frame::PartTaken { actor, epoch, upto }),
        (actor(), epoch()).prop_map(|(actor, stream)| Frame::Closed { actor, stream }),
        (actor(), epoch()).prop_map(|(actor, stream)| Frame::AskClosed { actor, stream }),
        (actor(), epoch(), any::<u64>()).prop_map(|(actor, stream, n)| Frame::Rested { actor, stream, n }),
        (actor(), epoch(), any::<u64>()).prop_map(|(actor, stream, n)| Frame::Returned { actor, stream, n }),
        (actor(), epoch(), any::<u64>()).prop_map(|(actor, stream, n)| Frame::Lost { actor, stream, n }),
    ]
    .boxed();
    prop_oneof![calls, asks, fences, moves]
}

pub(super) fn bytes_of(frame: &Frame) -> Vec<u8> {
    let mut out = Outgoing::new();
    out.push(frame, &Limits::default()).expect("within the limits");
    out.copy_to_bytes(out.remaining()).to_vec()
}

fn step(bytes: &[u8]) -> Result<Step, FrameError> {
    Decoder::new(Limits::default()).step(&mut BytesMut::from(bytes))
}

pub(super) fn simple_call() -> Call {
    Call {
        actor: ActorId::new("cart", "alice").expect("valid"),
        message: "cart.add".into(),
        request: RequestId(7),
        from: ProcessId::Client(ClientId(9)),
        time_left: None,
        chain: Vec::new(),
        trace: None,
        body: Bytes::from_static(b"body"),
    }
}

proptest! {
    #[test]
    fn every_frame_survives_the_wire(frames in vec(frame(), 1..6)) {
        let mut out = Outgoing::new();
        for frame in &frames {
            out.push(frame, &Limits::default()).expect("within the limits");
        }
        out.push_end();
        let mut buffer = BytesMut::from(&out.copy_to_bytes(out.remaining())[..]);
        let mut decoder = Decoder::new(Limits::default());
        for frame in frames {
            match decoder.step(&mut buffer) {
                Ok(Step::Frame(read)) => prop_assert_eq!(read, frame),
                other => panic!("{other:?} instead of {frame:?}"),
            }
        }
        prop_assert!(matches!(decoder.step(&mut buffer), Ok(Step::End)));
    }

    #[test]
    fn every_prefix_of_a_frame_needs_more(frame in frame(), at in any::<prop::sample::Index>()) {
        let bytes = bytes_of(&frame);
        let short = at.index(bytes.len());
        match step(&bytes[..short]) {
            Ok(Step::Need(more)) => prop_assert!(more > 0 && short + more <= bytes.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300), claim in any::<bool>(), kind in any::<u8>()) {
        let mut bytes = bytes;
        if claim && bytes.len() >= Header::BYTES {
            let length = (bytes.len() - 4) as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            bytes[4] = kind::ALL.get(usize::from(kind)).copied().unwrap_or(kind);
            bytes[6..8].fill(0);
            bytes[8..12].copy_from_slice(&(length / 2).to_le_bytes());
        }
        let _ = step(&bytes);
    }

    #[test]
    fn damaged_frames_never_panic(frame in frame(), bits in vec(any::<prop::sample::Index>(), 1..8)) {
        let mut bytes = bytes_of(&frame);
        for bit in bits {
            // Mostly the head, where it hurts.
            let bit = bit.index(bytes.len().min(400) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let _ = step(&bytes);
    }

    #[test]
    fn a_frame_cut_short_within_is_an_error_or_shorter(frame in frame(), cut in any::<prop::sample::Index>()) {
        let mut bytes = bytes_of(&frame);
        bytes.truncate(Header::BYTES + cut.index(bytes.len() - Header::BYTES + 1));
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        prop_assert!(!matches!(step(&bytes), Ok(Step::Need(_) | Step::End)));
    }
}

#[test]
fn an_unknown_kind_or_layout_is_carried_as_unrecognized() {
    let mut bytes = bytes_of(&Frame::Call(simple_call()));
    bytes[6] = 1;
    assert!(matches!(
        step(&bytes),
        Ok(Step::Frame(Frame::Unrecognized { kind: kind::CALL }))
    ));
    bytes[4] = 200;
    bytes[6] = 0;
    assert!(matches!(
        step(&bytes),
        Ok(Step::Frame(Frame::Unrecognized { kind: 200 }))
    ));
    let error = Outgoing::new().push(&Frame::Unrecognized { kind: 200 }, &Limits::default());
    assert!(matches!(error, Err(FrameError::Unrecognized { kind: 200 })));
}

#[test]
fn what_a_newer_version_adds_to_a_call_is_ignored() {
    let mut bytes = bytes_of(&Frame::Call(simple_call()));
    let head = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
    let extension = [0x81, 0xa3, b'n', b'e', b'w', 0x07];
    let end = Header::BYTES + head as usize;
    bytes.splice(end..end, extension);
    bytes[8..12].copy_from_slice(&(head + extension.len() as u32).to_le_bytes());
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[5] = 0xfe;
    match step(&bytes) {
        Ok(Step::Frame(Frame::Call(call))) => assert_eq!(call, simple_call()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bytes_of_a_call_are_the_published_layout() {
    let expected = [
        &[66, 0, 0, 0, 1, 0, 0, 0, 38, 0, 0, 0][..],
        &7_u64.to_le_bytes(),
        &0_u64.to_le_bytes(),
        &[4, 0],
        b"cart",
        &[5, 0],
        b"alice",
        &[8, 0],
        b"cart.add",
        &[1],
        &9_u64.to_le_bytes(),
        &[0, 0, 0, 0],
        &[0, 0],
        b"body",
    ]
    .concat();
    assert_eq!(bytes_of(&Frame::Call(simple_call())), expected);
}

#[test]
fn a_frame_beyond_the_limits_is_refused_before_it_arrives() {
    let mut header = 100_000_000_u32.to_le_bytes().to_vec();
    header.push(kind::CALL);
    let error = step(&header).expect_err("too long");
    let text = error.to_string();
    assert!(
        text.contains("Call") && text.contains("100000004 bytes") && text.contains("max_frame_bytes is 67108864"),
        "{text}"
    );
}

#[test]
fn a_frame_beyond_the_limits_is_not_sent_and_the_error_names_it() {
    let limits = Limits {
        max_frame_bytes: 100_000,
        max_chain: 2,
        ..Limits::default()
    };
    let mut out = Outgoing::new();
    out.push(&Frame::Ping { n: 1 }, &limits).expect("small");
    let before = out.remaining();

    let mut large = simple_call();
    large.body = Bytes::from(vec![0; 100_000]);
    let mut chained = simple_call();
    chained.chain = vec![large.actor.clone(); 3];
    let mut named = simple_call();
    named.message = "x".repeat(1025).into();
    let package = Package {
        actor: large.actor.clone(),
        epoch: Epoch(1),
        version: Version::new(1, 0, 0),
        memory: Bytes::from(vec![0; 50_000]),
        etag: None,
        unsaved: true,
        waiting: vec![simple_call(), chained.clone()],
        frozen_at_micros: 0,
        timers: Vec::new(),
        streams: Vec::new(),
    };
    for (frame, words) in [
        (
            Frame::Call(large),
            ["max_frame_bytes is 100000", "cart.add", "cart/alice"],
        ),
        (
            Frame::Call(chained),
            ["max_chain is 2", "3 actors", "cart.add for cart/alice"],
        ),
        (
            Frame::Call(named),
            ["MAX_NAME_BYTES is 1024", "1025 bytes", "cart/alice"],
        ),
        (
            Frame::Package(package),
            ["max_chain is 2", "3 actors", "cart.add for cart/alice"],
        ),
    ] {
        let text = out.push(&frame, &limits).expect_err("beyond a limit").to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert_eq!(out.remaining(), before, "nothing of it was queued");
    }
}

#[test]
fn a_package_holds_calls_alone() {
    let inner = Package {
        actor: simple_call().actor,
        epoch: Epoch(1),
        version: Version::new(1, 0, 0),
        memory: Bytes::new(),
        etag: None,
        unsaved: false,
        waiting: Vec::new(),
        frozen_at_micros: 0,
        timers: Vec::new(),
        streams: Vec::new(),
    };
    let mut bytes = bytes_of(&Frame::Package(inner.clone()));
    let nested = bytes.clone();
    bytes.extend(nested);
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    assert!(matches!(
        step(&bytes),
        Err(FrameError::Malformed { why: "is no Call", .. })
    ));
}

/// The frame with the name "aXb" in it made one that cannot be.
fn with_a_bad_name(frame: &Frame) -> Result<Step, FrameError> {
    let mut bytes = bytes_of(frame);
    let at = bytes
        .windows(3)
        .position(|name| name == b"aXb")
        .expect("the name is in it");
    bytes[at + 1] = 0;
    step(&bytes)
}

#[test]
fn a_malformed_id_is_refused_wherever_it_stands_in_a_frame() {
    let silo = SiloId::new("aXb", 1);
    let hint = Hint {
        silo: silo.clone(),
        epoch: Epoch(1),
    };
    let item = OfferItem {
        actor: ActorId::new("aXb", "c").expect("valid"),
        epoch: Epoch(1),
        version: Version::new(1, 0, 0),
    };
    let row = SiloAddress {
        silo,
        address: "host:1".into(),
        status: SiloStatus::Active,
    };
    let actor = ActorId::new("k", "c").expect("valid");
    let in_heads = [
        Frame::Offer {
            batch: 1,
            items: vec![item],
        },
        Frame::Moved {
            actor: actor.clone(),
            hint: hint.clone(),
        },
        Frame::Fenced {
            actor,
            k: 1,
            hint: Some(hint.clone()),
            lost: false,
        },
        Frame::Located {
            request: RequestId(1),
            found: Located::At(hint),
        },
        Frame::View {
            view: 1,
            silos: vec![row],
        },
    ];
    for frame in in_heads {
        let refused = with_a_bad_name(&frame);
        assert!(matches!(refused, Err(FrameError::Undecodable { .. })), "{refused:?}");
    }
    let in_fixed_part = Frame::Fence {
        actor: ActorId::new("aXb", "c").expect("valid"),
        k: 1,
    };
    assert!(matches!(
        with_a_bad_name(&in_fixed_part),
        Err(FrameError::BadName { .. })
    ));
}

#[test]
fn bodies_are_slices_of_what_came_in_and_names_are_shared() {
    let mut out = Outgoing::new();
    for _ in 0..2 {
        out.push(&Frame::Call(simple_call()), &Limits::default())
            .expect("small");
    }
    let mut buffer = BytesMut::from(&out.copy_to_bytes(out.remaining())[..]);
    let range = buffer.as_ptr_range();
    let mut decoder = Decoder::new(Limits::default());
    let mut call = || match decoder.step(&mut buffer) {
        Ok(Step::Frame(Frame::Call(call))) => call,
        other => panic!("{other:?}"),
    };
    let (first, second) = (call(), call());
    assert!(range.contains(&first.body.as_ptr()) && range.contains(&second.body.as_ptr()));
    assert!(std::ptr::eq(first.actor.kind(), second.actor.kind()));
    assert!(std::sync::Arc::ptr_eq(&first.message, &second.message));
}

#[test]
fn failures_keep_codes_of_newer_versions() {
    let failure = Failure {
        code: 60_000,
        ..Failure::new(FailureCode::Unknown, Ran::Unknown, "new")
    };
    let frame = Frame::Reply {
        request: RequestId(1),
        outcome: Outcome::Failure(failure),
    };
    assert!(matches!(step(&bytes_of(&frame)), Ok(Step::Frame(read)) if read == frame));
}
