//! The program `quark`: what people and programs read of a cluster, and what they hear when they are wrong.

mod common;

use common::{Book, Ledger, Pass, Relay, cluster_name, know_each_other, start, until};
use quark::{actor::registry::Registry, ident::ActorId};
use semver::Version;
use serde_json::Value;
use std::process::Output;
use tokio::process::Command;

/// Runs `quark` and answers what it printed and how it ended.
async fn quark(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quark"));
    for variable in [
        "QUARK_AT",
        "QUARK_CLUSTER",
        "QUARK_SECRET_FILE",
        "QUARK_CERTS",
        "QUARK_CERT",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments).output().await.expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// R139
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_shown_to_people_and_to_programs() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    for key in ["x", "y", "z"] {
        let book = Book {
            sender: "s".into(),
            n: 0,
        };
        a.actor::<Ledger>(key).ask(book).await.expect("answered");
    }
    let at = ["--at", a.address(), "--cluster", &cluster];
    let shown = |words: &[&str]| words.iter().copied().chain(at).map(str::to_owned).collect::<Vec<_>>();
    let run = async |words: &[&str]| {
        let arguments = shown(words);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = quark(&arguments).await;
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };

    let table = run(&["silos"]).await;
    assert!(table.lines().count() == 3 && table.starts_with("SILO"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where nobody looks");
    let silos: Value = serde_json::from_str(&run(&["silos", "--json"]).await).expect("JSON");
    let actors = |silo: &Value| silo["report"]["activations"]["ledger"].as_u64().unwrap_or(0);
    let silos = silos.as_array().expect("a list");
    assert_eq!(silos.iter().map(actors).sum::<u64>(), 3, "{silos:?}");
    assert!(run(&["status"]).await.contains("nothing to report"));
    assert!(run(&["versions"]).await.contains("ledger"));

    let listed: Value =
        serde_json::from_str(&run(&["actors", "--kind", "ledger", "--limit", "2", "--json"]).await).expect("JSON");
    assert_eq!(
        (listed["total"].as_u64(), listed["actors"].as_array().map(Vec::len)),
        (Some(3), Some(2))
    );
    let id = ActorId::new("ledger", "x").expect("valid");
    let found: Value = serde_json::from_str(&run(&["actor", &id.to_string(), "--json"]).await).expect("JSON");
    assert_eq!(found["epoch"].as_u64(), Some(1), "{found}");
    assert!(run(&["rollout", "status"]).await.contains("there was no rollout yet"));
    for silo in [a, b] {
        silo.stop().await.expect("stops");
    }
}

/// Runs `quark` against a cluster, and expects it to go well.
async fn run(at: &[&str], words: &[&str]) -> String {
    let arguments: Vec<_> = words.iter().chain(at).copied().collect();
    let output = quark(&arguments).await;
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The same, and expects it to fail; answers why.
async fn fail(at: &[&str], words: &[&str]) -> String {
    let arguments: Vec<_> = words.iter().chain(at).copied().collect();
    let output = quark(&arguments).await;
    assert_eq!(output.status.code(), Some(1), "{words:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// R139
#[tokio::test(flavor = "multi_thread")]
async fn actors_are_moved_and_silos_told_to_leave_and_to_stay() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let book = Book {
        sender: "s".into(),
        n: 0,
    };
    a.actor::<Ledger>("x").ask(book).await.expect("answered");
    let at = ["--at", a.address(), "--cluster", &cluster];
    let found: Value = serde_json::from_str(&run(&at, &["actor", "ledger/x", "--json"]).await).expect("JSON");
    let home = found["owner"]["name"]
        .as_str()
        .or(found["owner"].as_str())
        .expect("active")
        .to_owned();
    let (from, to) = if home.starts_with('a') { ("a", "b") } else { ("b", "a") };
    let moved = run(&at, &["migrate", "ledger/x", "--to", to]).await;
    assert!(moved.contains("ledger/x has moved"), "{moved}");
    let on = |silo: &str| if silo == "a" { a.status() } else { b.status() };
    assert_eq!(
        (on(from).activations.get("ledger"), on(to).activations.get("ledger")),
        (None, Some(&1))
    );
    let why = fail(&at, &["migrate", "ledger/x", "--to", to]).await;
    assert!(why.contains("on the target already"), "{why}");
    let why = fail(&at, &["migrate", "ledger/nobody"]).await;
    assert!(why.contains("is active on no silo"), "{why}");
    let why = fail(&at, &["drain", "nowhere"]).await;
    assert!(why.contains("no silo is called \"nowhere\"; there are: "), "{why}");

    run(&at, &["cordon", to]).await;
    assert!(run(&at, &["silos"]).await.contains("ShuttingDown"));
    run(&at, &["uncordon", to]).await;
    assert!(!run(&at, &["silos"]).await.contains("ShuttingDown"));
    let (leaver, stayer) = if to == "a" { (&a, &b) } else { (&b, &a) };
    let at = ["--at", stayer.address(), "--cluster", &cluster];
    let left = run(&at, &["drain", to]).await;
    assert!(left.contains("has left"), "{left}");
    let report = leaver.run_until_shutdown().await.expect("in order");
    assert_eq!(report.moved.len(), 1, "its actor went to the other one: {report:?}");
    stayer.stop().await.expect("stops");
}

/// R139
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_replayed_and_forgotten() {
    let cluster = cluster_name();
    let a = start(&cluster, "a").await;
    let broken = a.actor::<Relay>("broken-1");
    for _ in 0..3 {
        broken.tell(Pass { path: Vec::new() }).await.expect("sent");
    }
    until("they are dead letters", || a.dead_letters().len() == 3).await;
    let at = ["--at", a.address(), "--cluster", &cluster];
    let listed = run(&at, &["dead-letters", "list"]).await;
    assert!(listed.lines().count() == 4 && listed.contains("relay.pass"), "{listed}");
    let listed: Value = serde_json::from_str(&run(&at, &["dead-letters", "list", "--json"]).await).expect("JSON");
    assert_eq!(listed[0]["total"].as_u64(), Some(3));
    let first = listed[0]["letters"][0]["number"].to_string();
    let why = fail(&at, &["dead-letters", "replay", "a", &first]).await;
    assert!(why.contains("1 of 1 were not delivered"), "{why}");
    assert!(
        run(&at, &["dead-letters", "remove", "a", &first])
            .await
            .contains("1 dead letters")
    );
    run(&at, &["dead-letters", "remove", "a", "--all"]).await;
    assert!(run(&at, &["dead-letters", "list"]).await.contains("no dead letters"));
    let output = quark(&["dead-letters", "remove", "a", "--at", a.address()]).await;
    assert_eq!(output.status.code(), Some(2), "which ones has to be said");
    a.stop().await.expect("stops");
}

/// R139
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_said_shown_and_taken_back() {
    let cluster = cluster_name();
    let a = start(&cluster, "a").await;
    let at = ["--at", a.address(), "--cluster", &cluster];
    assert!(run(&at, &["rules"]).await.contains("nothing was said"));
    let version = env!("CARGO_PKG_VERSION");
    run(&at, &["pin", "ledger/vip-*", version]).await;
    run(&at, &["policy", "patch,require", "--kind", "ledger"]).await;
    let rules = run(&at, &["switch", "ledger", version, "--move"]).await;
    for part in [
        "ledger/vip-*",
        "pinned to",
        "patch,both,require,fail",
        "all switched to",
    ] {
        assert!(rules.contains(part), "{part:?} is missing in:\n{rules}");
    }
    let why = fail(&at, &["pin", "ledger/x", "9.9.9"]).await;
    assert!(why.contains("in version 9.9.9; hosted: "), "{why}");
    let output = quark(&["policy", "minro", "--at", a.address()]).await;
    assert!(
        text(&output.stderr).contains("use strict, patch, minor or major"),
        "{}",
        text(&output.stderr)
    );
    run(&at, &["unpin", "ledger/vip-*"]).await;
    run(&at, &["policy", "--forget", "--kind", "ledger"]).await;
    assert!(
        run(&at, &["switch", "ledger", "--forget"])
            .await
            .contains("nothing was said")
    );
    a.stop().await.expect("stops");
}

/// R138, R139
#[tokio::test(flavor = "multi_thread")]
async fn lock_files_are_compared_with_each_other_and_with_what_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("plain").to_owned();
    let program = Registry::linked().expect("linked").lock();
    program.write(path("now.lock").as_ref()).expect("written");
    let mut breaking = program.clone();
    let ledger = breaking.kinds.get_mut("ledger").expect("there");
    let (version, mut hashes) = ledger.pop_first().expect("one version");
    let save = hashes.messages["ledger.save"];
    hashes.messages.insert("ledger.book".into(), save);
    ledger.insert(Version::new(version.major, version.minor + 1, 0), hashes);
    breaking.write(path("next.lock").as_ref()).expect("written");

    let same = run(
        &[],
        &["lock", "check", &path("now.lock"), "--against", &path("now.lock")],
    )
    .await;
    assert!(same.contains("nothing has changed"), "{same}");
    let against = [
        "lock",
        "check",
        &path("next.lock"),
        "--against",
        &path("now.lock"),
        "--json",
    ];
    let output = quark(&against).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let differences: Value = serde_json::from_str(&text(&output.stdout)).expect("JSON");
    assert_eq!(
        differences[0]["breaking"]["kind"].as_str(),
        Some("ledger"),
        "{differences}"
    );

    let cluster = cluster_name();
    let a = start(&cluster, "a").await;
    let at = ["--at", a.address(), "--cluster", &cluster];
    assert!(
        run(&at, &["lock", "live", &path("now.lock")])
            .await
            .contains("nothing has changed")
    );
    let why = fail(&at, &["lock", "live", &path("next.lock")]).await;
    assert!(why.contains("1 of the kinds cannot run beside"), "{why}");
    a.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_what_is_right() {
    let output = quark(&["actor", "cart", "--at", "127.0.0.1:1"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("write KIND/KEY"),
        "{}",
        text(&output.stderr)
    );
    let output = quark(&["rollout", "plan", "--steps", "110%", "--at", "127.0.0.1:1"]).await;
    assert!(
        text(&output.stderr).contains("percentage from 0 to 100"),
        "{}",
        text(&output.stderr)
    );
    let output = quark(&["silos"]).await;
    assert!(text(&output.stderr).contains("--at"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cluster_is_said_to_be_and_the_addresses_that_were_tried() {
    let output = quark(&["silos", "--at", "127.0.0.1:1", "--wait", "1"]).await;
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("no silo of the cluster answered") && error.contains("127.0.0.1:1"),
        "{error}"
    );
}
