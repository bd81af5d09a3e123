//! What a link does with frames while it holds.

use super::*;
use crate::{
    transport::{Ended, SendError},
    wire::{FrameError, Limits},
};
use parking_lot::Mutex;
use std::{pin::pin, sync::Arc};

#[tokio::test]
async fn frames_come_in_the_order_they_were_sent_both_ways() {
    for network in BOTH {
        let mut link = linked(network).await;
        for n in 0..1000 {
            link.dialler
                .sender
                .send(call(n, Bytes::from(vec![n as u8; n as usize * 100])))
                .expect("open");
            link.listener.sender.send(Frame::Pong { n }).expect("open");
        }
        for n in 0..1000 {
            assert_eq!(
                next(&mut link.listener).await,
                call(n, Bytes::from(vec![n as u8; n as usize * 100]))
            );
            assert_eq!(next(&mut link.dialler).await, Frame::Pong { n });
        }
    }
}

#[tokio::test]
async fn frames_at_hand_are_the_next_ones() {
    for network in BOTH {
        let mut link = linked(network).await;
        let sent: Vec<_> = (0..1000).map(|n| Frame::Pong { n }).collect();
        for frame in &sent {
            link.dialler.sender.send(frame.clone()).expect("open");
        }
        link.dialler.sender.close();
        let (receiver, mut came) = (&mut link.listener.receiver, Vec::new());
        while let Some(frame) = receiver.recv().await.expect("the link holds") {
            came.push(frame);
            came.extend(std::iter::from_fn(|| receiver.next_at_hand()));
        }
        assert_eq!(came, sent);
        assert_eq!(receiver.next_at_hand(), None, "nothing follows the goodbye");
    }
}

#[tokio::test]
async fn order_of_sends_is_order_on_the_wire() {
    const SENDS: u64 = 5000;
    let mut link = linked(Network::Tcp).await;
    let order = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (order, sender) = (order.clone(), link.dialler.sender.clone());
            std::thread::spawn(move || {
                for _ in 0..SENDS {
                    let mut last = order.lock();
                    *last += 1;
                    sender.send(Frame::Ping { n: *last }).expect("open");
                }
            })
        })
        .collect();
    for n in 1..=4 * SENDS {
        assert_eq!(next(&mut link.listener).await, Frame::Ping { n });
    }
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

#[tokio::test]
async fn large_payloads_survive() {
    for network in BOTH {
        let mut link = linked(network).await;
        for megabytes in [1, 20] {
            let body: Bytes = (0..megabytes << 20).map(|n| (n % 251) as u8).collect();
            link.dialler.sender.send(call(1, body.clone())).expect("open");
            link.dialler.sender.send(Frame::Flushed).expect("open");
            assert!(
                next(&mut link.listener).await == call(1, body),
                "{megabytes} MiB changed on the way"
            );
            assert_eq!(next(&mut link.listener).await, Frame::Flushed);
        }
    }
}

#[tokio::test]
async fn writable_waits_while_the_peer_does_not_read_and_not_longer() {
    for network in BOTH {
        let mut link = linked(network).await;
        let body = Bytes::from(vec![0; 64 * 1024]);
        let sender = link.dialler.sender.clone();
        let mut sent = 0_u64;
        // What the system itself takes up differs: until it takes no more.
        let mut writable = loop {
            sender.send(call(sent, body.clone())).expect("open");
            sent += 1;
            tokio::task::yield_now().await;
            let mut writable = Box::pin(sender.writable());
            if sender.queued_bytes() > 8 << 20 && polled(&mut writable).await.is_pending() {
                break writable;
            }
        };
        assert!(link.dialler.sender.queued_bytes() >= 1 << 20);
        let mut received = 0;
        while polled(&mut writable).await.is_pending() {
            next(&mut link.listener).await;
            received += 1;
        }
        assert!(link.dialler.sender.queued_bytes() < 1 << 20);
        drop(writable);
        for _ in received..sent {
            next(&mut link.listener).await;
        }
        link.dialler.sender.flushed().await.expect("open");
        assert_eq!(link.dialler.sender.queued_bytes(), 0);
    }
}

#[tokio::test]
async fn a_waiter_for_room_is_woken() {
    let mut link = linked(Network::Loopback).await;
    let sender = link.dialler.sender.clone();
    for n in 0..100 {
        sender.send(call(n, Bytes::from(vec![0; 64 * 1024]))).expect("open");
    }
    let read = async {
        for _ in 0..100 {
            next(&mut link.listener).await;
        }
    };
    let (writable, ()) = tokio::join!(sender.writable(), read);
    assert_eq!(writable, Ok(()));
}

