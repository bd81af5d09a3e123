//! Tells that are not delivered: dead letters, replays, retries.

mod common;

use common::*;
use parking_lot::Mutex;
use quark::{
    ident::ActorId,
    prelude::*,
    runtime::RetryPolicy,
    silo::{ReplayError, SiloHandle, SiloOptions},
    wire::Ran,
};
use std::{collections::BTreeSet, time::Duration};

/// The keys of the wards that cannot be activated now.
static CLOSED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes what it is told; cannot be activated while its key is among the closed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ward {
    notes: Vec<u64>,
}

/// 13 is bad luck: the handler panics once it has noted it.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ward.note", reply = u64)]
struct Note(u64);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "ward.notes", reply = Vec<u64>)]
struct Notes;

#[actor(kind = "ward", messages(Note, Notes))]
impl Actor for Ward {
    async fn on_activate(&mut self, ctx: &mut Context<Self>) -> Result<(), ActivationError> {
        if CLOSED.lock().contains(ctx.key()) {
            return Err(ActivationError::new("closed"));
        }
        Ok(())
    }
}

impl Handler<Note> for Ward {
    async fn handle(&mut self, note: Note, ctx: &mut Context<Self>) -> u64 {
        self.notes.push(note.0);
        ctx.save(self).await.expect("saved");
        assert_ne!(note.0, 13, "bad luck");
        note.0
    }
}

impl Handler<Notes> for Ward {
    async fn handle(&mut self, _: Notes, _: &mut Context<Self>) -> Vec<u64> {
        self.notes.clone()
    }
}

fn close(key: &str) {
    CLOSED.lock().insert(key.to_owned());
}

fn open(key: &str) {
    CLOSED.lock().remove(key);
}

fn ward(key: &str) -> ActorId {
    ActorId::new("ward", key).expect("valid")
}

async fn start_with(change: impl FnOnce(&mut SiloOptions)) -> SiloHandle {
    let cluster = cluster_name();
    let mut options = SiloOptions {
        name: "one".into(),
        store: format!("memory:{cluster}"),
        cluster,
        workers: 1,
        handle_signals: false,
        ..SiloOptions::default()
    };
    change(&mut options);
    quark::silo::Silo::builder()
        .options(options)
        .start()
        .await
        .expect("the silo starts")
}

async fn tell_and_wait(silo: &SiloHandle, key: &str, numbers: &[u64]) {
    let before = silo.dead_letters().len();
    for (sent, number) in numbers.iter().enumerate() {
        silo.actor::<Ward>(key).tell(Note(*number)).await.expect("sent");
        until("a dead letter", || silo.dead_letters().len() > before + sent).await;
    }
}

fn numbers_of(silo: &SiloHandle, key: &str) -> Vec<u64> {
    let letters = silo.dead_letters_of(&ward(key));
    letters.iter().map(|letter| letter.number).collect()
}

/// R103
#[tokio::test]
async fn dead_letters_of_an_actor_are_replayed_in_their_original_order() {
    let silo = start_with(|_| {}).await;
    close("replayed");
    close("other");
    tell_and_wait(&silo, "replayed", &[1, 2]).await;
    tell_and_wait(&silo, "other", &[9]).await;
    tell_and_wait(&silo, "replayed", &[3, 4]).await;
    assert_eq!(numbers_of(&silo, "replayed"), [1, 2, 4, 5]);
    assert!(silo.dead_letters().iter().all(|letter| letter.why.ran == Ran::No));
    open("replayed");
    let replayed = silo.replay_dead_letters_of(&ward("replayed")).await;
    assert!(replayed.iter().all(|replayed| replayed.result.is_ok()), "{replayed:?}");
    let notes = silo.actor::<Ward>("replayed").ask(Notes).await.expect("answered");
    assert_eq!(notes, [1, 2, 3, 4]);
    assert_eq!(numbers_of(&silo, "replayed"), [0; 0]);
    assert_eq!(numbers_of(&silo, "other"), [3], "those of others stay");
    open("other");
    silo.replay_dead_letter(3).await.expect("it runs");
    assert_eq!(silo.replay_dead_letter(3).await, Err(ReplayError::NotThere));
    silo.stop().await.expect("stops in order");
}

/// R103
#[tokio::test]
async fn a_replay_that_fails_again_keeps_the_letter_and_those_behind_it() {
    let silo = start_with(|_| {}).await;
    close("kept");
    close("free");
    tell_and_wait(&silo, "kept", &[1, 2]).await;
    tell_and_wait(&silo, "free", &[3]).await;
    open("free");
    let before = silo.dead_letters();
    // The order in which they are named does not matter.
    let replayed = silo.replay_dead_letters([3, 2, 1, 7]).await;
    let results: Vec<_> = replayed
        .into_iter()
        .map(|replayed| (replayed.number, replayed.result))
        .collect();
    assert!(matches!(results[0], (1, Err(ReplayError::Failed(_)))), "{results:?}");
    assert_eq!(results[1], (2, Err(ReplayError::AfterFailed)));
    assert_eq!(results[2], (3, Ok(())));
    assert_eq!(results[3], (7, Err(ReplayError::NotThere)));
    assert_eq!(silo.dead_letters(), before[..2], "kept as they were, in their places");
    open("kept");
    silo.replay_dead_letters_of(&ward("kept")).await;
    let notes = silo.actor::<Ward>("kept").ask(Notes).await.expect("answered");
    assert_eq!(notes, [1, 2]);
    silo.stop().await.expect("stops in order");
}

