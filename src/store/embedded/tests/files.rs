//! Files: what survives, what is refused and with which words, what a newer program left in them.

use super::{Place, actor, block_on};
use crate::{
    ident::{Epoch, SiloId},
    store::{
        Change, ETag, EmbeddedStore, Entry, MemberRow, Owner, RegisterOutcome, SaveOutcome, SaveRequest, SiloStatus,
        Store, StoreError, conformance::row, embedded::schema, record,
    },
};
use rusqlite::params;
use std::{fs, path::Path, sync::Barrier, thread};

fn silo() -> SiloId {
    SiloId::new("a", 1)
}

fn refusal(path: &Path) -> String {
    match EmbeddedStore::open(path, "test") {
        Err(error @ StoreError::CannotOpen { .. }) => {
            assert!(!error.is_transient());
            error.to_string()
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("{} was opened", path.display()),
    }
}

#[test]
fn all_that_was_answered_is_there_after_reopening() {
    let place = Place::new();
    let save = SaveRequest {
        actor: actor("alice"),
        owner: Owner {
            silo: silo(),
            epoch: Epoch(1),
        },
        expected: None,
        version: "1.0.0".into(),
        body: Some("body".into()),
        has_posts: false,
        named: Vec::new(),
    };
    block_on(async {
        let store = place.open();
        store
            .change_member(0, Change::Put(row(&silo())))
            .await
            .unwrap()
            .unwrap();
        store.heartbeat(&silo(), 3).await.unwrap();
        store.register(&silo(), vec![actor("alice")]).await.unwrap();
        assert_eq!(store.save(vec![save]).await.unwrap(), [SaveOutcome::Saved(ETag(1))]);
    });
    block_on(async {
        let store = place.open();
        let table = store.members().await.unwrap();
        assert_eq!((table.view, table.rows[0].heartbeat), (1, 3));
        assert_eq!(
            store.entries(vec![actor("alice")]).await.unwrap(),
            [Entry::owned(silo(), Epoch(1))]
        );
        let states = store.load(vec![actor("alice")]).await.unwrap();
        assert_eq!(states[0].as_ref().unwrap().body, "body");
    });
}

#[test]
fn a_new_file_may_be_opened_by_many_at_the_same_time() {
    for _ in 0..5 {
        let place = Place::new();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            let openers: Vec<_> = (0..8)
                .map(|number: u64| {
                    let (place, start) = (&place, &start);
                    scope.spawn(move || {
                        start.wait();
                        let store = place.open();
                        block_on(store.register(&SiloId::new("a", number), vec![actor("alice")])).unwrap()
                    })
                })
                .collect();
            let won = openers
                .into_iter()
                .map(|opener| opener.join().unwrap())
                .filter(|outcomes| matches!(outcomes[0], RegisterOutcome::Registered(_)))
                .count();
            assert_eq!(won, 1);
        });
    }
}

#[test]
fn clusters_in_one_file_see_nothing_of_each_other() {
    let place = Place::new();
    let blue = EmbeddedStore::open(&place.path(), "blue").unwrap();
    let green = EmbeddedStore::open(&place.path(), "green").unwrap();
    block_on(async {
        blue.change_member(0, Change::Put(row(&silo()))).await.unwrap().unwrap();
        blue.register(&silo(), vec![actor("alice")]).await.unwrap();
        assert_eq!(green.members().await.unwrap().view, 0);
        assert_eq!(green.heartbeat(&silo(), 1).await.unwrap(), None);
        assert_eq!(green.owned_by(&silo()).await.unwrap(), []);
        let outcome = green.register(&silo(), vec![actor("alice")]).await.unwrap();
        assert!(matches!(outcome[0], RegisterOutcome::Registered(_)));
        green.change_member(0, Change::Remove(silo())).await.unwrap().unwrap();
        assert_eq!(blue.members().await.unwrap().rows, [row(&silo())]);
    });
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let place = Place::new();
    drop(place.open());
    place
        .sql()
        .pragma_update(None, "user_version", schema::VERSION + 1)
        .unwrap();
    let text = refusal(&place.path());
    assert!(text.contains("version 2") && text.contains("newer"), "{text}");
    let version: i32 = place
        .sql()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, schema::VERSION + 1);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.sql().execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
    let before = fs::read(place.path()).unwrap();
    let text = refusal(&place.path());
    assert!(text.contains("another program"), "{text}");
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let junk = b"these are notes, and no database at all\n".repeat(100);
    fs::write(place.path(), &junk).unwrap();
    let text = refusal(&place.path());
    assert!(
        text.contains("not a database") && text.contains("name another file"),
        "{text}"
    );
    assert_eq!(fs::read(place.path()).unwrap(), junk);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let place = Place::new();
    fs::write(place.path(), b"").unwrap();
    assert_eq!(block_on(place.open().members()).unwrap().view, 0);
}

