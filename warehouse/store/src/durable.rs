//! Syncing: what must be on the disk before the next step may be taken.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::StoreError;

/// Names of the moments at which a crash test may kill the process: the edges between durable steps.
///
/// In a normal run nothing happens here. With `ATALAYA_FAIL_AT=name[:n]` the process aborts at the n-th passage.
#[derive(Debug, Clone, Copy)]
pub struct FailPoint(pub &'static str);

impl FailPoint {
    /// Passes the point, or ends the process as `kill -9` would when the environment asks for it.
    pub fn pass(self) {
        use std::sync::atomic::{AtomicU64, Ordering};
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let Some(wanted) = std::env::var_os("ATALAYA_FAIL_AT") else {
            return;
        };
        let wanted = wanted.to_string_lossy().into_owned();
        let (name, count) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        if name == self.0 && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == count.parse().unwrap_or(1) {
            // An abort runs no destructor and flushes nothing: as close to kill -9 as a process can do to itself.
            std::process::abort();
        }
    }
}

/// Syncs a directory, so that the names in it survive a power loss.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(StoreError::io("sync folder", dir))
}

/// Creates a directory and all above it, each synced into its parent.
pub(crate) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent()
        && !parent.as_os_str().is_empty()
    {
        create_dir(parent)?;
    }
    match std::fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(StoreError::io("create folder", dir)(error)),
    }
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Replaces a file's content in one step: readers see the old bytes or the new, also after a power loss.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write_with_mode(path, bytes, 0o666)
}

/// Like [`write_atomically`], for what only the home's owner may read. The folder is made where it is missing.
pub fn write_privately(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    write_with_mode(path, bytes, 0o600)
}

fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let staged = path.with_extension(format!("{}.tmp", uuid::Uuid::new_v4().simple()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&staged)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&staged, path));
    if let Err(error) = written {
        // Leaving a half-written staging file behind would only waste space: nothing reads it.
        let _ = std::fs::remove_file(&staged);
        return Err(StoreError::io("write", path)(error));
    }
    sync_dir(parent)
}

/// Publishes a file under a name that must not exist yet. `Ok(false)` when the name is taken.
pub(crate) fn publish_new(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let staged = parent.join(format!("_staged_{}.tmp", uuid::Uuid::new_v4().simple()));
    let written = File::create_new(&staged).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    let linked = written.and_then(|()| std::fs::hard_link(&staged, path));
    let _ = std::fs::remove_file(&staged);
    match linked {
        Ok(()) => sync_dir(parent).map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StoreError::io("write", path)(error)),
    }
}
