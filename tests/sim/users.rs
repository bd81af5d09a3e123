//! The simulator as users have it: their own actor in two versions, their own clients, and a bug that it finds.

use crate::quiet;
use quark::{
    actor::CallError,
    client::Client,
    prelude::*,
    silo::{Silo, SiloBuilder},
    testkit::{Fault, Simulation, World},
};
use std::{cell::Cell, collections::BTreeSet, rc::Rc, time::Duration};

/// Adds to the balance, and answers it once it is saved. `id`: it is added once, however often it comes.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "wallet.deposit", reply = Result<u64, String>)]
struct Deposit {
    amount: u64,
    id: Option<(u64, u64)>,
}

#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "wallet.balance", reply = u64)]
struct Balance;

macro_rules! wallet {
    ($module:ident, $version:literal, { $($added:tt)* }) => {
        mod $module {
            use super::*;

            #[derive(Debug, Default, Serialize, Deserialize)]
            pub(super) struct Wallet {
                balance: u64,
                seen: BTreeSet<(u64, u64)>,
                $($added)*
            }

            #[actor(kind = "wallet", version = $version, messages(Deposit, Balance))]
            impl Actor for Wallet {}

            impl Handler<Deposit> for Wallet {
                async fn handle(&mut self, deposit: Deposit, ctx: &mut Context<Self>) -> Result<u64, String> {
                    if deposit.id.is_none_or(|id| self.seen.insert(id)) {
                        self.balance += deposit.amount;
                    }
                    ctx.save(self).await.map_err(|error| error.to_string())?;
                    Ok(self.balance)
                }
            }

            impl Handler<Balance> for Wallet {
                async fn handle(&mut self, _: Balance, _: &mut Context<Self>) -> u64 {
                    self.balance
                }
            }
        }
    };
}

wallet!(v1, "1.0.0", {});
wallet!(v2, "1.1.0", { #[serde(default)] owner: Option<String>, });

/// Deposits 1, again and again until it is acknowledged.
async fn deposit(client: &Client, world: &World, id: Option<(u64, u64)>) {
    let wallet = client.actor::<v1::Wallet>("alice");
    loop {
        let answer: Result<_, CallError> = wallet
            .ask(Deposit { amount: 1, id })
            .within(Duration::from_secs(5))
            .await;
        if let Ok(Ok(_)) = answer {
            return;
        }
        world.sleep(Duration::from_millis(100)).await;
    }
}

/// Clients that deposit 1 at a time, with or without an id, and what the balance must be.
fn deposits(with_ids: bool) -> Simulation {
    let (last, done) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (begin, begun, counted) = (last.clone(), done.clone(), done.clone());
    Simulation::new()
        .old(|| Silo::builder().workers(1).without_linked().register::<v1::Wallet>())
        .new_version(|| {
            SiloBuilder::workers(Silo::builder(), 1)
                .without_linked()
                .register::<v2::Wallet>()
        })
        .faults([
            Fault::Crash,
            Fault::Pause,
            Fault::Cut,
            Fault::StoreSilent,
            Fault::Restart,
        ])
        .time(Duration::from_secs(20))
        .begin(move || {
            begin.set(0);
            begun.set(0);
        })
        .client(move |client, world| {
            let (done, me) = (done.clone(), last.get());
            last.set(me + 1);
            async move {
                for n in 0..40 {
                    deposit(&client, &world, with_ids.then_some((me, n))).await;
                    done.set(done.get() + 1);
                    world.sleep(Duration::from_millis(world.below(800))).await;
                }
                Ok(())
            }
        })
        .check(move |client, _| {
            let done = counted.get();
            async move {
                let wallet = client.actor::<v1::Wallet>("alice");
                let balance = wallet.ask(Balance).await.map_err(|error| error.to_string())?;
                if balance == done {
                    return Ok(());
                }
                Err(format!("{done} were deposited, and the balance is {balance}"))
            }
        })
}

#[test]
#[ignore = "minutes: make sim"]
fn deposits_that_are_sent_again_without_an_id_are_found_to_count_twice() {
    quiet();
    let simulation = deposits(false);
    let failed = (0..20)
        .map(|seed| simulation.run_seed(seed))
        .find(|verdict| verdict.outcome.is_err());
    let verdict = failed.expect("a seed that finds it");
    let why = verdict.outcome.as_ref().expect_err("it failed");
    assert!(why.contains("were deposited, and the balance is"), "{why}");
    assert!(why.contains("the last of"), "what happened is shown: {why}");
    assert_eq!(simulation.run_seed(verdict.seed), verdict, "the same again");
}

#[test]
#[ignore = "minutes: make sim"]
fn deposits_with_an_id_count_once_through_an_upgrade_whatever_fails() {
    quiet();
    deposits(true).run(0..1);
}

#[test]
fn a_seed_that_fails_is_named_with_the_command_that_runs_it_again() {
    quiet();
    let simulation = Simulation::new()
        .old(|| Silo::builder().workers(1).without_linked().register::<v1::Wallet>())
        .silos(1)
        .clients(0)
        .faults([])
        .time(Duration::from_secs(1))
        .check(async |_, _| Err("sim: as it was told".into()));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulation.run(3..4)));
    let text = panicked.expect_err("it fails").downcast::<String>().expect("a text");
    assert!(text.contains("seed 3 fails: sim: as it was told"), "{text}");
    assert!(text.contains("QUARK_SIM_SEED=3 cargo test"), "{text}");
}
