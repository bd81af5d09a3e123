//! Several silos on one store, and a client of theirs.

use crate::{
    PATIENCE,
    notes::{Notes, Where},
    process::Process,
    program::Settings,
};
use futures_util::future::join_all;
use quark::{client::Client, clock::Clock, membership::MembershipConfig, store::SiloStatus};
use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tempfile::TempDir;

/// Budgets by a failure timeout, in the proportions of the defaults.
pub(crate) fn budgets(failure_timeout: Duration) -> MembershipConfig {
    MembershipConfig {
        heartbeat_interval: failure_timeout / 5,
        read_interval: failure_timeout * 2 / 5,
        failure_timeout,
        lease: failure_timeout * 4 / 5,
        probe_timeout: failure_timeout / 5,
        store_timeout: failure_timeout * 2 / 5,
        mute_timeout: failure_timeout * 3,
        ..MembershipConfig::default()
    }
}

/// Settings of a cluster of its own on this store.
pub(crate) fn settings(store: &str, failure_timeout: Duration) -> Settings {
    static LAST: AtomicU32 = AtomicU32::new(0);
    Settings {
        name: String::new(),
        cluster: format!("c{}", LAST.fetch_add(1, Ordering::Relaxed)),
        store: store.into(),
        listen: "127.0.0.1:0".into(),
        advertise: None,
        membership: budgets(failure_timeout),
        move_timeout: Duration::from_secs(5),
    }
}

/// Silos of one cluster.
pub(crate) struct Cluster {
    pub(crate) silos: Vec<Process>,
    pub(crate) settings: Settings,
    folder: Option<TempDir>,
}

impl Cluster {
    /// Silos on a file of their own.
    pub(crate) async fn embedded(names: &[&str], failure_timeout: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = format!("embedded:{}", folder.path().join("quark.db").display());
        Self::start_in(folder, settings(&store, failure_timeout), names).await
    }

    /// Silos with these settings.
    pub(crate) async fn start(settings: Settings, names: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), settings, names).await
    }

    async fn start_in(folder: TempDir, settings: Settings, names: &[&str]) -> Self {
        let mut cluster = Self::empty(folder, settings);
        let starting = names.iter().map(|name| {
            let settings = cluster.settings_of(name);
            Process::start(&settings, cluster.logs(), &[]).ready()
        });
        cluster.silos = join_all(starting.collect::<Vec<_>>()).await;
        cluster.know_each_other().await;
        cluster
    }

    /// No silos yet.
    pub(crate) fn empty(folder: TempDir, settings: Settings) -> Self {
        Self {
            silos: Vec::new(),
            settings,
            folder: Some(folder),
        }
    }

    pub(crate) fn logs(&self) -> &Path {
        self.folder.as_ref().expect("kept to the end").path()
    }

    pub(crate) fn settings_of(&self, name: &str) -> Settings {
        Settings {
            name: name.into(),
            ..self.settings.clone()
        }
    }

    /// Starts one more.
    pub(crate) async fn add(&mut self, name: &str) {
        let process = Process::start(&self.settings_of(name), self.logs(), &[]).ready().await;
        self.silos.push(process);
    }

    pub(crate) fn silo(&mut self, name: &str) -> &mut Process {
        let found = self.silos.iter_mut().find(|silo| silo.name() == name);
        found.expect("a silo of this name")
    }

    pub(crate) fn take(&mut self, name: &str) -> Process {
        let at = self.silos.iter().position(|silo| silo.name() == name);
        self.silos.remove(at.expect("a silo of this name"))
    }

    /// A client that knows all of them.
    pub(crate) async fn client(&self) -> Client {
        let address = |silo: &Process| silo.settings.advertise.clone().unwrap_or_else(|| silo.address.clone());
        let client = Client::builder()
            .cluster(&self.settings.cluster)
            .secret("0123456789abcdef")
            .insecure(true)
            .seeds(self.silos.iter().map(address));
        client.connect().await.expect("the cluster can be reached")
    }

    /// Waits until as many silos are Active as there are, for a client of theirs.
    pub(crate) async fn know_each_other(&self) {
        let client = self.client().await;
        until("all silos are known", || {
            let silos = client.silos();
            silos.iter().filter(|silo| silo.status == SiloStatus::Active).count() == self.silos.len()
        })
        .await;
        client.close().await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The logs of a test that failed stay.
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("the silos' logs are in {}", folder.keep().display());
        }
    }
}

/// Logs to stderr what the test's own clients log, down to the level that `QUARK_TEST_LOG` names.
pub(crate) fn log() {
    if let Some(level) = std::env::var("QUARK_TEST_LOG")
        .ok()
        .and_then(|level| level.parse::<tracing::Level>().ok())
    {
        // Another test of this process may have been first.
        let _ = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::stderr)
            .try_init();
    }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    while !is_so() {
        assert!(clock.now() < end, "not in time: {what}");
        clock.sleep(Duration::from_millis(5)).await;
    }
}

/// Which silo has the actor, by its own word.
pub(crate) async fn whereabouts(client: &Client, key: &str) -> String {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    loop {
        match client.actor::<Notes>(key).ask(Where).await {
            Ok((silo, _)) => return silo,
            Err(error) => assert!(clock.now() < end, "{key}: {error}"),
        }
    }
}

/// Keys of actors.
pub(crate) fn keys(count: usize) -> Vec<String> {
    (0..count).map(|key| format!("a{key}")).collect()
}
