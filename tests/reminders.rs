//! Reminders on silos: they activate, keep their grid, outlive restarts, and tick once each while actors move and silos come and go.

mod common;

use common::{cluster_name, know_each_other, silo, start, until};
use quark::{
    actor::{Schedule, Tick},
    clock::Clock,
    ident::{ActorId, Epoch, SiloId},
    prelude::*,
    silo::SiloHandle,
    store::{
        self, Bucket, Entry, EntryChange, EntryOutcome, Missed, Owner, ReminderId, ReminderSpec, ReminderWrite,
        SaveOutcome, SaveRequest, Unknown,
    },
    wire::encode,
};
use std::time::Duration;

/// Keeps the ticks that it got.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Alarm {
    /// Of each when it was due, and what it brought.
    ticks: Vec<(u64, u32)>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "alarm.set", reply = Option<String>)]
struct Set {
    name: String,
    after: Duration,
    every: Option<Duration>,
    missed: Missed,
    n: u32,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "alarm.cancel", reply = bool)]
struct Cancel(String);

/// What a tick brings.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "alarm.ring")]
struct Ring(u32);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "alarm.read", reply = Vec<(u64, u32)>)]
struct Ticks;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "alarm.end")]
struct End;

#[actor(kind = "alarm", messages(Set, Cancel, Tick<Ring>, Ticks, End))]
impl Actor for Alarm {}

impl Handler<Set> for Alarm {
    async fn handle(&mut self, set: Set, ctx: &mut Context<Self>) -> Option<String> {
        let schedule = set.every.map_or(Schedule::once(set.after), Schedule::every);
        let schedule = schedule.starting(set.after).missed(set.missed);
        let set = ctx.set_reminder(&set.name, schedule, &Ring(set.n)).await;
        set.err().map(|error| error.to_string())
    }
}

impl Handler<Cancel> for Alarm {
    async fn handle(&mut self, cancel: Cancel, ctx: &mut Context<Self>) -> bool {
        ctx.cancel_reminder(&cancel.0).await.expect("the store answers")
    }
}

impl Handler<Tick<Ring>> for Alarm {
    async fn handle(&mut self, tick: Tick<Ring>, _: &mut Context<Self>) {
        self.ticks.push((tick.due_micros, tick.message.0));
    }
}

impl Handler<Ticks> for Alarm {
    async fn handle(&mut self, _: Ticks, _: &mut Context<Self>) -> Vec<(u64, u32)> {
        self.ticks.clone()
    }
}

impl Handler<End> for Alarm {
    async fn handle(&mut self, _: End, ctx: &mut Context<Self>) {
        ctx.deactivate();
    }
}

const EVERY: Duration = Duration::from_millis(200);

fn once(after: Duration, n: u32) -> Set {
    Set {
        name: "once".into(),
        after,
        every: None,
        missed: Missed::Once,
        n,
    }
}

fn every(missed: Missed) -> Set {
    Set {
        name: "every".into(),
        after: EVERY,
        every: Some(EVERY),
        missed,
        n: 7,
    }
}

async fn set(silo: &SiloHandle, key: &str, set: Set) {
    let answer = silo.actor::<Alarm>(key).ask(set).await;
    assert_eq!(answer.expect("answered"), None);
}

async fn ticks(silo: &SiloHandle, key: &str) -> Vec<(u64, u32)> {
    silo.actor::<Alarm>(key).ask(Ticks).await.expect("answered")
}

/// Waits for so many ticks.
async fn ticked(silo: &SiloHandle, key: &str, count: usize) -> Vec<(u64, u32)> {
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    loop {
        let found = ticks(silo, key).await;
        if found.len() >= count {
            return found;
        }
        assert!(clock.now() < end, "{} of {count} ticks came", found.len());
        clock.sleep(Duration::from_millis(5)).await;
    }
}

/// Each tick of the grid is there once, up to the last.
fn assert_on_grid(key: &str, ticks: &[(u64, u32)]) {
    let step = u64::try_from(EVERY.as_micros()).expect("small");
    for pair in ticks.windows(2) {
        assert_eq!(pair[1].0 - pair[0].0, step, "{key}: {ticks:?}");
    }
}