#[test]
fn a_missing_folder_is_named() {
    let place = Place::new();
    let folder = place.0.path().join("missing");
    let text = refusal(&folder.join("cluster.db"));
    assert!(
        text.contains(&format!("{} does not exist: create it", folder.display())),
        "{text}"
    );
    assert!(!folder.exists());
}

#[test]
fn a_folder_is_no_file() {
    let place = Place::new();
    let text = refusal(place.0.path());
    assert!(text.contains("is a folder"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_cannot_be_written_says_what_must_be_allowed() {
    let text = refusal(Path::new("/proc/quark-cluster.db"));
    assert!(text.contains("must be allowed to write"), "{text}");
}

#[test]
fn a_path_that_sqlite_takes_for_something_else_is_a_file() {
    let place = Place::new();
    let path = place.0.path().join(":memory:");
    drop(EmbeddedStore::open(&path, "test").unwrap());
    assert!(path.is_file());
    assert!(refusal(Path::new("")).contains("no file's"));
}

#[test]
fn a_cluster_name_that_cannot_be_one_is_refused() {
    let place = Place::new();
    let error = EmbeddedStore::open(&place.path(), "").unwrap_err();
    assert!(error.to_string().contains("cluster name"), "{error}");
    assert!(!place.path().exists());
}

/// A row as a newer program may write it.
#[derive(serde::Serialize)]
struct NewerRow {
    silo: SiloId,
    address: &'static str,
    status: &'static str,
    region: &'static str,
}

/// Puts a record for the silo past the store, as another program would.
fn plant(place: &Place, bytes: &[u8]) {
    let sql = "INSERT INTO members (cluster, name, incarnation, heartbeat, record) VALUES (1, 'a', 1, 0, ?1)";
    place.sql().execute(sql, params![bytes]).unwrap();
}

#[test]
fn a_heartbeat_keeps_what_a_newer_program_put_into_the_row() {
    let place = Place::new();
    let store = place.open();
    let newer = NewerRow {
        silo: silo(),
        address: "host:1",
        status: "Paused",
        region: "mars",
    };
    let bytes = record::encode(&newer).unwrap();
    plant(&place, &bytes);
    let seen = block_on(store.heartbeat(&silo(), 5)).unwrap().unwrap();
    assert_eq!((seen.heartbeat, seen.status), (5, SiloStatus::Other));
    let kept: Vec<u8> = (place.sql())
        .query_row("SELECT record FROM members", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, bytes);
}

/// As a newer program reads it again.
#[derive(serde::Deserialize)]
struct ReadAgain {
    status: String,
    region: String,
}

#[test]
fn a_program_that_writes_the_row_of_a_newer_one_keeps_what_it_does_not_know() {
    let place = Place::new();
    let store = place.open();
    let newer = NewerRow {
        silo: silo(),
        address: "host:1",
        status: "Paused",
        region: "mars",
    };
    plant(&place, &record::encode(&newer).unwrap());
    block_on(async {
        let table = store.members().await.unwrap();
        let dead = MemberRow {
            status: SiloStatus::Dead,
            ..table.rows[0].clone()
        };
        store
            .change_member(table.view, Change::Put(dead))
            .await
            .unwrap()
            .unwrap();
    });
    let kept: Vec<u8> = (place.sql())
        .query_row("SELECT record FROM members", [], |row| row.get(0))
        .unwrap();
    let again: ReadAgain = record::decode(&kept).unwrap();
    assert_eq!((again.status.as_str(), again.region.as_str()), ("Dead", "mars"));
}

#[test]
fn a_row_that_cannot_be_read_is_named_and_can_be_removed() {
    let other = record::encode(&row(&SiloId::new("b", 1))).unwrap();
    for bytes in [&b"\xc1"[..], &other] {
        let place = Place::new();
        let store = place.open();
        plant(&place, bytes);
        block_on(async {
            let error = store.members().await.unwrap_err();
            assert!(
                matches!(&error, StoreError::Corrupt { what, .. } if what == "the member a#1"),
                "{error}"
            );
            assert!(store.heartbeat(&silo(), 9).await.is_err());
            let heartbeat: i64 = place
                .sql()
                .query_row("SELECT heartbeat FROM members", [], |row| row.get(0))
                .unwrap();
            assert_eq!(heartbeat, 0, "it was left as it is");
            store.change_member(0, Change::Remove(silo())).await.unwrap().unwrap();
            assert_eq!(store.members().await.unwrap().rows, []);
        });
    }
}
