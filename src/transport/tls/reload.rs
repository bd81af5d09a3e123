//! The certificates in use, and their renewal.

use super::{TlsError, TlsOptions, certificates::Certificates, options::Contents};
use crate::clock::{Clock, Moment};
use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Duration};

/// The certificates of a process: those that are in its files now. Cheap to clone.
///
/// The files are looked at when a link is made, and every [`Tls::LOOK_INTERVAL`] while [`Tls::watch`] runs.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    options: TlsOptions,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    current: Arc<Certificates>,
    contents: Contents,
    /// When the files were looked at last.
    looked: Moment,
    /// What was wrong with them then.
    complaint: Option<String>,
}

impl Tls {
    /// How often the files are looked at without need, and the longest that a change takes to be seen.
    pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);
    /// How often they are looked at because links are made.
    const AT_MOST_EVERY: Duration = Duration::from_secs(1);

    /// Reads the certificates.
    ///
    /// # Errors
    /// A file cannot be read or used, or the certificate is not valid now.
    pub fn load(options: TlsOptions, clock: Clock) -> Result<Self, TlsError> {
        let contents = options.read()?;
        let current = Arc::new(Certificates::new(&options, &contents, clock.wall_micros())?);
        let state = State {
            current,
            contents,
            looked: clock.now(),
            complaint: None,
        };
        Ok(Self(Arc::new(Shared {
            options,
            clock,
            state: Mutex::new(state),
        })))
    }

    /// Looks at the files now. New ones are for links made from now on; those that cannot be used are reported, and the
    /// ones before stay in use.
    ///
    /// # Errors
    /// Why the files that are there cannot be used.
    pub fn refresh(&self) -> Result<(), TlsError> {
        let mut state = self.0.state.lock();
        self.look(&mut state)
    }

    /// Looks at the files for ever, every [`Tls::LOOK_INTERVAL`].
    pub async fn watch(self) {
        loop {
            self.0.clock.sleep(Self::LOOK_INTERVAL).await;
            // It is in the log, and is looked at again.
            let _reported = self.refresh();
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The certificates for a link that is made now.
    pub(in crate::transport) fn current(&self) -> Arc<Certificates> {
        let mut state = self.0.state.lock();
        if self.0.clock.now().since(state.looked) >= Self::AT_MOST_EVERY {
            let _reported = self.look(&mut state);
        }
        state.current.clone()
    }

    fn look(&self, state: &mut State) -> Result<(), TlsError> {
        let Shared { options, clock, .. } = &*self.0;
        state.looked = clock.now();
        let read = options.read().and_then(|contents| {
            let changed = contents != state.contents;
            let new = changed.then(|| Certificates::new(options, &contents, clock.wall_micros()));
            Ok(new.transpose()?.map(|new| (new, contents)))
        });
        match read {
            Ok(new) => {
                state.complaint = None;
                if let Some((new, contents)) = new {
                    state.current = Arc::new(new);
                    state.contents = contents;
                    tracing::info!(certificate = ?options.certificate, "new certificates are in use for new links");
                }
                Ok(())
            }
            Err(error) => {
                let complaint = error.to_string();
                if state.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(
                        error = complaint,
                        "certificates cannot be renewed; the ones before stay in use"
                    );
                    state.complaint = Some(complaint);
                }
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.options).finish()
    }
}
