//! Senders that note what each message was told, and the count at the end.

use crate::{
    PATIENCE,
    answered::Answered,
    notes::{Append, List, Note, Notes, Put},
    program::Outcome,
};
use futures_util::future::join_all;
use quark::{actor::ActorRef, client::Client, clock::Clock};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time};

/// How many messages a sender has on their way to one actor at a time.
const AT_ONCE: u64 = 3;

/// How long a sender rests after each round: every list is saved whole, again and again.
pub(crate) const PACE: Duration = Duration::from_millis(20);

/// What became of one sender's messages to one actor.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) key: String,
    pub(crate) client: u32,
    pub(crate) sent: u64,
    pub(crate) done: BTreeSet<u64>,
    pub(crate) unsaved: BTreeSet<u64>,
    pub(crate) not_run: BTreeMap<u64, String>,
    pub(crate) unknown: BTreeMap<u64, String>,
    /// Its sender was killed: what it had sent, and what was told too late, nobody knows.
    pub(crate) open: bool,
}

impl Account {
    pub(crate) fn note(&mut self, n: u64, outcome: Outcome) {
        match outcome {
            Outcome::Done => _ = self.done.insert(n),
            Outcome::Unsaved(_) => _ = self.unsaved.insert(n),
            Outcome::NotRun(why) => _ = self.not_run.insert(n, why),
            Outcome::Unknown(why) => _ = self.unknown.insert(n, why),
        }
    }

    /// Every message has one outcome, and the list says the same.
    fn check(&self, list: &[Note]) {
        let what = format!("client {} to {}", self.client, self.key);
        let told = self.done.len() + self.unsaved.len() + self.not_run.len() + self.unknown.len();
        assert!(
            told as u64 == self.sent,
            "{what}: every request has one outcome: {told}, {}",
            self.sent
        );
        let ran: Vec<u64> = list
            .iter()
            .filter(|note| note.client == self.client)
            .map(|note| note.n)
            .collect();
        assert!(
            ran.is_sorted_by(|a, b| a < b),
            "{what}: none twice, all in order: {ran:?}"
        );
        let ran: BTreeSet<u64> = ran.into_iter().collect();
        let lost: Vec<_> = self.done.difference(&ran).collect();
        assert!(lost.is_empty(), "{what}: {lost:?} were acknowledged and are lost");
        let lies: Vec<_> = self.not_run.iter().filter(|(n, _)| ran.contains(n)).collect();
        assert!(lies.is_empty(), "{what}: said not to have run, and ran: {lies:?}");
        assert!(
            self.open || ran.iter().all(|n| *n <= self.sent),
            "{what}: of {} sent: {ran:?}",
            self.sent
        );
    }
}

/// One silo per epoch, and epochs never go back.
fn check_epochs(key: &str, list: &[Note]) {
    assert!(
        list.is_sorted_by_key(|note| note.epoch),
        "{key}: epochs go back: {list:?}"
    );
    let mut owners: BTreeMap<u64, &str> = BTreeMap::new();
    for note in list {
        let owner = owners.entry(note.epoch).or_insert(&note.silo);
        assert_eq!(*owner, note.silo, "{key}: two owners of epoch {}", note.epoch);
    }
}

/// What the senders were told, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) sent: u64,
    pub(crate) done: u64,
    pub(crate) unsaved: u64,
    pub(crate) not_run: u64,
    pub(crate) unknown: u64,
}

/// The load: senders to each of the actors until they are told to stop.
pub(crate) struct Load {
    tasks: JoinSet<Account>,
    answered: Answered,
    stop: watch::Sender<bool>,
}

impl Load {
    /// For each actor a sender of plain messages and one that repeats what may be repeated.
    pub(crate) fn start(client: &Client, keys: &[String]) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let (stop, stopped) = watch::channel(false);
        let mut load = Self {
            tasks: JoinSet::new(),
            answered: Answered::default(),
            stop,
        };
        for key in keys {
            for repeats in [false, true] {
                let account = Account {
                    key: key.clone(),
                    client: LAST.fetch_add(1, Ordering::Relaxed),
                    ..Account::default()
                };
                let notes = client.actor::<Notes>(key);
                let answered = load.answered.clone();
                let stopped = stopped.clone();
                load.tasks.spawn(async move {
                    if repeats {
                        put(notes, account, answered, stopped).await
                    } else {
                        append(notes, account, answered, stopped).await
                    }
                });
            }
        }
        load
    }

    /// Waits until so many more messages are acknowledged.
    pub(crate) async fn answers(&self, more: u64) {
        self.answered.more(more).await;
    }

    pub(crate) async fn finish(mut self) -> Vec<Account> {
        self.stop.send_replace(true);
        let mut accounts = Vec::new();
        while let Some(account) = self.tasks.join_next().await {
            accounts.push(account.expect("a sender does not panic"));
        }
        accounts
    }
}

async fn append(
    notes: ActorRef<Notes>,
    mut account: Account,
    answered: Answered,
    stopped: watch::Receiver<bool>,
) -> Account {
    let client = account.client;
    while !*stopped.borrow() {
        Clock::system().sleep(PACE).await;
        let numbers = account.sent + 1..account.sent + 1 + AT_ONCE;
        account.sent += AT_ONCE;
        let asks = numbers
            .clone()
            .map(|n| notes.ask(Append { client, n }).within(PATIENCE / 2));
        for (n, answer) in numbers.zip(join_all(asks).await) {
            let outcome = Outcome::of(answer);
            if outcome == Outcome::Done {
                answered.count();
            }
            account.note(n, outcome);
        }
    }
    account
}

/// Sends each until it is done: what is not known is sent again under the same number.
async fn put(
    notes: ActorRef<Notes>,
    mut account: Account,
    answered: Answered,
    stopped: watch::Receiver<bool>,
) -> Account {
    let client = account.client;
    while !*stopped.borrow() {
        Clock::system().sleep(PACE).await;
        account.sent += 1;
        let n = account.sent;
        let mut tries = 0;
        while Outcome::of(notes.ask(Put { client, n }).within(PATIENCE / 2).await) != Outcome::Done {
            tries += 1;
            assert!(tries < 1_000, "{n} to {} is never done", account.key);
            tokio::task::yield_now().await;
        }
        account.note(n, Outcome::Done);
        answered.count();
    }
    account
}

/// Reads every list and holds all accounts against it.
pub(crate) async fn check(client: &Client, accounts: &[Account]) -> Sum {
    let keys: BTreeSet<&str> = accounts.iter().map(|account| account.key.as_str()).collect();
    for key in keys {
        let list = list(client, key).await;
        check_epochs(key, &list);
        for account in accounts.iter().filter(|account| account.key == key) {
            account.check(&list);
        }
    }
    let count = |of: fn(&Account) -> usize| accounts.iter().map(|account| of(account) as u64).sum();
    Sum {
        sent: accounts.iter().map(|account| account.sent).sum(),
        done: count(|account| account.done.len()),
        unsaved: count(|account| account.unsaved.len()),
        not_run: count(|account| account.not_run.len()),
        unknown: count(|account| account.unknown.len()),
    }
}

/// An actor's list, asked for until it answers.
pub(crate) async fn list(client: &Client, key: &str) -> Vec<Note> {
    let notes = client.actor::<Notes>(key);
    let asked = async {
        loop {
            if let Ok(list) = notes.ask(List).within(Duration::from_secs(10)).await {
                return list;
            }
        }
    };
    time::timeout(PATIENCE, asked).await.expect("it answers")
}
