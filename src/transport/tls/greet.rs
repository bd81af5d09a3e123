//! The TLS handshake, and what its failures mean.

use super::{CertificateProblem, Tls};
use crate::transport::{
    TransportError,
    handshake::tls_needed,
    roaming::{RoamingStream, roaming},
};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, pki_types::ServerName};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// The first byte of a TLS connection: a record of the handshake.
const TLS_RECORD: u8 = 0x16;
/// How long a refused peer may take to hear why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How much of its words is read and thrown away meanwhile, in bytes.
const MAX_IGNORED: u64 = 64 * 1024;

/// A connection on which both sides have shown their certificates.
pub(in crate::transport) struct Greeted {
    pub(in crate::transport) stream: TlsStream<RoamingStream>,
    /// Whether the other side's certificate is one of a silo.
    pub(in crate::transport) is_silo: bool,
}

impl Tls {
    /// The dialler's side; `address` as it was dialled.
    pub(in crate::transport) async fn dial(&self, stream: TcpStream, address: &str) -> Result<Greeted, TransportError> {
        let certificates = self.current();
        let name = match &certificates.server_name {
            Some(name) => name.clone(),
            None => host(address)?,
        };
        let connector = TlsConnector::from(certificates.dialler.clone());
        let stream = connector.connect(name, roaming(stream)).await;
        let stream = stream.map_err(|error| failure(address, error))?;
        Ok(Greeted {
            stream: stream.into(),
            is_silo: true,
        })
    }

    /// The listener's side; `address` is the peer's, for errors.
    pub(in crate::transport) async fn accept(
        &self,
        mut stream: TcpStream,
        address: &str,
    ) -> Result<Greeted, TransportError> {
        let mut first = [0];
        let cut = |source| TransportError::HandshakeCut {
            address: address.to_owned(),
            source,
        };
        if stream.peek(&mut first).await.map_err(cut)? == 0 {
            return Err(cut(io::ErrorKind::UnexpectedEof.into()));
        }
        if first != [TLS_RECORD] {
            self.turn_away(&mut stream, &tls_needed()).await;
            let address = address.to_owned();
            return Err(TransportError::PlainPeer { address });
        }
        let certificates = self.current();
        let acceptor = TlsAcceptor::from(certificates.listener.clone());
        match acceptor.accept(roaming(stream)).into_fallible().await {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let is_silo = certificates.check_silo(chain, self.clock().wall_micros()).is_ok();
                Ok(Greeted {
                    stream: stream.into(),
                    is_silo,
                })
            }
            Err((error, mut stream)) => {
                // Its alert has been written; a stream that is closed with bytes unread is reset, and the peer may not see it.
                self.turn_away(&mut stream, &[]).await;
                Err(failure(address, error))
            }
        }
    }

    /// Says why, and waits for the peer to have heard it.
    async fn turn_away(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) {
        let tell = async {
            stream.write_all(words).await?;
            stream.shutdown().await?;
            copy(&mut (&mut stream).take(MAX_IGNORED), &mut sink()).await
        };
        // Whether it hears them changes nothing here.
        let _unheard = self.clock().timeout(LAST_WORDS, tell).await;
    }
}

/// The host of `host:port`, as certificates name it.
fn host(address: &str) -> Result<ServerName<'static>, TransportError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| TransportError::BadAddress {
        address: address.to_owned(),
        why: "its host is neither a DNS name nor an IP address, which certificates name",
    })
}

/// What a failure of a TLS stream means.
pub(in crate::transport) fn failure(address: &str, error: io::Error) -> TransportError {
    let address = address.to_owned();
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    let refused = |problem| TransportError::CertificateRefused {
        address: address.clone(),
        problem,
    };
    match cause {
        Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => {
            let problem = cause.map_or(CertificateProblem::Missing, problem);
            TransportError::BadCertificate { address, problem }
        }
        Some(Error::PeerIncompatible(PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon)) => refused(
            CertificateProblem::Other("its kind of signature is unknown there".into()),
        ),
        Some(Error::AlertReceived(alert)) => match alert {
            AlertDescription::CertificateExpired => refused(CertificateProblem::Expired),
            AlertDescription::UnknownCA => refused(CertificateProblem::UnknownAuthority),
            AlertDescription::CertificateRequired => refused(CertificateProblem::Missing),
            AlertDescription::UnsupportedCertificate => refused(CertificateProblem::WrongPurpose),
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => refused(CertificateProblem::Other(format!("{alert:?}"))),
            alert => TransportError::TlsFailed {
                address: address.clone(),
                why: format!("it ended the handshake with {alert:?}"),
            },
        },
        // What answers is no TLS record.
        Some(Error::InvalidMessage(_)) => TransportError::NoTls { address },
        Some(error) => TransportError::TlsFailed {
            address,
            why: error.to_string(),
        },
        None => TransportError::HandshakeCut { address, source: error },
    }
}

/// What is wrong with a certificate.
pub(super) fn problem(error: &Error) -> CertificateProblem {
    match error {
        Error::NoCertificatesPresented => CertificateProblem::Missing,
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                CertificateProblem::NotYetValid
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => CertificateProblem::UnknownAuthority,
            CertificateError::NotValidForNameContext { expected, .. } => CertificateProblem::WrongName {
                expected: expected.to_str().into_owned(),
            },
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                CertificateProblem::WrongPurpose
            }
            error => CertificateProblem::Other(error.to_string()),
        },
        error => CertificateProblem::Other(error.to_string()),
    }
}
