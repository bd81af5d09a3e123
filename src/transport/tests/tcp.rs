//! Addresses and their errors.

use super::*;

fn transport(insecure: bool) -> TcpTransport {
    let options = TcpOptions {
        insecure,
        ..TcpOptions::default()
    };
    TcpTransport::new(silo("a"), Clock::system(), options)
}

#[tokio::test]
async fn plain_tcp_is_refused_outside_this_machine() {
    for address in [
        "0.0.0.0:0",
        "192.0.2.1:7000",
        "[::]:0",
        "[2001:db8::1]:7000",
        "[::ffff:192.0.2.1]:7000",
    ] {
        for result in [
            transport(false).listen(address).await.err(),
            transport(false).connect(address, None).await.err(),
        ] {
            let error = result.expect("refused");
            assert!(matches!(error, TransportError::PlainTextRefused { .. }), "{error:?}");
            assert!(error.to_string().contains("insecure"), "{error}");
        }
    }
}

#[tokio::test]
async fn plain_tcp_outside_this_machine_must_be_asked_for() {
    let listener = transport(true).listen("0.0.0.0:0").await.expect("asked for");
    assert!(listener.local_address().starts_with("0.0.0.0:"));
}

#[tokio::test]
async fn loopback_in_any_spelling_is_this_machine() {
    for address in ["127.0.0.1:0", "127.8.8.8:0", "localhost:0"] {
        transport(false).listen(address).await.expect("loopback");
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let listener = transport(false).listen("127.0.0.1:0").await.expect("listens");
    let address = listener.local_address();
    let error = transport(false).listen(&address).await.err().expect("in use");
    assert!(
        matches!(&error, TransportError::AddressInUse { address: a } if *a == address),
        "{error:?}"
    );
    drop(listener);
    let error = transport(false)
        .connect(&address, None)
        .await
        .expect_err("nobody listens");
    assert!(matches!(error, TransportError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_that_cannot_be_read_says_what_is_right() {
    for address in ["", "localhost", ":80", "localhost:http", "localhost:70000"] {
        let error = transport(false).listen(address).await.err().expect("malformed");
        assert!(
            matches!(error, TransportError::BadAddress { .. }),
            "{address}: {error:?}"
        );
        assert!(error.to_string().contains("HOST:PORT"), "{error}");
    }
    let loopback = LoopbackNetwork::new().transport(silo("a"), Clock::system(), LinkOptions::default());
    let error = loopback.connect("127.0.0.1:1", None).await.expect_err("malformed");
    assert!(error.to_string().contains("loopback:NAME"), "{error}");
}

#[tokio::test]
async fn a_loopback_name_is_free_again_when_its_listener_is_gone() {
    let network = LoopbackNetwork::new();
    let transport = network.transport(silo("a"), Clock::system(), LinkOptions::default());
    let listener = transport.listen("loopback:a").await.expect("free");
    assert!(matches!(
        transport.listen("loopback:a").await.err(),
        Some(TransportError::AddressInUse { .. })
    ));
    drop(listener);
    assert!(matches!(
        transport.connect("loopback:a", None).await,
        Err(TransportError::Refused { .. })
    ));
    transport.listen("loopback:a").await.expect("free again");
}

#[tokio::test]
async fn a_peer_that_never_answers_the_dial_is_given_up() {
    let (clock, hands) = Clock::manual();
    let transport = TcpTransport::new(silo("a"), clock, TcpOptions::default());
    // Listens and never accepts: the system connects, nobody shakes hands.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = silent.local_addr().expect("bound").to_string();
    let advance = async {
        let (_stream, _) = silent.accept().await.expect("is dialled");
        loop {
            if hands.next_alarm().is_some() {
                hands.advance(Duration::from_secs(1));
            }
            tokio::task::yield_now().await;
        }
    };
    let error = tokio::select! {
        result = transport.connect(&address, None) => result.expect_err("silent"),
        () = advance => unreachable!("never ends"),
    };
    assert!(matches!(error, TransportError::TimedOut { .. }), "{error:?}");
}
