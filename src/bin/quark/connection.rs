//! How a command reaches the cluster.

use anyhow::Context;
use quark::{admin::Admin, client::Client, transport::TlsOptions};
use std::{fs, path::PathBuf, time::Duration};

/// How to reach the cluster
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Silos of the cluster, HOST:PORT; any of them will do
    #[arg(
        long = "at",
        value_name = "HOST:PORT",
        env = "QUARK_AT",
        value_delimiter = ',',
        required = true,
        global = false
    )]
    at: Vec<String>,
    /// The name of the cluster
    #[arg(long, value_name = "NAME", env = "QUARK_CLUSTER", default_value = "quark")]
    cluster: String,
    /// A file with the secret of the cluster; its last line end does not count
    #[arg(long, value_name = "FILE", env = "QUARK_SECRET_FILE")]
    secret_file: Option<PathBuf>,
    /// The folder with the certificates that `quark cert` made
    #[arg(long, value_name = "FOLDER", env = "QUARK_CERTS", requires = "cert")]
    certs: Option<PathBuf>,
    /// The name of the certificate in that folder
    #[arg(long, value_name = "NAME", env = "QUARK_CERT", requires = "certs")]
    cert: Option<String>,
    /// How long to look for a silo that answers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    wait: u64,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(&self) -> anyhow::Result<Admin> {
        let mut client = Client::builder()
            .cluster(&self.cluster)
            .seeds(&self.at)
            .connect_timeout(Duration::from_secs(self.wait));
        if let Some(file) = &self.secret_file {
            let secret = fs::read_to_string(file)
                .with_context(|| format!("failed to read the secret from {}", file.display()))?;
            client = client.secret(secret.strip_suffix('\n').unwrap_or(&secret));
        }
        if let (Some(folder), Some(name)) = (&self.certs, &self.cert) {
            client = client.tls(TlsOptions::in_folder(folder, name));
        }
        Ok(Admin::new(client.connect().await?))
    }
}
