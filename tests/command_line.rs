//! The program `quark`: what people and programs read of a cluster, and what they hear when they are wrong.

mod common;

use common::{Book, Ledger, cluster_name, know_each_other, start};
use quark::ident::ActorId;
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
