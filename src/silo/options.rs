//! What a silo can be told, with its defaults.

use super::StartError;
use crate::{
    activity::HotPolicy,
    ident::InvalidName,
    membership::MembershipConfig,
    placement::BalanceOptions,
    runtime::RetryPolicy,
    transport::{Secret, TlsOptions},
    version::VersionPolicy,
};
use std::{collections::BTreeMap, time::Duration};

/// What a silo does whose kinds, and the same kinds of living silos, cannot read what the others write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaConflicts {
    /// It does not start, and says why.
    #[default]
    Refuse,
    /// It does not host those kinds, and logs why.
    Mask,
    /// It joins all the same, and logs why. Messages that cannot be read then fail, and count against a rollout.
    Allow,
}

/// What a silo can be told.
#[derive(Clone, Debug)]
pub struct SiloOptions {
    /// The silo's name; one silo of a name at a time. Default `silo-` and the process id.
    pub name: String,
    /// The name of the cluster. Default `quark`.
    pub cluster: String,
    /// The URL of the store: `embedded:FILE`, `redis://HOST` or another of [`crate::store::open`]. Default `embedded:quark.db`, a file in
    /// the working folder.
    pub store: String,
    /// Where to listen. Default `127.0.0.1:0`, a free port.
    pub listen: String,
    /// The address that peers dial, if it is another than the one listened on.
    pub advertise: Option<String>,
    /// What every process of the cluster knows and proves to know. Default none.
    pub secret: Option<Secret>,
    /// The certificates of mutual TLS, for all links of the silo. Required outside this machine. Default none: plain TCP.
    pub tls: Option<TlsOptions>,
    /// Allows plain TCP outside this machine, where the network is trusted. Default no.
    pub insecure: bool,
    /// Threads that run actors. Default one per processor.
    pub workers: usize,
    /// How long a thread that runs actors looks for work before it parks, and a task for the answer of an actor of another thread.
    /// Asks between threads are then answered without a thread that has to be woken, if that takes no longer (see `ask-arbiters` in
    /// benches/peers); each idle period costs as much of a processor. 20 us is much. Default zero.
    pub spin: Duration,
    /// Threads that do blocking work for actors ([`crate::actor::Context::blocking`]). Default 4, started by the first work.
    pub blocking_threads: usize,
    /// The most messages that wait for an actor. Default 1000.
    pub mailbox_capacity: usize,
    /// The most bytes that an actor's state may have to be saved. Default 16 MiB.
    pub max_state_bytes: usize,
    /// The most dead letters that are kept; the oldest make room. Default 10,000.
    pub dead_letter_capacity: usize,
    /// Whether a tell whose handler panics is a dead letter. Every tell is serialized before it runs then. Default no.
    pub dead_letters_of_panics: bool,
    /// How often a tell that did not run and may run later is tried again before it is a dead letter. Default none: such a tell
    /// is overtaken by later ones of its sender that run before its retry, which breaks the order of tells (guarantee 3).
    /// Retries of one actor keep their order among themselves.
    pub tell_retry: Option<RetryPolicy>,
    /// A turn that takes longer is reported: in the log once, and in the status while it lasts. Default 10 s.
    pub stuck_turn: Duration,
    /// How long an actor that runs nothing and has no timer stays active; then its state is saved and its memory given back. At
    /// least so long, at most a quarter longer. Zero is for ever. Default 5 minutes.
    pub idle_timeout: Duration,
    /// How long an ask waits unless told otherwise. Default 30 s.
    pub ask_timeout: Duration,
    /// How long a running turn may take to end before a migration of its actor is called off. Default 30 s.
    pub freeze_timeout: Duration,
    /// How long a migration may take before its source finds out by itself how it stands. Default 30 s.
    pub migration_timeout: Duration,
    /// How long a shutdown may take; what is left then is stopped by force and listed. Default 30 s.
    pub shutdown_timeout: Duration,
    /// Whether a shutdown moves actors to other silos. Default yes.
    pub live_migration: bool,
    /// The most batches of migrations at once. Default 10.
    pub max_concurrent_migrations: usize,
    /// The most actors in a batch. Default 64.
    pub migration_batch: usize,
    /// How many moves begin in a second, at the most, while this silo or one that they go to runs messages too, which would wait
    /// for them otherwise; more if a silo that leaves could not be done in time. Default 10,000: about a quarter of a processor at
    /// each end.
    pub busy_migration_rate: u32,
    /// The most bytes of packages under way, all together; one that is larger goes alone. Default 16 MiB.
    pub migration_bytes: usize,
    /// How often a move is tried before it is given up. Default 6.
    pub migration_attempts: u32,
    /// Whether actors move without anybody asking, from a silo that has more than its share to others, and how. Default none:
    /// each move costs its actor a pause, and new actors find the new silo by themselves.
    pub rebalance: Option<BalanceOptions>,
    /// Which versions may stand in for which. Default: the same major version.
    pub version_policy: VersionPolicy,
    /// The policies of kinds that need another. What operators say while the cluster runs comes before both.
    pub kind_policies: BTreeMap<String, VersionPolicy>,
    /// What the silo does if it and living silos could not read each other's messages or states. Default: it does not start.
    pub schema_conflicts: SchemaConflicts,
    /// What counts as hot.
    pub hot_policy: HotPolicy,
    /// The budgets of membership.
    pub membership: MembershipConfig,
    /// Labels of the silo's row: zone, rack, `capacity`.
    pub labels: BTreeMap<String, String>,
    /// Whether SIGTERM and SIGINT shut the silo down. Default yes.
    pub handle_signals: bool,
}

