//! Servers that die, stand still, forget, go back or take no writes.

use super::{PATIENCE, actor, open, request, row, server::RedisServer, silo};
use deadpool_redis::redis;
use futures_util::{FutureExt, future::join_all};
use quark::{
    clock::Clock,
    ident::Epoch,
    store::{Change, ETag, Entry, EntryChange, EntryOutcome, RegisterOutcome, SaveOutcome, Store, StoreError},
};
use std::time::Duration;

/// What the operation answers once it answers; until then it must fail as it does in an outage.
async fn in_the_end<T, F: Future<Output = Result<T, StoreError>>>(operation: impl Fn() -> F) -> T {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    loop {
        match operation().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_transient() && clock.now() < end, "{error}"),
        }
        clock.sleep(Duration::from_millis(5)).await;
    }
}

/// The first error that is a refusal; until then the outcome may be open.
async fn refusal<T, F: Future<Output = Result<T, StoreError>>>(operation: impl Fn() -> F) -> String {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    while clock.now() < end {
        match operation().await {
            Err(error @ StoreError::Refused { .. }) => return error.to_string(),
            Err(error) => assert!(error.is_transient(), "{error}"),
            Ok(_) => {}
        }
    }
    panic!("it is not refused");
}

/// R86: a dead server is an error that names the cause and the cure, and the store goes on by itself when it is back.
#[tokio::test]
async fn a_killed_server_is_an_error_with_a_cure_and_is_used_again_when_it_is_back() {
    let mut server = RedisServer::durable();
    let store = open(&server);
    store.register(&silo("a"), vec![actor("alice")]).await.unwrap();
    server.kill();
    let text = refusal(|| store.register(&silo("a"), vec![actor("bob")])).await;
    assert!(
        text.contains("start Redis")
            && text.contains("nothing was changed")
            && text.contains(&server.port().to_string()),
        "{text}"
    );
    server.restart();
    let entries = in_the_end(|| store.entries(vec![actor("alice"), actor("bob")])).await;
    assert_eq!(entries, [Entry::owned(silo("a"), Epoch(1)), Entry::default()]);
    let outcomes = in_the_end(|| store.register(&silo("a"), vec![actor("bob")])).await;
    assert!(matches!(outcomes[0], RegisterOutcome::Registered(_)), "{outcomes:?}");
}

/// Nothing hangs; a read tells whether what was asked for took effect.
#[tokio::test]
async fn an_operation_on_a_paused_server_ends_unknown_and_a_read_decides() {
    let server = RedisServer::start();
    let store = open(&server);
    store.register(&silo("a"), vec![actor("alice")]).await.unwrap();
    let change = |from: Entry, to: Entry| EntryChange {
        actor: actor("alice"),
        expected: from,
        new: to,
    };
    let (first, second) = (Entry::owned(silo("a"), Epoch(1)), Entry::owned(silo("b"), Epoch(2)));
    // From now on the server knows the script.
    let outcomes = store.change_entries(vec![change(first, second.clone())]).await.unwrap();
    assert_eq!(outcomes, [EntryOutcome::Changed]);
    server.pause();
    let third = Entry::owned(silo("c"), Epoch(3));
    let change = change(second, third.clone());
    let clock = Clock::system();
    let changing = clock.timeout(PATIENCE, store.change_entries(vec![change])).await;
    let error = changing.expect("nothing hangs").expect_err("nobody answers");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("not known"), "{error}");
    server.resume();
    // It was under way, and nothing that is read later was before it.
    let entries = in_the_end(|| store.entries(vec![actor("alice")])).await;
    assert_eq!(entries, [third]);
}

/// More than may be under way at a time; each ends.
#[tokio::test]
async fn thousands_of_operations_on_a_paused_server_all_end() {
    let server = RedisServer::start();
    let store = open(&server);
    server.pause();
    let reads = join_all((0..3_000).map(|_| store.members()));
    let answers = Clock::system().timeout(PATIENCE, reads).await.expect("nothing hangs");
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().is_err_and(StoreError::is_transient))
    );
    server.resume();
    assert_eq!(in_the_end(|| store.members()).await.view, 0);
}

/// NOSCRIPT: nobody sees that the server has forgotten them, however many ask at a time.
#[tokio::test]
async fn scripts_are_loaded_again_after_a_flush() {
    let server = RedisServer::start();
    let store = open(&server);
    let owner = silo("a");
    store.register(&owner, vec![actor("before")]).await.unwrap();
    let () = server.command(&["SCRIPT", "FLUSH"]);
    let () = server.command(&["FLUSHALL"]);
    let registers = (0..200).map(|key| store.register(&owner, vec![actor(&key.to_string())]));
    for answer in join_all(registers).await {
        assert!(matches!(answer.unwrap()[0], RegisterOutcome::Registered(_)));
    }
    assert_eq!(store.owned_by(&owner).await.unwrap().len(), 200);
    store.change_member(0, Change::Put(row(&owner))).await.unwrap().unwrap();
    assert!(store.heartbeat(&owner, 1).await.unwrap().is_some());
}