/// R120, R121, R122
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_activates_its_actor_and_keeps_its_grid() {
    let silo = start(&cluster_name(), "a").await;
    let alarm = silo.actor::<Alarm>("x");
    let before = Clock::system().wall_micros();
    set(&silo, "x", once(Duration::from_millis(300), 1)).await;
    set(&silo, "x", every(Missed::CatchUp)).await;
    let far = once(Duration::from_secs(3600), 2);
    set(
        &silo,
        "x",
        Set {
            name: "far".into(),
            ..far
        },
    )
    .await;
    let set: Vec<_> = silo.reminders::<Alarm>("x").await.expect("read");
    let names: Vec<_> = set.iter().map(|reminder| (&*reminder.name, reminder.every)).collect();
    assert_eq!(names, [("every", Some(EVERY)), ("far", None), ("once", None)]);
    alarm.ask(End).await.expect("answered");
    until("it is idle", || silo.status().activations.is_empty()).await;

    until("it is active", || !silo.status().activations.is_empty()).await;
    let found = ticked(&silo, "x", 5).await;
    let shots: Vec<_> = found.iter().filter(|(_, n)| *n == 1).collect();
    assert_eq!(shots.len(), 1);
    assert!(shots[0].0 >= before + 300_000, "not before its time");
    let grid: Vec<_> = found.iter().filter(|(_, n)| *n == 7).copied().collect();
    assert_on_grid("x", &grid);
    let left: Vec<_> = silo.reminders::<Alarm>("x").await.expect("read");
    let names: Vec<_> = left.iter().map(|reminder| &*reminder.name).collect();
    assert_eq!(names, ["every", "far"], "a one-shot is removed when it has run");

    assert!(alarm.ask(Cancel("every".into())).await.expect("answered"));
    assert!(!alarm.ask(Cancel("every".into())).await.expect("answered"));
    assert!(silo.cancel_reminder::<Alarm>("x", "far").await.expect("removed"));
    until("no tick is at work", || silo.reminder_status().at_work == 0).await;
    let last = ticks(&silo, "x").await.len();
    Clock::system().sleep(EVERY * 2).await;
    assert_eq!(ticks(&silo, "x").await.len(), last, "what is cancelled does not tick");
    silo.stop().await.expect("stops in order");
}

/// R46: setting one again takes the old one's place, also while that is due.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_that_is_set_again_ticks_as_it_was_set_last() {
    let silo = start(&cluster_name(), "a").await;
    for n in 0..50 {
        set(&silo, "x", once(Duration::from_millis(200), n)).await;
    }
    assert_eq!(ticked(&silo, "x", 1).await[0].1, 49);
    until("it is done", || silo.reminder_status().at_work == 0).await;
    assert_eq!(ticks(&silo, "x").await.len(), 1);
    assert!(silo.reminders::<Alarm>("x").await.expect("read").is_empty());
    let too_often = Set {
        every: Some(Duration::from_millis(99)),
        ..every(Missed::Once)
    };
    let refused = silo.actor::<Alarm>("x").ask(too_often).await.expect("answered");
    assert!(refused.is_some_and(|why| why.contains("100 ms")));
    silo.stop().await.expect("stops in order");
}

/// R120: all silos are gone while ticks are due.
#[tokio::test(flavor = "multi_thread")]
async fn reminders_outlive_the_whole_cluster() {
    let (folder, cluster) = (tempfile::tempdir().expect("a folder"), cluster_name());
    let url = format!("embedded:{}", folder.path().join("quark.db").display());
    let start = async |name: &str| silo(&cluster, name).store(&url).start().await.expect("it starts");
    let first = start("a").await;
    set(&first, "x", once(Duration::from_millis(500), 1)).await;
    set(&first, "y", every(Missed::Once)).await;
    set(&first, "z", every(Missed::CatchUp)).await;
    first.stop().await.expect("stops in order");

    let clock = Clock::system();
    clock.sleep(Duration::from_secs(1)).await;
    // Of another name: nobody hands anything over to it.
    let second = start("b").await;
    assert_eq!(ticked(&second, "x", 1).await.len(), 1);
    let late = ticked(&second, "y", 3).await;
    let step = u64::try_from(EVERY.as_micros()).expect("small");
    assert!(
        late.iter().all(|tick| (tick.0 - late[0].0) % step == 0),
        "on the grid: {late:?}"
    );
    assert_on_grid("z", &ticked(&second, "z", 8).await);
    second.stop().await.expect("stops in order");
}

