//! Large frames in pieces, and what goes before them.

use super::*;
use crate::{
    transport::link::link,
    wire::{Decoder, Limits, Outcome, PIECE_BYTES, Step},
};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, duplex};

fn large(request: u64) -> Frame {
    call(request, Bytes::from(vec![1; 8 * PIECE_BYTES]))
}

fn query(request: u64) -> Frame {
    Frame::Query {
        request: RequestId(request),
        name: "quark.membership".into(),
        body: Bytes::from_static(b"?"),
    }
}

#[tokio::test]
async fn a_probe_does_not_wait_for_a_large_frame_and_messages_keep_their_order() {
    for network in BOTH {
        let mut link = linked(network).await;
        let sender = &link.dialler.sender;
        for n in 0..20 {
            sender.send(large(2 * n)).expect("open");
            sender.send(call(2 * n + 1, Bytes::new())).expect("open");
        }
        sender.send(query(1)).expect("open");
        let mut before = None;
        let mut requests = Vec::new();
        while requests.len() < 40 {
            match next(&mut link.listener).await {
                Frame::Call(call) => requests.push(call.request.0),
                Frame::Query { .. } => before = Some(requests.len()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(requests, (0..40).collect::<Vec<_>>());
        assert!(before.is_some_and(|before| before < 20), "{network:?}: {before:?}");
    }
}

#[tokio::test]
async fn what_goes_aside_is_not_counted_for_what_is_in_order() {
    let mut link = linked(Network::Loopback).await;
    let sender = link.dialler.sender.clone();
    sender
        .send(call(1, Bytes::from(vec![1; 2 * PIECE_BYTES])))
        .expect("open");
    let mut flushed = Box::pin(sender.flushed());
    assert!(polled(&mut flushed).await.is_pending());
    // More than twice the bytes of the call, and all but its first piece waits for them.
    const ASIDE: u64 = 20_000;
    for n in 0..ASIDE {
        sender.send(query(n)).expect("open");
    }
    let mut came = 0;
    while polled(&mut flushed).await.is_pending() {
        match next(&mut link.listener).await {
            Frame::Query { .. } => came += 1,
            _ => tokio::task::yield_now().await,
        }
    }
    // What is written and not read yet is in buffers of half a megabyte, behind a piece of the call.
    assert!(came > ASIDE / 2, "{came}");
}

/// Frames as a peer reads them that knows no pieces.
#[tokio::test]
async fn a_peer_that_knows_no_pieces_gets_whole_frames() {
    for in_pieces in [false, true] {
        let ((_feed, reader), (writer, mut sink)) = (duplex(1 << 16), duplex(1 << 16));
        let (sender, _receiver, driver) = link(LinkOptions::default(), in_pieces, reader, writer);
        sender.send(large(1)).expect("open");
        sender.close();
        let mut bytes = BytesMut::new();
        let read = async { while sink.read_buf(&mut bytes).await.expect("is written") > 0 {} };
        tokio::join!(driver, read);
        let kind = bytes[4];
        assert_eq!(kind == 80, in_pieces, "the first frame is of kind {kind}");
        let mut decoder = Decoder::new(Limits::default());
        let Ok(Step::Frame(frame)) = decoder.step(&mut bytes) else {
            panic!("a frame");
        };
        assert!(frame == large(1));
        assert!(matches!(decoder.step(&mut bytes), Ok(Step::End)));
    }
}

#[tokio::test]
async fn a_large_answer_goes_in_order_and_a_small_one_aside() {
    let answer = |bytes: usize| Frame::Answer {
        request: RequestId(1),
        outcome: Outcome::Reply(vec![0; bytes].into()),
    };
    assert!(answer(10).is_aside() && !answer(10).is_large());
    assert!(!answer(PIECE_BYTES).is_aside() && answer(PIECE_BYTES).is_large());
    let mut link = linked(Network::Loopback).await;
    link.dialler.sender.send(large(1)).expect("open");
    link.dialler.sender.send(answer(PIECE_BYTES)).expect("open");
    link.dialler.sender.send(answer(10)).expect("open");
    let mut came = Vec::new();
    for _ in 0..3 {
        came.push(match next(&mut link.listener).await {
            Frame::Call(_) => "call",
            frame if frame.is_large() => "large",
            _ => "small",
        });
    }
    assert_eq!(came, ["small", "call", "large"]);
}
