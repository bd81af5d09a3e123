//! Streams on silos: who subscribes gets what is published, in order and once, wherever the stream and its subscribers live and while
//! they move; who has no room holds up only whom it said.

#![allow(clippy::disallowed_methods, reason = "tests spawn publishers of their own")]

mod common;

use common::{DOORS, cluster_name, know_each_other, silo, start, until};
use quark::{
    actor::CallError,
    client::Client,
    clock::Clock,
    ident::ActorId,
    prelude::*,
    silo::SiloHandle,
    store::BackPressure,
    stream::{Event, StreamRef, Subscription},
    wire::{ACTORS_QUERY, ActorsAsked, ActorsListed, decode, encode},
};
use std::{collections::BTreeMap, time::Duration};

/// What is published: who did, and the how manieth it was.
#[derive(Debug, Clone, PartialEq, Message, Serialize, Deserialize)]
#[message(name = "news.item")]
struct Item {
    by: String,
    n: u64,
}

/// Something else on the same streams.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "news.other")]
struct Other;

/// Books what it gets, by stream and publisher.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Reader {
    got: BTreeMap<String, Vec<u64>>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "reader.follow", reply = Result<bool, String>)]
struct Follow {
    key: String,
    pressure: BackPressure,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "reader.leave", reply = bool)]
struct Leave(String);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "reader.got", reply = BTreeMap<String, Vec<u64>>)]
struct Got;

/// Stands before a door until that is open.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "reader.wait")]
struct Stand(String);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "reader.publish", reply = Result<u32, String>)]
struct Say(Item);

#[actor(kind = "reader", messages(Follow, Leave, Got, Stand, Say, Event<Item>))]
impl Actor for Reader {}

impl Handler<Follow> for Reader {
    async fn handle(&mut self, follow: Follow, ctx: &mut Context<Self>) -> Result<bool, String> {
        let how = Subscription::new().pressure(follow.pressure);
        let made = ctx.subscribe::<Item>("news", &follow.key, how).await;
        made.map_err(|error| error.to_string())
    }
}

impl Handler<Leave> for Reader {
    async fn handle(&mut self, leave: Leave, ctx: &mut Context<Self>) -> bool {
        ctx.unsubscribe::<Item>("news", &leave.0).await.expect("it answers")
    }
}

impl Handler<Got> for Reader {
    async fn handle(&mut self, _: Got, _: &mut Context<Self>) -> BTreeMap<String, Vec<u64>> {
        self.got.clone()
    }
}

impl Handler<Stand> for Reader {
    async fn handle(&mut self, stand: Stand, _: &mut Context<Self>) {
        DOORS.come_to(&stand.0);
        until("the door is opened", || DOORS.is_open(&stand.0)).await;
    }
}

impl Handler<Say> for Reader {
    async fn handle(&mut self, say: Say, ctx: &mut Context<Self>) -> Result<u32, String> {
        let delivery = ctx.stream("news", "said").deliver(say.0).await;
        delivery
            .map(|delivery| delivery.delivered)
            .map_err(|error| error.to_string())
    }
}

impl Handler<Event<Item>> for Reader {
    async fn handle(&mut self, item: Event<Item>, ctx: &mut Context<Self>) {
        if ctx.key() == "panics" {
            panic!("as it was told");
        }
        let from = format!("{}/{} {}", item.namespace(), item.key(), item.by);
        self.got.entry(from).or_default().push(item.n);
        let by = match &*item.by {
            "a" => 1,
            "b" => 2,
            _ => 3,
        };
        self.got
            .entry("epochs".into())
            .or_default()
            .extend([item.n, by, ctx.epoch().0]);
    }
}

/// Gets what is published in `audit` without subscribing.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Auditor {
    got: Vec<u64>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "auditor.got", reply = Vec<u64>)]
struct Audited;

#[actor(kind = "auditor", messages(Audited, Event<Item>), streams("audit", "ledgers"))]
impl Actor for Auditor {}

impl Handler<Audited> for Auditor {
    async fn handle(&mut self, _: Audited, _: &mut Context<Self>) -> Vec<u64> {
        self.got.clone()
    }
}

