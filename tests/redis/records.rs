//! What programs of other versions, and others altogether, have written.

use super::{actor, cannot_open, open, request, row, server::RedisServer, silo};
use deadpool_redis::redis;
use quark::{
    ident::{ActorId, Epoch, SiloId},
    store::{Change, Entry, EntryChange, EntryOutcome, RedisStore, SiloStatus, Store, StoreError},
};

/// The key of an actor in this cluster, found by what all such keys end with.
fn key_of(server: &RedisServer, actor: &ActorId) -> String {
    let pattern = format!("quark:{{test/*}}:actor:4:cart:{}", actor.key());
    let keys: Vec<String> = server.command(&["KEYS", &pattern]);
    let [key] = <[String; 1]>::try_from(keys).expect("one key");
    key
}

/// R80: fields that a newer program put there are passed over, and stay.
#[tokio::test]
async fn records_of_newer_programs_are_read_and_kept() {
    #[derive(serde::Serialize)]
    struct NewerRow<'a> {
        silo: &'a SiloId,
        address: &'a str,
        status: &'a str,
        region: &'a str,
    }
    let server = RedisServer::start();
    let store = open(&server);
    let (mut connection, newer, alice) = (server.connection(), silo("newer"), actor("alice"));
    let record = rmp_serde::to_vec_named(&NewerRow {
        silo: &newer,
        address: "host:1",
        status: "Paused",
        region: "mars",
    });
    let fields: [(&str, &[u8]); 2] = [("r:newer#1", &record.unwrap()), ("lease", b"theirs")];
    let () = redis::Commands::hset_multiple(&mut connection, "quark:{test}:members", &fields).unwrap();
    let before: Vec<u8> = redis::Commands::hget(&mut connection, "quark:{test}:members", "r:newer#1").unwrap();
    let table = store.members().await.unwrap();
    assert_eq!(table.rows[0].status, SiloStatus::Other);
    assert_eq!(table.rows[0].address, "host:1");
    store.heartbeat(&newer, 5).await.unwrap().expect("it is there");
    store
        .change_member(0, Change::Put(row(&silo("a"))))
        .await
        .unwrap()
        .unwrap();
    let after: Vec<u8> = redis::Commands::hget(&mut connection, "quark:{test}:members", "r:newer#1").unwrap();
    assert_eq!(
        before, after,
        "a heartbeat and another row's change leave the record as it is"
    );

    store.register(&silo("a"), vec![alice.clone()]).await.unwrap();
    let key = key_of(&server, &alice);
    let () = server.command(&["HSET", &key, "pinned", "yes"]);
    store.save(vec![request(&alice, None, "body")]).await.unwrap();
    let free = EntryChange {
        actor: alice.clone(),
        expected: Entry::owned(silo("a"), Epoch(1)),
        new: Entry::free(Epoch(2)),
    };
    assert_eq!(store.change_entries(vec![free]).await.unwrap(), [EntryOutcome::Changed]);
    assert_eq!(server.command::<String>(&["HGET", &key, "pinned"]), "yes");
    assert_eq!(store.load(vec![alice]).await.unwrap()[0].as_ref().unwrap().body, "body");
}

#[test]
fn a_layout_of_a_newer_program_is_refused() {
    let server = RedisServer::start();
    open(&server);
    let () = server.command(&["HSET", "quark:{test}:members", "layout", "2"]);
    let text = cannot_open(&server.url());
    assert!(text.contains("layout \"2\"") && text.contains("a newer one"), "{text}");
    RedisStore::open(&server.url(), "another cluster").expect("is not concerned");
}

/// Guarantee 20: what cannot be understood is an error that names the record, and it stays as it is.
#[tokio::test]
async fn records_that_cannot_be_understood_are_named_and_left() {
    let server = RedisServer::start();
    let store = open(&server);
    let (alice, owner) = (actor("alice"), silo("a"));
    let named = |error: StoreError, what: &str| {
        assert!(
            matches!(error, StoreError::Corrupt { .. }) && !error.is_transient(),
            "{error}"
        );
        assert!(error.to_string().contains(what), "{error}");
    };
    store.change_member(0, Change::Put(row(&owner))).await.unwrap().unwrap();
    let record: Vec<u8> = server.command(&["HGET", "quark:{test}:members", "r:a#1"]);
    let () = server.command(&["HSET", "quark:{test}:members", "r:a#1", "junk"]);
    named(store.members().await.unwrap_err(), "the member a#1");
    let () = redis::Commands::hset(&mut server.connection(), "quark:{test}:members", "r:b#1", record).unwrap();
    let () = server.command(&["HDEL", "quark:{test}:members", "r:a#1"]);
    named(store.members().await.unwrap_err(), "it speaks of a#1");

    store.register(&owner, vec![alice.clone()]).await.unwrap();
    let key = key_of(&server, &alice);
    let () = server.command(&["HSET", &key, "epoch", "junk"]);
    named(store.entries(vec![alice.clone()]).await.unwrap_err(), "cart/alice");
    let () = server.command(&["HDEL", &key, "owner", "incarnation"]);
    named(
        store.register(&owner, vec![alice.clone()]).await.unwrap_err(),
        "cart/alice",
    );
    let () = server.command(&["HSET", &key, "epoch", &u64::MAX.to_string()]);
    named(
        store.register(&owner, vec![alice.clone()]).await.unwrap_err(),
        "the last number",
    );
    assert_eq!(server.command::<Option<String>>(&["HGET", &key, "owner"]), None);
    let () = server.command(&["SET", &key, "another program's"]);
    named(
        store.register(&owner, vec![alice.clone()]).await.unwrap_err(),
        "another program",
    );
    named(store.load(vec![alice]).await.unwrap_err(), "another program");
}
