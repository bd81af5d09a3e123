//! States of several versions in one cluster: read, written back, refused, and nothing lost on the way.

mod common;

use common::{cluster_name, know_each_other, silo, until};
use quark::{
    ident::ActorId,
    prelude::*,
    silo::SiloHandle,
    store::{self, Store},
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add(String);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.count", reply = BTreeMap<String, u64>)]
struct Count;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.save")]
struct Save;

/// Version 1.0: a list. Its schema has no name yet.
mod v1_0 {
    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    pub(super) struct Cart {
        pub(super) skus: Vec<String>,
    }

    #[actor(kind = "cart", version = "1.0.0", unlisted, messages(Add, Count, Save))]
    impl Actor for Cart {}

    impl Handler<Add> for Cart {
        async fn handle(&mut self, Add(sku): Add, _: &mut Context<Self>) -> usize {
            self.skus.push(sku);
            self.skus.len()
        }
    }

    impl Handler<Count> for Cart {
        async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> BTreeMap<String, u64> {
            let mut lines = BTreeMap::new();
            self.skus
                .iter()
                .for_each(|sku| *lines.entry(sku.clone()).or_default() += 1);
            lines
        }
    }

    impl Handler<Save> for Cart {
        async fn handle(&mut self, _: Save, ctx: &mut Context<Self>) {
            ctx.save(self).await.expect("saved");
        }
    }
}

/// Version 1.1: counts. It reads and writes what 1.0 does.
mod v1_1 {
    use super::*;

    #[derive(Default, Serialize, Deserialize, State)]
    #[state(schema = "cart.1", unnamed)]
    pub(super) struct CartV1 {
        pub(super) skus: Vec<String>,
    }

    #[derive(Default, Serialize, Deserialize, State)]
    #[state(schema = "cart.2", from(CartV1), back = CartV1)]
    pub(super) struct Cart {
        lines: BTreeMap<String, u64>,
    }

    impl From<CartV1> for Cart {
        fn from(old: CartV1) -> Self {
            let mut lines = BTreeMap::new();
            old.skus.into_iter().for_each(|sku| *lines.entry(sku).or_default() += 1);
            Self { lines }
        }
    }

    impl From<&Cart> for CartV1 {
        fn from(cart: &Cart) -> Self {
            let each = |(sku, count): (&String, &u64)| (0..*count).map(|_| sku.clone()).collect::<Vec<_>>();
            Self {
                skus: cart.lines.iter().flat_map(each).collect(),
            }
        }
    }

    #[actor(kind = "cart", version = "1.1.0", unlisted, messages(Add, Count, Save))]
    impl Actor for Cart {}

    impl Handler<Add> for Cart {
        async fn handle(&mut self, Add(sku): Add, _: &mut Context<Self>) -> usize {
            *self.lines.entry(sku).or_default() += 1;
            usize::try_from(self.lines.values().sum::<u64>()).expect("few")
        }
    }

    impl Handler<Count> for Cart {
        async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> BTreeMap<String, u64> {
            self.lines.clone()
        }
    }

    impl Handler<Save> for Cart {
        async fn handle(&mut self, _: Save, ctx: &mut Context<Self>) {
            ctx.save(self).await.expect("saved");
        }
    }
}

async fn old(cluster: &str, name: &str) -> SiloHandle {
    silo(cluster, name)
        .register::<v1_0::Cart>()
        .start()
        .await
        .expect("starts")
}

async fn new(cluster: &str, name: &str) -> SiloHandle {
    silo(cluster, name)
        .register::<v1_1::Cart>()
        .start()
        .await
        .expect("starts")
}

fn alice() -> ActorId {
    ActorId::new("cart", "alice").expect("valid")
}

/// Holds the cluster's store while no silo does.
fn store_of(cluster: &str) -> Arc<dyn Store> {
    store::open(&format!("memory:{cluster}"), cluster).expect("opens")
}

async fn saved(store: &dyn Store) -> Vec<u8> {
    let states = store.load(vec![alice()]).await.expect("answers");
    let state = states.into_iter().next().flatten().expect("it is saved");
    state.body.to_vec()
}

fn counts(lines: &[(&str, u64)]) -> BTreeMap<String, u64> {
    lines.iter().map(|(sku, count)| ((*sku).to_owned(), *count)).collect()
}

/// R98, R140
#[tokio::test]
async fn a_new_version_writes_what_the_old_one_reads_until_that_is_gone() {
    let cluster = cluster_name();
    let store = store_of(&cluster);
    let a = old(&cluster, "a").await;
    a.actor::<v1_0::Cart>("alice")
        .ask(Add("tea".into()))
        .await
        .expect("answered");
    let b = new(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    a.migrate(&alice(), Some(b.id())).await.expect("moves");
    let cart = b.actor::<v1_1::Cart>("alice");
    assert_eq!(cart.ask(Add("tea".into())).await.expect("answered"), 2);
    cart.ask(Save).await.expect("saved");
    let body = saved(&*store).await;
    assert_eq!(body, b"\x81\xa4skus\x92\xa3tea\xa3tea", "as version 1.0 writes it");
    // And back, with what is not saved.
    cart.ask(Add("rum".into())).await.expect("answered");
    b.migrate(&alice(), Some(a.id())).await.expect("moves back");
    let count = a.actor::<v1_0::Cart>("alice").ask(Count).await.expect("answered");
    assert_eq!(count, counts(&[("rum", 1), ("tea", 2)]));
    a.migrate(&alice(), Some(b.id())).await.expect("moves");
    a.stop().await.expect("stops");
    until("the old version is gone", || b.view().rows().count() == 1).await;
    cart.ask(Save).await.expect("saved");
    let body = saved(&*store).await;
    assert!(
        body.starts_with(b"\xc1") && body.windows(6).any(|part| part == b"cart.2"),
        "{body:?}"
    );
    b.stop().await.expect("stops");
}

/// R98
#[tokio::test]
async fn what_an_old_version_cannot_read_is_refused_and_left_as_it_was() {
    let cluster = cluster_name();
    let store = store_of(&cluster);
    let b = new(&cluster, "b").await;
    b.actor::<v1_1::Cart>("alice")
        .ask(Add("tea".into()))
        .await
        .expect("answered");
    b.stop().await.expect("stops");
    let body = saved(&*store).await;

    let a = old(&cluster, "a").await;
    let error = a.actor::<v1_0::Cart>("alice").ask(Count).await.expect_err("refused");
    assert!(matches!(error, CallError::ActivationFailed(_)), "{error}");
    for part in [
        "cart/alice",
        "cart 1.0.0",
        "\"cart.2\"",
        "without a name",
        "left as it was",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    a.stop().await.expect("stops");
    assert_eq!(saved(&*store).await, body);

    let b = new(&cluster, "b").await;
    let count = b.actor::<v1_1::Cart>("alice").ask(Count).await.expect("answered");
    assert_eq!(count, counts(&[("tea", 1)]));
    b.stop().await.expect("stops");
}

/// Version 1.2: one field more than 1.0, under the same name.
mod with_coupon {
    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    pub(super) struct Cart {
        skus: Vec<String>,
        #[serde(default)]
        coupon: Option<String>,
    }

    #[actor(kind = "cart", version = "1.2.0", unlisted, messages(Add, Count))]
    impl Actor for Cart {}

    impl Handler<Add> for Cart {
        async fn handle(&mut self, Add(sku): Add, _: &mut Context<Self>) -> usize {
            self.coupon = Some(format!("for {sku}"));
            self.skus.push(sku);
            self.skus.len()
        }
    }

    impl Handler<Count> for Cart {
        async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> BTreeMap<String, u64> {
            counts(&[(self.coupon.as_deref().unwrap_or("none"), self.skus.len() as u64)])
        }
    }
}

#[tokio::test]
async fn a_field_that_the_old_version_does_not_know_is_still_there_after_it() {
    let cluster = cluster_name();
    let a = old(&cluster, "a").await;
    let b = silo(&cluster, "b").register::<with_coupon::Cart>().start();
    let b = b.await.expect("starts");
    know_each_other(&[&a, &b]).await;
    a.actor::<v1_0::Cart>("alice").ask(Count).await.expect("active");
    // On whichever it came up.
    let to_b = a.migrate(&alice(), Some(b.id())).await;
    let cart = b.actor::<with_coupon::Cart>("alice");
    cart.ask(Add("tea".into())).await.expect("answered");
    b.migrate(&alice(), Some(a.id()))
        .await
        .unwrap_or_else(|why| panic!("{why} after {to_b:?}"));
    a.actor::<v1_0::Cart>("alice")
        .ask(Add("rum".into()))
        .await
        .expect("answered");
    a.migrate(&alice(), Some(b.id())).await.expect("moves");
    assert_eq!(cart.ask(Count).await.expect("answered"), counts(&[("for tea", 2)]));
    a.stop().await.expect("stops");
    b.stop().await.expect("stops");
}
