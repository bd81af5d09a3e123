//! The handshake over any byte stream; see [`crate::wire::handshake`] for what is said.

use super::{CertificateProblem, LocalEnd, Peer, TransportError, tls};
use crate::{
    clock::Clock,
    ident::{InvalidName, ProcessId, SiloId},
    wire::handshake::{
        Introduction, MAX_MESSAGE_BYTES, PIECES, PREFIX_BYTES, Prefix, Proven, Reject, Role, Step, Transcript,
        from_bytes, to_bytes,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteArray;
use std::{io, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long the peer may take to hear why it is rejected.
const REJECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of a rejected peer's words is read and thrown away, in bytes.
const MAX_IGNORED: u64 = 64 * 1024;
/// How a TLS connection begins: a record of the handshake, of version 3 of its layer.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 3];

/// One side's view of one handshake.
pub(super) struct Handshake<'a> {
    pub(super) local: &'a LocalEnd,
    pub(super) clock: &'a Clock,
    pub(super) timeout: Duration,
    /// The peer's address, for errors.
    pub(super) address: &'a str,
    /// Whether the peer may be a silo: its certificate, if links have them, is one of a silo.
    pub(super) may_be_silo: bool,
}

/// What a listener that speaks TLS says to a peer that does not.
pub(super) fn tls_needed() -> Vec<u8> {
    to_bytes(Step::Reject, &Reject::new(Reject::TLS, "TLS is spoken here"))
}

/// Why a handshake fails, and what the peer is told of it.
struct Failed {
    error: TransportError,
    reject: Option<Box<Reject>>,
}

impl From<TransportError> for Failed {
    fn from(error: TransportError) -> Self {
        Self { error, reject: None }
    }
}

impl Handshake<'_> {
    /// The dialler's side. `number` grows with each dial of this process.
    pub(super) async fn dial<S>(
        &self,
        stream: &mut S,
        number: u64,
        expected: Option<&SiloId>,
    ) -> Result<Peer, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let result = self
            .clock
            .timeout(self.timeout, self.try_dial(stream, number, expected));
        let result = result.await;
        self.conclude(stream, result).await
    }

    /// The listener's side.
    pub(super) async fn accept<S>(&self, stream: &mut S) -> Result<Peer, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let result = self.clock.timeout(self.timeout, self.try_accept(stream)).await;
        self.conclude(stream, result).await
    }

    async fn try_dial<S>(&self, stream: &mut S, number: u64, expected: Option<&SiloId>) -> Result<Peer, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut transcript = Transcript::default();
        let mut link = Exchange { of: self, stream };
        transcript.hello = link.write(Step::Hello, &self.introduction(number)?).await?;
        let (theirs, challenge) = link.read::<Introduction>(Step::Challenge).await?;
        transcript.challenge = challenge;
        let protocol = self.check(&theirs)?;
        self.check_process(&theirs.process, expected)?;
        link.write(Step::Proof, &self.prove(&transcript, Role::Dialler)).await?;
        let (welcome, _) = link.read(Step::Welcome).await?;
        self.check_proof(&transcript, Role::Listener, &welcome)?;
        Ok(Peer {
            takes_pieces: theirs.capabilities.contains(PIECES),
            process: theirs.process,
            protocol,
            number,
        })
    }

    async fn try_accept<S>(&self, stream: &mut S) -> Result<Peer, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut transcript = Transcript::default();
        let mut link = Exchange { of: self, stream };
        let (theirs, hello) = link.read::<Introduction>(Step::Hello).await?;
        transcript.hello = hello;
        let protocol = self.check(&theirs)?;
        transcript.challenge = link.write(Step::Challenge, &self.introduction(0)?).await?;
        let (proof, _) = link.read(Step::Proof).await?;
        self.check_proof(&transcript, Role::Dialler, &proof)?;
        link.write(Step::Welcome, &self.prove(&transcript, Role::Listener))
            .await?;
        Ok(Peer {
            takes_pieces: theirs.capabilities.contains(PIECES),
            process: theirs.process,
            protocol,
            number: theirs.number,
        })
    }

    fn introduction(&self, number: u64) -> Result<Introduction, TransportError> {
        InvalidName::check("cluster name", &self.local.cluster)?;
        if let ProcessId::Silo(silo) = &self.local.process {
            InvalidName::check("silo name", silo.name())?;
        }
        let mut nonce = [0; 32];
        crate::chance::fill(&mut nonce).map_err(|error| TransportError::NoRandomness {
            source: io::Error::other(error.to_string()),
        })?;
        Ok(Introduction {
            process: self.local.process.clone(),
            cluster: self.local.cluster.clone(),
            protocol: self.local.protocol,
            nonce: ByteArray::new(nonce),
            proves: self.local.secret.is_some(),
            number,
            capabilities: [PIECES.to_owned()].into(),
        })
    }

    /// Whether the two can talk, if the peer is who it says; the protocol version for it.
    fn check(&self, theirs: &Introduction) -> Result<u16, Failed> {
        let address = self.address.to_owned();
        if theirs.cluster != self.local.cluster {
            let reject = Reject {
                cluster: Some(self.local.cluster.clone()),
                ..Reject::new(Reject::CLUSTER, "the clusters differ")
            };
            return Err(Failed {
                error: TransportError::WrongCluster {
                    address,
                    ours: self.local.cluster.clone(),
                    theirs: shortened(&theirs.cluster),
                },
                reject: Some(Box::new(reject)),
            });
        }
        let ours = self.local.protocol;
        let Some(protocol) = ours.highest_common(theirs.protocol) else {
            let reject = Reject {
                protocol: Some(ours),
                ..Reject::new(Reject::PROTOCOL, "there is no common protocol version")
            };
            return Err(Failed {
                error: TransportError::NoCommonProtocol {
                    address,
                    ours,
                    theirs: theirs.protocol,
                },
                reject: Some(Box::new(reject)),
            });
        };
        match (self.local.secret.is_some(), theirs.proves) {
            (true, false) => Err(Failed {
                error: TransportError::PeerWithoutSecret { address },
                reject: Some(Box::new(Reject::new(Reject::NO_SECRET, "a secret is needed"))),
            }),
            (false, true) => Err(Failed {
                error: TransportError::SecretMissing { address },
                reject: Some(Box::new(Reject::new(
                    Reject::UNEXPECTED_SECRET,
                    "there is no secret on this side",
                ))),
            }),
            _ => {
                if let ProcessId::Silo(silo) = &theirs.process {
                    InvalidName::check("silo name", silo.name()).map_err(|error| self.malformed(&error.to_string()))?;
                    self.check_silo(silo)?;
                }
                Ok(protocol)
            }
        }
    }

    fn check_silo(&self, silo: &SiloId) -> Result<(), Failed> {
        if self.may_be_silo {
            return Ok(());
        }
        Err(Failed {
            error: TransportError::NotASilo {
                address: self.address.to_owned(),
                silo: silo.clone(),
            },
            reject: Some(Box::new(Reject::new(
                Reject::CERTIFICATE,
                "the certificate is one of a client, not of a silo",
            ))),
        })
    }

    fn check_process(&self, actual: &ProcessId, expected: Option<&SiloId>) -> Result<(), Failed> {
        match expected {
            Some(expected) if actual.silo() != Some(expected) => Err(Failed {
                error: TransportError::WrongPeer {
                    address: self.address.to_owned(),
                    expected: ProcessId::Silo(expected.clone()),
                    actual: actual.clone(),
                },
                reject: Some(Box::new(Reject::new(
                    Reject::PROCESS,
                    &format!("{expected} was dialled"),
                ))),
            }),
            _ => Ok(()),
        }
    }

    fn prove(&self, transcript: &Transcript, role: Role) -> Proven {
        let secret = self.local.secret.as_ref();
        Proven {
            proof: secret.map(|secret| transcript.prove(secret.bytes(), role)),
        }
    }

    fn check_proof(&self, transcript: &Transcript, role: Role, proven: &Proven) -> Result<(), Failed> {
        let Some(secret) = &self.local.secret else {
            return Ok(());
        };
        let proof = proven.proof.as_ref().map_or(&[][..], |proof| &proof[..]);
        if transcript.proves(secret.bytes(), role, proof) {
            return Ok(());
        }
        Err(Failed {
            error: TransportError::WrongSecret {
                address: self.address.to_owned(),
            },
            reject: Some(Box::new(Reject::new(Reject::WRONG_SECRET, "the secrets differ"))),
        })
    }

    fn malformed(&self, why: &str) -> Failed {
        Failed {
            error: TransportError::BadHandshake {
                address: self.address.to_owned(),
                why: why.to_owned(),
            },
            reject: Some(Box::new(Reject::new(Reject::MALFORMED, why))),
        }
    }

    /// The peer's rejection as this side's error.
    fn rejected(&self, reject: Reject) -> TransportError {
        let address = self.address.to_owned();
        match (&*reject.why, reject.cluster, reject.protocol) {
            (Reject::CLUSTER, Some(theirs), _) => TransportError::WrongCluster {
                address,
                ours: self.local.cluster.clone(),
                theirs: shortened(&theirs),
            },
            (Reject::PROTOCOL, _, Some(theirs)) => TransportError::NoCommonProtocol {
                address,
                ours: self.local.protocol,
                theirs,
            },
            (Reject::NO_SECRET, ..) => TransportError::SecretMissing { address },
            (Reject::UNEXPECTED_SECRET, ..) => TransportError::PeerWithoutSecret { address },
            (Reject::WRONG_SECRET, ..) => TransportError::WrongSecret { address },
            (Reject::TLS, ..) => TransportError::TlsNeeded { address },
            (Reject::CERTIFICATE, ..) => TransportError::CertificateRefused {
                address,
                problem: CertificateProblem::WrongPurpose,
            },
            (why, ..) => TransportError::Rejected {
                address,
                why: shortened(&format!("{why}: {}", reject.text)),
            },
        }
    }

    /// Tells the peer why it is rejected, so that its error names the cause.
    async fn conclude<S>(&self, stream: &mut S, result: Option<Result<Peer, Failed>>) -> Result<Peer, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(result) = result else {
            return Err(TransportError::TimedOut {
                address: self.address.to_owned(),
                what: "complete the handshake",
                after: self.timeout,
            });
        };
        let Failed { error, reject } = match result {
            Ok(peer) => return Ok(peer),
            Err(failed) => failed,
        };
        if let Some(reject) = reject {
            let tell = async {
                stream.write_all(&to_bytes(Step::Reject, &reject)).await?;
                stream.shutdown().await?;
                // A stream that is closed with bytes unread is reset, and the peer may never see the words.
                tokio::io::copy(&mut stream.take(MAX_IGNORED), &mut tokio::io::sink()).await
            };
            // Whether it hears them changes nothing here.
            let _ = self.clock.timeout(REJECT_TIMEOUT.min(self.timeout), tell).await;
        }
        Err(error)
    }
}

