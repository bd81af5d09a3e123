//! `quark cert`: an authority of one's own, and the certificates that it signs.

use anyhow::{Context, bail, ensure};
use quark::clock::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const DAYS_OF_AUTHORITY: u32 = 3650;

/// Make certificates for development: an authority for the cluster, the first time, and a certificate that it signs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The files are those of TlsOptions::in_folder(FOLDER, NAME). Whoever has ca-key.pem can join the cluster."
)]
pub(crate) struct Cert {
    /// Names the files: NAME.pem and NAME-key.pem
    name: String,
    /// A host, by name or address, at which peers dial the silo; once for each
    #[arg(long = "host", value_name = "HOST", default_values = ["localhost", "127.0.0.1", "::1"], conflicts_with = "client")]
    hosts: Vec<String>,
    /// Make a certificate that is good for calling actors and not for being a silo
    #[arg(long)]
    client: bool,
    /// Where the files are; made if it is missing
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    out: PathBuf,
    /// How long the certificate is valid
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=DAYS_OF_AUTHORITY as i64))]
    days: u32,
    /// Replace a certificate of that name; silos and clients that run take the new one without a restart
    #[arg(long)]
    force: bool,
}

impl Cert {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Self { name, out, days, .. } = &self;
        ensure!(
            !name.is_empty() && name != "ca" && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
            "{name:?} names no certificate: take letters, digits, `-`, `_` and `.`, and not `ca`"
        );
        let (certificate, key) = (out.join(format!("{name}.pem")), out.join(format!("{name}-key.pem")));
        if certificate.exists() && !self.force {
            bail!(
                "{} is there: give --force to replace it, or take another name",
                certificate.display()
            );
        }
        fs::create_dir_all(out).with_context(|| format!("failed to make the folder {}", out.display()))?;
        let authority = Authority::open_or_make(out)?;
        let pair = KeyPair::generate()?;
        let signed = self.params()?.signed_by(&pair, &authority.issuer)?;
        authority.check(signed.der())?;
        // A silo that looks between the two finds that they do not fit, and looks again.
        write(&key, &pair.serialize_pem(), Secrecy::Secret)?;
        write(&certificate, &signed.pem(), Secrecy::Public)?;
        let whose = if self.client {
            "a client".to_owned()
        } else {
            format!("a silo at {}", self.hosts.join(", "))
        };
        println!(
            "made {} and {}: {whose}, for {days} days",
            certificate.display(),
            key.display()
        );
        println!(
            "to use: TlsOptions::in_folder({:?}, {name:?})",
            out.display().to_string()
        );
        Ok(())
    }

    fn params(&self) -> anyhow::Result<CertificateParams> {
        let hosts = if self.client { &[][..] } else { &self.hosts };
        for host in hosts {
            ensure!(
                ServerName::try_from(host.as_str()).is_ok(),
                "{host:?} is neither a DNS name nor an IP address (no port, no brackets)"
            );
        }
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = named(&self.name);
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        if !self.client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, self.days);
        Ok(params)
    }
}

/// The authority of a folder.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
}

impl Authority {
    fn open_or_make(folder: &Path) -> anyhow::Result<Self> {
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        let pair = match fs::read_to_string(&key) {
            Ok(pem) => {
                KeyPair::from_pem(&pem).with_context(|| format!("failed to read a key from {}", key.display()))?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ensure!(
                    !certificate.exists(),
                    "{} is there without its key {}: put it there, or take another folder with --out",
                    certificate.display(),
                    key.display()
                );
                KeyPair::generate()?
            }
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", key.display())),
        };
        let params = Self::params(&pair);
        if !certificate.exists() {
            write(&key, &pair.serialize_pem(), Secrecy::Secret)?;
            write(&certificate, &params.self_signed(&pair)?.pem(), Secrecy::Public)?;
            println!(
                "made {} and {}: the authority of the cluster; all need the first, nobody else gets the second",
                certificate.display(),
                key.display()
            );
        }
        let issuer = Issuer::new(params, pair);
        Ok(Self { issuer, certificate })
    }

    /// The same each time for the same key.
    fn params(pair: &KeyPair) -> CertificateParams {
        let mut params = CertificateParams::default();
        let id = params.key_identifier(pair);
        let id: String = id.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        // Authorities of one name and different keys would be taken for each other at first sight.
        params.distinguished_name = named(&format!("Quark development {id}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params
            .key_usages
            .extend([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
        valid_for(&mut params, DAYS_OF_AUTHORITY);
        params
    }

    /// Whether the certificate in `ca.pem` stands for what this authority signs.
    fn check(&self, signed: &CertificateDer<'_>) -> anyhow::Result<()> {
        let path = self.certificate.display();
        let pem = fs::read(&self.certificate).with_context(|| format!("failed to read {path}"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.with_context(|| format!("failed to read a certificate from {path}"))?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let now = UnixTime::since_unix_epoch(Duration::from_micros(Clock::system().wall_micros()));
        verifier
            .with_context(|| format!("failed to use {path}"))?
            .verify_client_cert(signed, &[], now)
            .with_context(|| {
                format!("the authority in {path} was not made by this command, has expired, or has another key: take another folder with --out")
            })?;
        Ok(())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// From a day ago, for clocks that differ.
fn valid_for(params: &mut CertificateParams, days: u32) {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_micros(Clock::system().wall_micros());
    params.not_before = now - DAY;
    params.not_after = now + DAY * days;
}

#[derive(Clone, Copy, PartialEq)]
enum Secrecy {
    Secret,
    Public,
}

/// Writes a file as a whole: nobody reads half of it.
fn write(path: &Path, contents: &str, secrecy: Secrecy) -> anyhow::Result<()> {
    let new = path.with_extension("pem.new");
    let whole = || {
        // One that was left behind may be open to others.
        let _none = fs::remove_file(&new);
        let mode = if secrecy == Secrecy::Secret { 0o600 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(contents.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    whole().with_context(|| format!("failed to write {}", path.display()))
}
