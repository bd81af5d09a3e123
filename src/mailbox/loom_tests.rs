//! What threads can do to one mailbox and to one reply, in every order, explored by loom (`make loom`).

use super::*;
use crate::{clock::Moment, ident::ActorId, sync::explore, wire::EncodeError};
use loom::{
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};
use std::{
    any::{Any, TypeId},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// Wakes a thread of a model.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().expect("sound") = true;
        self.changed.notify_one();
    }

    /// Waits until it has rung since the last call. If it never does, loom says that the model is in a deadlock.
    fn wait(&self) {
        let mut rung = self.rung.lock().expect("sound");
        while !*rung {
            rung = self.changed.wait(rung).expect("sound");
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (bell.clone(), bell.into())
}

/// The owner's thread as its mailbox sees it.
#[derive(Default)]
struct Owner {
    bell: Bell,
    /// Injections that the owner has not seen.
    injected: AtomicU32,
}

impl Host for Owner {
    fn offers(&self) -> &dyn Any {
        &()
    }

    fn inject(&self, _: &Arc<Mailbox>) {
        let before = self.injected.fetch_add(1, Ordering::AcqRel);
        assert_eq!(before, 0, "once until it has come to rest");
        self.bell.ring();
    }

    fn run_here(&self, _: &Arc<Mailbox>, _: TypeId, _: &mut dyn Any) -> Result<(), NotHere> {
        Err(NotHere)
    }
}

impl Owner {
    fn scheduled(&self) {
        self.bell.wait();
        self.injected.store(0, Ordering::Release);
    }
}

struct Number(u32);

impl TypedMessage for Number {
    fn name(&self) -> &'static str {
        "number"
    }

    fn encode(&self) -> Result<bytes::Bytes, EncodeError> {
        Ok(bytes::Bytes::new())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

fn mailbox(capacity: usize) -> (Arc<Mailbox>, Arc<Owner>) {
    let owner = Arc::new(Owner::default());
    let actor = ActorId::new("k", "a").expect("valid");
    let mailbox = Arc::new(Mailbox::new(actor, capacity, owner.clone(), Moment(0)));
    mailbox.set_open(true);
    (mailbox, owner)
}

/// Runs what was taken.
fn run_taken(mailbox: &Mailbox, taken: &mut Records, ran: &mut Vec<u32>) {
    while let Some(front) = taken.front() {
        ran.extend(front.take::<Told<Number>>().ok().map(|told| told.0.0));
        mailbox.cell().left(u32::try_from(taken.len()).expect("few"));
    }
}

/// Runs what is there, and is visited again if more comes; answers what it has run.
fn run_few(mailbox: &Mailbox, ran: &mut Vec<u32>) {
    match mailbox.take_few(32) {
        Some(mut taken) => run_taken(mailbox, &mut taken, ran),
        None => run(mailbox, ran),
    }
}

/// Runs what is there until the owner may rest; answers what it has run.
fn run(mailbox: &Mailbox, ran: &mut Vec<u32>) {
    let mut taken = Records::new();
    loop {
        mailbox.take(&mut taken);
        run_taken(mailbox, &mut taken, ran);
        mailbox.ran();
        if mailbox.rest(false) {
            return;
        }
    }
}

/// Two senders and an owner that runs what it finds.
fn no_push_is_missed(run: fn(&Mailbox, &mut Vec<u32>)) {
    let (mailbox, owner) = mailbox(10);
    let send = |numbers: &'static [u32]| {
        let mailbox = mailbox.clone();
        thread::spawn(move || {
            for number in numbers {
                assert!(mailbox.push(Told(Number(*number))).is_ok());
            }
        })
    };
    let senders = [send(&[0, 1]), send(&[10])];
    let mut ran = Vec::new();
    while ran.len() < 3 {
        owner.scheduled();
        run(&mailbox, &mut ran);
    }
    ran.retain(|number| *number < 10);
    assert_eq!(ran, [0, 1], "in the order of their sender");
    for sender in senders {
        sender.join().expect("it ends");
    }
}

#[test]
fn no_push_is_missed_by_an_owner_that_comes_to_rest() {
    explore("push, take, rest: two senders, three messages", 3, || {
        no_push_is_missed(run);
    });
    explore("push, take and rest in one: the same", 3, || {
        no_push_is_missed(run_few);
    });
}

/// The interleaving: the owner takes a message and rests with that; its turn waits, so that the owner is to come to rest after all,
/// and is woken, while another message comes.
#[test]
fn an_owner_that_has_rested_too_early_stays() {
    explore("a turn waits after take and rest in one", 3, || {
        let (mailbox, owner) = mailbox(10);
        assert!(mailbox.push(Told(Number(0))).is_ok());
        owner.scheduled();
        let mut taken = mailbox.take_few(32).expect("one message");
        let may_end = Arc::new(AtomicBool::new(false));
        let waker = {
            let (mailbox, may_end) = (mailbox.clone(), may_end.clone());
            thread::spawn(move || {
                may_end.store(true, Ordering::Release);
                mailbox.wake();
            })
        };
        let sender = {
            let mailbox = mailbox.clone();
            thread::spawn(move || assert!(mailbox.push(Told(Number(7))).is_ok()))
        };
        taken.front().expect("the first").discard();
        mailbox.cell().left(0);
        // The turn waits, and this is the end of its first visit.
        if !mailbox.stay() || mailbox.rest(true) {
            owner.scheduled();
        }
        loop {
            mailbox.take_woken();
            // This is its poll.
            if may_end.load(Ordering::Acquire) {
                break;
            }
            if mailbox.rest(true) {
                owner.scheduled();
            }
        }
        let mut ran = Vec::new();
        run(&mailbox, &mut ran);
        while ran.is_empty() {
            owner.scheduled();
            run(&mailbox, &mut ran);
        }
        assert_eq!(ran, [7]);
        waker.join().expect("it ends");
        sender.join().expect("it ends");
    });
}

#[test]
fn a_wake_of_a_turn_that_waits_is_not_missed_and_a_message_behind_it_neither() {
    explore("a turn that waits is woken while a message comes", 3, || {
        let (mailbox, owner) = mailbox(10);
        assert!(mailbox.push(Told(Number(0))).is_ok());
        let may_end = Arc::new(AtomicBool::new(false));
        let waker = {
            let (mailbox, may_end) = (mailbox.clone(), may_end.clone());
            thread::spawn(move || {
                may_end.store(true, Ordering::Release);
                mailbox.wake();
            })
        };
        let sender = {
            let mailbox = mailbox.clone();
            thread::spawn(move || assert!(mailbox.push(Told(Number(7))).is_ok()))
        };
        // A turn is under way.
        let mut taken = Records::new();
        owner.scheduled();
        mailbox.take(&mut taken);
        taken.front().expect("the first").discard();
        mailbox.cell().left(u32::try_from(taken.len()).expect("few"));
        while !may_end.load(Ordering::Acquire) {
            if mailbox.rest(true) {
                owner.scheduled();
            }
            mailbox.take_woken();
        }
        mailbox.put_back(&mut taken);
        let mut ran = Vec::new();
        run(&mailbox, &mut ran);
        while ran.is_empty() {
            owner.scheduled();
            mailbox.take_woken();
            run(&mailbox, &mut ran);
        }
        assert_eq!(ran, [7]);
        waker.join().expect("it ends");
        sender.join().expect("it ends");
    });
}

/// Senders that each put so many messages into a mailbox without room for all.
fn who_waits_gets_in(capacity: usize, each: u32) {
    let (mailbox, owner) = mailbox(capacity);
    let send = || {
        let mailbox = mailbox.clone();
        thread::spawn(move || {
            let (bell, waker) = bell();
            for number in 0..each {
                let mut message = Told(Number(number));
                while let Err(Refused::Full(back)) = mailbox.push(message) {
                    message = back;
                    if !mailbox.poll_room(&waker) {
                        bell.wait();
                    }
                }
            }
        })
    };
    let senders = [send(), send()];
    let mut ran = Vec::new();
    while ran.len() < 2 * each as usize {
        owner.scheduled();
        run_few(&mailbox, &mut ran);
    }
    for sender in senders {
        sender.join().expect("it ends");
    }
}

/// Pitfall 8: a flag alone can be missed by an owner that has just become idle.
#[test]
fn who_waits_for_room_gets_in() {
    explore("two senders wait for the room of one", 3, || who_waits_gets_in(1, 1));
    // Here a message can be taken by an owner that does not look again.
    explore("two senders of two wait for the room of two", 2, || {
        who_waits_gets_in(2, 2)
    });
}

#[test]
fn who_waits_for_room_hears_that_the_mailbox_is_closed() {
    explore("a mailbox is closed while a sender waits for room", 3, || {
        let (mailbox, _owner) = mailbox(1);
        assert!(mailbox.push(Told(Number(0))).is_ok());
        let sender = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                let (bell, waker) = bell();
                loop {
                    match mailbox.push(Told(Number(1))) {
                        Err(Refused::Closed(_)) => return,
                        Err(Refused::Full(_)) => {}
                        Ok(()) => panic!("there is no room"),
                    }
                    if !mailbox.poll_room(&waker) {
                        bell.wait();
                    }
                }
            })
        };
        assert_eq!(mailbox.close().len(), 1);
        sender.join().expect("it ends");
    });
}