/// A stream while hands are shaken over it.
struct Exchange<'a, S> {
    of: &'a Handshake<'a>,
    stream: &'a mut S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, S> {
    /// Writes a message; returns it without its prefix.
    async fn write<T: Serialize>(&mut self, step: Step, message: &T) -> Result<Vec<u8>, Failed> {
        let mut bytes = to_bytes(step, message);
        let written = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|source| self.cut(source))?;
        Ok(bytes.split_off(PREFIX_BYTES))
    }

    /// Reads the message of a step; returns also its bytes.
    async fn read<T: DeserializeOwned>(&mut self, expected: Step) -> Result<(T, Vec<u8>), Failed> {
        let mut prefix = [0; PREFIX_BYTES];
        self.stream
            .read_exact(&mut prefix)
            .await
            .map_err(|source| self.cut(source))?;
        let Prefix::Message(step, length) = Prefix::from_bytes(prefix) else {
            let address = self.of.address.to_owned();
            return Err(if prefix.starts_with(&TLS_HANDSHAKE) {
                Failed {
                    error: TransportError::UnexpectedTls { address },
                    // No TLS record: the peer sees that none is spoken here.
                    reject: Some(Box::new(Reject::new(Reject::NO_TLS, "no TLS is spoken here"))),
                }
            } else {
                TransportError::NotQuark { address }.into()
            });
        };
        if length > MAX_MESSAGE_BYTES {
            let why = format!("a message has {length} bytes, but at most {MAX_MESSAGE_BYTES} are allowed");
            return Err(self.of.malformed(&why));
        }
        let mut message = vec![0; length];
        self.stream
            .read_exact(&mut message)
            .await
            .map_err(|source| self.cut(source))?;
        match step {
            Some(Step::Reject) => Err(match from_bytes(&message) {
                Ok(reject) => self.of.rejected(reject).into(),
                // Rejections are not answered with rejections.
                Err(error) => self.of.malformed(&format!("a rejection that {error}")).error.into(),
            }),
            Some(step) if step == expected => match from_bytes(&message) {
                Ok(value) => Ok((value, message)),
                Err(error) => Err(self.of.malformed(&format!("the {expected:?} message: {error}"))),
            },
            _ => Err(self
                .of
                .malformed(&format!("a message in place of the {expected:?} message"))),
        }
    }

    /// The stream failed. A peer that refuses the certificate of a dialler says so in place of its first message.
    fn cut(&self, source: io::Error) -> Failed {
        tls::failure(self.of.address, source).into()
    }
}

/// A peer's words, for errors.
fn shortened(text: &str) -> String {
    text.chars().take(512).collect()
}
