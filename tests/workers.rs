//! The threads of a silo: blocking work, turns that are stuck, load.

mod common;

use common::*;
use quark::{actor::BlockingError, clock::Clock, prelude::*, silo::SiloHandle, store::SiloStatus};
use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex},
    time::Duration,
};

/// Doors by name: closed until they are opened.
static DOORS: Doors = Doors {
    open: Mutex::new(BTreeMap::new()),
    changed: Condvar::new(),
};

struct Doors {
    open: Mutex<BTreeMap<String, bool>>,
    changed: Condvar,
}

impl Doors {
    /// Blocks the thread until the door is open; `arrived` tells that somebody stands before it.
    fn pass(&self, name: &str) {
        let mut open = self.open.lock().unwrap();
        open.entry(name.to_owned()).or_insert(false);
        while !open[name] {
            open = self.changed.wait(open).unwrap();
        }
    }

    fn arrived(&self, name: &str) -> bool {
        self.open.lock().unwrap().contains_key(name)
    }

    fn open(&self, name: &str) {
        self.open.lock().unwrap().insert(name.to_owned(), true);
        self.changed.notify_all();
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Guest;

/// Passes a door: on the worker's thread, on one for blocking work, or by waiting for another actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Here,
    Elsewhere,
    Asking,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "guest.pass", reply = Result<String, String>)]
struct Through(String, How);

/// Blocking work that panics.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "guest.stumble", reply = String)]
struct Stumble;

/// Begins blocking work and gives it up.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "guest.leave")]
struct Leave(String);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "guest.greet", reply = String)]
struct Greet;

#[actor(kind = "guest", messages(Through, Stumble, Leave, Greet), volatile)]
impl Actor for Guest {}

impl Handler<Through> for Guest {
    async fn handle(&mut self, through: Through, ctx: &mut Context<Self>) -> Result<String, String> {
        let Through(door, how) = through;
        match how {
            How::Here => {
                DOORS.pass(&door);
                Ok(door)
            }
            How::Elsewhere => {
                let work = ctx.blocking(move || {
                    DOORS.pass(&door);
                    format!("{door} by {:?}", std::thread::current().name())
                });
                work.await.map_err(|error| error.to_string())
            }
            How::Asking => {
                let other = ctx.actor::<Self>(&format!("{}'s friend", ctx.key()));
                let asked = other.ask(Through(door, How::Elsewhere)).await;
                asked.map_err(|error| error.to_string())?
            }
        }
    }
}

impl Handler<Stumble> for Guest {
    async fn handle(&mut self, _: Stumble, ctx: &mut Context<Self>) -> String {
        let work = ctx.blocking(|| -> u32 { panic!("over a stone") });
        match work.await {
            Err(BlockingError::Panicked { text }) => text,
            other => panic!("{other:?}"),
        }
    }
}

impl Handler<Leave> for Guest {
    async fn handle(&mut self, leave: Leave, ctx: &mut Context<Self>) {
        let door = leave.0.clone();
        let work = ctx.blocking(move || {
            DOORS.pass(&door);
            DOORS.open(&format!("{door}, behind"));
        });
        let begun = until("the work begins", || DOORS.arrived(&leave.0));
        futures_util::future::select(std::pin::pin!(work), std::pin::pin!(begun)).await;
    }
}

impl Handler<Greet> for Guest {
    async fn handle(&mut self, _: Greet, _: &mut Context<Self>) -> String {
        "hello".into()
    }
}

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while !is_so() {
        assert!(clock.now() < end, "{what}");
        clock.sleep(Duration::from_millis(2)).await;
    }
}

async fn start_with_one_worker() -> SiloHandle {
    silo(&cluster_name(), "one").workers(1).start().await.unwrap()
}

#[tokio::test]
async fn blocking_work_lets_the_other_actors_of_the_arbiter_go_on() {
    let silo = start_with_one_worker().await;
    let (busy, other) = (silo.actor::<Guest>("busy"), silo.actor::<Guest>("other"));
    let passing = busy.try_ask(Through("blue".into(), How::Elsewhere)).expect("room");
    until("the work begins", || DOORS.arrived("blue")).await;
    for _ in 0..100 {
        assert_eq!(other.ask(Greet).await.expect("answered"), "hello");
    }
    DOORS.open("blue");
    let passed = passing.await.expect("answered").expect("done");
    assert!(passed.contains("quark-block-"), "{passed}");
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn blocking_work_that_panics_is_an_error_with_its_text() {
    let silo = start_with_one_worker().await;
    let guest = silo.actor::<Guest>("a");
    for _ in 0..10 {
        assert_eq!(guest.ask(Stumble).await.expect("answered"), "over a stone");
    }
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn blocking_work_whose_future_is_dropped_goes_on_and_the_shutdown_waits_for_it() {
    let silo = start_with_one_worker().await;
    silo.actor::<Guest>("a")
        .ask(Leave("green".into()))
        .await
        .expect("answered");
    let stop = silo.stop();
    let (report, ()) = futures_util::future::join(stop, async {
        until("the silo has left", || silo.status().status == SiloStatus::Dead).await;
        DOORS.open("green");
    })
    .await;
    report.expect("stops in order");
    assert!(DOORS.arrived("green, behind"), "it was done before the silo ended");
}