/// R121: owners that ended without a word, one of them before anybody of this cluster was there.
#[tokio::test(flavor = "multi_thread")]
async fn buckets_of_silos_that_crashed_are_taken_over() {
    let cluster = cluster_name();
    let store = store::open(&format!("memory:{cluster}"), &cluster).expect("opens");
    for bucket in Bucket::all() {
        // An earlier life of the silo, and one that the membership table never knew.
        let name = if bucket.number() % 2 == 0 { "a" } else { "ghost" };
        let owned = Entry::owned(SiloId::new(name, 1), Epoch(7));
        let claimed = store.change_bucket(bucket, Entry::default(), owned).await;
        claimed.expect("answered").expect("claimed");
    }
    let now = Clock::system().wall_micros();
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let write = |key: &String| ReminderWrite {
        id: ReminderId {
            actor: ActorId::new("alarm", key).expect("valid"),
            name: "left".into(),
        },
        owner: None,
        new: Some((
            now,
            ReminderSpec {
                every_micros: None,
                missed: Missed::Once,
                message: Tick::<Ring>::wire_name().into(),
                body: encode(&Ring(5)).expect("encodes"),
                unknown: Unknown::default(),
            },
        )),
    };
    store
        .write_reminders(keys.iter().map(write).collect())
        .await
        .expect("written");
    let silo = start(&cluster, "a").await;
    for key in &keys {
        assert_eq!(ticked(&silo, key, 1).await, [(now, 5)]);
    }
    until("all are marked", || silo.reminder_status().at_work == 0).await;
    assert_eq!(silo.reminder_status().buckets, usize::from(Bucket::COUNT));
    silo.stop().await.expect("stops in order");
    for row in store.buckets().await.expect("read") {
        assert_eq!(
            row.entry,
            Entry::free(Epoch(9)),
            "a silo that leaves in order gives them back"
        );
    }
}

fn homes_are_settled(silos: &[&SiloHandle]) -> bool {
    let all: usize = silos.iter().map(|silo| silo.reminder_status().buckets).sum();
    let is_settled = |silo: &&SiloHandle| {
        let status = silo.reminder_status();
        status.buckets > 0 && status.unsettled == 0
    };
    all == 64 && silos.iter().all(is_settled)
}

/// R45, R121, guarantee 4: with `CatchUp` every tick of the grid comes, and comes once, whoever delivers it and wherever to.
#[tokio::test(flavor = "multi_thread")]
async fn no_tick_is_doubled_or_lost_while_silos_come_and_go_and_actors_move() {
    let cluster = cluster_name();
    let mut silos = vec![start(&cluster, "a").await];
    let keys: Vec<String> = (0..24).map(|n| n.to_string()).collect();
    for key in &keys {
        set(&silos[0], key, every(Missed::CatchUp)).await;
    }
    for name in ["b", "c"] {
        silos.push(start(&cluster, name).await);
        know_each_other(&silos.iter().collect::<Vec<_>>()).await;
        until("the buckets are shared", || {
            homes_are_settled(&silos.iter().collect::<Vec<_>>())
        })
        .await;
        let status: Vec<_> = silos.iter().map(|silo| silo.reminder_status().buckets).collect();
        assert!(status.iter().all(|buckets| *buckets > 5), "{status:?}");
        for key in &keys {
            let id = ActorId::new("alarm", key).expect("valid");
            for silo in &silos {
                // From wherever it is to wherever suits.
                let _elsewhere = silo.migrate(&id, None).await;
            }
        }
    }
    // Those whose buckets are elsewhere than they are: all are set again.
    for key in &keys {
        set(
            &silos[1],
            key,
            Set {
                name: "more".into(),
                ..every(Missed::CatchUp)
            },
        )
        .await;
    }
    let report = silos.remove(0).stop().await.expect("stops in order");
    assert!(report.forced.is_empty());
    until("the buckets are handed over", || {
        homes_are_settled(&silos.iter().collect::<Vec<_>>())
    })
    .await;
    for key in &keys {
        let before = ticks(&silos[0], key).await.len();
        ticked(&silos[0], key, before + 3).await;
    }
    for key in &keys {
        for name in ["every", "more"] {
            assert!(silos[0].cancel_reminder::<Alarm>(key, name).await.expect("removed"));
        }
    }
    until("no tick is at work", || {
        silos.iter().all(|silo| silo.reminder_status().at_work == 0)
    })
    .await;
    let step = u64::try_from(EVERY.as_micros()).expect("small");
    for key in &keys {
        let mut dues: Vec<u64> = ticks(&silos[0], key).await.iter().map(|tick| tick.0).collect();
        dues.sort_unstable();
        let (first, second): (Vec<u64>, Vec<u64>) = dues.iter().partition(|due| (*due - dues[0]).is_multiple_of(step));
        for grid in [first, second] {
            assert!(grid.len() >= 3);
            assert!(grid.windows(2).all(|pair| pair[1] - pair[0] == step), "{key}: {grid:?}");
        }
    }
    for silo in silos {
        assert_eq!(silo.dead_letters().len(), 0);
        silo.stop().await.expect("stops in order");
    }
}

