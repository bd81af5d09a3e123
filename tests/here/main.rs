//! Turns that run where they are asked for, and what a worker owes to all else on its thread.

mod asks;
#[path = "../common/mod.rs"]
mod common;
mod single;
mod threads;

use common::{cluster_name, silo};
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use quark::{
    actor::{CallError, TryError},
    clock::Clock,
    prelude::*,
    silo::{Silo, SiloHandle, SiloOptions},
};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    task::Poll,
    thread::{self, ThreadId},
    time::Duration,
};
use tokio::sync::Semaphore;

/// Gates by name: closed until they are opened, for good.
static GATES: Mutex<BTreeMap<String, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());

fn gate(name: &str) -> Arc<Semaphore> {
    let mut gates = GATES.lock();
    gates
        .entry(name.to_owned())
        .or_insert_with(|| Arc::new(Semaphore::new(0)))
        .clone()
}

fn open(name: &str) {
    gate(name).add_permits(1000);
}

async fn pass(name: &str) {
    gate(name).acquire().await.expect("gates are not closed").forget();
}

/// Carries code to its arbiter.
#[derive(Default, Serialize, Deserialize)]
struct Driver;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "driver.run")]
struct Run {
    /// Does not travel: the driver is in this process.
    #[serde(skip)]
    job: Option<BoxFuture<'static, ()>>,
    in_turn: bool,
}

#[actor(kind = "driver", messages(Run), volatile)]
impl Actor for Driver {}

impl Handler<Run> for Driver {
    async fn handle(&mut self, run: Run, _: &mut Context<Self>) {
        let job = run.job.expect("the driver is in this process");
        if run.in_turn {
            job.await;
        } else {
            actix_rt::spawn(job);
        }
    }
}

/// Polls once.
async fn poll<F>(future: &mut Pin<F>) -> Poll<<F::Target as Future>::Output>
where
    F: std::ops::DerefMut<Target: Future>,
{
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Turn,
    Task,
}

/// Runs code on the arbiter of a silo that has one: in the turn of an actor, or in a task of none.
async fn on_arbiter<T: Send + 'static>(
    silo: &SiloHandle,
    place: Place,
    job: impl Future<Output = T> + Send + 'static,
) -> T {
    let (tell, told) = tokio::sync::oneshot::channel();
    let job = async move {
        let _ = tell.send(job.await);
    };
    let run = Run {
        job: Some(Box::pin(job)),
        in_turn: place == Place::Turn,
    };
    silo.actor::<Driver>("driver").tell(run).await.expect("sent");
    told.await.expect("it has ended well")
}

/// An actor that is active, and whose reference has found the short way to it.
async fn active(silo: &SiloHandle, key: &str) -> ActorRef<One> {
    let one = silo.actor::<One>(key);
    for _ in 0..2 {
        one.ask(Save).await.expect("active");
    }
    one.ask(Book(0)).await.expect("active");
    one
}

async fn one_arbiter(mailbox_capacity: usize) -> SiloHandle {
    let options = SiloOptions {
        workers: 1,
        mailbox_capacity,
        ..SiloOptions::default()
    };
    start(options).await
}

async fn two_arbiters(spin: Duration) -> SiloHandle {
    let options = SiloOptions {
        workers: 2,
        spin,
        ..SiloOptions::default()
    };
    start(options).await
}

/// A silo alone.
async fn start(options: SiloOptions) -> SiloHandle {
    let cluster = cluster_name();
    let options = SiloOptions {
        name: "one".into(),
        store: format!("memory:{cluster}"),
        cluster,
        handle_signals: false,
        ..options
    };
    Silo::builder().options(options).start().await.expect("the silo starts")
}

/// Books what it is told, and does as it is told.
#[derive(Debug, Default, Serialize, Deserialize)]
struct One {
    booked: Vec<u64>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.book", reply = Vec<u64>)]
struct Book(u64);

/// Books when a gate is open.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.wait", reply = Vec<u64>)]
struct Wait(String, u64);

/// Panics, at once or when a gate is open.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.panic")]
struct Panic(Option<String>);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.save")]
struct Save;

/// Has so many more ask each other, one within the other.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.deep", reply = u64)]
struct Deep(u64);

/// Sends itself so many numbers, and books the sum of what it carries.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.multiply", reply = u64)]
struct Multiply {
    times: u64,
    ballast: [u64; 16],
    text: String,
}

/// Tells itself until that fails; answers how often it did not, and how it failed.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.fill", reply = (u64, String))]
struct Fill {
    awaited: bool,
}

/// Tells itself the same again and again, until a gate is open.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "one.spin")]
struct Spin(String);

#[actor(kind = "one", messages(Book, Wait, Panic, Save, Deep, Multiply, Fill, Spin))]
impl Actor for One {}

impl Handler<Book> for One {
    async fn handle(&mut self, book: Book, _: &mut Context<Self>) -> Vec<u64> {
        self.booked.push(book.0);
        self.booked.clone()
    }
}

impl Handler<Wait> for One {
    async fn handle(&mut self, wait: Wait, _: &mut Context<Self>) -> Vec<u64> {
        pass(&wait.0).await;
        self.booked.push(wait.1);
        self.booked.clone()
    }
}

impl Handler<Panic> for One {
    async fn handle(&mut self, panic: Panic, _: &mut Context<Self>) {
        if let Some(name) = panic.0 {
            pass(&name).await;
        }
        panic!("as it was told");
    }
}

impl Handler<Save> for One {
    async fn handle(&mut self, _: Save, ctx: &mut Context<Self>) {
        ctx.save(self).await.expect("saved");
    }
}

impl Handler<Deep> for One {
    async fn handle(&mut self, deep: Deep, ctx: &mut Context<Self>) -> u64 {
        match deep.0 {
            0 => 0,
            more => {
                let next = ctx.actor::<Self>(&format!("deep-{more}"));
                next.ask(Deep(more - 1)).await.expect("answered") + 1
            }
        }
    }
}

impl Handler<Multiply> for One {
    async fn handle(&mut self, multiply: Multiply, ctx: &mut Context<Self>) -> u64 {
        let own = ctx.actor::<Self>(ctx.key());
        for n in 0..multiply.times {
            own.try_tell(Book(n)).expect("room");
        }
        tokio::task::yield_now().await;
        assert_eq!(multiply.text, "not overwritten");
        multiply.ballast.iter().sum()
    }
}

impl Handler<Fill> for One {
    async fn handle(&mut self, fill: Fill, ctx: &mut Context<Self>) -> (u64, String) {
        let own = ctx.actor::<Self>(ctx.key());
        for n in 0.. {
            let failed = if fill.awaited {
                own.tell(Book(n)).await.err().map(|error| {
                    assert!(matches!(error, CallError::Full(_)), "{error}");
                    error.to_string()
                })
            } else {
                own.try_tell(Book(n)).err().map(|error| {
                    assert!(matches!(error, TryError::Full(Book(back)) if back == n), "{error}");
                    error.to_string()
                })
            };
            if let Some(failed) = failed {
                return (n, failed);
            }
        }
        unreachable!("the mailbox is bounded")
    }
}

impl Handler<Spin> for One {
    async fn handle(&mut self, spin: Spin, ctx: &mut Context<Self>) {
        if gate(&spin.0).available_permits() == 0 {
            let own = ctx.actor::<Self>(ctx.key());
            own.try_tell(spin).expect("room for one");
        }
    }
}

/// Waits until it is so, and fails if it never is.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while !is_so() {
        assert!(clock.now() < end, "{what}");
        clock.sleep(Duration::from_millis(1)).await;
    }
}
