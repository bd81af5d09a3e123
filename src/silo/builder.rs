//! Building and starting a silo.

use super::{SiloHandle, SiloOptions, StartError, run};
use crate::{
    actor::{Actor, registry::Registry, registry::RegistryError},
    placement::BalanceOptions,
    stream::Stream,
    transport::{Secret, SecretTooShort, TlsOptions},
};
use std::time::Duration;

/// A silo: one process's part of a cluster. See [`Silo::builder`].
#[derive(Debug)]
pub struct Silo(());

impl Silo {
    /// Builds a silo that hosts all actors of the program.
    pub fn builder() -> SiloBuilder {
        SiloBuilder::default()
    }
}

/// Adds an actor type to a registry.
type Register = fn(&mut Registry) -> Result<(), RegistryError>;

/// Builds a silo.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct SiloBuilder {
    options: SiloOptions,
    register: Vec<Register>,
    only: Option<Vec<String>>,
    linked: Option<bool>,
    secret: Option<Result<Secret, SecretTooShort>>,
}

impl SiloBuilder {
    /// All options at once; later calls change single ones.
    pub fn options(mut self, options: SiloOptions) -> Self {
        self.options = options;
        self
    }

    /// The silo's name; see [`SiloOptions::name`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// The name of the cluster; see [`SiloOptions::cluster`].
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.options.cluster = cluster.into();
        self
    }

    /// The URL of the store; see [`SiloOptions::store`].
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.options.store = url.into();
        self
    }

    /// Where to listen; see [`SiloOptions::listen`].
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.options.listen = address.into();
        self
    }

    /// What every process of the cluster proves to know, 16 bytes at least; see [`SiloOptions::secret`].
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = Some(Secret::new(secret.as_ref()));
        self
    }

    /// The certificates of mutual TLS; see [`SiloOptions::tls`].
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.options.tls = Some(tls);
        self
    }

    /// Threads that run actors; see [`SiloOptions::workers`].
    pub fn workers(mut self, workers: usize) -> Self {
        self.options.workers = workers;
        self
    }

    /// How long a shutdown may take; see [`SiloOptions::shutdown_timeout`]. Freeze and migration timeouts that are longer are
    /// shortened to it.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.options.shutdown_timeout = timeout;
        self.options.migration_timeout = self.options.migration_timeout.min(timeout);
        self.options.freeze_timeout = self.options.freeze_timeout.min(timeout);
        self
    }

    /// Lets silos that have more than their share give actors away; see [`SiloOptions::rebalance`].
    pub fn rebalance(mut self, options: BalanceOptions) -> Self {
        self.options.rebalance = Some(options);
        self
    }

    /// Whether SIGTERM and SIGINT shut the silo down; see [`SiloOptions::handle_signals`].
    pub fn handle_signals(mut self, handle: bool) -> Self {
        self.options.handle_signals = handle;
        self
    }

    /// Hosts an actor type besides those that the program was linked with.
    pub fn register<A: Actor>(mut self) -> Self {
        self.register.push(Registry::register::<A>);
        self
    }

    /// Hosts none of the linked actors but those given to [`SiloBuilder::register`].
    pub fn without_linked(mut self) -> Self {
        self.linked = Some(false);
        self
    }

    /// Hosts these kinds only.
    pub fn only(mut self, kinds: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = Some(kinds.into_iter().map(Into::into).collect());
        self
    }

    /// Starts the silo on threads of its own and waits until it is Active. Works in any executor.
    ///
    /// # Errors
    /// [`StartError`]; nothing of the silo is left behind then.
    pub async fn start(self) -> Result<SiloHandle, StartError> {
        let (options, registry) = self.ready()?;
        run::start(options, registry).await
    }

    /// Checks everything that can be checked before the start.
    pub(crate) fn ready(mut self) -> Result<(SiloOptions, Registry), StartError> {
        if let Some(secret) = self.secret.take() {
            self.options.secret = Some(secret.map_err(|error| StartError::BadOption {
                option: "secret",
                why: error.to_string(),
            })?);
        }
        self.options.check()?;
        let mut registry = if self.linked.unwrap_or(true) {
            Registry::linked()?
        } else {
            Registry::empty()
        };
        for register in self.register {
            register(&mut registry)?;
        }
        if let Some(only) = &self.only {
            registry.select(only)?;
        }
        if registry.is_empty() {
            return Err(StartError::NoActors);
        }
        registry.register::<Stream>()?;
        if self.options.dead_letters_of_panics {
            registry.keep_panicked();
        }
        Ok((self.options, registry))
    }
}
