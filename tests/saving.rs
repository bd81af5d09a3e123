//! How states are saved: behind, within their bounds, by name.

mod common;

use common::{cluster_name, know_each_other, silo, until};
use quark::{
    clock::Clock,
    ident::{ActorId, OnceId},
    prelude::*,
    silo::{Silo, SiloOptions},
    store::{self, ETag, Owner, SaveRequest, Store},
    wire::{Ran, encode},
};
use std::{sync::Arc, time::Duration};

/// Adds so many bytes, and has them saved within so many milliseconds.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "notes.write", reply = usize)]
struct Write {
    bytes: usize,
    within_ms: u64,
}

/// Saves; answers what went wrong.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "notes.save", reply = Option<String>)]
struct Save;

#[derive(Default, Serialize, Deserialize)]
struct Notes {
    text: String,
}

/// Takes back what was not saved; answers how much is left.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "notes.undo", reply = Result<usize, String>)]
struct Undo;

/// Takes away all, also what is saved; answers what went wrong.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "notes.clear_all", reply = Option<String>)]
struct ClearAll;

/// The same, once.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "notes.clear_once", reply = Option<String>, idempotent)]
struct ClearOnce;

#[actor(kind = "notes", messages(Write, Save, Undo, ClearAll, ClearOnce))]
impl Actor for Notes {}

impl Handler<Undo> for Notes {
    async fn handle(&mut self, _: Undo, ctx: &mut Context<Self>) -> Result<usize, String> {
        *self = ctx.load().await.map_err(|error| error.to_string())?;
        Ok(self.text.len())
    }
}

impl Handler<ClearAll> for Notes {
    async fn handle(&mut self, _: ClearAll, ctx: &mut Context<Self>) -> Option<String> {
        ctx.clear(self).await.err().map(|error| error.to_string())
    }
}

impl Handler<ClearOnce> for Notes {
    async fn handle(&mut self, _: ClearOnce, ctx: &mut Context<Self>) -> Option<String> {
        ctx.clear(self).await.err().map(|error| error.to_string())
    }
}

impl Handler<Write> for Notes {
    async fn handle(&mut self, write: Write, ctx: &mut Context<Self>) -> usize {
        self.text.push_str(&"x".repeat(write.bytes));
        ctx.save_within(Duration::from_millis(write.within_ms));
        self.text.len()
    }
}

impl Handler<Save> for Notes {
    async fn handle(&mut self, _: Save, ctx: &mut Context<Self>) -> Option<String> {
        ctx.save(self).await.err().map(|error| error.to_string())
    }
}

fn store_of(cluster: &str) -> Arc<dyn Store> {
    store::open(&format!("memory:{cluster}"), cluster).expect("opens")
}

/// The number of what is saved of an actor.
async fn etag(store: &dyn Store, key: &str) -> Option<ETag> {
    let actor = ActorId::new("notes", key).expect("valid");
    let states = store.load(vec![actor]).await.expect("answers");
    states.into_iter().next().flatten().map(|state| state.etag)
}

