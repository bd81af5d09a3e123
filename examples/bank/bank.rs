//! The bank: silos that are killed, clients that transfer meanwhile, and the books that must be right in the end.

use crate::{
    account::{Account, Balance, Open, Transfer},
    silo_process::{Settings, SiloProcess},
};
use anyhow::{Context, Result, ensure};
use quark::{client::Client, clock::Clock, ident::OnceId, prelude::*};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// What is done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) silos: usize,
    pub(crate) accounts: u64,
    pub(crate) clients: u64,
    /// How many silos are killed, one after the other; each comes back.
    pub(crate) kills: u64,
    /// How many transfers are made between two kills.
    pub(crate) transfers_between: u64,
    pub(crate) seed: u64,
    /// The URL of the store.
    pub(crate) store: String,
    /// The arguments by which this program is a silo.
    pub(crate) arguments: &'static [&'static str],
}

/// What is in each account in the beginning.
const FIRST: u64 = 1000;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) transfers: u64,
    pub(crate) refused: u64,
    /// Asks whose outcome was still not known at their deadline, and were made again.
    pub(crate) asked_again: u64,
    pub(crate) kills: u64,
    pub(crate) sum: u64,
}

/// What clients were told: by account, what came in and went out.
#[derive(Default)]
struct Books {
    change: BTreeMap<u64, i64>,
    report: Report,
}

impl Plan {
    /// Does it.
    ///
    /// # Errors
    /// If anything fails that must not, or the books are wrong.
    pub(crate) async fn run(&self) -> Result<Report> {
        let mut silos = Vec::new();
        for number in 0..self.silos {
            silos.push(self.start(number)?);
        }
        let seeds = silos.iter().map(|silo| silo.address.clone());
        let client = Client::builder().cluster("bank").seeds(seeds).connect().await?;
        for account in 0..self.accounts {
            let opened = account_of(&client, account).ask(Open(FIRST)).await?;
            ensure!(opened == FIRST, "account {account} has {opened}");
        }

        let (made, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut clients = JoinSet::new();
        for number in 0..self.clients {
            let random = Random(self.seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let load = transfer(client.clone(), self.accounts, random, made.clone(), enough.clone());
            clients.spawn(load);
        }
        let mut random = Random(self.seed);
        let mut killed = 0;
        for _ in 0..self.kills {
            let goal = made.load(Ordering::Relaxed) + self.transfers_between;
            wait(&mut clients, || made.load(Ordering::Relaxed) >= goal).await?;
            let number = usize::try_from(random.below(self.silos as u64))?;
            silos[number].kill()?;
            killed += 1;
            let goal = made.load(Ordering::Relaxed) + self.transfers_between;
            wait(&mut clients, || made.load(Ordering::Relaxed) >= goal).await?;
            silos[number] = self.start(number)?;
        }
        enough.store(true, Ordering::Relaxed);
        let mut books = Books::default();
        while let Some(told) = clients.join_next().await {
            books.add(told??);
        }
        books.report.kills = killed;
        self.check(&client, &mut books).await?;
        client.close().await;
        Ok(books.report)
    }

    fn start(&self, number: usize) -> Result<SiloProcess> {
        let settings = Settings {
            name: format!("bank-{}", number + 1),
            store: self.store.clone(),
            failure_timeout: Duration::from_secs(2),
        };
        SiloProcess::start(&settings, self.arguments)
    }

    /// Waits until all that was posted is paid in, and compares every account with what clients were told.
    async fn check(&self, client: &Client, books: &mut Books) -> Result<()> {
        let all = self.accounts * FIRST;
        let (clock, mut balances) = (Clock::system(), BTreeMap::new());
        let end = clock.now() + PATIENCE;
        while balances.values().sum::<u64>() != all {
            ensure!(
                clock.now() < end,
                "the sum is {} and not {all}",
                balances.values().sum::<u64>()
            );
            clock.sleep(Duration::from_millis(20)).await;
            for account in 0..self.accounts {
                let balance = account_of(client, account).ask(Balance).await?;
                balances.insert(account, balance);
            }
            let sum: u64 = balances.values().sum();
            ensure!(sum <= all, "money was made: {sum} of {all}");
        }
        for (account, balance) in &balances {
            let due = i64::try_from(FIRST)? + books.change.get(account).copied().unwrap_or(0);
            ensure!(
                i64::try_from(*balance)? == due,
                "account {account} has {balance}, and its clients were told of {due}"
            );
        }
        books.report.sum = balances.values().sum();
        Ok(())
    }
}

impl Books {
    fn add(&mut self, other: Self) {
        for (account, change) in other.change {
            *self.change.entry(account).or_default() += change;
        }
        self.report.transfers += other.report.transfers;
        self.report.refused += other.report.refused;
        self.report.asked_again += other.report.asked_again;
    }
}

fn account_of(client: &Client, number: u64) -> ActorRef<Account> {
    client.actor(&number.to_string())
}

/// Waits until it is so, as long as the clients go on.
async fn wait(clients: &mut JoinSet<Result<Books>>, is_so: impl Fn() -> bool) -> Result<()> {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    while !is_so() {
        ensure!(clock.now() < end, "the clients make no transfers any more");
        if let Some(ended) = clients.try_join_next() {
            ended??;
            anyhow::bail!("a client has ended");
        }
        clock.sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Makes transfers until it is told to stop.
async fn transfer(
    client: Client,
    accounts: u64,
    mut random: Random,
    made: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
) -> Result<Books> {
    let mut books = Books::default();
    while !enough.load(Ordering::Relaxed) {
        let (from, amount) = (random.below(accounts), random.below(50) + 1);
        let to = (from + 1 + random.below(accounts - 1)) % accounts;
        let effect = OnceId::random();
        let answer = loop {
            let transfer = Transfer {
                to: to.to_string(),
                amount,
            };
            // Quark asks again until the deadline; whoever wants to know for sure asks for the same effect after it.
            match account_of(&client, from).ask(transfer).once(effect).await {
                Ok(answer) => break answer,
                Err(error) => {
                    books.report.asked_again += 1;
                    ensure!(books.report.asked_again < 100, "no answer: {error}");
                }
            }
        };
        match answer {
            Ok(_) => {
                let amount = i64::try_from(amount).context("small")?;
                *books.change.entry(from).or_default() -= amount;
                *books.change.entry(to).or_default() += amount;
                books.report.transfers += 1;
            }
            Err(_) => books.report.refused += 1,
        }
        made.fetch_add(1, Ordering::Relaxed);
    }
    Ok(books)
}

/// Numbers that look random, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
