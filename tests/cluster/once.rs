//! Effects that happen once, however they are sent, when the silo of their actor is killed.

use crate::{PATIENCE, cluster::Cluster, notes::HERE};
use quark::{client::Client, clock::Clock, ident::OnceId, prelude::*};
use std::time::Duration;

const SILOS: [&str; 3] = ["o-one", "o-two", "o-three"];

/// Counts what is paid into it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Purse {
    coins: u64,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "purse.pay_in", reply = u64, idempotent)]
struct PayIn(u64);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "purse.look", reply = (String, u64))]
struct Look;

#[actor(kind = "purse", messages(PayIn, Look))]
impl Actor for Purse {}

impl Handler<PayIn> for Purse {
    async fn handle(&mut self, PayIn(coins): PayIn, _: &mut Context<Self>) -> u64 {
        self.coins += coins;
        self.coins
    }
}

impl Handler<Look> for Purse {
    async fn handle(&mut self, _: Look, _: &mut Context<Self>) -> (String, u64) {
        (HERE.get().cloned().unwrap_or_default(), self.coins)
    }
}

/// Where the purse is, and what is in it.
async fn look(client: &Client) -> (String, u64) {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    loop {
        match client.actor::<Purse>("p").ask(Look).await {
            Ok(found) => return found,
            Err(error) => assert!(clock.now() < end, "{error}"),
        }
    }
}

/// Sends an effect in the way of this number; what becomes of it is not looked at.
async fn send(client: &Client, effect: u64, way: u64) {
    let purse = client.actor::<Purse>("p");
    let id = OnceId::of(&effect.to_string());
    match way % 4 {
        0 => _ = purse.tell(PayIn(1)).once(id).await,
        1 => _ = purse.try_tell_once(PayIn(1), id),
        2 => {
            if let Ok(ask) = purse.try_ask_once(PayIn(1), id) {
                let _may_be_unknown = ask.await;
            }
        }
        _ => _ = purse.ask(PayIn(1)).once(id).within(Duration::from_secs(10)).await,
    }
}

/// Guarantee 7: of effects whose senders cannot know whether they happened, each is sent again in another way, and happens once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_happen_once_in_every_way_of_sending_when_their_silo_is_killed() {
    const EFFECTS: u64 = 40;
    let mut cluster = Cluster::embedded(&SILOS, Duration::from_secs(2)).await;
    let client = cluster.client().await;
    let (owner, coins) = look(&client).await;
    assert_eq!(coins, 0);
    // Those that were answered, and those that are on their way.
    for effect in 0..EFFECTS / 2 {
        send(&client, effect, effect).await;
    }
    for effect in EFFECTS / 2..EFFECTS {
        let way = if effect % 4 == 3 { 0 } else { effect };
        send(&client, effect, way).await;
    }
    cluster.take(&owner).kill();
    for effect in 0..EFFECTS {
        send(&client, effect, effect + 1).await;
    }
    // An ask says when its effect has happened.
    let purse = client.actor::<Purse>("p");
    for effect in 0..EFFECTS {
        let id = OnceId::of(&effect.to_string());
        let ask = purse.ask(PayIn(1)).once(id).within(PATIENCE);
        assert!(ask.await.expect("answered") <= EFFECTS);
    }
    let (now, coins) = look(&client).await;
    assert_ne!(now, owner);
    assert_eq!(coins, EFFECTS);
    client.close().await;
}
