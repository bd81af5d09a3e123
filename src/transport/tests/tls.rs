//! Laws of mutual TLS: who is let in by certificate, what each side is told, and when certificates change.

use super::*;
use crate::transport::{CertificateProblem, Tls, TlsError, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use std::{fs, path::Path};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// An authority, and a folder for the files that it issues.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

#[derive(Clone, Copy, PartialEq)]
enum For {
    Silo,
    Client,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signs itself").pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
            folder: TempDir::new().expect("a folder"),
        }
    }

    fn options(&self, name: &str) -> TlsOptions {
        TlsOptions::in_folder(self.folder.path(), name)
    }

    /// Writes the files of a certificate, valid from the start of a manual clock to the end of a year.
    fn issue_until(&self, name: &str, hosts: &[&str], whose: For, year: i32) -> TlsOptions {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.not_before = date_time_ymd(1970, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        if whose == For::Silo {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("is signed");
        let options = self.options(name);
        fs::write(&options.ca, &self.pem).expect("writes");
        fs::write(&options.key, key.serialize_pem()).expect("writes");
        fs::write(&options.certificate, certificate.pem()).expect("writes");
        options
    }

    fn issue(&self, name: &str, hosts: &[&str], whose: For) -> TlsOptions {
        self.issue_until(name, hosts, whose, 2900)
    }

    fn silo(&self) -> TlsOptions {
        self.issue("silo", &["127.0.0.1", "localhost"], For::Silo)
    }
}

fn load(options: TlsOptions) -> Tls {
    Tls::load(options, Clock::system()).expect("loads")
}

fn with(local: LocalEnd, tls: Option<Tls>) -> TcpTransport {
    let options = TcpOptions {
        tls,
        ..TcpOptions::default()
    };
    TcpTransport::new(local, Clock::system(), options)
}

/// What each end makes of a link between a silo "a" that dials and a silo "b".
async fn between(dialler: Option<Tls>, listener: Option<Tls>) -> Meeting {
    dials(&with(silo("a"), dialler), &with(silo("b"), listener)).await
}

async fn dials(dialler: &TcpTransport, listener: &TcpTransport) -> Meeting {
    let mut listening = listener.listen("127.0.0.1:0").await.expect("listens");
    let address = listening.local_address();
    let accept = async { listening.accept().await.expect("a peer dials").await };
    let (dialler, listener) = tokio::join!(dialler.connect(&address, None), accept);
    Meeting { dialler, listener }
}

fn refused(result: &Result<Connection, TransportError>) -> &CertificateProblem {
    match result {
        Err(TransportError::CertificateRefused { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

fn bad(result: &Result<Connection, TransportError>) -> &CertificateProblem {
    match result {
        Err(TransportError::BadCertificate { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn frames_cross_a_link_below_tls_and_its_end_is_an_end() {
    let authority = Authority::new("one");
    let tls = load(authority.silo());
    let met = between(Some(tls.clone()), Some(tls)).await;
    let (dialler, mut listener) = (met.dialler.expect("dials"), met.listener.expect("accepts"));
    assert_eq!(listener.peer.process, silo("a").process);
    let mut drivers = JoinSet::new();
    drivers.spawn(dialler.driver);
    drivers.spawn(listener.driver);
    let frames: Vec<_> = (0..100)
        .map(|n| call(n, Bytes::from(vec![7; 20_000 * (n as usize % 7)])))
        .collect();
    for frame in frames.clone() {
        dialler.sender.send(frame).expect("open");
    }
    dialler.sender.close();
    for frame in frames {
        assert_eq!(listener.receiver.recv().await.expect("whole"), Some(frame));
    }
    assert_eq!(listener.receiver.recv().await.expect("a goodbye"), None);
    // The other direction goes on.
    listener.sender.send(Frame::Flushed).expect("open");
    let mut receiver = dialler.receiver;
    assert_eq!(receiver.recv().await.expect("whole"), Some(Frame::Flushed));
    listener.sender.abort();
    drop(listener.receiver);
    assert!(matches!(receiver.recv().await, Err(TransportError::Lost { .. })));
}

#[tokio::test]
async fn what_is_on_the_wire_cannot_be_read() {
    let authority = Authority::new("one");
    let tls = load(authority.silo());
    let listener = with(silo("b"), Some(tls.clone()));
    let mut listening = listener.listen("127.0.0.1:0").await.expect("listens");
    let between = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = between.local_addr().expect("bound").to_string();
    let behind = listening.local_address();
    let tap = async {
        let (mut near, _) = between.accept().await.expect("is dialled");
        let mut far = TcpStream::connect(&behind).await.expect("dials");
        let mut heard = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let mut answer = [0; 4096];
            tokio::select! {
                read = near.read(&mut chunk) => match read {
                    Ok(0) | Err(_) => return heard,
                    Ok(read) => {
                        heard.extend_from_slice(&chunk[..read]);
                        far.write_all(&chunk[..read]).await.expect("is read");
                    }
                },
                read = far.read(&mut answer) => match read {
                    Ok(0) | Err(_) => return heard,
                    Ok(read) => {
                        heard.extend_from_slice(&answer[..read]);
                        near.write_all(&answer[..read]).await.expect("is read");
                    }
                },
            }
        }
    };
    let dialler = with(silo("a"), Some(tls));
    let talk = async {
        let (dialled, accepted) = tokio::join!(dialler.connect(&address, None), async {
            listening.accept().await.expect("a peer dials").await
        });
        let (dialled, mut accepted) = (dialled.expect("dials"), accepted.expect("accepts"));
        dialled
            .sender
            .send(call(1, Bytes::from_static(b"under the rose")))
            .expect("open");
        let mut driver = dialled.driver;
        tokio::select! {
            received = accepted.receiver.recv() => { received.expect("whole"); }
            () = &mut driver => panic!("the link ended"),
        }
    };
    let (heard, ()) = tokio::join!(tap, talk);
    for words in [&b"under the rose"[..], b"cart.add", b"QUARK"] {
        assert!(!heard.windows(words.len()).any(|window| window == words), "{words:?}");
    }
}

#[tokio::test]
async fn no_link_without_a_certificate_of_the_ca() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let met = between(Some(load(two.silo())), Some(load(one.silo()))).await;
    // The dialler looks first.
    assert_eq!(*bad(&met.dialler), CertificateProblem::UnknownAuthority);
    assert_eq!(*refused(&met.listener), CertificateProblem::UnknownAuthority);
}

#[tokio::test]
async fn a_dialler_of_another_ca_is_refused_and_told_why() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let stranger = two.silo();
    fs::write(&stranger.ca, &one.pem).expect("writes");
    let met = between(Some(load(stranger)), Some(load(one.silo()))).await;
    assert_eq!(*refused(&met.dialler), CertificateProblem::UnknownAuthority);
    assert_eq!(*bad(&met.listener), CertificateProblem::UnknownAuthority);
    let text = met.dialler.expect_err("refused").to_string();
    assert!(text.contains("`ca`"), "{text}");
}

#[tokio::test]
async fn a_listener_whose_certificate_does_not_name_it_is_left() {
    let authority = Authority::new("one");
    let elsewhere = authority.issue("elsewhere", &["silo.example"], For::Silo);
    let met = between(Some(load(authority.silo())), Some(load(elsewhere))).await;
    assert_eq!(
        *bad(&met.dialler),
        CertificateProblem::WrongName {
            expected: "127.0.0.1".into()
        }
    );
}

#[tokio::test]
async fn one_name_may_stand_for_all_silos() {
    let authority = Authority::new("one");
    let options = authority.issue("silo", &["silo.shop.example"], For::Silo);
    let tls = load(options.with_server_name("silo.shop.example"));
    let met = between(Some(tls.clone()), Some(tls)).await;
    met.dialler.expect("the name is in the certificate");
    met.listener.expect("and the dialler is known");
}

#[tokio::test]
async fn a_client_certificate_makes_no_silo() {
    let authority = Authority::new("one");
    let (silos, clients) = (load(authority.silo()), load(authority.issue("shop", &[], For::Client)));
    let listener = with(silo("b"), Some(silos.clone()));
    let met = dials(&with(client(), Some(clients.clone())), &listener).await;
    met.dialler.expect("a client it may be");
    met.listener.expect("a client it may be");
    let met = dials(&with(silo("a"), Some(clients.clone())), &listener).await;
    assert_eq!(*refused(&met.dialler), CertificateProblem::WrongPurpose);
    assert!(
        matches!(met.listener, Err(TransportError::NotASilo { .. })),
        "{:?}",
        met.listener
    );
    // And nobody dials it.
    let met = dials(&with(silo("a"), Some(silos)), &with(silo("b"), Some(clients))).await;
    assert_eq!(*bad(&met.dialler), CertificateProblem::WrongPurpose);
}

#[tokio::test]
async fn a_plain_peer_and_one_below_tls_both_learn_what_is_wrong() {
    let authority = Authority::new("one");
    let tls = load(authority.silo());
    let met = between(None, Some(tls.clone())).await;
    assert!(
        matches!(met.dialler, Err(TransportError::TlsNeeded { .. })),
        "{:?}",
        met.dialler
    );
    assert!(
        matches!(met.listener, Err(TransportError::PlainPeer { .. })),
        "{:?}",
        met.listener
    );
    let met = between(Some(tls), None).await;
    assert!(
        matches!(met.dialler, Err(TransportError::NoTls { .. })),
        "{:?}",
        met.dialler
    );
    assert!(
        matches!(met.listener, Err(TransportError::UnexpectedTls { .. })),
        "{:?}",
        met.listener
    );
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let authority = Authority::new("one");
    let listener = with(silo("b"), Some(load(authority.silo())));
    let mut listening = listener.listen("127.0.0.1:0").await.expect("listens");
    let address = listening.local_address();
    let mut roots = rustls::RootCertStore::empty();
    let ca = <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(
        authority.pem.as_bytes(),
    );
    roots.add(ca.expect("a certificate")).expect("an authority");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stranger = async {
        let stream = TcpStream::connect(&address).await.expect("dials");
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let mut stream = connector.connect(name, stream).await.expect("its own half is done");
        stream.read_u8().await.expect_err("the other side is not")
    };
    let accept = async { listening.accept().await.expect("a peer dials").await };
    let (error, accepted) = tokio::join!(stranger, accept);
    assert_eq!(*bad(&accepted), CertificateProblem::Missing);
    let told = crate::transport::tls::failure("it", error);
    assert_eq!(*refused(&Err(told)), CertificateProblem::Missing);
}

#[tokio::test]
async fn a_secret_is_asked_for_below_tls_too() {
    let authority = Authority::new("one");
    let tls = load(authority.silo());
    let dialler = with(
        silo("a").with_secret(secret(b"one secret of the two")),
        Some(tls.clone()),
    );
    let listener = with(silo("b").with_secret(secret(b"the other of the two")), Some(tls));
    let met = dials(&dialler, &listener).await;
    for result in [met.dialler, met.listener] {
        assert!(matches!(result, Err(TransportError::WrongSecret { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn a_peer_that_is_silent_before_or_within_tls_is_given_up() {
    let authority = Authority::new("one");
    let (clock, hands) = Clock::manual();
    let options = TcpOptions {
        tls: Some(load(authority.silo())),
        ..TcpOptions::default()
    };
    let listener = TcpTransport::new(silo("b"), clock, options);
    let mut listening = listener.listen("127.0.0.1:0").await.expect("listens");
    // A TLS record of 512 bytes is announced in the second.
    for words in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stranger = TcpStream::connect(listening.local_address()).await.expect("dials");
        stranger.write_all(words).await.expect("is taken");
        let accepting = listening.accept().await.expect("is dialled");
        let time = async {
            loop {
                if hands.next_alarm().is_some() {
                    hands.advance(Duration::from_secs(1));
                }
                tokio::task::yield_now().await;
            }
        };
        let error = tokio::select! {
            result = accepting => result.expect_err("silent"),
            () = time => unreachable!("never ends"),
        };
        assert!(matches!(error, TransportError::TimedOut { .. }), "{error:?}");
        let mut heard = Vec::new();
        stranger.read_to_end(&mut heard).await.expect("the listener closes");
        assert!(heard.is_empty(), "{heard:?}");
    }
}

#[tokio::test]
async fn addresses_outside_this_machine_are_open_with_certificates() {
    let authority = Authority::new("one");
    let transport = with(silo("a"), Some(load(authority.silo())));
    let listener = transport.listen("0.0.0.0:0").await.expect("encrypted");
    assert!(listener.local_address().starts_with("0.0.0.0:"));
    transport
        .check_advertised("silo-1.example:7000")
        .await
        .expect("encrypted");
    let plain = with(silo("a"), None);
    let error = plain.check_advertised("192.0.2.1:7000").await.expect_err("readable");
    let text = error.to_string();
    assert!(
        text.contains("`tls`") && text.contains("quark cert") && text.contains("insecure"),
        "{text}"
    );
    plain.check_advertised("localhost:7000").await.expect("this machine");
}

#[tokio::test]
async fn new_certificates_are_used_for_new_links_and_links_that_are_up_live_on() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let files = one.silo();
    let tls = load(files.clone());
    let (dialler, listener) = (with(silo("a"), Some(tls.clone())), with(silo("b"), Some(tls.clone())));
    let old = dials(&dialler, &listener).await;
    let (mut old_dialler, mut old_listener) = (old.dialler.expect("dials"), old.listener.expect("accepts"));
    let newer = load(two.silo());
    replace(&files, &two.silo());
    tls.refresh().expect("they can be used");
    let met = dials(&with(silo("a"), Some(newer)), &listener).await;
    met.dialler.expect("of the new authority");
    met.listener.expect("of the new authority");
    let met = dials(&with(silo("a"), Some(load(one.silo()))), &listener).await;
    assert_eq!(*bad(&met.dialler), CertificateProblem::UnknownAuthority);
    let mut drivers = JoinSet::new();
    drivers.spawn(std::mem::replace(&mut old_dialler.driver, Box::pin(async {})));
    old_dialler.sender.send(Frame::Ping { n: 1 }).expect("open");
    assert_eq!(next(&mut old_listener).await, Frame::Ping { n: 1 });
}

fn replace(files: &TlsOptions, by: &TlsOptions) {
    for (old, new) in [
        (&files.ca, &by.ca),
        (&files.key, &by.key),
        (&files.certificate, &by.certificate),
    ] {
        fs::copy(new, old).expect("writes");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_ones_before_in_use() {
    let authority = Authority::new("one");
    let files = authority.silo();
    let tls = load(files.clone());
    let other = authority.issue("other", &["127.0.0.1"], For::Silo);
    let expired = authority.issue_until("expired", &["127.0.0.1"], For::Silo, 2001);
    let good = fs::read(&files.certificate).expect("reads");
    let other = fs::read(&other.certificate).expect("reads");
    let expired = (
        fs::read(&expired.certificate).expect("reads"),
        fs::read(&expired.key).expect("reads"),
    );
    let works = async || {
        let met = between(Some(tls.clone()), Some(tls.clone())).await;
        met.dialler.expect("the ones before");
        met.listener.expect("the ones before");
    };
    fs::remove_file(&files.certificate).expect("removes");
    assert!(matches!(tls.refresh(), Err(TlsError::Unreadable { .. })));
    works().await;
    for half in [&b""[..], &good[..good.len() / 2], b"\xff\x00"] {
        fs::write(&files.certificate, half).expect("writes");
        let error = tls.refresh().expect_err("half written");
        assert!(matches!(error, TlsError::BadFile { .. }), "{error:?}");
        works().await;
    }
    fs::write(&files.certificate, &other).expect("writes");
    let error = tls.refresh().expect_err("its key is still to come");
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error:?}");
    works().await;
    let key = fs::read(&files.key).expect("reads");
    fs::write(&files.certificate, &expired.0).expect("writes");
    fs::write(&files.key, &expired.1).expect("writes");
    let error = tls.refresh().expect_err("it is of no use");
    assert!(
        matches!(
            &error,
            TlsError::Useless {
                problem: CertificateProblem::Expired,
                ..
            }
        ),
        "{error:?}"
    );
    works().await;
    fs::write(&files.certificate, &good).expect("writes");
    fs::write(&files.key, &key).expect("writes");
    tls.refresh().expect("as before");
}

#[tokio::test]
async fn a_link_that_is_made_looks_for_new_files_at_most_once_a_second() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let files = one.silo();
    let (clock, hands) = Clock::manual();
    let tls = Tls::load(files.clone(), clock).expect("loads");
    let newer = load(two.silo());
    replace(&files, &two.silo());
    let met = between(Some(newer.clone()), Some(tls.clone())).await;
    assert_eq!(*bad(&met.dialler), CertificateProblem::UnknownAuthority);
    hands.advance(Duration::from_secs(1));
    let met = between(Some(newer), Some(tls)).await;
    met.dialler.expect("the new ones");
}

#[tokio::test]
async fn files_are_looked_at_without_a_link_too() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let files = one.silo();
    let (clock, hands) = Clock::manual();
    let tls = Tls::load(files.clone(), clock).expect("loads");
    let before = tls.current();
    let mut watch = Box::pin(tls.clone().watch());
    assert!(polled(&mut watch).await.is_pending());
    replace(&files, &two.silo());
    hands.advance(Tls::LOOK_INTERVAL);
    assert!(polled(&mut watch).await.is_pending());
    // No time has passed since: this does not look.
    assert!(!std::sync::Arc::ptr_eq(&before, &tls.current()));
}

#[test]
fn files_that_are_no_certificates_say_what_they_should_be() {
    let authority = Authority::new("one");
    let error = |change: &dyn Fn(&mut TlsOptions)| {
        let mut options = authority.silo();
        change(&mut options);
        Tls::load(options, Clock::system())
            .expect_err("must be refused")
            .to_string()
    };
    let missing = error(&|options| options.key = Path::new("/nowhere/key.pem").into());
    assert!(missing.contains("/nowhere/key.pem"), "{missing}");
    let swapped = error(&|options| std::mem::swap(&mut options.key, &mut options.certificate));
    assert!(swapped.contains("BEGIN CERTIFICATE"), "{swapped}");
    let no_key = error(&|options| options.key = options.certificate.clone());
    assert!(no_key.contains("BEGIN PRIVATE KEY"), "{no_key}");
    let name = error(&|options| options.server_name = Some("no name".into()));
    assert!(name.contains("server_name"), "{name}");
    let expired = Tls::load(
        authority.issue_until("old", &["localhost"], For::Silo, 2001),
        Clock::system(),
    );
    let expired = expired.expect_err("expired").to_string();
    assert!(expired.contains("expired"), "{expired}");
    let huge = authority.folder.path().join("huge.pem");
    fs::write(&huge, vec![b' '; 1024 * 1024 + 1]).expect("writes");
    let huge = error(&|options| options.ca = huge.clone());
    assert!(huge.contains("1048576"), "{huge}");
}
