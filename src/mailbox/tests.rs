//! The laws of the mailbox.

use super::*;
use crate::{clock::Moment, ident::ActorId, wire::EncodeError};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::{
    any::{Any, TypeId},
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    task::Waker,
    thread,
};

/// Counts how many of it are alive.
struct Counted<const WORDS: usize> {
    number: u64,
    ballast: [u64; WORDS],
    alive: Arc<AtomicI64>,
    panics: bool,
}

impl<const WORDS: usize> Counted<WORDS> {
    fn new(number: u64, alive: &Arc<AtomicI64>, panics: bool) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self {
            number,
            ballast: [number; WORDS],
            alive: alive.clone(),
            panics,
        }
    }
}

impl<const WORDS: usize> Drop for Counted<WORDS> {
    fn drop(&mut self) {
        assert!(self.ballast.iter().all(|word| *word == self.number), "overwritten");
        self.alive.fetch_sub(1, Ordering::SeqCst);
        if self.panics && !thread::panicking() {
            panic!("a drop that panics");
        }
    }
}

impl<const WORDS: usize> TypedMessage for Counted<WORDS> {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn encode(&self) -> Result<bytes::Bytes, EncodeError> {
        Ok(bytes::Bytes::copy_from_slice(&self.number.to_le_bytes()))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// More aligned than a word: goes as a letter.
#[repr(align(32))]
struct Aligned(Counted<1>);

impl TypedMessage for Aligned {
    fn name(&self) -> &'static str {
        "aligned"
    }

