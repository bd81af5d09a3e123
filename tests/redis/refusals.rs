//! Opening: what is refused, and with which words.

use super::{PATIENCE, actor, cannot_open, open, request, row, server, server::RedisServer, silo};
use quark::{
    clock::Clock,
    store::{Change, RedisStore, Store},
};
use std::{env, path::Path, process::Command};

/// A connection that cannot be made does not hold up the opening either.
#[tokio::test]
async fn a_paused_server_cannot_be_opened_and_says_so() {
    let server = RedisServer::start();
    server.pause();
    let text = cannot_open(&server.url());
    assert!(text.contains("stopped, overloaded or cut off"), "{text}");
    server.resume();
    open(&server);
}

/// A server that cannot hold a cluster is refused when it is opened, with what to do.
#[test]
fn servers_that_cannot_hold_a_cluster_are_refused() {
    let nobody = format!("redis://127.0.0.1:{}", server::free_port());
    let text = cannot_open(&nobody);
    assert!(text.contains("start Redis"), "{text}");

    let server = RedisServer::start_with(&[
        "--save",
        "",
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    let text = cannot_open(&server.url());
    assert!(text.contains("set maxmemory-policy noeviction"), "{text}");
    let () = server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    open(&server);
    let () = server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let text = cannot_open(&server.url());
    assert!(text.contains("name the primary"), "{text}");
}

#[tokio::test]
async fn a_password_is_needed_where_it_is_and_never_shown() {
    let server = RedisServer::start_with(&["--save", "", "--requirepass", "hunter2"]);
    for wrong in [
        server.url(),
        format!("redis://:wrong-hunter2@127.0.0.1:{}", server.port()),
    ] {
        let text = cannot_open(&wrong);
        assert!(
            text.contains("USER:PASSWORD@HOST") && !text.contains("hunter2"),
            "{text}"
        );
    }
    let store = RedisStore::open(&format!("redis://:hunter2@127.0.0.1:{}/3", server.port()), "blue").unwrap();
    assert_eq!(
        store.describe(),
        format!("redis://127.0.0.1:{}/3 (cluster blue)", server.port())
    );
    assert_eq!(store.members().await.unwrap().view, 0);
}

/// A server that speaks TLS alone, with a certificate for this machine by an authority of its own.
fn tls_server(folder: &Path) -> RedisServer {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output();
        let output = output.expect("openssl is missing: install it with `apt-get install openssl`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority"
    ));
    openssl(&format!(
        "req -x509 {key} -keyout server.key -out server.pem -subj /CN=server -CA ca.pem -CAkey ca.key \
         -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    ));
    let file = |name: &str| folder.join(name).to_str().expect("an UTF-8 path").to_owned();
    let (authority, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    RedisServer::start_with(&[
        "--save",
        "",
        "--port",
        "0",
        "--tls-port",
        "{port}",
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        &authority,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
    ])
}

/// By nobody's word but that of an authority that the system trusts.
#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = tls_server(folder.path());
    let text = cannot_open(&format!("rediss://localhost:{}", server.port()));
    assert!(
        text.contains("UnknownIssuer") && text.contains("SSL_CERT_FILE"),
        "{text}"
    );
    let plain = RedisServer::start();
    let text = cannot_open(&format!("rediss://localhost:{}", plain.port()));
    assert!(text.contains("speaks no TLS"), "{text}");
}

/// Commands, the pool and the subscription.
#[test]
fn rediss_works_with_an_authority_that_is_trusted() {
    const URL: &str = "QUARK_TEST_REDISS";
    let Ok(url) = env::var(URL) else {
        // What a process trusts is read from its environment, so another one tries it.
        let folder = tempfile::tempdir().unwrap();
        let server = tls_server(folder.path());
        let trusting = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "refusals::rediss_works_with_an_authority_that_is_trusted",
                "--nocapture",
            ])
            .env(URL, format!("rediss://localhost:{}", server.port()))
            .env("SSL_CERT_FILE", folder.path().join("ca.pem"))
            .output()
            .unwrap();
        assert!(
            trusting.status.success(),
            "{}",
            String::from_utf8_lossy(&trusting.stderr)
        );
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = RedisStore::open(&url, "test").unwrap();
        let mut views = store.views();
        store
            .change_member(0, Change::Put(row(&silo("a"))))
            .await
            .unwrap()
            .unwrap();
        let told = Clock::system()
            .timeout(PATIENCE, views.wait_for(|view| *view == 1))
            .await;
        told.expect("it is pushed").unwrap();
        store.register(&silo("a"), vec![actor("alice")]).await.unwrap();
        store
            .save(vec![request(&actor("alice"), None, vec![7; 100_000])])
            .await
            .unwrap();
        assert_eq!(store.owned_by(&silo("a")).await.unwrap(), [actor("alice")]);
    });
}
