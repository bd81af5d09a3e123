//! Certificates ready for use.

use super::{CertificateProblem, TlsError, TlsOptions, greet, options::Contents};
use rustls::{
    ClientConfig, Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::{Resumption, verify_server_cert_signed_by_trust_anchor},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject},
    server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier},
    version::TLS13,
};
use std::{path::Path, sync::Arc, time::Duration};

const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];

/// Certificates ready for use: both sides of connections made from now on.
pub(in crate::transport) struct Certificates {
    pub(super) dialler: Arc<ClientConfig>,
    pub(super) listener: Arc<ServerConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Certificates {
    /// `now` by the wall clock, in microseconds since the Unix epoch.
    pub(super) fn new(options: &TlsOptions, contents: &Contents, now: u64) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates(&options.certificate, &contents.certificate)?;
        let key = || key(&options.key, &contents.key);
        let roots = Arc::new(roots(&options.ca, &contents.ca)?);
        let unusable = |error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyMismatch {
                certificate: options.certificate.clone(),
                key: options.key.clone(),
            },
            error => bad(&options.certificate, format!("with its key {:?}: {error}", options.key)),
        };
        let name =
            |name: &String| ServerName::try_from(name.clone()).map_err(|_| TlsError::BadName { name: name.clone() });
        let server_name = options.server_name.as_ref().map(name).transpose()?;
        let mut dialler = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(VERSIONS)
            .map_err(unusable)?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key()?)
            .map_err(unusable)?;
        dialler.resumption = Resumption::disabled();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| bad(&options.ca, error.to_string()))?;
        let mut listener = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(VERSIONS)
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key()?)
            .map_err(unusable)?;
        listener.session_storage = Arc::new(NoServerSessionStorage {});
        listener.send_tls13_tickets = 0;
        let certificates = Self {
            dialler: Arc::new(dialler),
            listener: Arc::new(listener),
            server_name,
            roots,
            provider,
        };
        // Of another CA it may be while one CA follows another; its time is over for everybody.
        let own = certificates.check_silo(&chain, now);
        match own.err().map(|error| greet::problem(&error)) {
            Some(problem @ (CertificateProblem::Expired | CertificateProblem::NotYetValid)) => Err(TlsError::Useless {
                path: options.certificate.clone(),
                problem,
            }),
            _ => Ok(certificates),
        }
    }

    /// Whether the certificate that a peer has shown is that of a silo: good for servers.
    pub(super) fn check_silo(&self, chain: &[CertificateDer<'_>], now: u64) -> Result<(), Error> {
        let [certificate, between @ ..] = chain else {
            return Err(Error::NoCertificatesPresented);
        };
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            &self.roots,
            between,
            UnixTime::since_unix_epoch(Duration::from_micros(now)),
            self.provider.signature_verification_algorithms.all,
        )
    }
}

fn bad(path: &Path, why: String) -> TlsError {
    TlsError::BadFile {
        path: path.to_owned(),
        why,
    }
}

fn certificates(path: &Path, contents: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(contents).collect();
    let read = read.map_err(|error| bad(path, format!("it is no PEM file: {error}")))?;
    if read.is_empty() {
        return Err(bad(
            path,
            "it holds no certificate; a PEM file with `BEGIN CERTIFICATE` is needed".into(),
        ));
    }
    Ok(read)
}

fn key(path: &Path, contents: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(contents).map_err(|error| {
        bad(
            path,
            format!("it holds no private key; a PEM file with `BEGIN PRIVATE KEY`, not encrypted, is needed: {error}"),
        )
    })
}

fn roots(path: &Path, contents: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, contents)? {
        roots
            .add(certificate)
            .map_err(|error| bad(path, format!("it holds what is no certificate of a CA: {error}")))?;
    }
    Ok(roots)
}