    fn encode(&self) -> Result<bytes::Bytes, EncodeError> {
        self.0.encode()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

fn push(records: &mut Records, size: u8, number: u64, alive: &Arc<AtomicI64>, panics: bool) {
    match size % 6 {
        0 => records.push(Told(Counted::<0>::new(number, alive, panics))),
        1 => records.push(Told(Counted::<3>::new(number, alive, panics))),
        2 => records.push(Told(Counted::<40>::new(number, alive, panics))),
        3 => records.push(Told(Counted::<400>::new(number, alive, panics))),
        4 => records.push(Told(Aligned(Counted::new(number, alive, panics)))),
        _ => records.push(Asked {
            message: Counted::<2>::new(number, alive, panics),
            reply: Some(reply_pair::<String>().0),
            home: None,
            deadline: Some(Moment(number)),
            chain: Chain::NONE,
        }),
    }
}

fn number(letter: &Letter) -> u64 {
    u64::from_le_bytes(
        letter.body.encode().expect("it can")[..]
            .try_into()
            .expect("eight bytes"),
    )
}

proptest! {
    #[test]
    fn every_payload_is_dropped_exactly_once(
        steps in prop::collection::vec((0u8..9, any::<u8>(), prop::bool::weighted(0.05)), 1..200)
    ) {
        let alive = Arc::new(AtomicI64::new(0));
        let (mut records, mut other) = (Records::new(), Records::new());
        let (mut next, mut expected, mut others) = (0, Vec::new(), Vec::new());
        for (step, size, panics) in steps {
            match step {
                0..=3 => {
                    push(&mut records, size, next, &alive, panics);
                    expected.push(next);
                    next += 1;
                }
                4 => {
                    push(&mut other, size, next, &alive, panics);
                    others.push(next);
                    next += 1;
                }
                5 => {
                    records.append(&mut other);
                    expected.append(&mut others);
                }
                6 => {
                    if let Some(front) = records.front() {
                        let mut letter = front.into_letter();
                        prop_assert_eq!(number(&letter), expected.remove(0));
                        // Its drop may panic here, outside of the records.
                        if let Body::Typed(_) = &letter.body {
                            let body = std::mem::replace(&mut letter.body, Body::Encoded { name: "".into(), bytes: bytes::Bytes::new() });
                            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(body)));
                        }
                    }
                }
                7 => {
                    if let Some(front) = records.front() {
                        expected.remove(0);
                        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| front.discard()));
                    }
                }
                _ => records.shrink(),
            }
            prop_assert_eq!(records.len(), expected.len());
            prop_assert_eq!(alive.load(Ordering::SeqCst), (expected.len() + others.len()) as i64);
        }
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(records)));
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(other)));
        prop_assert_eq!(alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn deliveries_are_dropped_once_in_order_whatever_their_size_and_where_they_are_delivered() {
    /// Notes its number where it is dropped.
    struct Note<const WORDS: usize>(usize, Arc<Mutex<Vec<usize>>>, [u64; WORDS]);

    impl<const WORDS: usize> Drop for Note<WORDS> {
        fn drop(&mut self) {
            self.1.lock().push(self.0);
        }
    }

    fn push<const WORDS: usize>(deliveries: &mut Deliveries, number: usize, dropped: &Arc<Mutex<Vec<usize>>>) {
        deliveries.push(Note(number, dropped.clone(), [0; WORDS]));
    }

    let dropped = Arc::default();
    let (mut first, mut second) = (Deliveries::default(), Deliveries::default());
    push::<0>(&mut first, 0, &dropped);
    // More than lies in place.
    push::<1000>(&mut first, 1, &dropped);
    push::<1>(&mut second, 2, &dropped);
    first.append(&mut second);
    assert_eq!((first.len(), second.is_empty()), (3, true));
    assert_eq!(*dropped.lock(), [0; 0]);
    first.deliver();
    assert_eq!(*dropped.lock(), [0, 1, 2]);
    push::<5>(&mut first, 3, &dropped);
    drop((first, second));
    assert_eq!(*dropped.lock(), [0, 1, 2, 3], "also those that nobody delivers");
}

#[test]
fn a_payload_is_taken_as_its_own_type_only() {
    let alive = Arc::new(AtomicI64::new(0));
    let mut records = Records::new();
    records.push(Told(Counted::<1>::new(7, &alive, false)));
    let front = records
        .front()
        .expect("one")
        .take::<Told<Counted<2>>>()
        .err()
        .expect("another type");
    assert_eq!(
        (front.form(), front.message()),
        (Form::Told, TypeId::of::<Counted<1>>())
    );
    let Told(counted) = front.take::<Told<Counted<1>>>().ok().expect("its type");
    assert_eq!(counted.number, 7);
    assert!(records.is_empty());
}

/// Collects what is injected; weakly, as a mailbox holds its host.
#[derive(Default)]
struct Ready(Mutex<Vec<Weak<Mailbox>>>);

impl Host for Ready {
    fn offers(&self) -> &dyn Any {
        &()
    }

    fn inject(&self, mailbox: &Arc<Mailbox>) {
        self.0.lock().push(Arc::downgrade(mailbox));
    }

    fn run_here(&self, _: &Arc<Mailbox>, _: TypeId, _: &mut dyn Any) -> Result<(), NotHere> {
        Err(NotHere)
    }
}

fn mailbox(capacity: usize) -> (Arc<Mailbox>, Arc<Ready>) {
    let ready = Arc::new(Ready::default());
    let actor = ActorId::new("k", "a").expect("valid");
    let mailbox = Arc::new(Mailbox::new(actor, capacity, ready.clone(), Moment(0)));
    mailbox.set_open(true);
    (mailbox, ready)
}

fn told(number: u64) -> Told<Counted<0>> {
    Told(Counted::new(number, &Arc::new(AtomicI64::new(0)), false))
}

#[test]
fn the_bound_is_exact() {
    let (mailbox, ready) = mailbox(3);
    for number in 0..3 {
        assert!(mailbox.push(told(number)).is_ok());
    }
    assert!(matches!(mailbox.push(told(3)), Err(Refused::Full(_))));
    assert_eq!((mailbox.len(), ready.0.lock().len()), (3, 1), "scheduled once");
    let mut taken = Records::new();
    assert!(mailbox.take(&mut taken));
    // What is taken and not run counts.
    assert!(matches!(mailbox.push(told(3)), Err(Refused::Full(_))));
    taken.front().expect("one").discard();
    mailbox.cell().left(2);
    assert!(mailbox.push(told(3)).is_ok());
    assert!(matches!(mailbox.push(told(4)), Err(Refused::Full(_))));
    assert_eq!(mailbox.len(), 3);
    assert!(!mailbox.rest(false), "one came meanwhile");
    mailbox.put_back(&mut taken);
    let numbers: Vec<_> = mailbox.close().into_letters().map(|letter| number(&letter)).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(matches!(mailbox.push(told(5)), Err(Refused::Closed(_))));
}

#[test]
fn a_busy_actor_is_scheduled_by_a_wake_and_not_by_a_message() {
    let (mailbox, ready) = mailbox(10);
    assert!(mailbox.push(told(0)).is_ok());
    let mut taken = Records::new();
    mailbox.take(&mut taken);
    assert!(mailbox.rest(true));
    ready.0.lock().clear();
    assert!(mailbox.push(told(1)).is_ok());
    assert!(ready.0.lock().is_empty());
    mailbox.wake();
    mailbox.wake();
    assert_eq!(ready.0.lock().len(), 1);
    assert!(mailbox.take_woken() && !mailbox.take_woken());
    assert!(!mailbox.rest(false), "a message waits");
}

#[test]
fn who_waits_for_room_is_woken_when_there_is_some_or_never_will_be() {
    struct Woken(AtomicUsize);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (mailbox, _) = mailbox(2);
    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    let waker = Waker::from(woken.clone());
    assert!(mailbox.poll_room(&waker));
    assert!(mailbox.push(told(0)).is_ok() && mailbox.push(told(1)).is_ok());
    assert!(!mailbox.poll_room(&waker) && !mailbox.poll_room(&waker));
    let mut taken = Records::new();
    mailbox.take(&mut taken);
    mailbox.ran();
    assert_eq!(woken.0.load(Ordering::SeqCst), 0, "none has run");
    taken.front().expect("one").discard();
    mailbox.cell().left(1);
    mailbox.ran();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(mailbox.push(told(2)).is_ok());
    assert!(!mailbox.poll_room(&waker));
    mailbox.set_open(false);
    assert_eq!(woken.0.load(Ordering::SeqCst), 2);
}

/// Senders on other threads, and an owner that comes to rest whenever it can.
#[test]
fn no_push_is_missed_by_an_owner_that_comes_to_rest() {
    const SENDERS: u64 = 3;
    const EACH: u64 = 20_000;
    let (mailbox, ready) = mailbox(64);
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let mailbox = &mailbox;
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut message = told(sender * EACH + n);
                    while let Err(Refused::Full(back)) = mailbox.push(message) {
                        message = back;
                        thread::yield_now();
                    }
                }
            });
        }
        let (mut taken, mut got) = (Records::new(), 0);
        let mut last = [None; SENDERS as usize];
        while got < SENDERS * EACH {
            let Some(scheduled) = ready.0.lock().pop().and_then(|mailbox| mailbox.upgrade()) else {
                thread::yield_now();
                continue;
            };
            loop {
                if scheduled.take(&mut taken) {
                    assert!(taken.len() <= 64);
                    while let Some(front) = taken.front() {
                        let n = number(&front.into_letter());
                        let last = &mut last[(n / EACH) as usize];
                        assert!(last.is_none_or(|last| last + 1 == n), "reordered");
                        *last = Some(n);
                        got += 1;
                        scheduled.cell().left(u32::try_from(taken.len()).expect("few"));
                    }
                }
                if scheduled.rest(false) {
                    break;
                }
            }
        }
        assert!(ready.0.lock().is_empty() && mailbox.is_empty());
    });
}

