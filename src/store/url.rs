//! Opens the store that a URL names.

use super::{MemoryStore, Store, StoreError};
use std::sync::Arc;

/// Opens the store at `url` for `cluster`; other clusters at the same place see nothing of each other.
///
/// | URL | store |
/// |---|---|
/// | `memory:` | in memory, of its own |
/// | `memory:NAME` | in memory, shared by all of this process who use the name, gone with the last of them |
/// | `embedded:PATH` | in a file, shared by the processes of this machine (`sqlite:PATH` is the same) |
/// | `redis://HOST:PORT/DATABASE` | in Redis, shared by all who reach it; `USER:PASSWORD@` may stand before the host, port and database may be left out |
/// | `rediss://...` | the same over TLS; the server's certificate must be trusted by the system or by `SSL_CERT_FILE` |
///
/// A path is taken as it stands: relative to the working folder unless it begins with `/`, nothing in it is decoded.
/// Opening a file reads and writes the disk; opening Redis connects, for a few seconds at the most.
///
/// # Errors
/// [`StoreError::BadUrl`] if no backend has this URL, [`StoreError::CannotOpen`] if it has and cannot be opened. Neither
/// shows the URL's user, password or parameters.
pub fn open(url: &str, cluster: &str) -> Result<Arc<dyn Store>, StoreError> {
    let bad = |why: &str| StoreError::BadUrl {
        url: without_secrets(url),
        why: why.into(),
    };
    let (scheme, rest) = url
        .split_once(':')
        .ok_or_else(|| bad("it has no scheme; write embedded:PATH for a file or memory: for this process alone"))?;
    match scheme.to_ascii_lowercase().as_str() {
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryStore::new())),
        "memory" if rest.starts_with('/') => Err(bad("a store in memory has no path; write memory: or memory:NAME")),
        "memory" => Ok(Arc::new(MemoryStore::named(rest, cluster))),
        "embedded" | "sqlite" => match path_fault(rest) {
            Some(why) => Err(bad(why)),
            None => open_file(rest, cluster, bad),
        },
        "redis" | "rediss" => open_redis(url, cluster, bad),
        _ => Err(bad(
            "no store has this scheme; there are redis://HOST:PORT/DATABASE, embedded:PATH, memory: and memory:NAME",
        )),
    }
}

/// What is wrong with a path, where what it would do is not what its writer means.
fn path_fault(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        Some("the path is missing; write embedded:PATH, such as embedded:/var/lib/quark/cluster.db")
    } else if path == ":memory:" {
        Some("this names no file; write memory: for a store of this process alone")
    } else if path.starts_with("//") && !path.starts_with("///") {
        Some("a file has no host; write embedded:/absolute/path or embedded:relative/path")
    } else if path.contains('?') {
        Some("a file takes no parameters; leave out the question mark and what follows it")
    } else {
        None
    }
}

#[cfg(feature = "embedded")]
fn open_file(path: &str, cluster: &str, _: impl Fn(&str) -> StoreError) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(super::EmbeddedStore::open(path.as_ref(), cluster)?))
}

#[cfg(not(feature = "embedded"))]
fn open_file(_: &str, _: &str, bad: impl Fn(&str) -> StoreError) -> Result<Arc<dyn Store>, StoreError> {
    Err(bad(
        "this build has no embedded store; build it with the feature `embedded`, or write memory:",
    ))
}

#[cfg(feature = "redis")]
fn open_redis(url: &str, cluster: &str, _: impl Fn(&str) -> StoreError) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(super::RedisStore::open(url, cluster)?))
}

#[cfg(not(feature = "redis"))]
fn open_redis(_: &str, _: &str, bad: impl Fn(&str) -> StoreError) -> Result<Arc<dyn Store>, StoreError> {
    Err(bad(
        "this build has no Redis store; build it with the feature `redis`, or write embedded:PATH or memory:",
    ))
}

/// The URL with `***` for all that may be a secret: what stands before the last `@`, and the parameters.
pub(super) fn without_secrets(url: &str) -> String {
    // A password may itself contain any of the marks that are looked for, so too much is taken rather than too little.
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest)) if !scheme.contains(['@', '?']) => (format!("{scheme}:"), rest),
        _ => (String::new(), url),
    };
    let rest = match rest.rsplit_once('@') {
        Some((_, place)) => format!("{}***@{place}", if rest.starts_with("//") { "//" } else { "" }),
        None => rest.to_owned(),
    };
    let rest = match rest.split_once('?') {
        Some((place, _)) => format!("{place}?***"),
        None => rest,
    };
    scheme + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match open(url, "test") {
            Err(error @ StoreError::BadUrl { .. }) => error.to_string(),
            Err(other) => panic!("{url}: another error: {other}"),
            Ok(store) => panic!("{url} opened {}", store.describe()),
        }
    }

    #[test]
    fn memory_without_a_name_is_a_store_of_its_own_each_time() {
        let one = open("memory:", "test").unwrap();
        let other = open("memory:", "test").unwrap();
        assert!(!Arc::ptr_eq(&one, &other));
        assert_eq!(one.describe(), "memory:");
    }

    #[test]
    fn memory_with_a_name_says_its_name_and_cluster() {
        let store = open("memory:depot", "blue").unwrap();
        assert_eq!(store.describe(), "memory:depot (cluster blue)");
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn a_file_is_opened_by_either_name() {
        let folder = tempfile::tempdir().unwrap();
        for scheme in ["embedded", "sqlite", "EMBEDDED"] {
            let path = folder.path().join(format!("{scheme}.db"));
            let store = open(&format!("{scheme}:{}", path.display()), "blue").unwrap();
            assert_eq!(store.describe(), format!("embedded:{} (cluster blue)", path.display()));
            assert!(path.exists());
        }
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn a_file_that_cannot_be_opened_is_no_bad_url() {
        let error = open("embedded:/nowhere/at/all.db", "blue").err().unwrap();
        assert!(matches!(error, StoreError::CannotOpen { .. }), "{error}");
    }

    #[test]
    fn what_cannot_be_opened_is_refused_with_what_would_be_right() {
        for (url, cure) in [
            ("", "embedded:PATH"),
            ("cluster.db", "embedded:PATH"),
            ("mysql://host", "embedded:PATH"),
            #[cfg(not(feature = "redis"))]
            ("redis://host", "feature `redis`"),
            #[cfg(feature = "redis")]
            ("redis://host/first", "redis://HOST:PORT"),
            #[cfg(feature = "redis")]
            ("rediss:host", "rediss://"),
            ("embedded:", "embedded:PATH"),
            ("sqlite::memory:", "write memory:"),
            ("sqlite://data/cluster.db", "embedded:relative/path"),
            ("sqlite:cluster.db?mode=rwc", "leave out the question mark"),
            ("memory://name", "memory:NAME"),
        ] {
            let text = refusal(url);
            assert!(text.contains(cure), "{url}: {text}");
        }
    }

    #[test]
    fn no_error_shows_a_secret() {
        for url in [
            "redis://user:hunter2@host:6379/first",
            "redis://:hunter2@host:port",
            "redis://user:hun@hunter2/x@host",
            "redis:user:hunter2@host",
            "mysql://host/db?password=hunter2",
            "user:hunter2@host",
            "hunter2@host",
            "hunter2@host:6379",
        ] {
            let text = refusal(url);
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("host"), "{text}");
        }
    }
}