#[tokio::test]
async fn turns_within_the_window_share_one_save() {
    let cluster = cluster_name();
    let store = store_of(&cluster);
    let silo = silo(&cluster, "one").start().await.expect("starts");
    let (notes, clock) = (silo.actor::<Notes>("a"), Clock::system());
    let began = clock.now();
    let write = || Write {
        bytes: 1,
        within_ms: 150,
    };
    for _ in 0..20 {
        notes.ask(write()).await.expect("answered");
    }
    if clock.now().since(began) < Duration::from_millis(150) {
        assert_eq!(etag(&*store, "a").await, None, "not before the window's end");
    }
    while etag(&*store, "a").await.is_none() {
        assert!(clock.now().since(began) < Duration::from_secs(20), "it is never saved");
        clock.sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(etag(&*store, "a").await, Some(ETag(1)), "all of them at once");
    notes.ask(write()).await.expect("answered");
    while etag(&*store, "a").await != Some(ETag(2)) {
        assert!(clock.now().since(began) < Duration::from_secs(20), "another window");
        clock.sleep(Duration::from_millis(5)).await;
    }
    silo.stop().await.expect("stops");
}

#[tokio::test]
async fn a_window_goes_with_the_actor_and_so_does_what_is_not_saved() {
    let cluster = cluster_name();
    let store = store_of(&cluster);
    let a = silo(&cluster, "a").start().await.expect("starts");
    let hour = Write {
        bytes: 3,
        within_ms: 1500,
    };
    assert_eq!(a.actor::<Notes>("a").ask(hour).await.expect("answered"), 3);
    let b = silo(&cluster, "b").start().await.expect("starts");
    know_each_other(&[&a, &b]).await;
    let id = ActorId::new("notes", "a").expect("valid");
    a.migrate(&id, Some(b.id())).await.expect("moves");
    a.stop().await.expect("stops");
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while etag(&*store, "a").await.is_none() {
        assert!(clock.now() < end, "the window was lost on the way");
        clock.sleep(Duration::from_millis(5)).await;
    }
    until("it is still there", || b.status().activations.contains_key("notes")).await;
    b.stop().await.expect("stops");
}

#[tokio::test]
async fn a_state_that_is_too_large_is_not_saved_and_says_so() {
    let cluster = cluster_name();
    let store = store_of(&cluster);
    let options = SiloOptions {
        name: "one".into(),
        cluster: cluster.clone(),
        store: format!("memory:{cluster}"),
        max_state_bytes: 1000,
        handle_signals: false,
        ..SiloOptions::default()
    };
    let silo = Silo::builder().options(options).start().await.expect("starts");
    let notes = silo.actor::<Notes>("a");
    let write = |bytes| Write {
        bytes,
        within_ms: 3_600_000,
    };
    notes.ask(write(900)).await.expect("answered");
    assert_eq!(notes.ask(Save).await.expect("answered"), None);
    notes.ask(write(100)).await.expect("answered");
    let error = notes.ask(Save).await.expect("answered").expect("too large");
    for part in ["notes/a", "1000 at the most", "max_state_bytes"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(etag(&*store, "a").await, Some(ETag(1)));
    assert_eq!(notes.ask(write(0)).await.expect("answered"), 1000, "it goes on");
    silo.stop().await.expect("stops");
}

const LATER: u64 = 3_600_000;

fn write(bytes: usize) -> Write {
    Write {
        bytes,
        within_ms: LATER,
    }
}

#[tokio::test]
async fn what_was_changed_and_not_saved_is_taken_back_by_a_load() {
    let silo = silo(&cluster_name(), "one").start().await.expect("starts");
    let notes = silo.actor::<Notes>("a");
    notes.ask(write(3)).await.expect("answered");
    assert_eq!(notes.ask(Undo).await.expect("answered"), Ok(0), "nothing was saved");
    notes.ask(write(3)).await.expect("answered");
    assert_eq!(notes.ask(Save).await.expect("answered"), None);
    assert_eq!(notes.ask(write(4)).await.expect("answered"), 7);
    for _ in 0..2 {
        assert_eq!(notes.ask(Undo).await.expect("answered"), Ok(3), "as it was saved");
    }
    notes.ask(write(1)).await.expect("answered");
    assert_eq!(
        notes.ask(Save).await.expect("answered"),
        None,
        "and it goes on from there"
    );
    silo.stop().await.expect("stops");
}

#[tokio::test]
async fn a_cleared_actor_is_as_one_that_was_never_saved() {
    let cluster = cluster_name();
    let store = store_of(&cluster);
    let one = silo(&cluster, "one").start().await.expect("starts");
    let notes = one.actor::<Notes>("a");
    assert_eq!(notes.ask(ClearAll).await.expect("answered"), None, "nothing is saved");
    notes.ask(write(3)).await.expect("answered");
    for _ in 0..2 {
        assert_eq!(notes.ask(Save).await.expect("answered"), None);
    }
    assert_eq!(etag(&*store, "a").await, Some(ETag(2)));
    assert_eq!(notes.ask(ClearAll).await.expect("answered"), None);
    assert_eq!(etag(&*store, "a").await, None);
    assert_eq!(notes.ask(write(0)).await.expect("answered"), 0, "it is as new");
    one.stop().await.expect("stops");
    assert_eq!(etag(&*store, "a").await, None, "what is as new is not saved at its end");

    let two = silo(&cluster, "two").start().await.expect("starts");
    let notes = two.actor::<Notes>("a");
    assert_eq!(notes.ask(write(5)).await.expect("answered"), 5);
    assert_eq!(notes.ask(Save).await.expect("answered"), None);
    assert_eq!(etag(&*store, "a").await, Some(ETag(1)));
    two.stop().await.expect("stops");
}

/// What it remembers of effects is no part of what is cleared, or the effect would happen again.
#[tokio::test]
async fn an_effect_that_clears_happens_once() {
    let silo = silo(&cluster_name(), "one").start().await.expect("starts");
    let (notes, effect) = (silo.actor::<Notes>("a"), OnceId::of("clear"));
    notes.ask(write(3)).await.expect("answered");
    assert_eq!(notes.ask(ClearOnce).once(effect).await.expect("answered"), None);
    assert_eq!(notes.ask(write(2)).await.expect("answered"), 2);
    assert_eq!(notes.ask(ClearAll).await.expect("answered"), None);
    assert_eq!(notes.ask(write(4)).await.expect("answered"), 4);
    assert_eq!(notes.ask(ClearOnce).once(effect).await.expect("answered"), None);
    assert_eq!(
        notes.ask(write(0)).await.expect("answered"),
        4,
        "it was not cleared again"
    );
    silo.stop().await.expect("stops");
}

/// Guarantee 8: whoever else has saved meanwhile, an activation that builds on an older state has no effect and makes room.
#[tokio::test]
async fn a_load_or_clear_that_finds_another_number_tells_both_and_ends_the_activation() {
    let cluster = cluster_name();
    let store = store_of(&cluster);
    let silo = silo(&cluster, "one").start().await.expect("starts");
    let notes = silo.actor::<Notes>("a");
    let id = ActorId::new("notes", "a").expect("valid");
    for (last, undoes) in [(1, true), (3, false)] {
        notes.ask(write(1)).await.expect("answered");
        assert_eq!(notes.ask(Save).await.expect("answered"), None);
        let entry = store.entries(vec![id.clone()]).await.expect("answers").remove(0);
        let behind_its_back = SaveRequest {
            actor: id.clone(),
            owner: Owner {
                silo: entry.owner.expect("it runs"),
                epoch: entry.epoch,
            },
            expected: Some(ETag(last)),
            version: "1.0.0".into(),
            body: Some(encode(&Notes { text: "other".into() }).expect("encodes")),
            has_posts: false,
            named: Vec::new(),
        };
        store.save(vec![behind_its_back]).await.expect("answers");
        let why = match undoes {
            true => notes.ask(Undo).await.expect("answered").expect_err("it is another's"),
            false => notes.ask(ClearAll).await.expect("answered").expect("it is another's"),
        };
        for number in [last, last + 1] {
            assert!(why.contains(&format!("Some(ETag({number}))")), "{why}");
        }
        // What waits for an activation that ends so is told that it did not run.
        let len = loop {
            match notes.ask(write(0)).await {
                Ok(len) => break len,
                Err(error) => assert_eq!(error.ran(), Ran::No, "{error}"),
            }
        };
        assert_eq!(len, 5, "the next one is up to date");
    }
    silo.stop().await.expect("stops");
}

/// What an actor keeps beside itself.
#[derive(Debug, Default, Serialize, Deserialize, State)]
#[state(schema = "history.1")]
struct History {
    entries: Vec<String>,
}

/// Writes into the history of this name; saves if it is told to.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "diary.write", reply = usize)]
struct Enter {
    name: String,
    text: String,
    saves: bool,
}

/// The history of this name, and the number of what is saved of it.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "diary.read", reply = (Vec<String>, Option<u64>))]
struct ReadHistory(String);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "diary.clear")]
struct Clear(String);