/// R18, R23
#[test]
fn a_message_on_its_way_into_a_turn_is_at_no_instant_unseen() {
    let (mailbox, _) = mailbox(10);
    assert!(mailbox.push(told(0)).is_ok());
    thread::scope(|scope| {
        let mailbox = &mailbox;
        let owner = scope.spawn(move || {
            let mut taken = Records::new();
            for n in 1..100_000 {
                mailbox.take(&mut taken);
                mailbox.cell().turns_started(Moment(n));
                while let Some(front) = taken.front() {
                    front.discard();
                    mailbox.cell().left(u32::try_from(taken.len()).expect("few"));
                }
                assert!(mailbox.push(told(n)).is_ok());
                mailbox.cell().turns_ended();
            }
        });
        while !owner.is_finished() {
            assert!(mailbox.activity().is_busy());
        }
    });
}

/// With the counts of its `Arc` and malloc's word: 112.
#[test]
fn an_idle_mailbox_takes_88_bytes_and_nothing_beside_them() {
    assert_eq!(size_of::<Mailbox>(), 88);
    let (mailbox, _) = mailbox(10);
    for round in 0..2 {
        assert!(mailbox.push(told(round)).is_ok());
        assert!(mailbox.has_waits());
        let mut taken = Records::new();
        mailbox.take(&mut taken);
        taken.front().expect("one").discard();
        mailbox.cell().left(0);
        assert!(mailbox.rest(false));
        assert!(!mailbox.has_waits());
    }
}

#[test]
fn few_messages_are_taken_by_an_owner_that_rests_with_that() {
    let (mailbox, ready) = mailbox(3);
    let waker = Waker::noop();
    assert!(mailbox.take_few(2).is_none(), "none");
    for number in 0..3 {
        assert!(mailbox.push(told(number)).is_ok());
    }
    assert!(mailbox.take_few(2).is_none(), "too many");
    assert!(
        mailbox.take_few(3).is_none(),
        "senders may begin to wait beside as many"
    );
    let mut taken = Records::new();
    assert!(mailbox.take(&mut taken));
    for left in [2, 1, 0] {
        taken.front().expect("one").discard();
        mailbox.cell().left(left);
    }
    assert!(mailbox.rest(false));
    assert!(mailbox.push(told(3)).is_ok() && mailbox.push(told(4)).is_ok());
    assert_eq!(ready.0.lock().len(), 2, "scheduled again");
    let taken = mailbox.take_few(2).expect("they are few");
    assert!(!mailbox.has_waits());
    assert_eq!((taken.len(), mailbox.len()), (2, 2), "what is taken counts");
    assert!(mailbox.push(told(5)).is_ok());
    assert_eq!(ready.0.lock().len(), 3, "it has come to rest");
    assert!(matches!(mailbox.push(told(6)), Err(Refused::Full(_))));
    assert!(!mailbox.poll_room(waker));
    assert!(mailbox.take_few(2).is_none(), "somebody waits for room");
    assert!(!mailbox.stay(), "it is to be visited");
    let numbers: Vec<_> = taken
        .into_records()
        .into_letters()
        .map(|letter| number(&letter))
        .collect();
    assert_eq!(numbers, [3, 4]);
}