impl Handler<Event<Item>> for Auditor {
    async fn handle(&mut self, item: Event<Item>, ctx: &mut Context<Self>) {
        assert_eq!(item.key(), ctx.key());
        self.got.push(item.n);
    }
}

fn item(by: &str, n: u64) -> Item {
    Item { by: by.into(), n }
}

async fn follow(silo: &SiloHandle, reader: &str, key: &str, pressure: BackPressure) -> bool {
    let key = key.to_owned();
    let made = silo.actor::<Reader>(reader).ask(Follow { key, pressure }).await;
    made.expect("answered").expect("subscribed")
}

async fn got(silo: &SiloHandle, reader: &str, from: &str) -> Vec<u64> {
    let mut got = silo.actor::<Reader>(reader).ask(Got).await.expect("answered");
    got.remove(from).unwrap_or_default()
}

/// Waits until it got so many.
async fn got_all(silo: &SiloHandle, reader: &str, from: &str, count: usize) -> Vec<u64> {
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    loop {
        let got = got(silo, reader, from).await;
        if got.len() >= count {
            return got;
        }
        assert!(clock.now() < end, "{reader} got {} of {count} from {from}", got.len());
        clock.sleep(Duration::from_millis(2)).await;
    }
}

/// R124
#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_gets_what_is_published_until_it_leaves() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let client = Client::builder()
        .cluster(&cluster)
        .seeds([a.address()])
        .connect()
        .await
        .expect("connects");
    for reader in 0..6 {
        let was = follow(&a, &reader.to_string(), "x", BackPressure::Wait).await;
        assert!(!was);
    }
    assert!(follow(&b, "0", "x", BackPressure::Wait).await, "it was there");
    let (here, there): (StreamRef<Item>, StreamRef<Item>) = (a.stream("news", "x"), client.stream("news", "x"));
    for n in 0..50 {
        here.publish(item("silo", n)).await.expect("published");
        there.publish(item("client", n)).await.expect("published");
    }
    let delivery = here.deliver(item("silo", 50)).await.expect("delivered");
    assert_eq!((delivery.delivered, delivery.failed), (6, 0));
    for reader in 0..6 {
        let reader = reader.to_string();
        let found = got_all(&b, &reader, "news/x silo", 51).await;
        assert_eq!(found, (0..=50).collect::<Vec<_>>());
        assert_eq!(
            got_all(&b, &reader, "news/x client", 50).await,
            (0..50).collect::<Vec<_>>()
        );
    }
    assert!(a.actor::<Reader>("3").ask(Leave("x".into())).await.expect("answered"));
    assert!(!a.actor::<Reader>("3").ask(Leave("x".into())).await.expect("answered"));
    assert_eq!(here.deliver(item("silo", 51)).await.expect("delivered").delivered, 5);
    // Of another type, key or namespace they hear nothing.
    let others: StreamRef<Other> = a.stream("news", "x");
    assert_eq!(others.deliver(Other).await.expect("delivered").delivered, 0);
    assert_eq!(
        a.stream("news", "y")
            .deliver(item("silo", 0))
            .await
            .expect("delivered")
            .delivered,
        0
    );
    assert_eq!(
        a.stream("olds", "x")
            .deliver(item("silo", 0))
            .await
            .expect("delivered")
            .delivered,
        0
    );
    let status = here.status().await.expect("answered");
    assert_eq!((status.published, status.subscribers.len()), (103, 5));
    let bad: StreamRef<Item> = a.stream("a/b", "x");
    assert!(matches!(bad.publish(item("silo", 0)).await, Err(CallError::Other(_))));
    for silo in [a, b] {
        assert_eq!(silo.dead_letters().len(), 0);
        silo.stop().await.expect("stops in order");
    }
}

