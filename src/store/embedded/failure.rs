//! Why a job failed, before the store's name is put to it.

use crate::store::StoreError;
use rusqlite::ErrorCode;
use std::io;

/// Why a job failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// A heartbeat's file cannot be written.
    Heartbeat(io::Error),
    /// A record cannot be understood.
    Corrupt {
        /// Which.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Failure {
    /// A record that cannot be understood.
    pub(super) fn corrupt(what: impl ToString, why: impl ToString) -> Self {
        Self::Corrupt {
            what: what.to_string(),
            why: why.to_string(),
        }
    }

    /// The error for the caller of the store at `place`.
    pub(super) fn at(self, place: &str) -> StoreError {
        match self {
            Self::Corrupt { what, why } => StoreError::Corrupt {
                place: place.into(),
                what,
                why,
            },
            Self::Sql(error) if is_damage(&error) => StoreError::Corrupt {
                place: place.into(),
                what: "the file".into(),
                why: format!("{error}; restore it from a copy"),
            },
            Self::Sql(error) => StoreError::Unavailable {
                place: place.into(),
                why: explain(&error),
            },
            Self::Heartbeat(error) => StoreError::Unavailable {
                place: place.into(),
                why: format!(
                    "{error}, for a heartbeat's file: the process must be allowed to write the folder beside the file"
                ),
            },
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::Utf8Error(..) => Self::corrupt("a row", error),
            other => Self::Sql(other),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Heartbeat(error)
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// SQLite's words and, where they do not show it, the cure.
pub(super) fn explain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{error}: another process has kept the file locked for seconds")
        }
        Some(ErrorCode::DiskFull) => format!("{error}: make room on the disk"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            format!("{error}: the process must be allowed to write the file and its folder")
        }
        _ => error.to_string(),
    }
}