impl Default for SiloOptions {
    fn default() -> Self {
        Self {
            name: format!("silo-{}", std::process::id()),
            cluster: "quark".into(),
            store: "embedded:quark.db".into(),
            listen: "127.0.0.1:0".into(),
            advertise: None,
            secret: None,
            tls: None,
            insecure: false,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            spin: Duration::ZERO,
            blocking_threads: 4,
            mailbox_capacity: 1000,
            max_state_bytes: 16 * 1024 * 1024,
            dead_letter_capacity: 10_000,
            dead_letters_of_panics: false,
            tell_retry: None,
            stuck_turn: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            ask_timeout: Duration::from_secs(30),
            freeze_timeout: Duration::from_secs(30),
            migration_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(30),
            live_migration: true,
            max_concurrent_migrations: 10,
            migration_batch: 64,
            busy_migration_rate: 10_000,
            migration_bytes: 16 * 1024 * 1024,
            migration_attempts: 6,
            rebalance: None,
            version_policy: VersionPolicy::default(),
            kind_policies: BTreeMap::new(),
            schema_conflicts: SchemaConflicts::default(),
            hot_policy: HotPolicy::default(),
            membership: MembershipConfig::default(),
            labels: BTreeMap::new(),
            handle_signals: true,
        }
    }
}