/// R103
#[tokio::test]
async fn dead_letters_are_bounded_removed_and_cleared() {
    let silo = start_with(|options| options.dead_letter_capacity = 3).await;
    close("bounded");
    tell_and_wait(&silo, "bounded", &[1, 2, 3]).await;
    silo.actor::<Ward>("bounded").tell(Note(4)).await.expect("sent");
    until("the oldest makes room", || silo.status().dead_letters_dropped == 1).await;
    assert_eq!(numbers_of(&silo, "bounded"), [2, 3, 4]);
    assert_eq!(silo.remove_dead_letter(3).map(|letter| letter.number), Some(3));
    assert_eq!(silo.remove_dead_letter(3), None);
    assert_eq!(silo.clear_dead_letters(), 2);
    assert_eq!(silo.status().dead_letters, 0);
    open("bounded");
    silo.stop().await.expect("stops in order");
}

/// R102
#[tokio::test]
async fn a_tell_whose_handler_panicked_is_a_dead_letter_only_if_configured() {
    for configured in [false, true] {
        let silo = start_with(|options| options.dead_letters_of_panics = configured).await;
        let unlucky = silo.actor::<Ward>("unlucky");
        unlucky.ask(Note(13)).await.expect_err("it panics");
        unlucky.tell(Note(13)).await.expect("sent");
        // It has run: the memory was saved before.
        assert_eq!(unlucky.ask(Notes).await.expect("answered"), [13, 13]);
        let letters = silo.dead_letters();
        assert_eq!(letters.len(), usize::from(configured), "asks are answered: {letters:?}");
        if configured {
            assert_eq!(
                (letters[0].message.as_str(), letters[0].why.ran),
                ("ward.note", Ran::Yes)
            );
            assert!(letters[0].why.text.contains("bad luck"), "{}", letters[0].why);
            let again = silo.replay_dead_letter(letters[0].number).await;
            assert!(matches!(again, Err(ReplayError::Failed(_))), "{again:?}");
            assert_eq!(silo.dead_letters().len(), 1, "it is kept");
        }
        silo.stop().await.expect("stops in order");
    }
}

fn retry(max_retries: u32) -> RetryPolicy {
    RetryPolicy {
        max_retries,
        first_wait: Duration::from_millis(20),
        max_wait: Duration::from_millis(40),
        ..RetryPolicy::default()
    }
}

/// R108
#[tokio::test]
async fn a_tell_that_did_not_run_is_tried_again_in_order_and_runs_once() {
    let silo = start_with(|options| options.tell_retry = Some(retry(1000))).await;
    close("retried");
    for n in 0..5 {
        silo.actor::<Ward>("retried").tell(Note(n)).await.expect("sent");
    }
    until("all wait for a retry", || silo.status().retries == 5).await;
    assert_eq!(silo.dead_letters(), []);
    open("retried");
    until("all have run", || silo.status().retries == 0).await;
    let notes = silo.actor::<Ward>("retried").ask(Notes).await.expect("answered");
    assert_eq!(notes, [0, 1, 2, 3, 4]);
    assert_eq!(silo.dead_letters(), []);
    silo.stop().await.expect("stops in order");
}

/// R108
#[tokio::test]
async fn after_the_last_retry_tells_are_dead_letters_in_order_and_what_ran_is_not_tried_again() {
    let silo = start_with(|options| options.tell_retry = Some(retry(3))).await;
    close("given up");
    let told = silo.actor::<Ward>("given up");
    for n in 0..3 {
        told.tell(Note(n)).await.expect("sent");
    }
    until("they are given up", || silo.dead_letters().len() == 3).await;
    assert_eq!(silo.status().retries, 0);
    open("given up");
    let replayed = silo.replay_dead_letters_of(&ward("given up")).await;
    assert_eq!(replayed.len(), 3);
    assert_eq!(told.ask(Notes).await.expect("answered"), [0, 1, 2]);
    told.tell(Note(13)).await.expect("sent");
    assert_eq!(told.ask(Notes).await.expect("answered"), [0, 1, 2, 13]);
    assert_eq!((silo.status().retries, silo.dead_letters().len()), (0, 0), "it ran");
    silo.stop().await.expect("stops in order");
}

/// R108
#[tokio::test]
async fn what_waits_for_a_retry_when_the_silo_ends_is_a_dead_letter() {
    let late = RetryPolicy {
        first_wait: Duration::from_secs(3600),
        max_wait: Duration::from_secs(3600),
        ..RetryPolicy::default()
    };
    let silo = start_with(|options| options.tell_retry = Some(late)).await;
    close("late");
    silo.actor::<Ward>("late").tell(Note(1)).await.expect("sent");
    until("it waits for a retry", || silo.status().retries == 1).await;
    silo.stop().await.expect("stops in order");
    assert_eq!(
        (silo.status().retries, silo.dead_letters_of(&ward("late")).len()),
        (0, 1)
    );
    open("late");
}