/// R124
#[tokio::test(flavor = "multi_thread")]
async fn an_actor_gets_the_events_of_the_namespaces_that_its_kind_is_declared_for() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    for n in 0..20 {
        for key in ["x", "y"] {
            let delivery = a
                .stream("audit", key)
                .deliver(item("silo", n))
                .await
                .expect("delivered");
            assert_eq!(delivery.delivered, 1);
        }
    }
    for key in ["x", "y"] {
        let got = b.actor::<Auditor>(key).ask(Audited).await.expect("answered");
        assert_eq!(got, (0..20).collect::<Vec<_>>());
    }
    let status = a.stream::<Item>("audit", "x").status().await.expect("answered");
    assert_eq!(status.subscribers[0].event, None, "all events");
    for silo in [a, b] {
        silo.stop().await.expect("stops in order");
    }
}

/// R126
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_panics_stops_nobody() {
    let silo = start(&cluster_name(), "a").await;
    for reader in ["a", "panics", "z"] {
        follow(&silo, reader, "x", BackPressure::Wait).await;
    }
    let stream: StreamRef<Item> = silo.stream("news", "x");
    for n in 0..20 {
        stream.publish(item("silo", n)).await.expect("published");
    }
    for reader in ["a", "z"] {
        assert_eq!(
            got_all(&silo, reader, "news/x silo", 20).await,
            (0..20).collect::<Vec<_>>()
        );
    }
    silo.stop().await.expect("stops in order");
}

/// R125: four readers stand before a door with little room.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_room_waits_or_drops_as_it_said() {
    let cluster = cluster_name();
    let mut options = quark::silo::SiloOptions {
        mailbox_capacity: 8,
        ..Default::default()
    };
    options.name = "a".into();
    options.cluster = cluster.clone();
    options.store = format!("memory:{cluster}");
    options.handle_signals = false;
    options.workers = 2;
    let silo = silo(&cluster, "a").options(options).start().await.expect("it starts");
    let door = format!("{cluster}-door");
    let modes = [
        ("newest", BackPressure::DropNewest),
        ("oldest", BackPressure::DropOldest(5)),
        ("free", BackPressure::Throttle(1_000)),
    ];
    for (reader, pressure) in modes {
        follow(&silo, reader, "x", pressure).await;
    }
    for reader in ["newest", "oldest"] {
        silo.actor::<Reader>(reader)
            .tell(Stand(door.clone()))
            .await
            .expect("told");
    }
    until("somebody stands before the door", || DOORS.arrived(&door)).await;
    let stream: StreamRef<Item> = silo.stream("news", "x");
    let clock = Clock::system();
    let begun = clock.now();
    for n in 0..100 {
        stream.deliver(item("silo", n)).await.expect("delivered");
    }
    assert!(
        clock.now().since(begun) >= Duration::from_millis(95),
        "a thousand a second"
    );
    let status = stream.status().await.expect("answered");
    let of = |name: &str| {
        status
            .subscribers
            .iter()
            .find(|subscriber| subscriber.actor.key() == name)
            .cloned()
    };
    let (newest, oldest, free) = (of("newest").unwrap(), of("oldest").unwrap(), of("free").unwrap());
    assert_eq!((free.delivered, free.dropped), (100, 0));
    assert!(free.waited > 50, "{free:?}");
    assert_eq!((newest.delivered + newest.dropped, newest.kept), (100, 0));
    assert_eq!((oldest.delivered + oldest.dropped, oldest.kept), (95, 5));
    // One place is taken by what tells them of which activation the events are.
    assert!((7..=10).contains(&newest.delivered) && (7..=10).contains(&oldest.delivered));
    DOORS.open(&door);
    let first = got_all(&silo, "newest", "news/x silo", 7).await;
    assert_eq!(
        first,
        (0..newest.delivered).collect::<Vec<_>>(),
        "the newest were dropped"
    );
    let mut due: Vec<u64> = (0..oldest.delivered).collect();
    due.extend(95..100);
    assert_eq!(
        got_all(&silo, "oldest", "news/x silo", due.len()).await,
        due,
        "the oldest were dropped"
    );

    // Who waits loses nothing, and holds up who publishes.
    let door = format!("{cluster}-other-door");
    follow(&silo, "waits", "y", BackPressure::Wait).await;
    silo.actor::<Reader>("waits")
        .tell(Stand(door.clone()))
        .await
        .expect("told");
    until("it stands before the door", || DOORS.arrived(&door)).await;
    let stream: StreamRef<Item> = silo.stream("news", "y");
    let mut taken = 0;
    until("nothing more is taken", || {
        let took = stream.try_publish(item("silo", taken)).is_ok();
        taken += u64::from(took);
        !took
    })
    .await;
    assert!((8..=40).contains(&taken), "{taken}");
    DOORS.open(&door);
    let all = got_all(&silo, "waits", "news/y silo", usize::try_from(taken).unwrap()).await;
    assert_eq!(all, (0..taken).collect::<Vec<_>>());
    silo.stop().await.expect("stops in order");
}

