//! How links end that do not end well.

use super::*;
use crate::{
    transport::{Ended, FrameReceiver, FrameSender, SendError, link::link},
    wire::{FrameError, Limits, Outgoing},
};
use bytes::Buf;
use std::pin::pin;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// A link to a peer that is played by hand.
struct Manual {
    sender: FrameSender,
    receiver: FrameReceiver,
    driver: futures_util::future::BoxFuture<'static, ()>,
    /// What the peer writes.
    feed: DuplexStream,
    /// What the peer reads.
    sink: DuplexStream,
}

fn manual() -> Manual {
    let ((feed, reader), (writer, sink)) = (duplex(1 << 16), duplex(1 << 16));
    let (sender, receiver, driver) = link(LinkOptions::default(), true, reader, writer);
    Manual {
        sender,
        receiver,
        driver: Box::pin(driver),
        feed,
        sink,
    }
}

fn bytes_of(frame: &Frame) -> Vec<u8> {
    let mut out = Outgoing::new();
    out.push(frame, &Limits::default()).expect("within the limits");
    out.copy_to_bytes(out.remaining()).to_vec()
}

#[tokio::test]
async fn an_end_without_goodbye_is_an_error() {
    for network in BOTH {
        let mut link = linked(network).await;
        link.dialler.sender.send(Frame::Ping { n: 1 }).expect("open");
        link.dialler.sender.flushed().await.expect("open");
        drop(link.dialler);
        assert_eq!(next(&mut link.listener).await, Frame::Ping { n: 1 });
        assert!(matches!(
            link.listener.receiver.recv().await,
            Err(TransportError::Lost { .. })
        ));
        assert!(link.listener.sender.is_closed(), "a lost link is lost both ways");
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_within_a_frame_is_an_error() {
    let mut peer = manual();
    let frame = bytes_of(&call(1, Bytes::from(vec![0; 1000])));
    for part in [1, 4, 27, 28, 500] {
        let mut peer = manual();
        peer.feed.write_all(&frame[..part]).await.expect("is read");
        drop(peer.feed);
        let error = peer.receiver.recv().await.expect_err("cut off");
        assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    }
    peer.feed.write_all(&frame).await.expect("is read");
    peer.receiver.recv().await.expect("whole").expect("a frame");
}

#[tokio::test]
async fn bytes_behind_a_frame_that_are_none_end_the_link_after_it() {
    let mut peer = manual();
    let frame = bytes_of(&call(1, Bytes::new()));
    let bytes = [&frame[..], b"HTTP/1.1 400 Bad Request\r\n"].concat();
    peer.feed.write_all(&bytes).await.expect("is read");
    peer.receiver.recv().await.expect("whole").expect("a frame");
    for _ in 0..2 {
        assert_eq!(peer.receiver.next_at_hand(), None, "there is no other");
    }
    let error = peer.receiver.recv().await.expect_err("no frame");
    assert!(
        matches!(error, TransportError::BadFrame(FrameError::TooLong { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_link() {
    let mut peer = manual();
    peer.feed
        .write_all(b"HTTP/1.1 400 Bad Request\r\n")
        .await
        .expect("is read");
    let error = peer.receiver.recv().await.expect_err("no frame");
    assert!(
        matches!(error, TransportError::BadFrame(FrameError::TooLong { .. })),
        "{error:?}"
    );
    assert!(peer.sender.is_closed());
    assert!(matches!(peer.receiver.recv().await, Err(TransportError::Aborted)));
}

#[tokio::test]
async fn an_announced_length_takes_no_memory() {
    let mut peer = manual();
    let mut frame = bytes_of(&call(1, Bytes::from(vec![0; 100])));
    frame[..4].copy_from_slice(&(60_000_000_u32).to_le_bytes());
    peer.feed.write_all(&frame).await.expect("is read");
    assert!(polled(pin!(peer.receiver.recv())).await.is_pending());
    assert!(peer.receiver.buffered() <= 64 * 1024, "{}", peer.receiver.buffered());
}

#[tokio::test]
async fn small_frames_do_not_keep_the_memory_of_a_large_one() {
    let mut peer = manual();
    let mut bytes = bytes_of(&call(1, Bytes::from(vec![0; 5 << 20])));
    bytes.extend(bytes_of(&Frame::Ping { n: 1 }));
    let Manual { feed, receiver, .. } = &mut peer;
    let read = async {
        receiver.recv().await.expect("whole");
        receiver.recv().await.expect("whole");
    };
    let (written, ()) = tokio::join!(feed.write_all(&bytes), read);
    written.expect("is read");
    assert!(polled(pin!(peer.receiver.recv())).await.is_pending());
    assert!(peer.receiver.buffered() <= 1 << 20, "{}", peer.receiver.buffered());
}

#[tokio::test]
async fn nothing_is_read_after_abort() {
    let mut peer = manual();
    let mut bytes = bytes_of(&Frame::Ping { n: 1 });
    bytes.extend(bytes_of(&Frame::Ping { n: 2 }));
    peer.feed.write_all(&bytes).await.expect("is read");
    assert!(matches!(peer.receiver.recv().await, Ok(Some(Frame::Ping { n: 1 }))));
    // The second frame is in the receiver's buffer.
    peer.sender.abort();
    assert!(matches!(peer.receiver.recv().await, Err(TransportError::Aborted)));
    assert!(peer.feed.write_all(&bytes).await.is_err(), "the stream is let go");
}

#[tokio::test]
async fn an_abort_wakes_a_receiver_that_waits() {
    let mut peer = manual();
    let abort = async { peer.sender.abort() };
    let (received, ()) = tokio::join!(peer.receiver.recv(), abort);
    assert!(matches!(received, Err(TransportError::Aborted)));
}

#[tokio::test]
async fn an_abort_drops_what_is_queued_and_wakes_all_that_wait() {
    for network in BOTH {
        let mut link = linked(network).await;
        let sender = link.dialler.sender.clone();
        for n in 0..500 {
            sender.send(call(n, Bytes::from(vec![0; 64 * 1024]))).expect("open");
        }
        let abort = async {
            tokio::task::yield_now().await;
            sender.abort();
        };
        let (writable, flushed, ()) = tokio::join!(sender.writable(), sender.flushed(), abort);
        assert_eq!((writable, flushed), (Err(Ended), Err(Ended)));
        assert_eq!(sender.queued_bytes(), 0);
        assert!(matches!(sender.send(Frame::Leaving), Err(SendError::Closed(_))));
        assert!(matches!(
            link.dialler.receiver.recv().await,
            Err(TransportError::Aborted)
        ));
        let mut received = 0;
        let error = loop {
            match link.listener.receiver.recv().await {
                Ok(Some(_)) => received += 1,
                Ok(None) => panic!("an abort is no goodbye"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
        assert!(received < 500);
    }
}

#[tokio::test]
async fn an_abort_ends_a_driver_whose_peer_does_not_read() {
    let mut peer = manual();
    peer.sender.send(call(1, Bytes::from(vec![0; 1 << 20]))).expect("open");
    assert!(polled(&mut peer.driver).await.is_pending());
    peer.sender.abort();
    assert_eq!(polled(&mut peer.driver).await, Poll::Ready(()));
}

#[tokio::test]
async fn a_driver_dropped_before_its_first_poll_closes_the_sender() {
    let peer = manual();
    peer.sender.send(Frame::Leaving).expect("open");
    drop(peer.driver);
    assert!(peer.sender.is_closed());
    assert_eq!(peer.sender.flushed().await, Err(Ended));
    assert_eq!(peer.sender.writable().await, Err(Ended));
}

#[tokio::test]
async fn a_stream_that_takes_no_more_closes_the_sender_and_what_came_is_still_read() {
    let mut peer = manual();
    peer.feed.write_all(&bytes_of(&Frame::Flushed)).await.expect("is read");
    drop(peer.sink);
    peer.sender.send(Frame::Leaving).expect("open");
    peer.driver.await;
    assert!(peer.sender.is_closed());
    assert!(matches!(peer.receiver.recv().await, Ok(Some(Frame::Flushed))));
}

#[tokio::test]
async fn a_link_that_nobody_can_close_is_aborted() {
    let mut peer = manual();
    let clone = peer.sender.clone();
    drop(peer.sender);
    assert!(polled(&mut peer.driver).await.is_pending());
    drop(clone);
    assert_eq!(polled(&mut peer.driver).await, Poll::Ready(()));
    assert!(matches!(peer.receiver.recv().await, Err(TransportError::Aborted)));
}

#[tokio::test]
async fn a_link_that_was_closed_is_not_aborted_by_the_last_sender() {
    let mut peer = manual();
    peer.sender.send(Frame::Flushed).expect("open");
    peer.sender.close();
    drop(peer.sender);
    peer.driver.await;
    let mut written = Vec::new();
    peer.sink.read_to_end(&mut written).await.expect("ends");
    assert_eq!(written, [bytes_of(&Frame::Flushed), vec![0; 4]].concat());
    peer.feed
        .write_all(&bytes_of(&Frame::LeavingAck))
        .await
        .expect("is read");
    assert!(matches!(peer.receiver.recv().await, Ok(Some(Frame::LeavingAck))));
}

#[tokio::test]
async fn a_half_open_link_holds_its_sender_back_and_can_be_aborted() {
    let mut link = linked(Network::Tcp).await;
    // The peer is there and neither reads nor writes.
    let sender = link.dialler.sender.clone();
    while sender.queued_bytes() < 32 << 20 {
        sender.send(call(1, Bytes::from(vec![0; 1 << 20]))).expect("open");
    }
    tokio::task::yield_now().await;
    assert!(polled(pin!(sender.writable())).await.is_pending());
    assert!(polled(pin!(link.dialler.receiver.recv())).await.is_pending());
    sender.abort();
    assert!(matches!(
        link.dialler.receiver.recv().await,
        Err(TransportError::Aborted)
    ));
}
