//! Clusters whose links are encrypted, with certificates that `quark cert` makes.

mod common;

use common::{Book, Ledger, cluster_name, know_each_other, silo};
use quark::{
    client::{Client, ConnectError},
    clock::Clock,
    silo::{SiloHandle, SiloOptions, StartError},
    transport::{TlsOptions, TransportError},
};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};
use tempfile::TempDir;

fn quark_cert(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quark"))
        .arg("cert")
        .arg("--out")
        .arg(folder)
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn made(folder: &Path, arguments: &[&str]) {
    let output = quark_cert(folder, arguments);
    assert!(output.status.success(), "{output:?}");
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = quark_cert(folder, arguments);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// A folder with certificates for a silo and a client.
fn certificates() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    made(folder.path(), &["silo"]);
    made(folder.path(), &["shop", "--client"]);
    folder
}

async fn start(cluster: &str, name: &str, tls: &TlsOptions) -> SiloHandle {
    silo(cluster, name)
        .tls(tls.clone())
        .start()
        .await
        .expect("the silo starts")
}

async fn connect(cluster: &str, silo: &SiloHandle, tls: TlsOptions) -> Result<Client, ConnectError> {
    Client::builder()
        .cluster(cluster)
        .seeds([silo.address()])
        .tls(tls)
        .connect_timeout(Duration::from_secs(10))
        .connect()
        .await
}

fn book(n: u64) -> Book {
    Book {
        sender: "shop".into(),
        n,
    }
}

#[tokio::test]
async fn silos_and_clients_work_with_certificates_of_the_command() {
    let (cluster, folder) = (cluster_name(), certificates());
    let tls = TlsOptions::in_folder(folder.path(), "silo");
    let (one, two) = (start(&cluster, "one", &tls).await, start(&cluster, "two", &tls).await);
    know_each_other(&[&one, &two]).await;
    let shop = TlsOptions::in_folder(folder.path(), "shop");
    let client = connect(&cluster, &one, shop).await.expect("connects");
    for n in 0..20 {
        let ran = client.actor::<Ledger>(&format!("ledger-{n}")).ask(book(n)).await;
        assert_eq!(ran.expect("runs"), 1);
    }
    let hosted = [&one, &two].map(|silo| silo.status().activations.values().sum::<usize>());
    assert!(
        hosted.iter().all(|hosted| *hosted > 0),
        "both silos are reached: {hosted:?}"
    );
    // From silo to silo.
    for n in 0..20 {
        let ran = one.actor::<Ledger>(&format!("ledger-{n}")).ask(book(n)).await;
        assert_eq!(ran.expect("runs"), 2);
    }
    one.stop().await.expect("stops");
    two.stop().await.expect("stops");
}

#[tokio::test]
async fn a_client_of_another_authority_is_told_so() {
    let (cluster, folder, other) = (cluster_name(), certificates(), certificates());
    let one = start(&cluster, "one", &TlsOptions::in_folder(folder.path(), "silo")).await;
    let stranger = Client::builder()
        .cluster(&cluster)
        .seeds([one.address()])
        .tls(TlsOptions::in_folder(other.path(), "shop"))
        .connect_timeout(Duration::from_millis(300))
        .connect();
    let error = stranger.await.expect_err("another authority").to_string();
    assert!(error.contains("another CA"), "{error}");
    let plain = Client::builder()
        .cluster(&cluster)
        .seeds([one.address()])
        .connect_timeout(Duration::from_millis(300))
        .connect();
    let error = plain.await.expect_err("no certificate").to_string();
    assert!(error.contains("set `tls`"), "{error}");
    one.stop().await.expect("stops");
}

/// The certificates of a whole cluster are replaced, authority and all, while it works.
#[tokio::test]
async fn new_certificates_are_taken_without_a_restart() {
    let (cluster, folder) = (cluster_name(), certificates());
    let tls = TlsOptions::in_folder(folder.path(), "silo");
    let one = start(&cluster, "one", &tls).await;
    let shop = TlsOptions::in_folder(folder.path(), "shop");
    let old = connect(&cluster, &one, shop.clone()).await.expect("connects");
    let ledger = old.actor::<Ledger>("ledger");
    ledger.ask(book(0)).await.expect("runs");

    // Another authority signs from now on, and stands beside the old one.
    let next = certificates();
    let both = [&folder, &next].map(|folder| fs::read_to_string(folder.path().join("ca.pem")).expect("reads"));
    fs::write(next.path().join("ca.pem"), both.concat()).expect("writes");
    for file in ["silo-key.pem", "silo.pem", "ca.pem"] {
        fs::copy(next.path().join(file), folder.path().join(file)).expect("writes");
    }
    let newcomer = TlsOptions {
        ca: next.path().join("ca.pem"),
        ..TlsOptions::in_folder(next.path(), "shop")
    };
    let new = connect(&cluster, &one, newcomer)
        .await
        .expect("the silo takes both authorities");
    assert_eq!(new.actor::<Ledger>("ledger").ask(book(1)).await.expect("runs"), 2);
    assert_eq!(ledger.ask(book(2)).await.expect("its link lives on"), 3);
    one.stop().await.expect("stops");
}

#[tokio::test]
async fn a_silo_that_peers_reach_from_elsewhere_needs_certificates() {
    let cluster = cluster_name();
    for options in [
        SiloOptions {
            listen: "0.0.0.0:0".into(),
            ..SiloOptions::default()
        },
        SiloOptions {
            advertise: Some("192.0.2.1:7001".into()),
            ..SiloOptions::default()
        },
    ] {
        let options = SiloOptions {
            name: "one".into(),
            cluster: cluster.clone(),
            store: format!("memory:{cluster}"),
            handle_signals: false,
            ..options
        };
        let error = quark::silo::Silo::builder().options(options).start().await;
        let error = error.expect_err("anybody could read along");
        assert!(
            matches!(error, StartError::Transport(TransportError::PlainTextRefused { .. })),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains("`tls`") && text.contains("quark cert") && text.contains("insecure"),
            "{text}"
        );
    }
    let folder = certificates();
    let options = SiloOptions {
        listen: "0.0.0.0:0".into(),
        advertise: Some("silo-1.example:7001".into()),
        ..silo_options(&cluster)
    };
    let tls = TlsOptions::in_folder(folder.path(), "silo");
    let started = quark::silo::Silo::builder().options(options).tls(tls).start().await;
    started.expect("encrypted").stop().await.expect("stops");
}

fn silo_options(cluster: &str) -> SiloOptions {
    SiloOptions {
        name: "two".into(),
        cluster: cluster.into(),
        store: format!("memory:{cluster}"),
        handle_signals: false,
        ..SiloOptions::default()
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_a_start_error() {
    let cluster = cluster_name();
    let tls = TlsOptions::in_folder("/nowhere", "silo");
    let error = silo(&cluster, "one")
        .tls(tls.clone())
        .start()
        .await
        .expect_err("no files");
    assert!(
        matches!(error, StartError::Transport(TransportError::Tls(_))),
        "{error:?}"
    );
    assert!(error.to_string().contains("/nowhere/silo.pem"), "{error}");
    let error = Client::builder()
        .seeds(["127.0.0.1:1"])
        .tls(tls)
        .connect()
        .await
        .expect_err("no files");
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
}

#[test]
fn the_command_replaces_nothing_unasked_and_keeps_keys_to_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = certificates();
    let read = |name: &str| fs::read(folder.path().join(name)).expect("reads");
    let (ca, silo) = (read("ca.pem"), read("silo.pem"));
    let error = refused(folder.path(), &["silo"]);
    assert!(error.contains("--force"), "{error}");
    assert_eq!(read("silo.pem"), silo);
    made(
        folder.path(),
        &["silo", "--force", "--host", "10.0.0.7", "--host", "silo-7.example"],
    );
    assert_ne!(read("silo.pem"), silo);
    assert_eq!(read("ca.pem"), ca, "the authority stays");
    for key in ["ca-key.pem", "silo-key.pem", "shop-key.pem"] {
        let mode = fs::metadata(folder.path().join(key))
            .expect("is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    for (arguments, word) in [
        (&["ca"][..], "ca"),
        (&["../silo"], "letters"),
        (&["other", "--host", "10.0.0.7:7000"], "no port"),
        (&["other", "--host", "example", "--client"], "--client"),
        (&["other", "--days", "0"], "--days"),
    ] {
        let error = refused(folder.path(), arguments);
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
    fs::write(folder.path().join("ca.pem"), certificates_of_another()).expect("writes");
    let error = refused(folder.path(), &["other"]);
    assert!(error.contains("--out"), "{error}");
    assert!(!folder.path().join("other.pem").exists());
}

fn certificates_of_another() -> Vec<u8> {
    fs::read(certificates().path().join("ca.pem")).expect("reads")
}

#[tokio::test]
async fn silos_dial_each_other_by_the_name_that_all_certificates_carry() {
    let (cluster, folder) = (cluster_name(), TempDir::new().expect("a folder"));
    made(folder.path(), &["silo", "--host", "silo.shop.example"]);
    let tls = TlsOptions::in_folder(folder.path(), "silo").with_server_name("silo.shop.example");
    let (one, two) = (start(&cluster, "one", &tls).await, start(&cluster, "two", &tls).await);
    know_each_other(&[&one, &two]).await;
    let clock = Clock::system();
    for n in 0..8 {
        let ledger = one.actor::<Ledger>(&format!("ledger-{n}"));
        let ask = ledger.ask(book(n));
        let ran = clock.timeout(Duration::from_secs(10), ask).await.expect("in time");
        assert_eq!(ran.expect("runs"), 1);
    }
    one.stop().await.expect("stops");
    two.stop().await.expect("stops");
}