#[tokio::test]
async fn flushed_means_that_all_before_it_was_taken_by_the_stream() {
    let mut link = linked(Network::Loopback).await;
    let sender = link.dialler.sender.clone();
    assert_eq!(sender.flushed().await, Ok(()), "nothing to wait for");
    // More than the stream takes at once.
    sender.send(call(1, Bytes::from(vec![0; 1 << 20]))).expect("open");
    let mut flushed = pin!(sender.flushed());
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(polled(&mut flushed).await.is_pending());
    }
    let (flushed, _) = tokio::join!(flushed, next(&mut link.listener));
    assert_eq!(flushed, Ok(()));
}

#[tokio::test]
async fn close_writes_what_is_queued_and_says_goodbye() {
    for network in BOTH {
        let mut link = linked(network).await;
        for n in 0..10_000 {
            link.dialler.sender.send(Frame::Ping { n }).expect("open");
        }
        link.dialler
            .sender
            .send(call(1, Bytes::from(vec![1; 3 << 20])))
            .expect("open");
        link.dialler.sender.close();
        assert!(link.dialler.sender.is_closed());
        for n in 0..10_000 {
            assert_eq!(next(&mut link.listener).await, Frame::Ping { n });
        }
        assert_eq!(next(&mut link.listener).await, call(1, Bytes::from(vec![1; 3 << 20])));
        assert!(matches!(link.listener.receiver.recv().await, Ok(None)));
        assert!(
            matches!(link.listener.receiver.recv().await, Ok(None)),
            "and so it stays"
        );
        assert_eq!(link.dialler.sender.flushed().await, Ok(()));
    }
}

#[tokio::test]
async fn after_the_peers_goodbye_it_can_still_be_answered() {
    for network in BOTH {
        let mut link = linked(network).await;
        link.dialler.sender.send(Frame::Leaving).expect("open");
        link.dialler.sender.close();
        assert_eq!(next(&mut link.listener).await, Frame::Leaving);
        assert!(matches!(link.listener.receiver.recv().await, Ok(None)));
        link.listener
            .sender
            .send(Frame::LeavingAck)
            .expect("its own direction is open");
        link.listener.sender.close();
        assert_eq!(next(&mut link.dialler).await, Frame::LeavingAck);
        assert!(matches!(link.dialler.receiver.recv().await, Ok(None)));
    }
}

#[tokio::test]
async fn a_closed_link_gives_the_frame_back() {
    let link = linked(Network::Loopback).await;
    link.dialler.sender.close();
    match link.dialler.sender.send(Frame::Ping { n: 7 }) {
        Err(SendError::Closed(frame)) => assert_eq!(*frame, Frame::Ping { n: 7 }),
        other => panic!("{other:?}"),
    }
    assert_eq!(link.dialler.sender.writable().await, Err(Ended));
}

#[tokio::test]
async fn a_frame_beyond_the_limits_comes_back_and_the_link_goes_on() {
    let options = LinkOptions {
        limits: Limits {
            max_frame_bytes: 1000,
            ..Limits::default()
        },
        ..LinkOptions::default()
    };
    let mut link = linked_with(Network::Tcp, options).await;
    let large = call(1, Bytes::from(vec![0; 1000]));
    match link.dialler.sender.send(large.clone()) {
        Err(SendError::Unsendable { frame, cause }) => {
            assert_eq!(*frame, large);
            assert!(matches!(
                cause,
                FrameError::TooLong {
                    limit: "max_frame_bytes",
                    ..
                }
            ));
        }
        other => panic!("{other:?}"),
    }
    link.dialler.sender.send(Frame::Ping { n: 1 }).expect("open");
    assert_eq!(next(&mut link.listener).await, Frame::Ping { n: 1 });
}

#[tokio::test]
async fn a_dropped_receive_loses_no_frame() {
    let mut link = linked(Network::Loopback).await;
    let large = call(1, Bytes::from(vec![3; 1 << 20]));
    link.dialler.sender.send(large.clone()).expect("open");
    let mut dropped = 0;
    let frame = loop {
        // Each time a part of the frame is read, then the future is dropped.
        match polled(pin!(link.listener.receiver.recv())).await {
            Poll::Ready(result) => break result.expect("the link holds").expect("no goodbye"),
            Poll::Pending => dropped += 1,
        }
        tokio::task::yield_now().await;
    };
    assert!(dropped > 2, "{dropped}");
    assert!(frame == large);
}