async fn home_of<'s>(silos: &[&'s SiloHandle], kind: &str) -> Option<&'s SiloHandle> {
    let has = |silo: &&&SiloHandle| silo.status().activations.get(kind).is_some_and(|count| *count > 0);
    silos.iter().find(has).copied()
}

/// R55, guarantees 3 and 4
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_publisher_come_in_order_while_stream_and_subscribers_move() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let readers: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    for reader in &readers {
        follow(&a, reader, "x", BackPressure::Wait).await;
    }
    let client = Client::builder()
        .cluster(&cluster)
        .seeds([a.address()])
        .connect()
        .await
        .expect("connects");
    let publish = |by: &'static str, stream: StreamRef<Item>| {
        tokio::task::spawn(async move {
            let clock = Clock::system();
            for n in 0..1500 {
                stream.publish(item(by, n)).await.expect("published");
                if n % 10 == 0 {
                    clock.sleep(Duration::from_millis(3)).await;
                }
            }
        })
    };
    let publishers = [
        publish("a", a.stream("news", "x")),
        publish("b", b.stream("news", "x")),
        publish("client", client.stream("news", "x")),
    ];
    let stream = ActorId::new("quark.stream", "news/x").expect("valid");
    let both = [&a, &b];
    let mut moves = 0;
    while publishers.iter().any(|publisher| !publisher.is_finished()) {
        for source in both {
            if source.migrate(&stream, None).await.is_ok() {
                moves += 1;
            }
            for reader in &readers {
                let id = ActorId::new("reader", reader).expect("valid");
                moves += usize::from(source.migrate(&id, None).await.is_ok());
            }
        }
    }
    for publisher in publishers {
        publisher.await.expect("published all");
    }
    assert!(moves > 10, "{moves} moves");
    for reader in &readers {
        for by in ["a", "b", "client"] {
            let found = got_all(&a, reader, &format!("news/x {by}"), 1500).await;
            let breaks: Vec<_> = found.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
            if !breaks.is_empty() {
                let epochs = got_all(&a, reader, "epochs", 1).await;
                let around: Vec<_> = epochs
                    .chunks(3)
                    .filter(|e| e[0] >= breaks[0][0].saturating_sub(5) && e[0] <= breaks[0][1] + 100)
                    .collect();
                eprintln!("{reader} {by} {breaks:?} {around:?}");
                eprintln!("{:?}", a.stream::<Item>("news", "x").status().await);
            }
            assert!(
                breaks.is_empty() && found.len() == 1500,
                "{reader} of {by}: each once, in order: {breaks:?}"
            );
        }
    }
    // Its subscriptions count for an actor wherever it is.
    let here = home_of(&both, "reader").await.expect("somewhere");
    let asked = encode(&ActorsAsked {
        kind: Some("reader".into()),
        ..ActorsAsked::default()
    });
    let listed = client
        .query(here.id(), ACTORS_QUERY, asked.expect("encodes"))
        .await
        .expect("answered");
    let listed: ActorsListed = decode(&listed).expect("is read");
    assert!(
        !listed.actors.is_empty() && listed.actors.iter().all(|line| line.score >= 0.2),
        "{listed:?}"
    );
    for silo in [a, b] {
        assert_eq!(silo.dead_letters().len(), 0);
        silo.stop().await.expect("stops in order");
    }
}

