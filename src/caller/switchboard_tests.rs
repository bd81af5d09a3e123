//! The laws of forgetting lines.

use super::{
    upkeep::{FORGET_AFTER, LOOKS},
    *,
};
use crate::{
    actor::{Accepts, ActorRef, Kind, Message},
    clock::ManualClock,
    ident::{Epoch, OnceId},
    mailbox::{Body, Chain, Nowhere},
    transport::{LinkOptions, LocalEnd, LoopbackNetwork, Transport},
};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use std::pin::pin;

#[derive(Debug, Serialize, Deserialize)]
struct Ping;

impl Message for Ping {
    type Reply = ();
    const NAME: &'static str = "ping";
}

struct Pinged;

impl Kind for Pinged {
    const KIND: &'static str = "k";
}

impl Accepts<Ping> for Pinged {}

/// The silo whose switchboard is tested, at its own seats: all of its ways lead here.
#[derive(Default)]
struct Own {
    /// Messages and fences, as they came.
    came: Mutex<Vec<String>>,
    on_their_way: Mutex<Vec<Letter>>,
    fenced: Mutex<Vec<ActorId>>,
    given_up: Mutex<Vec<String>>,
    unknown: Mutex<BTreeSet<ActorId>>,
    /// Who was asked where actors are: the attempt, and whether placement's word will do.
    asked: Mutex<Vec<(u32, bool)>>,
    /// Of the actor that runs.
    mailbox: Mutex<Option<Arc<Mailbox>>>,
    /// A sender on another thread, and whether it found the short way open while messages came.
    other: Mutex<Option<Arc<dyn Port>>>,
    open: Mutex<Vec<bool>>,
}

struct OwnUplink(Arc<Own>);

fn me() -> SiloId {
    SiloId::new("me", 1)
}

fn actor(key: impl ToString) -> ActorId {
    ActorId::new("k", key.to_string()).expect("valid")
}

impl Uplink for OwnUplink {
    fn deliver_here(&self, _: &ActorId, letter: Letter, _: bool, _: Option<&Arc<Mailbox>>) -> Delivered {
        self.0.came.lock().push(letter.body.name().to_owned());
        if let Some(other) = &*self.0.other.lock() {
            self.0.open.lock().push(other.direct().is_some());
        }
        match &*self.0.mailbox.lock() {
            None => {
                self.0.on_their_way.lock().push(letter);
                Delivered::Done
            }
            Some(mailbox) => {
                mailbox.put(letter);
                Delivered::Direct(mailbox.clone())
            }
        }
    }

    fn fence_here(&self, actor: &ActorId, k: u64) {
        self.0.fenced.lock().push(actor.clone());
        self.0.came.lock().push(format!("fence {k}"));
    }

    fn enter_here(&self, _: &ActorId, _: u64) {}

    fn locate(&self, actor: &ActorId, attempt: u32, first: bool) -> Option<Hint> {
        self.0.asked.lock().push((attempt, first));
        let epoch = Epoch(1);
        (!self.0.unknown.lock().contains(actor)).then(|| Hint { silo: me(), epoch })
    }

    fn is_gone(&self, _: &SiloId) -> bool {
        false
    }

    fn dead_letter(&self, _: &ActorId, letter: Letter, _: &Failure) {
        self.0.given_up.lock().push(letter.body.name().to_owned());
    }
}

fn board() -> (Arc<Switchboard>, Arc<Own>, ManualClock) {
    let (clock, hands) = Clock::manual();
    let process = ProcessId::Silo(me());
    let local = LocalEnd::new(process.clone(), "c");
    let transport = LoopbackNetwork::new().transport(local, clock.clone(), LinkOptions::default());
    let links = Links::new(Arc::<dyn Transport>::from(transport), clock.clone(), Arc::new(drop));
    let own = Arc::new(Own::default());
    let uplink = Arc::new(OwnUplink(own.clone()));
    let board = Switchboard::new(process, clock, Duration::from_secs(30), links, uplink);
    (board, own, hands)
}

fn letter(name: &str, deadline: Option<Moment>) -> Letter {
    Letter {
        body: Body::Encoded {
            name: name.into(),
            bytes: bytes::Bytes::new(),
        },
        reply: ReplyTo::Nobody,
        deadline,
        chain: Chain::NONE,
    }
}

