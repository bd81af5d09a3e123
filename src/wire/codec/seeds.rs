//! What the fuzzer begins with (`fuzz/seeds/`): a small frame of every kind, and one of each other thing that is decoded.
//!
//! Written anew by `QUARK_WRITE_SEEDS=1 cargo test --lib the_fuzzer_begins_with_a_frame`.

use super::{Decoder, Outgoing, Step, header::Header, kind, properties};
use crate::{
    ident::{ProcessId, SiloId},
    store::{MemberRow, SiloStatus},
    wire::{
        Failure, FailureCode, Limits, Package, ProtocolRange, Ran, encode,
        handshake::{self, Introduction, PIECES, PREFIX_BYTES, Proven, Reject},
    },
};
use bytes::{Buf, BytesMut};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_bytes::ByteArray;
use std::{collections::BTreeMap, fs, path::PathBuf};

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fuzz", "seeds", target].iter().collect()
}

fn read(target: &str, name: &str) -> Vec<u8> {
    let path = folder(target).join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; see the docs of this module", path.display()))
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    fs::create_dir_all(folder(target)).expect("makes the folder");
    fs::write(folder(target).join(name), bytes).expect("writes");
}

/// A frame of every kind, as bytes, the same in every run.
fn frames() -> BTreeMap<u8, Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let mut found = BTreeMap::new();
    for _ in 0..100_000 {
        let frame = properties::frame().new_tree(&mut runner).expect("a frame").current();
        let mut out = Outgoing::new();
        out.push(&frame, &Limits::default()).expect("within the limits");
        let bytes = out.copy_to_bytes(out.remaining()).to_vec();
        if bytes.len() < 400 {
            found.entry(bytes[4]).or_insert(bytes);
        }
        if found.len() == kind::ALL.len() - 1 {
            break;
        }
    }
    let mut whole = Outgoing::new();
    whole.tail().extend_from_slice(&found[&kind::CALL]);
    let pieces = whole
        .into_pieces()
        .map(|mut piece| piece.copy_to_bytes(piece.remaining()).to_vec());
    found.insert(kind::PIECE, pieces.collect::<Vec<_>>().concat());
    found
}

/// The other targets' seeds.
fn others() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let introduction = Introduction {
        process: ProcessId::Silo(SiloId::new("one", 7)),
        cluster: "quark".into(),
        protocol: ProtocolRange::SUPPORTED,
        nonce: ByteArray::new([7; 32]),
        proves: true,
        number: 1,
        capabilities: [PIECES.to_owned()].into(),
    };
    let proven = Proven {
        proof: Some(ByteArray::new([7; 32])),
    };
    let row = MemberRow {
        silo: SiloId::new("one", 7),
        address: "127.0.0.1:7001".into(),
        status: SiloStatus::Active,
        heartbeat: 7,
        manifest: Default::default(),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        unknown: Default::default(),
    };
    let failure = Failure::new(FailureCode::Full, Ran::No, "full");
    let document = |bytes: bytes::Bytes| bytes.to_vec();
    vec![
        (
            "handshake",
            "hello",
            handshake::to_bytes(handshake::Step::Hello, &introduction),
        ),
        (
            "handshake",
            "proof",
            handshake::to_bytes(handshake::Step::Proof, &proven),
        ),
        (
            "handshake",
            "reject",
            handshake::to_bytes(handshake::Step::Reject, &Reject::new(Reject::CLUSTER, "another")),
        ),
        ("documents", "failure", document(encode(&failure).expect("encodes"))),
        ("records", "row", document(encode(&row).expect("encodes"))),
        ("names", "actor", b"cart/alice".to_vec()),
        ("names", "version", b"2.2.0-beta.1+build.5".to_vec()),
        ("names", "policy", b"minor,both,fail".to_vec()),
    ]
}

#[test]
fn the_fuzzer_begins_with_a_frame_of_every_kind() {
    if std::env::var_os("QUARK_WRITE_SEEDS").is_some() {
        for (kind, bytes) in frames() {
            write("frames", kind::name(kind), &[&[0xff], &bytes[..]].concat());
            let (fixed, rest) = bytes.split_at(Header::BYTES);
            let head = [&fixed[4..6], &fixed[8..10], &fixed[12..], rest].concat();
            write("frame", kind::name(kind), &head);
            if kind == kind::PACKAGE {
                write("packages", "small", &bytes);
            }
        }
        for (target, name, bytes) in others() {
            write(target, name, &bytes);
        }
    }
    for number in kind::ALL {
        let name = kind::name(*number);
        let stream = read("frames", name);
        let step = Decoder::new(Limits::default()).step(&mut BytesMut::from(&stream[1..]));
        assert!(matches!(step, Ok(Step::Frame(_))), "{name}: {step:?}");
        assert_eq!((stream[5], read("frame", name)[0]), (*number, *number), "{name}");
    }
}

#[test]
fn the_fuzzer_begins_with_one_of_everything_else_that_is_decoded() {
    let names = others().into_iter().map(|(target, name, _)| (target, name));
    for (target, name) in names.chain([("packages", "small")]) {
        let bytes = read(target, name);
        let is_read = match (target, name) {
            ("handshake", "hello") => handshake::from_bytes::<Introduction>(&bytes[PREFIX_BYTES..]).is_ok(),
            ("handshake", "proof") => handshake::from_bytes::<Proven>(&bytes[PREFIX_BYTES..]).is_ok(),
            ("handshake", _) => handshake::from_bytes::<Reject>(&bytes[PREFIX_BYTES..]).is_ok(),
            ("documents", _) => crate::wire::decode::<Failure>(&bytes).is_ok(),
            ("packages", _) => Package::from_whole(BytesMut::from(&bytes[..]), &Limits::default()).is_ok(),
            ("records", _) => crate::wire::decode::<MemberRow>(&bytes).is_ok(),
            _ => std::str::from_utf8(&bytes).is_ok(),
        };
        assert!(is_read, "{target}/{name}");
    }
}
