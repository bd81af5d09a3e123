//! Where the certificates of a process are.

use super::TlsError;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Where the certificates of a process are: three PEM files, read again when they change, and how silos are named in theirs.
///
/// `quark cert` makes such files for development.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The process's certificate; behind it, if there are any, those between it and the CA. A silo's is good for servers and
    /// clients, a client's for clients alone.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
    /// The certificates of the authorities that sign for the cluster. More than one while one follows another.
    pub ca: PathBuf,
    /// The name in every silo's certificate, for clusters whose certificates do not name the host that is dialled. Default:
    /// the host as it is dialled, by name or address.
    pub server_name: Option<String>,
}

impl TlsOptions {
    /// The most bytes of each file.
    pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

    /// These files.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>, ca: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            ca: ca.into(),
            server_name: None,
        }
    }

    /// The files that `quark cert` writes for a name: `NAME.pem`, `NAME-key.pem` and `ca.pem`.
    pub fn in_folder(folder: impl AsRef<Path>, name: &str) -> Self {
        let folder = folder.as_ref();
        Self::new(
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}-key.pem")),
            folder.join("ca.pem"),
        )
    }

    /// The same, with one name in every silo's certificate; see [`TlsOptions::server_name`].
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            ca: read(&self.ca)?,
        })
    }
}

/// What is in the files.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) ca: Vec<u8>,
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut contents = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(TlsOptions::MAX_FILE_BYTES + 1)
        .read_to_end(&mut contents)
        .map_err(unreadable)?;
    if contents.len() as u64 > TlsOptions::MAX_FILE_BYTES {
        return Err(TlsError::BadFile {
            path: path.to_owned(),
            why: format!("it has more than {} bytes", TlsOptions::MAX_FILE_BYTES),
        });
    }
    Ok(contents)
}
