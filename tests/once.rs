//! Effects that happen once: asks that say which effect they are to have, and messages that leave with the state.

mod common;

use common::{DOORS, WaitFor, cluster_name, know_each_other, silo, start, until};
use quark::{
    actor::{Effects, TryError},
    clock::Clock,
    ident::{ActorId, OnceId},
    prelude::*,
    silo::{Silo, SiloHandle, SiloOptions},
    store::{self, Store},
    wire::Ran,
};
use std::{sync::Arc, time::Duration};

/// Adds; answers the sum.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.add", reply = u64, idempotent)]
struct Add(u64);

/// Adds and saves, and panics then.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.add_save_panic", reply = u64, idempotent)]
struct AddSavePanic(u64);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.panic")]
struct Panic;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.get", reply = u64)]
struct Get;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.rest")]
struct Rest;

/// Takes so much away and gives it to another; answers what is left. Panics after that if it is told to.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.give", reply = u64)]
struct Give {
    to: String,
    amount: u64,
    panics: bool,
}

/// Takes what it is given.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.take")]
struct Take(u64);

/// Gives so much to an actor that one silo alone hosts.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "sum.give_to_nobody")]
struct GiveToNobody(u64);

#[derive(Default, Serialize, Deserialize)]
struct Sum {
    sum: u64,
}

#[actor(
    kind = "sum",
    messages(Add, AddSavePanic, Panic, Get, Rest, Give, GiveToNobody, Take, WaitFor)
)]
impl Actor for Sum {}

#[derive(Default, Serialize, Deserialize)]
struct Nobody {
    sum: u64,
}

#[actor(kind = "nobody", unlisted, messages(Get, Take))]
impl Actor for Nobody {}

impl Handler<Get> for Nobody {
    async fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.sum
    }
}

impl Handler<Take> for Nobody {
    async fn handle(&mut self, Take(amount): Take, _: &mut Context<Self>) {
        self.sum += amount;
    }
}

impl Handler<Add> for Sum {
    async fn handle(&mut self, Add(more): Add, _: &mut Context<Self>) -> u64 {
        self.sum += more;
        self.sum
    }
}

impl Handler<AddSavePanic> for Sum {
    async fn handle(&mut self, AddSavePanic(more): AddSavePanic, ctx: &mut Context<Self>) -> u64 {
        self.sum += more;
        ctx.save(self).await.expect("saved");
        panic!("as it was told");
    }
}

impl Handler<Panic> for Sum {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("as it was told");
    }
}

impl Handler<Get> for Sum {
    async fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.sum
    }
}

impl Handler<Rest> for Sum {
    async fn handle(&mut self, _: Rest, ctx: &mut Context<Self>) {
        ctx.deactivate();
    }
}

impl Handler<WaitFor> for Sum {
    async fn handle(&mut self, wait: WaitFor, _: &mut Context<Self>) {
        DOORS.come_to(&wait.0);
        until("the door is opened", || DOORS.is_open(&wait.0)).await;
    }
}

impl Handler<Give> for Sum {
    async fn handle(&mut self, give: Give, ctx: &mut Context<Self>) -> u64 {
        let to = ctx.actor::<Self>(&give.to);
        self.sum -= give.amount;
        ctx.post(&to, &Take(give.amount)).expect("posted");
        assert!(!give.panics, "as it was told");
        self.sum
    }
}

impl Handler<GiveToNobody> for Sum {
    async fn handle(&mut self, GiveToNobody(amount): GiveToNobody, ctx: &mut Context<Self>) {
        let to = ctx.actor::<Nobody>("n");
        self.sum -= amount;
        ctx.post(&to, &Take(amount)).expect("posted");
    }
}

impl Handler<Take> for Sum {
    async fn handle(&mut self, Take(amount): Take, _: &mut Context<Self>) {
        self.sum += amount;
    }
}

async fn start_with(change: impl FnOnce(&mut SiloOptions)) -> SiloHandle {
    let cluster = cluster_name();
    let mut options = SiloOptions {
        name: "one".into(),
        store: format!("memory:{cluster}"),
        cluster,
        handle_signals: false,
        ..SiloOptions::default()
    };
    change(&mut options);
    Silo::builder().options(options).start().await.expect("starts")
}

fn id(key: &str) -> ActorId {
    ActorId::new("sum", key).expect("valid")
}

async fn sum(silo: &SiloHandle, key: &str) -> u64 {
    silo.actor::<Sum>(key).ask(Get).await.expect("answered")
}