/// Asks for a history as something else.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "diary.mistake", reply = String)]
struct Mistake(String);

#[derive(Debug, Default, Serialize, Deserialize, State)]
#[state(schema = "other.1")]
struct Other;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "diary.rest")]
struct Rest;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "diary.panic")]
struct Panic;

#[derive(Default, Serialize, Deserialize)]
struct Diary {
    entered: u32,
}

#[actor(kind = "diary", messages(Enter, ReadHistory, Clear, Mistake, Rest, Panic))]
impl Actor for Diary {}

impl Handler<Enter> for Diary {
    async fn handle(&mut self, enter: Enter, ctx: &mut Context<Self>) -> usize {
        self.entered += 1;
        let mut history = ctx.state::<History>(&enter.name).await.expect("is read");
        history.entries.push(enter.text);
        let count = history.entries.len();
        if enter.saves {
            ctx.save(self).await.expect("saved");
        }
        count
    }
}

impl Handler<ReadHistory> for Diary {
    async fn handle(&mut self, ReadHistory(name): ReadHistory, ctx: &mut Context<Self>) -> (Vec<String>, Option<u64>) {
        let history = ctx.state::<History>(&name).await.expect("is read");
        (history.entries.clone(), history.etag().map(|etag| etag.0))
    }
}

impl Handler<Clear> for Diary {
    async fn handle(&mut self, Clear(name): Clear, ctx: &mut Context<Self>) {
        ctx.clear_state::<History>(&name).await.expect("is read");
        ctx.save(self).await.expect("saved");
    }
}

impl Handler<Mistake> for Diary {
    async fn handle(&mut self, Mistake(name): Mistake, ctx: &mut Context<Self>) -> String {
        let error = ctx.state::<Other>(&name).await.expect_err("another type");
        error.to_string()
    }
}