/// Sends by a reference that is dropped at once.
fn send(board: &Arc<Switchboard>, actor: &ActorId, name: &str) {
    board.port(actor.clone()).send(letter(name, None)).expect("taken");
}

fn lines(board: &Switchboard) -> usize {
    board.lines.iter().map(|shard| shard.lock().lines.len()).sum()
}

/// Sweeps until a line that nobody holds has been fenced.
fn sweep_out(board: &Switchboard, hands: &ManualClock) {
    board.sweep();
    hands.advance(FORGET_AFTER);
    board.sweep();
}

/// Seed 123 of `planned_change_loses_nothing`: a silo had said that it leaves, and placement did not know it yet. Its word counted for
/// nothing, nobody was asked instead, and the message waited until its deadline.
#[test]
fn an_actor_that_is_placed_on_a_silo_that_leaves_is_looked_for() {
    let (board, own, _hands) = board();
    board.leaving(&me());
    send(&board, &actor("a"), "one");
    assert_eq!(*own.asked.lock(), [(0, true), (1, false)]);
}

/// Found by events of a stream that overtook others: while what had waited for the way was put into the mailbox, message by message, by
/// the thread that heard of the fence, a sender on another thread found the short way open after the first of them.
#[test]
fn the_short_way_opens_when_all_that_waited_is_in_the_mailbox() {
    let (board, own, _hands) = board();
    let a = actor("a");
    own.unknown.lock().insert(a.clone());
    for name in ["one", "two", "three"] {
        send(&board, &a, name);
    }
    let mailbox = Arc::new(Mailbox::new(a.clone(), 10, Arc::new(Nowhere), Moment(0)));
    mailbox.set_open(true);
    *own.mailbox.lock() = Some(mailbox);
    let port = board.port(a.clone());
    *own.other.lock() = Some(port.clone());
    let epoch = Epoch(1);
    board.located(&a, Hint { silo: me(), epoch });
    assert_eq!(*own.came.lock(), ["one", "two", "three"]);
    assert_eq!(*own.open.lock(), [false; 3]);
    assert!(port.direct().is_some(), "and then it opens");
}

#[test]
fn a_way_that_nobody_uses_is_fenced_and_forgotten() {
    let (board, own, hands) = board();
    let a = actor("a");
    send(&board, &a, "one");
    sweep_out(&board, &hands);
    assert_eq!(*own.came.lock(), ["one", "fence 1"]);
    board.sweep();
    assert_eq!(lines(&board), 1, "not before the fence is answered");
    board.fenced(&me(), &a, 1, None, false);
    board.sweep();
    assert_eq!(lines(&board), 0);
}

/// What was sent on it is in the mailbox, and goes wherever the actor goes.
#[test]
fn a_direct_line_that_nobody_holds_is_forgotten_without_a_fence() {
    let (board, own, _) = board();
    let (a, host) = (actor("a"), Arc::new(Nowhere));
    let mailbox = Arc::new(Mailbox::new(a.clone(), 10, host, Moment(0)));
    mailbox.set_open(true);
    *own.mailbox.lock() = Some(mailbox.clone());
    let port = board.port(a.clone());
    port.send(letter("one", None)).expect("taken");
    board.sweep();
    assert!(port.direct().is_some_and(|direct| Arc::ptr_eq(direct, &mailbox)));
    assert_eq!(lines(&board), 1, "it is held");
    drop(port);
    board.sweep();
    assert_eq!((lines(&board), Arc::strong_count(&mailbox)), (0, 2));
    send(&board, &a, "two");
    assert_eq!(*own.came.lock(), ["one", "two"]);
    // With the short way closed it is a line like any other.
    mailbox.set_open(false);
    board.port(a.clone()).send(letter("three", None)).expect("taken");
    *own.mailbox.lock() = None;
    send(&board, &a, "four");
    board.moved(
        &a,
        Hint {
            silo: SiloId::new("other", 1),
            epoch: Epoch(9),
        },
    );
    board.sweep();
    assert_eq!(lines(&board), 1);
    let came = own.came.lock();
    assert_eq!(came[2..], ["three", "four", "fence 1"]);
}

#[test]
fn a_way_that_a_reference_leads_to_stays_as_it_is() {
    let (board, own, hands) = board();
    let port = board.port(actor("a"));
    port.send(letter("one", None)).expect("taken");
    sweep_out(&board, &hands);
    sweep_out(&board, &hands);
    assert_eq!(*own.came.lock(), ["one"]);
    assert_eq!(lines(&board), 1);
}