/// The score of an actor, by the word of the silo that has it.
async fn score(client: &Client, silo: &SiloHandle, key: &str) -> f64 {
    let asked = encode(&ActorsAsked {
        kind: Some("reader".into()),
        prefix: Some(key.into()),
        ..ActorsAsked::default()
    });
    let listed = client.query(silo.id(), ACTORS_QUERY, asked.expect("encodes")).await;
    let listed: ActorsListed = decode(&listed.expect("answered")).expect("is read");
    let line = listed.actors.iter().find(|line| line.actor.key() == key);
    line.unwrap_or_else(|| panic!("{key} is not at {}", silo.id())).score
}

/// What it is subscribed to is not in its state, and an activation that is rebuilt has it all the same; also when it moves then.
#[tokio::test(flavor = "multi_thread")]
async fn the_subscriptions_of_an_actor_that_panicked_count_for_its_score() {
    let cluster = cluster_name();
    let a = start(&cluster, "a").await;
    let client = Client::builder()
        .cluster(&cluster)
        .seeds([a.address()])
        .connect()
        .await
        .expect("connects");
    follow(&a, "panics", "x", BackPressure::Wait).await;
    let stream: StreamRef<Item> = a.stream("news", "x");
    for n in 0..3 {
        stream.deliver(item("a", n)).await.expect("given to it");
    }
    assert!(got(&a, "panics", "news/x a").await.is_empty(), "each made it panic");
    got(&a, "plain", "news/x a").await;
    let share = score(&client, &a, "panics").await - score(&client, &a, "plain").await;
    assert!(share > 0.15, "{share}");

    let b = start(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    for key in ["panics", "plain"] {
        let id = ActorId::new("reader", key).expect("valid");
        a.migrate(&id, Some(b.id())).await.expect("moves");
    }
    let share = score(&client, &b, "panics").await - score(&client, &b, "plain").await;
    assert!(share > 0.15, "{share} after a move");
    client.close().await;
    for silo in [a, b] {
        silo.stop().await.expect("stops in order");
    }
}

/// R55, guarantee 4: the silo of the stream leaves; and subscriptions outlive the whole cluster.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_outlive_the_silos_that_they_were_made_on() {
    let (folder, cluster) = (tempfile::tempdir().expect("a folder"), cluster_name());
    let url = format!("embedded:{}", folder.path().join("quark.db").display());
    let begin = async |name: &str| silo(&cluster, name).store(&url).start().await.expect("it starts");
    let a = begin("a").await;
    for reader in ["1", "2", "3"] {
        follow(&a, reader, "x", BackPressure::Wait).await;
    }
    let b = begin("b").await;
    know_each_other(&[&a, &b]).await;
    let stream: StreamRef<Item> = b.stream("news", "x");
    for n in 0..10 {
        stream.publish(item("b", n)).await.expect("published");
    }
    a.stop().await.expect("stops in order");
    for n in 10..20 {
        stream.publish(item("b", n)).await.expect("published");
    }
    for reader in ["1", "2", "3"] {
        assert_eq!(got_all(&b, reader, "news/x b", 20).await, (0..20).collect::<Vec<_>>());
    }
    b.stop().await.expect("stops in order");

    let c = begin("c").await;
    let delivery = c.stream("news", "x").deliver(item("c", 0)).await.expect("delivered");
    assert_eq!(delivery.delivered, 3);
    assert_eq!(got_all(&c, "2", "news/x c", 1).await, [0]);
    // An actor publishes to itself and to others like anybody else.
    follow(&c, "1", "said", BackPressure::Wait).await;
    follow(&c, "2", "said", BackPressure::Wait).await;
    let said = c.actor::<Reader>("1").ask(Say(item("1", 7))).await.expect("answered");
    assert_eq!(said, Ok(2));
    for reader in ["1", "2"] {
        assert_eq!(got_all(&c, reader, "news/said 1", 1).await, [7]);
    }
    c.stop().await.expect("stops in order");
}