impl SiloOptions {
    /// Checks every value, and that the time budgets nest: freeze <= migration <= shutdown.
    ///
    /// # Errors
    /// The first that cannot be, and what can.
    pub fn check(&self) -> Result<(), StartError> {
        InvalidName::check("silo name", &self.name)?;
        InvalidName::check("cluster name", &self.cluster)?;
        for (option, value) in [
            ("workers", self.workers),
            ("blocking_threads", self.blocking_threads),
            ("mailbox_capacity", self.mailbox_capacity),
            ("max_state_bytes", self.max_state_bytes),
            ("max_concurrent_migrations", self.max_concurrent_migrations),
            ("migration_batch", self.migration_batch),
            ("busy_migration_rate", self.busy_migration_rate as usize),
            ("migration_bytes", self.migration_bytes),
            ("migration_attempts", self.migration_attempts as usize),
        ] {
            if value == 0 {
                return Err(StartError::BadOption {
                    option,
                    why: "it is 0; it must be at least 1".into(),
                });
            }
        }
        let budgets = [
            ("freeze_timeout", self.freeze_timeout),
            ("migration_timeout", self.migration_timeout),
            ("shutdown_timeout", self.shutdown_timeout),
        ];
        for pair in budgets.windows(2) {
            let ((inner, short), (outer, long)) = (pair[0], pair[1]);
            if short > long {
                return Err(StartError::BadOption {
                    option: inner,
                    why: format!("it is {short:?}, longer than {outer} ({long:?}), which it must fit into"),
                });
            }
            if short.is_zero() {
                return Err(StartError::BadOption {
                    option: inner,
                    why: "it is zero".into(),
                });
            }
        }
        if self.stuck_turn.is_zero() {
            return Err(StartError::BadOption {
                option: "stuck_turn",
                why: "it is zero".into(),
            });
        }
        let retry = self.tell_retry.as_ref().map_or(Ok(()), RetryPolicy::check);
        retry.map_err(|why| StartError::BadOption {
            option: "tell_retry",
            why,
        })?;
        let rebalance = self.rebalance.as_ref().map_or(Ok(()), BalanceOptions::check);
        rebalance.map_err(|why| StartError::BadOption {
            option: "rebalance",
            why,
        })?;
        (self.membership.check()).map_err(|source| StartError::BadOption {
            option: "membership",
            why: source.to_string(),
        })?;
        (self.hot_policy.check()).map_err(|source| StartError::BadOption {
            option: "hot_policy",
            why: source.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/operations.md says of an option in the column after its name.
    fn documented(option: &str) -> &'static str {
        let page = include_str!("../../docs/operations.md");
        let row = page.lines().find(|line| {
            line.starts_with(&format!("| `{option}` |")) || line.starts_with(&format!("| *`{option}`* |"))
        });
        let row = row.unwrap_or_else(|| panic!("{option} is not documented"));
        row.split('|').nth(2).expect("a table").trim()
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let SiloOptions {
            name: _,
            cluster,
            store,
            listen,
            advertise,
            secret,
            tls,
            insecure,
            workers: _,
            spin,
            blocking_threads,
            mailbox_capacity,
            max_state_bytes,
            dead_letter_capacity,
            dead_letters_of_panics,
            tell_retry,
            stuck_turn,
            idle_timeout,
            ask_timeout,
            freeze_timeout,
            migration_timeout,
            shutdown_timeout,
            live_migration,
            max_concurrent_migrations,
            migration_batch,
            busy_migration_rate,
            migration_bytes,
            migration_attempts,
            rebalance,
            version_policy,
            kind_policies,
            schema_conflicts,
            hot_policy: _,
            membership,
            labels,
            handle_signals,
        } = SiloOptions::default();
        for option in ["name", "workers", "hot_policy", "membership"] {
            documented(option);
        }
        for (option, default) in [("cluster", cluster), ("store", store), ("listen", listen)] {
            assert_eq!(documented(option), format!("`{default}`"), "{option}");
        }
        assert_eq!(documented("version_policy"), format!("`{version_policy}`"));
        assert!(kind_policies.is_empty() && schema_conflicts == SchemaConflicts::Refuse);
        assert_eq!(documented("schema_conflicts"), "`Refuse`");
        assert!(advertise.is_none() && secret.is_none() && tls.is_none() && labels.is_empty());
        assert!(spin.is_zero() && tell_retry.is_none() && rebalance.is_none());
        for option in [
            "advertise",
            "secret",
            "tls",
            "labels",
            "spin",
            "tell_retry",
            "rebalance",
            "kind_policies",
        ] {
            assert_eq!(documented(option), "none", "{option}");
        }
        for (option, default) in [
            ("insecure", insecure),
            ("dead_letters_of_panics", dead_letters_of_panics),
            ("live_migration", live_migration),
            ("handle_signals", handle_signals),
        ] {
            assert_eq!(documented(option), if default { "yes" } else { "no" }, "{option}");
        }
        for (option, default) in [
            ("blocking_threads", blocking_threads),
            ("mailbox_capacity", mailbox_capacity),
            ("dead_letter_capacity", dead_letter_capacity),
            ("max_concurrent_migrations", max_concurrent_migrations),
            ("migration_batch", migration_batch),
            ("busy_migration_rate", busy_migration_rate as usize),
            ("max_state_bytes", max_state_bytes / 1024 / 1024),
            ("migration_bytes", migration_bytes / 1024 / 1024),
            ("migration_attempts", migration_attempts as usize),
        ] {
            let digits: String = documented(option).chars().filter(char::is_ascii_digit).collect();
            assert_eq!(digits, default.to_string(), "{option}");
        }
        for (option, default) in [
            ("stuck_turn", stuck_turn),
            ("idle_timeout", idle_timeout),
            ("ask_timeout", ask_timeout),
            ("freeze_timeout", freeze_timeout),
            ("migration_timeout", migration_timeout),
            ("shutdown_timeout", shutdown_timeout),
            ("heartbeat_interval", membership.heartbeat_interval),
            ("read_interval", membership.read_interval),
            ("failure_timeout", membership.failure_timeout),
            ("lease", membership.lease),
            ("probe_timeout", membership.probe_timeout),
            ("store_timeout", membership.store_timeout),
            ("mute_timeout", membership.mute_timeout),
            ("dead_retention", membership.dead_retention),
        ] {
            let (number, unit) = documented(option).split_once(' ').expect("a time");
            let seconds = if unit == "min" { 60 } else { 1 };
            let time = Duration::from_secs(number.parse::<u64>().expect("a number") * seconds);
            assert_eq!(time, default, "{option}");
        }
        let bound = format!("within {} s", membership.detection_bound().as_secs());
        assert!(include_str!("../../docs/operations.md").contains(&bound));
    }

    /// R128
    #[test]
    fn defaults_are_valid_and_bad_values_are_named() {
        SiloOptions::default().check().expect("the defaults fit");
        let bad = |change: fn(&mut SiloOptions)| {
            let mut options = SiloOptions::default();
            change(&mut options);
            options.check().expect_err("must be refused").to_string()
        };
        assert!(bad(|o| o.mailbox_capacity = 0).contains("mailbox_capacity"));
        assert!(bad(|o| o.stuck_turn = Duration::ZERO).contains("stuck_turn"));
        assert!(bad(|o| o.blocking_threads = 0).contains("blocking_threads"));
        assert!(bad(|o| o.name = String::new()).contains("silo name"));
        assert!(bad(|o| o.freeze_timeout = Duration::from_secs(31)).contains("migration_timeout"));
        assert!(bad(|o| o.shutdown_timeout = Duration::from_secs(5)).contains("migration_timeout"));
        assert!(
            bad(|o| {
                o.tell_retry = Some(RetryPolicy {
                    jitter: 2.0,
                    ..RetryPolicy::default()
                })
            })
            .contains("tell_retry")
        );
        assert!(bad(|o| o.membership.lease = Duration::from_secs(60)).contains("membership"));
    }
}