#[test]
fn a_reference_that_comes_in_time_puts_the_forgetting_off() {
    let (board, own, hands) = board();
    for name in ["one", "two", "three"] {
        send(&board, &actor("a"), name);
        board.sweep();
        hands.advance(FORGET_AFTER * 2 / 3);
    }
    board.sweep();
    assert_eq!(*own.came.lock(), ["one", "two", "three"]);
}

#[test]
fn messages_of_one_sender_keep_their_order_over_a_forget() {
    let (board, own, hands) = board();
    let a = actor("a");
    send(&board, &a, "one");
    sweep_out(&board, &hands);
    // While the fence is under way, behind it, and on the way that is made anew.
    send(&board, &a, "two");
    assert_eq!(*own.came.lock(), ["one", "fence 1"], "it waits");
    board.fenced(&me(), &a, 1, None, false);
    send(&board, &a, "three");
    sweep_out(&board, &hands);
    board.fenced(&me(), &a, 2, None, false);
    board.sweep();
    assert_eq!(lines(&board), 0);
    send(&board, &a, "four");
    assert_eq!(*own.came.lock(), ["one", "fence 1", "two", "three", "fence 2", "four"]);
}

#[test]
fn what_comes_back_after_its_line_was_forgotten_is_sent_again() {
    let (board, own, _) = board();
    board.letter_bounced(&me(), &actor("a"), letter("late", None), None, BounceReason::NotOwner);
    assert_eq!(*own.came.lock(), ["late"]);
}

#[test]
fn what_waits_for_a_way_past_its_deadline_is_ended_by_a_sweep() {
    let (board, own, hands) = board();
    let a = actor("a");
    own.unknown.lock().insert(a.clone());
    let soon = board.clock.now() + Duration::from_secs(5);
    board.port(a.clone()).send(letter("one", Some(soon))).expect("held");
    board.sweep();
    assert!(own.given_up.lock().is_empty());
    hands.advance(Duration::from_secs(6));
    board.sweep();
    assert_eq!(*own.given_up.lock(), ["one"]);
}

/// Though no sweep has come by: what waited for a way never left this process, what was sent may have run.
#[tokio::test]
async fn an_ask_that_was_only_held_says_that_it_did_not_run() {
    let (board, own, hands) = board();
    let (a, b) = (actor("a"), actor("b"));
    own.unknown.lock().insert(a.clone());
    let (held, sent) = (
        ActorRef::<Pinged>::new(board.port(a)),
        ActorRef::<Pinged>::new(board.port(b)),
    );
    let asks = [
        held.ask(Ping),
        held.ask(Ping).once(OnceId::of("one")),
        sent.ask(Ping),
        sent.ask(Ping).once(OnceId::of("one")),
    ];
    let mut asks = asks.map(Box::pin);
    for ask in &mut asks {
        assert!(ask.as_mut().now_or_never().is_none());
    }
    assert_eq!(*own.came.lock(), ["ping"; 2]);
    hands.advance(Duration::from_secs(31));
    let mut ran = Vec::new();
    for ask in asks {
        ran.push(pin!(ask).await.expect_err("nobody answers").ran());
    }
    assert_eq!(ran, [Ran::No, Ran::No, Ran::Unknown, Ran::Unknown]);
}

#[test]
fn a_sweep_looks_at_a_bounded_number_of_lines_that_are_only_there() {
    let (board, _, _) = board();
    let ports: Vec<_> = (0..20_000).map(|key| board.port(actor(key))).collect();
    // The first sweep catches up with the lines that were made.
    board.sweep();
    let looked: usize = (board.lines.iter())
        .map(|shard| board.look_round(&mut shard.lock(), usize::MAX).0)
        .sum();
    assert_eq!(looked, SHARDS * LOOKS);
    assert_eq!(lines(&board), ports.len());
}

#[test]
fn a_caller_of_ever_new_actors_keeps_a_bounded_number_of_lines() {
    let (board, own, hands) = board();
    let (mut key, mut most) = (0, 0);
    for _ in 0..200 {
        for _ in 0..100 {
            send(&board, &actor(key), "one");
            key += 1;
        }
        own.came.lock().clear();
        hands.advance(Duration::from_secs(1));
        board.sweep();
        // Every fence is answered at once.
        for actor in std::mem::take(&mut *own.fenced.lock()) {
            board.fenced(&me(), &actor, 1, None, false);
        }
        most = most.max(lines(&board));
    }
    // Those of 30 s, and of the rounds that it takes to see, to fence and to forget them.
    assert!(most <= 100 * 60, "{most} lines of {key}");
}

