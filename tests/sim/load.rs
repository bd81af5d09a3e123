//! Senders that note what each message was told: clients that send several at a time, one that repeats what may be repeated, and
//! callers within silos.

use crate::{
    account::{Append, List, Note, Read, SetTimer, v1::Account},
    history::{self, Kind, Told},
};
use futures_util::future::join_all;
use quark::{
    actor::{ActorRef, CallError},
    client::Client,
    ident::ActorId,
    testkit::World,
    wire::Ran,
};
use std::{cell::Cell, collections::BTreeMap, rc::Rc, time::Duration};

/// How long a request may take, all in all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How many messages a sender has on their way to one actor at a time.
const AT_ONCE: u64 = 3;

fn told(answer: Result<u64, CallError>) -> Told {
    match answer {
        Ok(len) => Told::Done(len),
        Err(error) if error.ran() == Ran::No => Told::NotRun(error.to_string()),
        Err(error) => Told::Unknown(error.to_string()),
    }
}

async fn append(account: ActorRef<Account>, sender: String, n: u64, takes: u64, retries: bool) {
    let request = history::sent(Kind::Append, account.id().key(), &sender, n, retries);
    loop {
        let message = Append {
            sender: sender.clone(),
            n,
            takes,
        };
        let answer = told(account.ask(message).within(PATIENCE).await);
        // A rule that a test breaks: what is not known is sent again as if it had not run.
        if !retries || !matches!(answer, Told::Unknown(_)) {
            return history::told(request, answer);
        }
    }
}

pub(crate) async fn read(account: ActorRef<Account>, sender: String, n: u64) {
    let request = history::sent(Kind::Read, account.id().key(), &sender, n, false);
    let message = Read { sender, n };
    history::told(request, told(account.ask(message).within(PATIENCE).await));
}

/// What the load of one run is.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) accounts: Vec<String>,
    pub(crate) until: Duration,
    /// The mean rest of a sender between two rounds.
    pub(crate) rest: Duration,
    /// Whether senders send again what is not known: a bug that a test is to find.
    pub(crate) retries_unknown: bool,
    /// Whether timers are set.
    pub(crate) timers: bool,
    /// While it is so nobody sends anything new.
    pub(crate) is_quiet: Rc<Cell<bool>>,
}

impl Load {
    async fn rest(&self, world: &World) {
        let share = (1 + world.below(2_000)) as f64 / 1_000.0;
        world.sleep(self.rest.mul_f64(share)).await;
        while self.is_quiet.get() {
            world.sleep(Duration::from_millis(50)).await;
        }
    }

    /// A client that sends to every account in turn, several messages at a time to each.
    pub(crate) async fn client(&self, client: &Client, name: &str, world: &World) {
        let senders = self.accounts.iter().map(async |key| {
            let account = client.actor::<Account>(key);
            let mut n = 0;
            while world.now() < self.until {
                self.rest(world).await;
                let mut round: Vec<_> = Vec::new();
                for _ in 0..1 + world.below(AT_ONCE) {
                    n += 1;
                    let takes = if world.happens(50) { world.below(400) } else { 0 };
                    round.push(append(account.clone(), name.to_owned(), n, takes, self.retries_unknown));
                }
                let reads = async {
                    if world.happens(400) {
                        n += 1;
                        read(account.clone(), format!("{name}-reads"), n).await;
                    }
                };
                futures_util::future::join(join_all(round), reads).await;
                if self.timers && world.happens(50) {
                    self.set_timer(&account, world).await;
                }
            }
        });
        join_all(senders).await;
    }

    async fn set_timer(&self, account: &ActorRef<Account>, world: &World) {
        let message = SetTimer {
            id: world.below(u64::MAX),
            after_ms: world.below(8_000),
        };
        // Whether it was set is what the actor notes.
        let _told = account.ask(message).within(PATIENCE).await;
    }

    /// Silos whose own programs send, and that move actors here and there.
    pub(crate) async fn inside(&self, world: &World, moves: bool) {
        let mut n = 0;
        while world.now() < self.until {
            self.rest(world).await;
            n += 1;
            let silos = world.silos();
            let Some(silo) = silos.get(usize::try_from(world.below(silos.len() as u64)).unwrap_or(0)) else {
                continue;
            };
            let key = self.accounts[usize::try_from(world.below(self.accounts.len() as u64)).unwrap_or(0)].clone();
            if moves && world.happens(500) {
                world.on(silo, |handle| async move {
                    let actor = ActorId::new("account", key.as_str()).expect("a key");
                    // It may be elsewhere, or have nowhere to go.
                    let _moved = handle.migrate(&actor, None).await;
                });
            } else if world.happens(500) {
                let sender = format!("{silo}'s {n}");
                world.on(silo, |handle| async move {
                    read(handle.actor::<Account>(&key), sender, n).await;
                });
            } else {
                let sender = format!("{silo}'s {n}");
                world.on(silo, |handle| async move {
                    append(handle.actor::<Account>(&key), sender, n, 0, false).await;
                });
            }
        }
    }
}

/// Every account's list, asked for until it answers; `Err`: one that does not within `limit`.
pub(crate) async fn lists(
    client: &Client,
    accounts: &[String],
    world: &World,
    limit: Duration,
) -> Result<BTreeMap<String, Vec<Note>>, String> {
    let end = world.now() + limit;
    let mut lists = BTreeMap::new();
    for key in accounts {
        let account = client.actor::<Account>(key);
        loop {
            match account.ask(List).within(Duration::from_secs(10)).await {
                Ok(list) => {
                    lists.insert(key.clone(), list);
                    break;
                }
                Err(error) if world.now() >= end => return Err(format!("{key} does not answer: {error}")),
                Err(_) => world.sleep(Duration::from_millis(100)).await,
            }
        }
    }
    Ok(lists)
}
