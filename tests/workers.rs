//! The threads of a silo: blocking work, turns that are stuck, load.

mod common;

use common::*;
use parking_lot::Mutex;
use quark::{
    actor::BlockingError,
    client::Client,
    clock::Clock,
    prelude::*,
    silo::{Silo, SiloHandle, SiloOptions},
    store::SiloStatus,
};
use std::{sync::Once, time::Duration};

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

/// What was logged at level warn and above.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A silo by whose measure a turn is stuck soon, and whose log is kept.
async fn start_impatient(workers: usize) -> SiloHandle {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false);
        log.with_writer(|| Log).init();
    });
    let cluster = cluster_name();
    let options = SiloOptions {
        name: "one".into(),
        store: format!("memory:{cluster}"),
        cluster,
        workers,
        handle_signals: false,
        stuck_turn: Duration::from_millis(600),
        ..SiloOptions::default()
    };
    Silo::builder().options(options).start().await.expect("the silo starts")
}

/// The warnings about turns of an actor.
fn warnings(actor: &str) -> Vec<String> {
    let log = String::from_utf8(LOG.lock().clone()).expect("text");
    let about = log
        .lines()
        .filter(|line| line.contains("a turn ") && line.contains(&format!("{actor} ")));
    about.map(str::to_owned).collect()
}

async fn start_with_one_worker() -> SiloHandle {
    silo(&cluster_name(), "one")
        .workers(1)
        .start()
        .await
        .expect("the silo starts")
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

#[tokio::test]
async fn a_turn_that_waits_too_long_is_reported_with_its_message_once_and_while_it_lasts() {
    let silo = start_impatient(1).await;
    let (stuck, other) = (silo.actor::<Guest>("waits"), silo.actor::<Guest>("does not"));
    // An earlier turn of the same actor that waited, but not for long.
    DOORS.open("open");
    stuck
        .ask(Through("open".into(), How::Elsewhere))
        .await
        .expect("answered")
        .expect("done");
    let passing = stuck.try_ask(Through("red".into(), How::Asking)).expect("room");
    until("both are reported", || silo.status().stuck.len() == 2).await;
    let status = silo.status();
    let turn = (status.stuck.iter())
        .find(|turn| turn.actor.key() == "waits")
        .expect("one of them");
    assert_eq!((turn.message.as_str(), turn.blocks), ("guest.pass", false));
    assert!(turn.for_ms >= 100, "{}", turn.for_ms);
    // Its arbiter is free, and looks at it many times more.
    let clock = Clock::system();
    let end = clock.now() + Duration::from_millis(1500);
    until("some time has passed", || clock.now() > end).await;
    assert_eq!(other.ask(Greet).await.expect("answered"), "hello");
    assert_eq!(silo.status().stuck.len(), 2);
    DOORS.open("red");
    passing.await.expect("answered").expect("done");
    until("they are over", || silo.status().stuck.is_empty()).await;
    let warnings = warnings("guest/waits");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("guest.pass"), "{warnings:?}");
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn a_turn_that_blocks_its_thread_is_reported_with_its_message_once_and_while_it_lasts() {
    let silo = start_impatient(1).await;
    let guest = silo.actor::<Guest>("blocks");
    guest.ask(Greet).await.expect("answered");
    let passing = guest.try_ask(Through("black".into(), How::Here)).expect("room");
    until("it is reported", || !silo.status().stuck.is_empty()).await;
    let status = silo.status();
    assert_eq!(status.stuck.len(), 1, "{:?}", status.stuck);
    let turn = &status.stuck[0];
    assert_eq!(
        (turn.actor.key(), turn.message.as_str(), turn.blocks),
        ("blocks", "guest.pass", true)
    );
    assert!(turn.for_ms >= 100, "{}", turn.for_ms);
    DOORS.open("black");
    passing.await.expect("answered").expect("done");
    until("it is over", || silo.status().stuck.is_empty()).await;
    let warnings = warnings("guest/blocks");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("guest.pass") && warnings[0].contains("blocks its thread"),
        "{warnings:?}"
    );
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn a_turn_that_blocks_the_only_worker_holds_up_no_link() {
    let cluster = cluster_name();
    let first = silo(&cluster, "one").workers(1).start().await.expect("the silo starts");
    let blocked = first.actor::<Guest>("blocked");
    blocked.ask(Greet).await.expect("answered");
    let passing = blocked.try_ask(Through("amber".into(), How::Here)).expect("room");
    // Each of the two needs the links of the first, in both directions.
    let second = silo(&cluster, "two").workers(1).start().await.expect("the silo starts");
    let client = Client::builder().cluster(&cluster).seeds([first.address()]);
    let client = client.connect().await.expect("it answers");
    let (there, near) = (client.actor::<Guest>("blocked"), second.actor::<Guest>("blocked"));
    let (asked, found) = (there.try_ask(Greet).expect("room"), near.try_ask(Greet).expect("room"));
    DOORS.open("amber");
    passing.await.expect("answered").expect("done");
    assert_eq!(asked.await.expect("answered"), "hello");
    assert_eq!(found.await.expect("answered"), "hello");
    second.stop().await.expect("stops in order");
    first.stop().await.expect("stops in order");
}

#[tokio::test]
async fn a_hot_worker_is_visible_and_new_activations_go_to_another() {
    let silo = silo(&cluster_name(), "one")
        .workers(2)
        .start()
        .await
        .expect("the silo starts");
    let hot = silo.actor::<Guest>("hot");
    let passing = hot.try_ask(Through("white".into(), How::Here)).expect("room");
    until("one worker is seen to be busy", || {
        silo.status().workers.iter().any(|worker| worker.busy > 0.6)
    })
    .await;
    // Each of them would not be answered on the worker that is blocked.
    for n in 0..40 {
        assert_eq!(
            silo.actor::<Guest>(&n.to_string()).ask(Greet).await.expect("answered"),
            "hello"
        );
    }
    // A turn is counted when the visit that it belongs to has ended.
    until("all turns are counted", || {
        silo.status().workers.iter().any(|worker| worker.turns >= 40)
    })
    .await;
    let mut workers = silo.status().workers;
    workers.sort_by_key(|worker| worker.activations);
    assert_eq!(
        workers.iter().map(|worker| worker.activations).collect::<Vec<_>>(),
        [1, 40]
    );
    assert!(
        workers[1].turns >= 40 && workers[1].busy < workers[0].busy,
        "{workers:?}"
    );
    DOORS.open("white");
    passing.await.expect("answered").expect("done");
    until("it is idle again", || {
        silo.status().workers.iter().all(|worker| worker.busy < 0.5)
    })
    .await;
    silo.stop().await.expect("stops in order");
}