impl Handler<Rest> for Diary {
    async fn handle(&mut self, _: Rest, ctx: &mut Context<Self>) {
        ctx.deactivate();
    }
}

impl Handler<Panic> for Diary {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("as it was told");
    }
}

fn enter(name: &str, text: &str, saves: bool) -> Enter {
    Enter {
        name: name.into(),
        text: text.into(),
        saves,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// R118
#[tokio::test]
async fn named_states_are_saved_with_their_actor_each_with_a_number_of_its_own() {
    let silo = silo(&cluster_name(), "one").start().await.expect("starts");
    let diary = silo.actor::<Diary>("a");
    diary.ask(enter("days", "monday", true)).await.expect("answered");
    diary.ask(enter("days", "tuesday", true)).await.expect("answered");
    diary.ask(enter("nights", "short", true)).await.expect("answered");
    diary
        .ask(enter("nights", "lost in the panic", false))
        .await
        .expect("answered");
    diary.ask(Panic).await.expect_err("it panicked");
    let days = diary.ask(ReadHistory("days".into())).await.expect("answered");
    assert_eq!(days, (texts(&["monday", "tuesday"]), Some(2)));
    let nights = diary.ask(ReadHistory("nights".into())).await.expect("answered");
    assert_eq!(nights, (texts(&["short"]), Some(1)));
    assert_eq!(
        diary.ask(ReadHistory("none".into())).await.expect("answered"),
        (Vec::new(), None)
    );

    let mistake = diary.ask(Mistake("days".into())).await.expect("answered");
    assert!(mistake.contains("another type"), "{mistake}");
    diary.ask(Clear("days".into())).await.expect("answered");
    diary.ask(Panic).await.expect_err("it panicked");
    assert_eq!(
        diary.ask(ReadHistory("days".into())).await.expect("answered"),
        (Vec::new(), None)
    );
    silo.stop().await.expect("stops");
}

/// R98
#[tokio::test]
async fn a_named_state_of_another_schema_is_refused_and_left_as_it_is() {
    let silo = silo(&cluster_name(), "one").start().await.expect("starts");
    let diary = silo.actor::<Diary>("a");
    diary.ask(enter("days", "monday", true)).await.expect("answered");
    diary.ask(Panic).await.expect_err("it panicked");
    let refused = diary.ask(Mistake("days".into())).await.expect("answered");
    for part in ["diary/a", "\"days\"", "\"history.1\"", "other.1"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let days = diary.ask(ReadHistory("days".into())).await.expect("answered");
    assert_eq!(days, (texts(&["monday"]), Some(1)));
    silo.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_not_saved_of_named_states_moves_with_their_actor() {
    let cluster = cluster_name();
    let a = silo(&cluster, "a").start().await.expect("starts");
    let diary = a.actor::<Diary>("a");
    diary.ask(enter("days", "monday", true)).await.expect("answered");
    diary.ask(enter("days", "tuesday", false)).await.expect("answered");
    diary.ask(enter("nights", "short", false)).await.expect("answered");
    let b = silo(&cluster, "b").start().await.expect("starts");
    know_each_other(&[&a, &b]).await;
    let id = ActorId::new("diary", "a").expect("valid");
    a.migrate(&id, Some(b.id())).await.expect("moves");
    let days = diary.ask(ReadHistory("days".into())).await.expect("answered");
    assert_eq!(days, (texts(&["monday", "tuesday"]), Some(1)), "its number came along");
    diary.ask(enter("days", "wednesday", true)).await.expect("answered");
    diary.ask(Panic).await.expect_err("it panicked");
    let days = diary.ask(ReadHistory("days".into())).await.expect("answered");
    assert_eq!(days, (texts(&["monday", "tuesday", "wednesday"]), Some(2)));
    let nights = diary.ask(ReadHistory("nights".into())).await.expect("answered");
    assert_eq!(nights, (texts(&["short"]), Some(1)), "saved with the other");
    a.stop().await.expect("stops");
    b.stop().await.expect("stops");
}

#[tokio::test]
async fn named_states_are_saved_when_their_actor_is_deactivated() {
    let silo = silo(&cluster_name(), "one").start().await.expect("starts");
    let diary = silo.actor::<Diary>("a");
    diary.ask(enter("days", "monday", false)).await.expect("answered");
    diary.ask(Rest).await.expect("answered");
    until("it rests", || !silo.status().activations.contains_key("diary")).await;
    let days = diary.ask(ReadHistory("days".into())).await.expect("answered");
    assert_eq!(days, (texts(&["monday"]), Some(1)));
    silo.stop().await.expect("stops");
}
