//! Who is let in.

use super::*;
use crate::{
    transport::{Peer, handshake::Handshake},
    wire::{
        ProtocolRange,
        handshake::{
            Introduction, MAX_MESSAGE_BYTES, PREFIX_BYTES, Prefix, Proven, Reject, Role, Step, Transcript, from_bytes,
            to_bytes,
        },
    },
};
use proptest::prelude::*;
use serde_bytes::ByteArray;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

async fn met(dialler: LocalEnd, listener: LocalEnd, expected: Option<SiloId>) -> Meeting {
    meet(Network::Loopback, (dialler, listener), expected, LinkOptions::default()).await
}

#[tokio::test]
async fn both_ends_learn_who_the_other_is() {
    for network in BOTH {
        for secrets in [false, true] {
            let with = |end: LocalEnd| if secrets { end.with_secret(secret(SECRET)) } else { end };
            let ends = (with(silo("a")), with(silo("b")));
            let met = meet(network, ends, Some(SiloId::new("b", 1)), LinkOptions::default()).await;
            let (dialler, listener) = (met.dialler.expect("dials"), met.listener.expect("accepts"));
            let peer = |name| Peer {
                process: ProcessId::Silo(SiloId::new(name, 1)),
                protocol: 1,
                number: 1,
                takes_pieces: true,
            };
            assert_eq!(dialler.peer, peer("b"));
            assert_eq!(listener.peer, peer("a"));
        }
    }
}

#[tokio::test]
async fn each_dial_has_a_higher_number() {
    let network = LoopbackNetwork::new();
    let transport = |local| network.transport(local, Clock::system(), LinkOptions::default());
    let (dialler, listener) = (transport(client()), transport(silo("a")));
    let mut listening = listener.listen("loopback:a").await.expect("listens");
    for number in 1..4 {
        let accept = async { listening.accept().await.expect("a peer dials").await };
        let (_dialled, accepted) = tokio::join!(dialler.connect("loopback:a", None), accept);
        assert_eq!(accepted.expect("accepts").peer.number, number);
    }
}

#[tokio::test]
async fn another_secret_is_refused_on_both_sides() {
    let met = met(
        silo("a").with_secret(secret(b"one secret of the two")),
        silo("b").with_secret(secret(b"the other of the two")),
        None,
    )
    .await;
    assert!(
        matches!(met.dialler, Err(TransportError::WrongSecret { .. })),
        "{:?}",
        met.dialler
    );
    assert!(
        matches!(met.listener, Err(TransportError::WrongSecret { .. })),
        "{:?}",
        met.listener
    );
}

#[tokio::test]
async fn a_secret_on_one_side_alone_is_refused_and_both_are_told_which() {
    let with = || silo("a").with_secret(secret(SECRET));
    let first = met(with(), silo("b"), None).await;
    assert!(
        matches!(first.dialler, Err(TransportError::PeerWithoutSecret { .. })),
        "{:?}",
        first.dialler
    );
    assert!(
        matches!(first.listener, Err(TransportError::SecretMissing { .. })),
        "{:?}",
        first.listener
    );
    let second = met(silo("b"), with(), None).await;
    assert!(
        matches!(second.dialler, Err(TransportError::SecretMissing { .. })),
        "{:?}",
        second.dialler
    );
    assert!(
        matches!(second.listener, Err(TransportError::PeerWithoutSecret { .. })),
        "{:?}",
        second.listener
    );
}