fn far() -> SiloId {
    SiloId::new("far", 1)
}

/// A reference to an actor of another silo, which knows marks, with nothing on its way. What goes there is lost.
fn at_far(board: &Arc<Switchboard>) -> ActorRef<Pinged> {
    let hint = Hint {
        silo: far(),
        epoch: Epoch(1),
    };
    let line = board.line_or_new(&actor("a"));
    line.change(board, |way, _| way.begin(hint));
    let pinged = ActorRef::<Pinged>::new(line);
    for _ in 0..Way::<Letter>::MARK_EVERY {
        pinged
            .tell(Ping)
            .now_or_never()
            .expect("there is room")
            .expect("it goes");
    }
    board.handled(&far(), &actor("a"), 1);
    pinged
}

#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl futures_util::task::ArcWake for Woken {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[test]
fn a_tell_waits_itself_while_more_is_under_way_than_was_handled() {
    let (board, own, _hands) = board();
    let pinged = at_far(&board);
    for _ in 0..Way::<Letter>::WINDOW {
        pinged
            .tell(Ping)
            .now_or_never()
            .expect("there is room")
            .expect("it goes");
    }
    let woken = Arc::new(Woken::default());
    let waker = futures_util::task::waker(woken.clone());
    let cx = &mut std::task::Context::from_waker(&waker);
    let mut waits = pin!(pinged.tell(Ping));
    assert!(waits.as_mut().poll(cx).is_pending());
    for _ in 0..2 * Way::<Letter>::MARK_EVERY {
        pinged.try_tell(Ping).expect("who cannot wait has it kept");
    }
    board.handled(&far(), &actor("a"), 2);
    assert_eq!(woken.times(), 1);
    // Behind what was kept meanwhile, not behind all that others may send.
    assert!(waits.poll(cx).is_ready());
    assert_eq!(*own.given_up.lock(), Vec::<String>::new());
}

#[test]
fn asks_to_another_silo_share_one_alarm_and_end_at_their_deadlines() {
    const SECOND: Duration = Duration::from_secs(1);
    let (board, _own, hands) = board();
    let pinged = at_far(&board);
    let woken = [(); 2].map(|()| Arc::new(Woken::default()));
    let wakers = [0, 1].map(|n| futures_util::task::waker(woken[n].clone()));
    let [cx, other_cx] = [0, 1].map(|n| std::task::Context::from_waker(&wakers[n]));
    let (mut cx, mut other_cx) = (cx, other_cx);
    let mut long = pin!(pinged.ask(Ping));
    let mut short = pin!(pinged.ask(Ping).within(SECOND));
    assert!(long.as_mut().poll(&mut cx).is_pending() && short.as_mut().poll(&mut other_cx).is_pending());
    hands.advance(SECOND);
    assert_eq!(
        (woken[0].times(), woken[1].times()),
        (0, 1),
        "a near deadline has its own"
    );
    assert!(short.poll(&mut other_cx).is_ready());
    for _ in 1..27 {
        hands.advance(SECOND);
    }
    assert_eq!(woken[0].times(), 0);
    for _ in 27..29 {
        hands.advance(SECOND);
    }
    assert_eq!(woken[0].times(), 1, "in time");
    assert!(long.as_mut().poll(&mut cx).is_pending());
    hands.advance(SECOND - Duration::from_millis(1));
    assert!(long.as_mut().poll(&mut cx).is_pending());
    let before = woken[0].times();
    hands.advance(Duration::from_millis(1));
    assert!(woken[0].times() > before, "at its deadline");
    assert!(long.poll(&mut cx).is_ready());
    // Nobody looks when nobody waits, and again when somebody does.
    hands.advance(Duration::from_secs(5));
    board.sweep();
    hands.advance(Duration::from_secs(5));
    assert!(board.pending().is_empty());
    assert_eq!(hands.next_alarm(), None);
    let mut long = pin!(pinged.ask(Ping));
    assert!(long.as_mut().poll(&mut cx).is_pending());
    assert!(hands.next_alarm().is_some());
}