/// Saves the ticks that it got; what it builds on is taken from it in its first turn, as the start of its key says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Robbed {
    ticks: Vec<u64>,
}

/// Those that were robbed.
static ROBBED: parking_lot::Mutex<std::collections::BTreeSet<String>> =
    parking_lot::Mutex::new(std::collections::BTreeSet::new());

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "robbed.begin")]
struct Begin;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "robbed.ring")]
struct Rob;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "robbed.ticks", reply = Vec<u64>)]
struct Saved;

#[actor(kind = "robbed", messages(Begin, Tick<Rob>, Saved))]
impl Actor for Robbed {}

impl Handler<Begin> for Robbed {
    async fn handle(&mut self, _: Begin, ctx: &mut Context<Self>) {
        let soon = Schedule::once(Duration::from_millis(100));
        ctx.set_reminder("rob", soon, &Rob).await.expect("the store answers");
    }
}

impl Handler<Tick<Rob>> for Robbed {
    async fn handle(&mut self, tick: Tick<Rob>, ctx: &mut Context<Self>) {
        self.ticks.push(tick.due_micros);
        if ROBBED.lock().insert(ctx.key().to_owned()) {
            rob(ctx.id()).await;
        }
        let saved = ctx.save(self).await;
        if ctx.key().contains("panics") {
            saved.expect("nobody else saves");
        }
    }
}

impl Handler<Saved> for Robbed {
    async fn handle(&mut self, _: Saved, ctx: &mut Context<Self>) -> Vec<u64> {
        match ctx.etag() {
            None => Vec::new(),
            Some(_) => self.ticks.clone(),
        }
    }
}

/// Saves another state for the actor behind its back, or gives it to a silo that never was.
async fn rob(actor: &ActorId) {
    let (what, cluster) = actor.key().split_once(' ').expect("says of which cluster");
    let store = store::open(&format!("memory:{cluster}"), cluster).expect("opens");
    let entry = store.entries(vec![actor.clone()]).await.expect("answers").remove(0);
    if what.starts_with("entry") {
        let ghost = Entry::owned(SiloId::new("ghost", 1), Epoch(entry.epoch.0 + 1));
        let change = EntryChange {
            actor: actor.clone(),
            expected: entry,
            new: ghost,
        };
        let outcomes = store.change_entries(vec![change]).await.expect("answers");
        assert_eq!(outcomes, [EntryOutcome::Changed]);
    } else {
        let save = SaveRequest {
            actor: actor.clone(),
            owner: Owner {
                silo: entry.owner.expect("it runs"),
                epoch: entry.epoch,
            },
            expected: None,
            version: "1.0.0".into(),
            body: Some(encode(&Robbed::default()).expect("encodes")),
            has_posts: false,
            named: Vec::new(),
        };
        let outcomes = store.save(vec![save]).await.expect("answers");
        assert!(matches!(outcomes[..], [SaveOutcome::Saved(_)]), "{outcomes:?}");
    }
}

/// At least once: a turn whose save found that the actor, or its state, is another's has had no effect, whether it panicked on that or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_tick_whose_turn_had_no_effect_comes_again() {
    let cluster = cluster_name();
    let silo = start(&cluster, "a").await;
    for what in ["entry", "entry-panics", "state", "state-panics"] {
        let key = format!("{what} {cluster}");
        silo.actor::<Robbed>(&key).ask(Begin).await.expect("answered");
        let clock = Clock::system();
        let end = clock.now() + Duration::from_secs(20);
        let saved = loop {
            // An activation that ends so tells those who wait that they did not run.
            let saved = silo.actor::<Robbed>(&key).ask(Saved).await.unwrap_or_default();
            if !saved.is_empty() {
                break saved;
            }
            assert!(clock.now() < end, "{what}: the tick was lost");
            clock.sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(saved.len(), 1, "{what}: had its effect once");
        until("it is marked", || silo.reminder_status().at_work == 0).await;
        assert!(silo.reminders::<Robbed>(&key).await.expect("read").is_empty());
    }
    silo.stop().await.expect("stops in order");
}