#[tokio::test]
async fn another_cluster_is_refused_and_both_errors_name_both() {
    let other = LocalEnd {
        cluster: "other".into(),
        ..silo("b")
    };
    let met = met(silo("a"), other, None).await;
    for (result, mine, its) in [(met.dialler, "test", "other"), (met.listener, "other", "test")] {
        match result {
            Err(TransportError::WrongCluster { ours, theirs, .. }) => assert_eq!((&*ours, &*theirs), (mine, its)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_highest_common_protocol_is_spoken() {
    let speaks = |min, max| LocalEnd {
        protocol: ProtocolRange { min, max },
        ..silo("a")
    };
    let met = met(speaks(1, 3), speaks(2, 7), None).await;
    assert_eq!(met.dialler.expect("dials").peer.protocol, 3);
    assert_eq!(met.listener.expect("accepts").peer.protocol, 3);
}

#[tokio::test]
async fn without_a_common_protocol_both_errors_name_both_ranges() {
    let speaks = |min, max| LocalEnd {
        protocol: ProtocolRange { min, max },
        ..silo("a")
    };
    let met = met(speaks(1, 2), speaks(3, 4), None).await;
    for result in [met.dialler, met.listener] {
        let error = result.expect_err("no common version");
        assert!(matches!(error, TransportError::NoCommonProtocol { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("1 to 2") && text.contains("3 to 4"), "{text}");
    }
}

#[tokio::test]
async fn another_silo_or_incarnation_than_dialled_is_refused() {
    for expected in [SiloId::new("b", 2), SiloId::new("c", 1)] {
        let met = met(silo("a"), silo("b"), Some(expected.clone())).await;
        match met.dialler {
            Err(TransportError::WrongPeer {
                expected: e, actual, ..
            }) => {
                assert_eq!(e, ProcessId::Silo(expected.clone()));
                assert_eq!(actual, ProcessId::Silo(SiloId::new("b", 1)));
            }
            other => panic!("{other:?}"),
        }
        let error = met.listener.expect_err("is told").to_string();
        assert!(error.contains(&expected.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_client_is_not_the_silo_that_was_dialled() {
    let met = met(silo("a"), client(), Some(SiloId::new("b", 1))).await;
    assert!(
        matches!(met.dialler, Err(TransportError::WrongPeer { .. })),
        "{:?}",
        met.dialler
    );
}

/// Shakes hands by hand, as a peer that does not keep to the rules.
struct Stranger(DuplexStream);

impl Stranger {
    async fn say<T: serde::Serialize>(&mut self, step: Step, message: &T) -> Vec<u8> {
        let mut bytes = to_bytes(step, message);
        self.0.write_all(&bytes).await.expect("the other end reads");
        bytes.split_off(PREFIX_BYTES)
    }

    async fn hear(&mut self) -> (Option<Step>, Vec<u8>) {
        let mut prefix = [0; PREFIX_BYTES];
        self.0.read_exact(&mut prefix).await.expect("the other end speaks");
        let Prefix::Message(step, length) = Prefix::from_bytes(prefix) else {
            panic!("{prefix:?}");
        };
        let mut message = vec![0; length];
        self.0.read_exact(&mut message).await.expect("the other end speaks");
        (step, message)
    }

    async fn hear_rejection(&mut self) -> Reject {
        let (step, message) = self.hear().await;
        assert_eq!(step, Some(Step::Reject));
        from_bytes(&message).expect("a rejection")
    }
}

fn introduction(proves: bool) -> Introduction {
    Introduction {
        process: ProcessId::Silo(SiloId::new("stranger", 1)),
        cluster: "test".into(),
        protocol: ProtocolRange::SUPPORTED,
        nonce: ByteArray::new([1; 32]),
        proves,
        number: 1,
        capabilities: ["a-word-of-a-newer-version".to_owned()].into(),
    }
}

/// A listener with a secret, and a stranger that dials it.
async fn stranger_dials<T>(
    clock: &Clock,
    stranger: impl AsyncFnOnce(Stranger) -> T,
) -> (Result<Peer, TransportError>, T) {
    let (mut ours, theirs) = duplex(64 * 1024);
    let local = silo("a").with_secret(secret(SECRET));
    let handshake = Handshake {
        local: &local,
        clock,
        timeout: Duration::from_secs(5),
        address: "stranger",
        may_be_silo: true,
    };
    let accept = async {
        let result = handshake.accept(&mut ours).await;
        drop(ours);
        result
    };
    tokio::join!(accept, stranger(Stranger(theirs)))
}

#[tokio::test]
async fn bytes_of_another_protocol_are_no_handshake() {
    let (result, ()) = stranger_dials(&Clock::system(), async |mut stranger| {
        stranger
            .0
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .expect("the listener reads");
        let mut heard = Vec::new();
        stranger.0.read_to_end(&mut heard).await.expect("the listener closes");
        assert!(heard.is_empty());
    })
    .await;
    assert!(matches!(result, Err(TransportError::NotQuark { .. })), "{result:?}");
}

#[tokio::test]
async fn a_hello_beyond_the_bound_is_not_read_and_the_peer_is_told() {
    let (result, reject) = stranger_dials(&Clock::system(), async |mut stranger| {
        let mut hello = b"QUARK\x01".to_vec();
        hello.extend((MAX_MESSAGE_BYTES as u16 + 1).to_le_bytes());
        hello.extend(vec![0xc0; MAX_MESSAGE_BYTES + 1]);
        stranger.0.write_all(&hello).await.expect("the listener reads");
        stranger.hear_rejection().await
    })
    .await;
    assert!(
        matches!(&result, Err(TransportError::BadHandshake { why, .. }) if why.contains("4097")),
        "{result:?}"
    );
    assert_eq!(reject.why, Reject::MALFORMED);
}

#[tokio::test]
async fn a_frame_in_place_of_the_proof_is_not_read() {
    let (result, ()) = stranger_dials(&Clock::system(), async |mut stranger| {
        stranger.say(Step::Hello, &introduction(true)).await;
        stranger.hear().await;
        let mut frame = crate::wire::Outgoing::new();
        frame
            .push(&call(1, Bytes::new()), &crate::wire::Limits::default())
            .expect("small");
        stranger.0.write_all_buf(&mut frame).await.expect("the listener reads");
    })
    .await;
    assert!(matches!(result, Err(TransportError::NotQuark { .. })), "{result:?}");
}

#[tokio::test]
async fn a_dialler_that_cannot_prove_itself_learns_no_proof() {
    let proofs: [fn(&Transcript) -> Proven; 4] = [
        |_| Proven { proof: None },
        |_| Proven {
            proof: Some(ByteArray::new([0; 32])),
        },
        |said| Proven {
            proof: Some(said.prove(SECRET, Role::Listener)),
        },
        |said| Proven {
            proof: Some(
                Transcript {
                    challenge: Vec::new(),
                    ..said.clone()
                }
                .prove(SECRET, Role::Dialler),
            ),
        },
    ];
    for proof in proofs {
        let (result, reject) = stranger_dials(&Clock::system(), async |mut stranger| {
            let hello = stranger.say(Step::Hello, &introduction(true)).await;
            let (_, challenge) = stranger.hear().await;
            stranger
                .say(Step::Proof, &proof(&Transcript { hello, challenge }))
                .await;
            stranger.hear_rejection().await
        })
        .await;
        assert!(matches!(result, Err(TransportError::WrongSecret { .. })), "{result:?}");
        assert_eq!(reject.why, Reject::WRONG_SECRET);
    }
}

#[tokio::test]
async fn the_right_proof_is_taken_and_answered_with_the_listeners() {
    let (result, ()) = stranger_dials(&Clock::system(), async |mut stranger| {
        let hello = stranger.say(Step::Hello, &introduction(true)).await;
        let (_, challenge) = stranger.hear().await;
        let said = Transcript { hello, challenge };
        let proof = Some(said.prove(SECRET, Role::Dialler));
        stranger.say(Step::Proof, &Proven { proof }).await;
        let (step, welcome) = stranger.hear().await;
        assert_eq!(step, Some(Step::Welcome));
        let welcome: Proven = from_bytes(&welcome).expect("a welcome");
        assert!(said.proves(SECRET, Role::Listener, &*welcome.proof.expect("a proof")));
    })
    .await;
    assert_eq!(result.expect("accepts").process, introduction(true).process);
}

#[tokio::test]
async fn a_listener_that_cannot_prove_itself_is_left() {
    let (mut ours, theirs) = duplex(64 * 1024);
    let (local, clock) = (silo("a").with_secret(secret(SECRET)), Clock::system());
    let handshake = Handshake {
        local: &local,
        clock: &clock,
        timeout: Duration::from_secs(5),
        address: "impostor",
        may_be_silo: true,
    };
    let impostor = async {
        let mut stranger = Stranger(theirs);
        stranger.hear().await;
        stranger.say(Step::Challenge, &introduction(true)).await;
        let (step, proof) = stranger.hear().await;
        assert_eq!(step, Some(Step::Proof));
        // The dialler's own proof, sent back.
        let proof: Proven = from_bytes(&proof).expect("a proof");
        stranger.say(Step::Welcome, &proof).await;
        stranger.hear_rejection().await
    };
    let (result, reject) = tokio::join!(handshake.dial(&mut ours, 1, None), impostor);
    assert!(matches!(result, Err(TransportError::WrongSecret { .. })), "{result:?}");
    assert_eq!(reject.why, Reject::WRONG_SECRET);
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let (clock, hands) = Clock::manual();
    let (result, ()) = stranger_dials(&clock, async |mut stranger| {
        stranger.0.write_all(b"QUA").await.expect("the listener reads");
        while hands.next_alarm().is_none() {
            tokio::task::yield_now().await;
        }
        hands.advance(Duration::from_secs(5));
        let mut heard = Vec::new();
        stranger.0.read_to_end(&mut heard).await.expect("the listener closes");
        assert!(heard.is_empty());
    })
    .await;
    assert!(matches!(result, Err(TransportError::TimedOut { .. })), "{result:?}");
}

#[tokio::test]
async fn a_slow_peer_holds_up_no_other() {
    let network = LoopbackNetwork::new();
    let transport = |local| network.transport(local, Clock::system(), LinkOptions::default());
    let (slow, quick, listener) = (transport(client()), transport(silo("b")), transport(silo("a")));
    let mut listening = listener.listen("loopback:a").await.expect("listens");
    // Polled once: it has dialled and said hello, and goes on no further.
    let mut never = slow.connect("loopback:a", None);
    assert!(polled(&mut never).await.is_pending());
    let held = listening.accept().await.expect("the slow one");
    let accept = async { listening.accept().await.expect("the quick one").await };
    let (dialled, accepted) = tokio::join!(quick.connect("loopback:a", None), accept);
    assert_eq!(dialled.expect("dials").peer.process, silo("a").process);
    assert_eq!(accepted.expect("accepts").peer.process, silo("b").process);
    let (dialled, accepted) = tokio::join!(never, held);
    dialled.expect("its turn comes");
    accepted.expect("its turn comes");
}

#[tokio::test]
async fn a_peer_that_goes_during_the_handshake_is_an_error() {
    let (result, ()) = stranger_dials(&Clock::system(), async |mut stranger| {
        stranger.say(Step::Hello, &introduction(true)).await;
        stranger.hear().await;
    })
    .await;
    assert!(matches!(result, Err(TransportError::HandshakeCut { .. })), "{result:?}");
}

#[tokio::test]
async fn a_name_of_ones_own_that_cannot_be_used_is_an_error_at_once() {
    let nameless = LocalEnd {
        cluster: String::new(),
        ..silo("a")
    };
    let met = met(nameless, silo("b"), None).await;
    assert!(
        matches!(met.dialler, Err(TransportError::BadIdentity(_))),
        "{:?}",
        met.dialler
    );
}

proptest! {
    #[test]
    fn random_handshakes_end_in_errors(
        kinds in proptest::collection::vec((0..7_u8, proptest::collection::vec(any::<u8>(), 0..40)), 0..4),
        hello in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        if hello {
            bytes.extend(to_bytes(Step::Hello, &introduction(true)));
        }
        for (kind, message) in kinds {
            bytes.extend(b"QUARK");
            bytes.push(kind);
            bytes.extend((message.len() as u16).to_le_bytes());
            bytes.extend(message);
        }
        let local = silo("a").with_secret(secret(SECRET));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        for dial in [true, false] {
            let clock = Clock::system();
            let handshake = Handshake { local: &local, clock: &clock, timeout: Duration::from_secs(5), address: "random", may_be_silo: true };
            let mut stream = tokio::io::join(&bytes[..], tokio::io::sink());
            let result = runtime.block_on(async {
                if dial { handshake.dial(&mut stream, 1, None).await } else { handshake.accept(&mut stream).await }
            });
            prop_assert!(result.is_err());
        }
    }
}
