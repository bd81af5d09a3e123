//! The laws of links that are being made.

use super::*;
use crate::{
    ident::{ActorId, ClientId, ProcessId, RequestId},
    transport::{LinkOptions, Listener, LocalEnd, LoopbackNetwork},
    wire::Call,
};
use bytes::Bytes;
use futures_util::{FutureExt, task::ArcWake};
use std::sync::atomic::AtomicUsize;

/// Keeps what links report.
#[derive(Default)]
struct Heard(Mutex<Vec<(Frame, Unsent)>>);

impl LinkEvents for Heard {
    fn frames(&self, _: &SiloId, frames: &mut dyn Iterator<Item = Arrived>) {
        frames.for_each(drop);
    }
    fn link_renewed(&self, _: &SiloId) {}
    fn link_lost(&self, _: &SiloId) {}
    fn unsent(&self, _: &SiloId, frame: Frame, why: Unsent) {
        self.0.lock().push((frame, why));
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl ArcWake for Woken {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn silo() -> SiloId {
    SiloId::new("far", 1)
}

fn call(bytes: usize) -> Frame {
    Frame::Call(Call {
        actor: ActorId::new("k", "a").expect("valid"),
        message: "m".into(),
        request: RequestId::NONE,
        from: ProcessId::Client(ClientId(1)),
        time_left: None,
        chain: Vec::new(),
        trace: None,
        body: Bytes::from(vec![0; bytes]),
    })
}

/// What the links have to do.
type Tasks = Arc<Mutex<Vec<BoxFuture<'static, ()>>>>;

fn run(tasks: &Tasks) {
    for task in std::mem::take(&mut *tasks.lock()) {
        let _ended = task.now_or_never();
    }
}

/// Links of which one is dialled and never made.
fn dialling() -> (Arc<Links>, Arc<Heard>, Arc<dyn LinkEvents>, Tasks) {
    let clock = Clock::manual().0;
    let local = LocalEnd::new(ProcessId::Client(ClientId(1)), "c");
    let transport = LoopbackNetwork::new().transport(local, clock.clone(), LinkOptions::default());
    let tasks = Tasks::default();
    let later = tasks.clone();
    let links = Links::new(transport.into(), clock, Arc::new(move |task| later.lock().push(task)));
    let heard = Arc::new(Heard::default());
    let events: Arc<dyn LinkEvents> = heard.clone();
    links.listen(Arc::downgrade(&events));
    links.keep(&silo(), "loopback:far");
    (links, heard, events, tasks)
}

#[test]
fn senders_wait_while_much_waits_for_a_link_that_is_made() {
    let (links, heard, _events, tasks) = dialling();
    let woken = Arc::new(Woken::default());
    let waker = futures_util::task::waker(woken.clone());
    for _ in 0..4 {
        assert!(!links.is_congested(&silo()) && links.is_writable(&silo(), &waker));
        links.send(&silo(), call(1024 * 1024));
    }
    assert!(links.is_congested(&silo()) && !links.is_writable(&silo(), &waker));
    links.send(&silo(), call(1));
    run(&tasks);
    assert!(matches!(&heard.0.lock()[..], [(Frame::Call(_), Unsent::TooMany)]));
    // What is no call is bounded by what it is about.
    links.send(&silo(), Frame::LeavingAck);
    run(&tasks);
    assert_eq!(heard.0.lock().len(), 1);
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    assert_eq!(links.forget(&silo()).len(), 5);
    assert_eq!(
        woken.0.load(Ordering::Relaxed),
        1,
        "there is no link to wait for any more"
    );
    assert!(links.is_writable(&silo(), &waker));
}

/// Links of which the one to the silo is dialled, and where it listens.
async fn listened(clock: &Clock) -> (Arc<Links>, Box<dyn Listener>) {
    let network = LoopbackNetwork::new();
    let transport = |process| {
        let local = LocalEnd::new(process, "c");
        network.transport(local, clock.clone(), LinkOptions::default())
    };
    let far = transport(ProcessId::Silo(silo()));
    let listening = far.listen("loopback:far").await.expect("listens");
    let runtime = tokio::runtime::Handle::current();
    let spawn: Spawner = Arc::new(move |task| {
        runtime.spawn(task);
    });
    let near = transport(ProcessId::Client(ClientId(1)));
    let links = Links::new(near.into(), clock.clone(), spawn);
    links.keep(&silo(), "loopback:far");
    (links, listening)
}

#[tokio::test]
async fn senders_wait_whenever_a_link_that_is_up_is_not_read() {
    let (links, mut listening) = listened(&Clock::system()).await;
    let accepted = listening.accept().await.expect("is dialled").await;
    let mut accepted = accepted.expect("shakes hands");
    while !links.is_up(&silo()) {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        assert!(!links.is_congested(&silo()));
        let mut sent = 0;
        while !links.is_congested(&silo()) {
            links.send(&silo(), call(64 * 1024));
            sent += 1;
            tokio::task::yield_now().await;
        }
        assert!(sent >= CREDIT / (64 * 1024), "only {sent} were taken");
        for _ in 0..sent {
            let frame = accepted.receiver.recv().await.expect("the link holds");
            assert!(matches!(frame, Some(Frame::Call(_))));
        }
    }
}

#[test]
fn waits_between_dials_are_spread_and_not_longer_than_they_were() {
    let wait = Duration::from_millis(1000);
    let waits: Vec<_> = (0..100).map(|_| spread(wait)).collect();
    assert!(waits.iter().all(|spread| *spread <= wait && *spread >= wait / 2));
    assert!(
        waits.iter().any(|other| *other != waits[0]),
        "processes do not come back together"
    );
}

#[tokio::test]
async fn a_peer_that_hangs_up_at_once_is_not_dialled_without_a_pause() {
    let (clock, hands) = Clock::manual();
    let (_links, mut listening) = listened(&clock).await;
    for wait in [FIRST_WAIT, FIRST_WAIT * 2, FIRST_WAIT * 4] {
        let accepted = listening.accept().await.expect("is dialled").await;
        drop(accepted.expect("shakes hands"));
        while hands.next_alarm().is_none_or(|at| at > clock.now() + wait) {
            assert!(listening.accept().now_or_never().is_none(), "dialled without a pause");
            tokio::task::yield_now().await;
        }
        hands.advance(wait);
    }
    listening.accept().await.expect("and is dialled again");
}

/// Too much waits; a call is refused; the link comes up, or what waited is given up; the next call of the same way is sent before the
/// way has heard of the refusal.
#[test]
fn no_call_overtakes_one_that_was_refused_because_too_much_waited() {
    let of = |key: &str| match call(1) {
        Frame::Call(call) => Frame::Call(Call {
            actor: ActorId::new("k", key).expect("valid"),
            ..call
        }),
        _ => unreachable!("it is a call"),
    };
    let refused = |key: &str| Err(Box::new((of(key), Unsent::TooMany)));
    let mut link = Link {
        address: String::new(),
        state: State::Dialling(Waiting::default()),
        task: 1,
        renewed: false,
        refused: BTreeSet::new(),
        cut: Arc::default(),
    };
    for _ in 0..MAX_WAITING {
        assert_eq!(link.take(of("many")), Ok(()));
    }
    assert_eq!(link.take(of("a")), refused("a"));
    link.state = State::Dialling(Waiting::default());
    assert_eq!(link.take(of("a")), refused("a"), "it would overtake");
    assert_eq!(link.take(of("b")), Ok(()), "another's way is not concerned");
    let fence = Frame::Fence {
        actor: ActorId::new("k", "a").expect("valid"),
        k: 1,
    };
    assert_eq!(link.take(fence), Ok(()));
    assert_eq!(link.take(of("a")), Ok(()));
}
