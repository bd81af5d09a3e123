//! The test that holds a program to its lock file.

use super::registry::Registry;
use crate::schema::{Difference, Lock, LockError};
use std::{env, io, path::Path};

/// The variable that says what [`check`] does; `record` writes the file.
const VARIABLE: &str = "QUARK_LOCK";

/// Checks that what the program's actors, messages and replies look like is what the file says, which is checked in beside the
/// program. So a change of it is seen in review, and one that another version cannot read fails the build that makes it.
///
/// With `QUARK_LOCK=record` in the environment the file is written, unless that would hide a breaking change or one without a version
/// of its own. Every kind that the program is linked with counts. Recorded versions stay in the file: what runs or is stored may be of
/// any of them.
///
/// ```no_run
/// #[test]
/// fn what_goes_over_the_wire_is_as_recorded() {
///     quark::lock::check("quark.lock").unwrap();
/// }
/// ```
///
/// # Errors
/// [`LockError::Differs`] says for each kind whether the change is compatible, needs a newer version or is breaking, and what to do.
pub fn check(path: impl AsRef<Path>) -> Result<(), LockError> {
    let registry = Registry::linked().map_err(|error| LockError::Program(error.to_string()))?;
    let record = env::var(VARIABLE).is_ok_and(|what| what == "record");
    check_against(&registry.lock(), path.as_ref(), record)
}

/// As [`check`] does for given kinds.
///
/// # Errors
/// As those of [`check`].
pub fn check_against(program: &Lock, path: &Path, record: bool) -> Result<(), LockError> {
    let mut recorded = match Lock::read(path) {
        Err(LockError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Lock::default(),
        recorded => recorded?,
    };
    let differences = recorded.differences(program);
    if differences.is_empty() {
        return Ok(());
    }
    if record && differences.iter().all(Difference::is_compatible) {
        recorded.record(program);
        return recorded.write(path);
    }
    Err(LockError::Differs {
        path: path.to_owned(),
        differences,
    })
}