async fn until_sum(silo: &SiloHandle, key: &str, is: u64) {
    let sum = silo.actor::<Sum>(key);
    let clock = quark::clock::Clock::system();
    let end = clock.now() + std::time::Duration::from_secs(20);
    while sum.ask(Get).await.expect("answered") != is {
        assert!(clock.now() < end, "{key} never has {is}");
        clock.sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// Guarantee 7
#[tokio::test]
async fn asks_that_say_the_same_effect_have_it_once_and_the_same_answer() {
    let silo = start(&cluster_name(), "one").await;
    let sum_of = silo.actor::<Sum>("a");
    let effect = OnceId::of("payment-17");
    for _ in 0..3 {
        assert_eq!(sum_of.ask(Add(5)).once(effect).await.expect("answered"), 5);
    }
    assert_eq!(sum_of.ask(Add(5)).await.expect("answered"), 10, "another effect");
    assert_eq!(
        sum_of.ask(Add(5)).once(effect).await.expect("answered"),
        5,
        "as it was then"
    );
    assert_eq!(sum(&silo, "a").await, 10);
    silo.stop().await.expect("stops");
}

/// Guarantee 7: asks and tells, with and without waiting, that say the same effect have it once between them.
#[tokio::test]
async fn an_effect_happens_once_however_it_is_sent_and_wherever_the_actor_goes() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let effects: Vec<_> = ["ask", "try_ask", "tell", "try_tell"].map(OnceId::of).into();
    let send_all = async |silo: &SiloHandle| {
        let sum = silo.actor::<Sum>("x");
        // Each effect in another way first, and then in all ways.
        for shift in 0..effects.len() {
            let id = |way: usize| effects[(way + shift) % effects.len()];
            sum.tell(Add(1)).once(id(0)).await.expect("sent");
            sum.try_tell_once(Add(1), id(1)).expect("there is room");
            let answer = sum.try_ask_once(Add(1), id(2)).expect("there is room").await;
            assert!(answer.expect("answered") <= 4);
            assert!(sum.ask(Add(1)).once(id(3)).await.expect("answered") <= 4);
        }
    };
    send_all(&a).await;
    assert_eq!(sum(&a, "x").await, 4);
    let here = [&a, &b]
        .into_iter()
        .find(|silo| silo.status().activations.contains_key("sum"));
    let source = here.expect("one of them has it");
    let target = if source.id() == a.id() { &b } else { &a };
    source.migrate(&id("x"), Some(target.id())).await.expect("moves");
    send_all(&b).await;
    send_all(&a).await;
    assert_eq!(sum(&a, "x").await, 4, "after a move");
    a.actor::<Sum>("x").ask(Panic).await.expect_err("it panicked");
    send_all(&b).await;
    assert_eq!(
        sum(&b, "x").await,
        4,
        "a tell is remembered in the save of its turn too"
    );
    a.stop().await.expect("stops");
    b.stop().await.expect("stops");
}

/// What waits for room is given back, with nothing remembered of it.
#[tokio::test]
async fn an_idempotent_message_without_room_is_given_back() {
    let silo = start_with(|options| options.mailbox_capacity = 1).await;
    let sum_of = silo.actor::<Sum>("a");
    let door = "an_idempotent_message_without_room";
    sum_of.tell(WaitFor(door.into())).await.expect("sent");
    until("it waits", || DOORS.arrived(door)).await;
    let mut sent = 0;
    let back = loop {
        match sum_of.try_tell(Add(7)) {
            Ok(()) => sent += 1,
            Err(TryError::Full(Add(back))) => break back,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(back, 7);
    assert!(matches!(sum_of.try_ask(Add(8)), Err(TryError::Full(Add(8)))));
    DOORS.open(door);
    assert_eq!(sum(&silo, "a").await, 7 * sent);
    silo.stop().await.expect("stops");
}

/// A tell says its effect wherever it goes, also into the dead letters and back.
#[tokio::test]
async fn a_tell_that_saved_and_panicked_does_not_happen_again_when_it_is_replayed() {
    let silo = start_with(|options| options.dead_letters_of_panics = true).await;
    silo.actor::<Sum>("a").tell(AddSavePanic(5)).await.expect("sent");
    assert_eq!(sum(&silo, "a").await, 5);
    let letters = silo.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    silo.replay_dead_letter(letters[0].number).await.expect("it has run");
    assert_eq!(sum(&silo, "a").await, 5);
    silo.stop().await.expect("stops");
}

/// Guarantee 7: the window is saved with the state and moves with the actor.
#[tokio::test]
async fn an_effect_is_remembered_after_a_move_a_panic_and_a_rest() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let effect = OnceId::random();
    assert_eq!(a.actor::<Sum>("x").ask(Add(5)).once(effect).await.expect("answered"), 5);
    let (source, target) = match a.migrate(&id("x"), Some(b.id())).await {
        Ok(_) => (&a, &b),
        Err(_) => {
            b.migrate(&id("x"), Some(a.id())).await.expect("moves");
            (&b, &a)
        }
    };
    for silo in [source, target] {
        let again = silo.actor::<Sum>("x").ask(Add(5)).once(effect).await;
        assert_eq!(again.expect("answered"), 5, "after a move");
    }
    a.actor::<Sum>("x").ask(Panic).await.expect_err("it panicked");
    assert_eq!(
        a.actor::<Sum>("x").ask(Add(5)).once(effect).await.expect("answered"),
        5,
        "after a panic"
    );
    a.actor::<Sum>("x").ask(Rest).await.expect("answered");
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while [&a, &b]
        .iter()
        .any(|silo| silo.status().activations.contains_key("sum"))
    {
        assert!(clock.now() < end, "it does not rest");
        clock.sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(
        a.actor::<Sum>("x").ask(Add(5)).once(effect).await.expect("answered"),
        5,
        "after a rest"
    );
    assert_eq!(sum(&a, "x").await, 5);
    a.stop().await.expect("stops");
    b.stop().await.expect("stops");
}

/// An idempotent message is saved before it is answered: what was answered survives.
#[tokio::test]
async fn what_an_idempotent_message_has_done_is_saved_when_it_is_answered() {
    let silo = start(&cluster_name(), "one").await;
    silo.actor::<Sum>("a").ask(Add(5)).await.expect("answered");
    silo.actor::<Sum>("a").ask(Panic).await.expect_err("it panicked");
    assert_eq!(sum(&silo, "a").await, 5);
    silo.stop().await.expect("stops");
}

/// A turn that saves in its middle and is lost is not run again, and says so.
#[tokio::test]
async fn an_effect_that_was_saved_in_the_middle_of_a_turn_does_not_happen_again() {
    let silo = start(&cluster_name(), "one").await;
    let (sum_of, effect) = (silo.actor::<Sum>("a"), OnceId::random());
    let first = sum_of.ask(AddSavePanic(5)).once(effect).await.expect_err("it panicked");
    assert!(matches!(first, CallError::Panicked(_)), "{first}");
    let again = sum_of.ask(AddSavePanic(5)).once(effect).await.expect_err("it ran");
    assert_eq!(again.ran(), Ran::Yes, "{again}");
    assert_eq!(sum(&silo, "a").await, 5);
    silo.stop().await.expect("stops");
}

#[tokio::test]
async fn more_effects_than_the_window_has_room_for_forget_the_first() {
    let silo = start(&cluster_name(), "one").await;
    let (sum_of, first) = (silo.actor::<Sum>("a"), OnceId::random());
    sum_of.ask(Add(1)).once(first).await.expect("answered");
    for _ in 0..Effects::MAX_DONE {
        sum_of.ask(Add(1)).await.expect("answered");
    }
    let max = Effects::MAX_DONE as u64;
    assert_eq!(
        sum_of.ask(Add(1)).once(first).await.expect("answered"),
        max + 2,
        "it ran again"
    );
    silo.stop().await.expect("stops");
}

#[tokio::test]
async fn a_posted_message_is_taken_once_and_both_sides_are_saved() {
    let cluster = cluster_name();
    let silo = start(&cluster, "one").await;
    let alice = silo.actor::<Sum>("alice");
    alice.ask(Add(100)).await.expect("answered");
    for amount in 1..=10 {
        let give = Give {
            to: "bob".into(),
            amount,
            panics: false,
        };
        alice.ask(give).await.expect("answered");
    }
    until_sum(&silo, "bob", 55).await;
    for key in ["alice", "bob"] {
        silo.actor::<Sum>(key).ask(Panic).await.expect_err("it panicked");
    }
    assert_eq!(
        (sum(&silo, "alice").await, sum(&silo, "bob").await),
        (45, 55),
        "as saved"
    );
    silo.stop().await.expect("stops");
}

#[tokio::test]
async fn what_a_turn_posts_that_panics_is_never_sent() {
    let silo = start(&cluster_name(), "one").await;
    let alice = silo.actor::<Sum>("alice");
    alice.ask(Add(100)).await.expect("answered");
    let give = |panics| Give {
        to: "bob".into(),
        amount: 10,
        panics,
    };
    alice.ask(give(true)).await.expect_err("it panicked");
    assert_eq!(alice.ask(give(false)).await.expect("answered"), 90);
    until_sum(&silo, "bob", 10).await;
    silo.stop().await.expect("stops");
}

/// Saved and not taken when all silos end: the next ones send it, though nobody asks for the poster.
#[tokio::test]
async fn what_is_posted_and_not_taken_is_sent_by_the_next_silos() {
    let cluster = cluster_name();
    let store: Arc<dyn Store> = store::open(&format!("memory:{cluster}"), &cluster).expect("opens");
    let only_alice = silo(&cluster, "one").start().await.expect("starts");
    let alice = only_alice.actor::<Sum>("alice");
    alice.ask(Add(100)).await.expect("answered");
    // A receiver that nobody hosts cannot take it.
    alice.ask(GiveToNobody(7)).await.expect("answered");
    assert_eq!(store.posters().await.expect("answers"), [id("alice")]);
    only_alice.stop().await.expect("stops");

    let both = silo(&cluster, "two")
        .register::<Nobody>()
        .start()
        .await
        .expect("starts");
    let nobody = both.actor::<Nobody>("n");
    let clock = quark::clock::Clock::system();
    let end = clock.now() + std::time::Duration::from_secs(20);
    while nobody.ask(Get).await.expect("answered") != 7 {
        assert!(clock.now() < end, "nobody was woken to send it");
        clock.sleep(std::time::Duration::from_millis(5)).await;
    }
    let is_empty = async || store.posters().await.expect("answers").is_empty();
    while !is_empty().await {
        assert!(clock.now() < end, "it posts no more");
        clock.sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(nobody.ask(Get).await.expect("answered"), 7, "once");
    both.stop().await.expect("stops");
}
