//! Every decoder of bytes that come from elsewhere, each as one function of the bytes alone.
//!
//! Compiled for the fuzzer (`fuzz/`) and for nobody else: `--cfg fuzzing`. What is read must not only not panic: read, written
//! and read again it is the same.

use crate::{
    ident::{ActorId, InvalidName},
    silo::Notice,
    store::{MemberRow, decode_record, encode_record},
    version::{self, VersionPolicy},
    wire::{
        self, Decoder, Failure, Frame, FrameError, Limits, Outcome, Outgoing, Package, StatusReport, Step,
        handshake::{Introduction, PREFIX_BYTES, Prefix, Proven, Reject},
    },
};
use bytes::{Buf, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

const HEADER_BYTES: usize = 28;

/// A stream of frames as it comes, in pieces; the first byte says how large these are.
pub fn frames(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else {
        return;
    };
    let mut decoder = Decoder::new(limits());
    let mut buffer = BytesMut::new();
    let (mut plain, mut plain_buffer) = (Decoder::new(limits()), BytesMut::new());
    for piece in stream.chunks(usize::from(*piece) + 1) {
        buffer.extend_from_slice(piece);
        plain_buffer.extend_from_slice(piece);
        loop {
            match decoder.step(&mut buffer) {
                Ok(Step::Frame(frame)) => {
                    assert_eq!(read_plainly(&mut plain, &mut plain_buffer).as_ref(), Some(&frame));
                    survives(&frame);
                }
                Ok(Step::Need(more)) => {
                    assert!(more > 0, "nothing is missing");
                    break;
                }
                Ok(Step::End) | Err(_) => return,
            }
        }
    }
}

/// The next frame, by reference if it can be read so.
fn read_plainly(decoder: &mut Decoder, buffer: &mut BytesMut) -> Option<Frame> {
    if let Some(call) = decoder.plain_call(buffer) {
        return Some(Frame::Call(call.whole()));
    }
    if let Some((request, reply)) = decoder.plain_reply(buffer) {
        let outcome = Outcome::Reply(reply);
        return Some(Frame::Reply { request, outcome });
    }
    match decoder.step(buffer) {
        Ok(Step::Frame(frame)) => Some(frame),
        _ => None,
    }
}

/// One frame whose lengths are right: kind, flags, u16 length of the head, number, epoch, and what follows the header.
pub fn frame(bytes: &[u8]) {
    let Some((fixed, rest)) = bytes.split_first_chunk::<20>() else {
        return;
    };
    let [kind, flags, low, high, numbers @ ..] = fixed;
    let head = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let mut frame = Vec::with_capacity(HEADER_BYTES + rest.len());
    frame.extend(
        u32::try_from(HEADER_BYTES - 4 + rest.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    frame.extend([*kind, *flags, 0, 0]);
    frame.extend(u32::try_from(head).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend(numbers);
    frame.extend(rest);
    if let Ok(Step::Frame(frame)) = Decoder::new(limits()).step(&mut BytesMut::from(&frame[..])) {
        survives(&frame);
    }
}

/// The limits of a link that allows no more than the fuzzer has memory for.
fn limits() -> Limits {
    Limits {
        max_frame_bytes: 1 << 20,
        ..Limits::default()
    }
}

fn survives(frame: &Frame) {
    let mut out = Outgoing::new();
    match out.push(frame, &Limits::default()) {
        Ok(()) => {}
        // Of a newer version, or of a name too long to be sent by this one.
        Err(FrameError::Unrecognized { .. } | FrameError::TooLong { .. }) => return,
        Err(error) => panic!("{frame:?} was read and cannot be written: {error}"),
    }
    let whole = out.copy_to_bytes(out.remaining());
    let mut pieces = Outgoing::new();
    pieces.push(frame, &Limits::default()).expect("as before");
    let mut joined = BytesMut::new();
    for mut piece in pieces.into_pieces() {
        joined.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    for mut bytes in [BytesMut::from(&whole[..]), joined] {
        match Decoder::new(Limits::default()).step(&mut bytes) {
            Ok(Step::Frame(again)) => assert!(again == *frame, "{frame:?} became {again:?}"),
            other => panic!("{frame:?} became {other:?}"),
        }
    }
}

/// A package that came in parts, put together.
pub fn packages(bytes: &[u8]) {
    let Ok(package) = Package::from_whole(BytesMut::from(bytes), &limits()) else {
        return;
    };
    let mut whole = match package.to_whole(&Limits::default()) {
        Ok(whole) => whole,
        Err(FrameError::TooLong { .. }) => return,
        Err(error) => panic!("{package:?} was read and cannot be written: {error}"),
    };
    let whole = BytesMut::from(&whole.copy_to_bytes(whole.remaining())[..]);
    let again = Package::from_whole(whole, &Limits::default()).expect("what was written can be read");
    assert!(again == package, "{package:?} became {again:?}");
}

/// The messages of the handshake.
pub fn handshake(bytes: &[u8]) {
    let Some((prefix, message)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return;
    };
    let _any = Prefix::from_bytes(*prefix);
    document::<Introduction>(message);
    document::<Proven>(message);
    document::<Reject>(message);
}

/// Named MessagePack from the wire: what silos and clients answer each other, and what users might send.
pub fn documents(bytes: &[u8]) {
    document::<Failure>(bytes);
    document::<StatusReport>(bytes);
    document::<Notice>(bytes);
    document::<Users>(bytes);
}

/// Shapes that messages of users have.
#[derive(Debug, PartialEq, Default, Serialize, serde::Deserialize)]
#[serde(default)]
struct Users {
    number: i64,
    text: String,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    list: Vec<Users>,
    map: std::collections::BTreeMap<String, Users>,
    maybe: Option<Box<Users>>,
    word: Word,
}

#[derive(Debug, PartialEq, Default, Serialize, serde::Deserialize)]
enum Word {
    #[default]
    Unit,
    Tuple(u8, char),
    Named {
        field: u32,
    },
}

fn document<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(read) = wire::decode::<T>(bytes) else { return };
    let written = wire::encode(&read).expect("what was read can be written");
    let again: T = wire::decode(&written).expect("what was written can be read");
    assert_eq!(again, read);
}

/// What stores give back: rows of silos.
pub fn records(bytes: &[u8]) {
    let Ok(row) = decode_record::<MemberRow>(bytes) else {
        return;
    };
    let written = encode_record(&row).expect("what was read can be written");
    let again: MemberRow = decode_record(&written).expect("what was written can be read");
    assert_eq!(again, row);
}

/// Texts that become names, versions and policies.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (kind, key) = text.split_once('/').unwrap_or((text, text));
    if let Ok(actor) = ActorId::new(kind, key) {
        assert_eq!((actor.kind(), actor.key()), (kind, key));
        InvalidName::check("kind", kind).expect("it is one");
    }
    if let Ok(version) = version::parse(text) {
        assert_eq!(version::parse(&version.to_string()).expect("it is one"), version);
    }
    if let Ok(policy) = text.parse::<VersionPolicy>() {
        assert_eq!(policy.to_string().parse::<VersionPolicy>().expect("it is one"), policy);
    }
}
