//! Heartbeats: a small file for each silo beside the database, written without a sync.
//!
//! A heartbeat in the database would wait for the file's one write lock, which whoever commits holds until the disk has synced:
//! seconds, beside a program that fills the disk. The lease of a silo is shorter than that. Nothing is lost with the sync: a
//! heartbeat tells the other silos of this machine that its silo lives, and when the machine dies no silo of it does.

use crate::ident::SiloId;
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::xxh3_128;

/// The heartbeats of one cluster in one file.
#[derive(Debug)]
pub(super) struct Beats {
    folder: PathBuf,
    cluster: i64,
}

impl Beats {
    /// The folder beside the database at `path`; it is made if it is not there.
    pub(super) fn open(path: &Path, cluster: i64) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push("-heartbeats");
        let folder = path.with_file_name(name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { folder, cluster }),
        }
    }

    /// A silo's name may hold what a file's may not.
    fn path(&self, silo: &SiloId) -> PathBuf {
        let name = xxh3_128(silo.name().as_bytes());
        (self.folder).join(format!("{}-{name:032x}-{}", self.cluster, silo.incarnation()))
    }

    /// The heartbeat of a silo, if one was written here.
    pub(super) fn read(&self, silo: &SiloId) -> Option<u64> {
        let mut bytes = [0; 8];
        let file = File::open(self.path(silo)).ok()?;
        // A machine that died may have left less.
        file.read_exact_at(&mut bytes, 0).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Writes the heartbeat of a silo: all reads that begin from now on see it.
    pub(super) fn write(&self, silo: &SiloId, heartbeat: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(self.path(silo))?;
        file.write_all_at(&heartbeat.to_le_bytes(), 0)
    }

    /// Forgets the heartbeat of a silo that has no row.
    pub(super) fn forget(&self, silo: &SiloId) -> io::Result<()> {
        match fs::remove_file(self.path(silo)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