/// Counts how many of it are alive.
struct Counted(Arc<std::sync::atomic::AtomicI32>);

impl Counted {
    fn new() -> (Self, Arc<std::sync::atomic::AtomicI32>) {
        let alive = Arc::new(std::sync::atomic::AtomicI32::new(1));
        (Self(alive.clone()), alive)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

fn poll<R>(wait: &mut ReplyWait<R>, waker: &Waker) -> Poll<Option<Answer<R>>> {
    Pin::new(wait).poll(&mut Context::from_waker(waker))
}

/// Pitfall 5: put, poll, and a second poll with another waker, which replaces the first.
#[test]
fn an_answer_reaches_the_last_one_who_polled() {
    explore("a reply is put, polled, and polled by another", 3, || {
        let (sender, mut wait) = reply_pair();
        let (value, alive) = Counted::new();
        let answering = thread::spawn(move || assert!(sender.answer(Ok(Replied::Typed(value)))));
        let (_, first) = bell();
        let mut polled = poll(&mut wait, &first);
        if polled.is_pending() {
            let (bell, second) = bell();
            loop {
                polled = poll(&mut wait, &second);
                if polled.is_ready() {
                    break;
                }
                bell.wait();
            }
        }
        let Poll::Ready(Some(Ok(Replied::Typed(value)))) = polled else {
            panic!("it was answered");
        };
        assert_eq!(alive.load(std::sync::atomic::Ordering::SeqCst), 1);
        drop(value);
        assert_eq!(alive.load(std::sync::atomic::Ordering::SeqCst), 0, "once");
        answering.join().expect("it ends");
    });
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_is_dropped_once() {
    explore("a reply is put while its caller gives up", 3, || {
        let (sender, mut wait) = reply_pair();
        let (value, alive) = Counted::new();
        let answering = thread::spawn(move || {
            let abandoned = sender.is_abandoned();
            let answered = sender.answer(Ok(Replied::Typed(value)));
            assert!(!(abandoned && answered));
        });
        let (_, waker) = bell();
        let _ = poll(&mut wait, &waker);
        drop(wait);
        answering.join().expect("it ends");
        assert_eq!(alive.load(std::sync::atomic::Ordering::SeqCst), 0);
    });
}

/// Pitfall 4: never silence.
#[test]
fn who_waits_hears_that_there_will_be_no_answer() {
    explore("the end that answers is dropped", 3, || {
        let (sender, mut wait) = reply_pair::<u32>();
        let dropping = thread::spawn(move || drop(sender));
        let (bell, waker) = bell();
        let polled = loop {
            match poll(&mut wait, &waker) {
                Poll::Ready(answer) => break answer,
                Poll::Pending => bell.wait(),
            }
        };
        assert!(polled.is_none());
        dropping.join().expect("it ends");
    });
}