/// The loss is seen, as views and epochs that went back, and the store goes on.
#[tokio::test]
async fn a_server_restarted_empty_shows_the_empty_table_and_serves() {
    let mut server = RedisServer::start();
    let store = open(&server);
    store
        .change_member(0, Change::Put(row(&silo("a"))))
        .await
        .unwrap()
        .unwrap();
    store.register(&silo("a"), vec![actor("alice")]).await.unwrap();
    server.kill();
    server.restart();
    let table = in_the_end(|| store.members()).await;
    assert_eq!((table.view, table.rows.len()), (0, 0));
    let change = EntryChange {
        actor: actor("alice"),
        expected: Entry::owned(silo("a"), Epoch(1)),
        new: Entry::free(Epoch(2)),
    };
    let outcomes = in_the_end(|| store.change_entries(vec![change.clone()])).await;
    assert_eq!(outcomes, [EntryOutcome::Conflict(Entry::default())]);
    let outcomes = store.save(vec![request(&actor("alice"), None, "late")]).await.unwrap();
    assert_eq!(outcomes, [SaveOutcome::NotOwner(Entry::default())]);
    // Nobody knows any more who owned it, so the owner asserts it again from nothing.
    let again = EntryChange {
        expected: Entry::default(),
        new: Entry::owned(silo("a"), Epoch(2)),
        ..change
    };
    assert_eq!(
        store.change_entries(vec![again]).await.unwrap(),
        [EntryOutcome::Changed]
    );
    store
        .change_member(0, Change::Put(row(&silo("a"))))
        .await
        .unwrap()
        .unwrap();
}

/// What was written after the snapshot is gone, and what expects it is told what there is.
#[tokio::test]
async fn a_server_restarted_from_an_old_snapshot_shows_what_it_has() {
    let mut server = RedisServer::start();
    let store = open(&server);
    store
        .change_member(0, Change::Put(row(&silo("a"))))
        .await
        .unwrap()
        .unwrap();
    store.register(&silo("a"), vec![actor("alice")]).await.unwrap();
    store.save(vec![request(&actor("alice"), None, "old")]).await.unwrap();
    server.save_snapshot();
    store
        .change_member(1, Change::Put(row(&silo("b"))))
        .await
        .unwrap()
        .unwrap();
    store
        .save(vec![request(&actor("alice"), Some(1), "new")])
        .await
        .unwrap();
    store.register(&silo("b"), vec![actor("bob")]).await.unwrap();
    server.kill();
    server.restart();
    let table = in_the_end(|| store.members()).await;
    assert_eq!((table.view, table.rows), (1, vec![row(&silo("a"))]));
    let outcomes = in_the_end(|| store.save(vec![request(&actor("alice"), Some(2), "newer")])).await;
    let conflict = SaveOutcome::Conflict {
        expected: Some(ETag(2)),
        actual: Some(ETag(1)),
    };
    assert_eq!(outcomes, [conflict]);
    assert_eq!(store.entries(vec![actor("bob")]).await.unwrap(), [Entry::default()]);
    assert_eq!(store.owned_by(&silo("b")).await.unwrap(), []);
}

/// R82: a change by another process is heard of at once; one that nobody told of is, when the connection has been made anew.
#[tokio::test]
async fn views_are_pushed_and_healed_after_an_interruption() {
    let server = RedisServer::start();
    let (writer, watcher) = (open(&server), open(&server));
    let mut views = watcher.views();
    let clock = Clock::system();
    let put = Change::Put(row(&silo("a")));
    writer.change_member(0, put).await.unwrap().unwrap();
    let pushed = clock.timeout(PATIENCE, views.wait_for(|view| *view == 1)).await;
    pushed.expect("it is pushed").unwrap();

    let () = server.command(&["HSET", "quark:{test}:members", "view", "7"]);
    let ended: i64 = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(ended, 2);
    let healed = clock.timeout(PATIENCE, views.wait_for(|view| *view == 7)).await;
    healed.expect("it is healed").unwrap();
}

/// Refusals prove that nothing was changed, and end with their cause.
#[tokio::test]
async fn a_server_that_takes_no_writes_refuses_and_is_used_again() {
    let server = RedisServer::start();
    let store = open(&server);
    let owner = silo("a");
    let register = || store.register(&owner, vec![actor("alice")]);

    let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let text = register().await.unwrap_err().to_string();
    assert!(
        text.contains("raise maxmemory") && text.contains("nothing was changed"),
        "{text}"
    );
    let () = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.entries(vec![actor("alice")]).await.unwrap(), [Entry::default()]);

    let () = server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let text = refusal(register).await;
    assert!(text.contains("name the primary"), "{text}");
    let () = server.command(&["REPLICAOF", "NO", "ONE"]);
    let outcomes = in_the_end(register).await;
    assert!(matches!(outcomes[0], RegisterOutcome::Registered(_)), "{outcomes:?}");
}

/// A caller that goes away does not undo what it asked for.
#[tokio::test]
async fn an_operation_whose_caller_went_away_takes_effect() {
    let server = RedisServer::start();
    let store = open(&server);
    let owner = silo("a");
    let mut register = store.register(&owner, vec![actor("alice")]);
    assert!(FutureExt::now_or_never(&mut register).is_none());
    drop(register);
    while store.entries(vec![actor("alice")]).await.unwrap() == [Entry::default()] {}
    assert_eq!(store.owned_by(&owner).await.unwrap(), [actor("alice")]);
}

/// A connection that was made and not let in is given up: it would not find out that it would be let in now.
#[tokio::test]
async fn a_server_that_lets_nobody_in_refuses_and_is_used_when_it_does() {
    let mut server = RedisServer::start();
    let store = open(&server);
    let members = || store.members();
    members().await.unwrap();
    server.kill();
    server.restart_with(&["--save", "", "--requirepass", "secret"]);
    let text = refusal(members).await;
    assert!(text.contains("USER:PASSWORD@HOST"), "{text}");
    let url = format!("redis://:secret@127.0.0.1:{}", server.port());
    let mut known = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut open_it = redis::cmd("CONFIG");
    let () = open_it.arg("SET").arg("requirepass").arg("").query(&mut known).unwrap();
    assert_eq!(in_the_end(members).await.view, 0);
}
