//! What a power loss leaves: preloaded into a process, this stands in for `fsync` and `fdatasync` and notes, under the folder
//! `ATALAYA_SYNCED`, what they were asked to make durable. A test then kills the process and puts back only that.
//!
//! A file is durable as it was at its last sync, under the names that its folders had at theirs: the least that POSIX
//! promises. Notes are replaced in one step, because the kill may come in the middle of one.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd},
        raw::c_int,
        unix::fs::{DirEntryExt, FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::fs::SeekFrom;

/// Stands in for the system's.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: c_int) -> c_int {
    noted(fd)
}

/// Stands in for the system's.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: c_int) -> c_int {
    noted(fd)
}

fn noted(fd: c_int) -> c_int {
    let Some(notes) = std::env::var_os("ATALAYA_SYNCED").map(PathBuf::from) else {
        return 0;
    };
    // The caller's: it is looked at and not closed.
    let file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    match note(&notes, &file) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("power loss: a sync could not be noted: {error}");
            -1
        }
    }
}

fn note(notes: &Path, file: &File) -> io::Result<()> {
    static STAGED: AtomicU64 = AtomicU64::new(0);
    let staged = notes.join(format!(
        "staged-{}-{}",
        std::process::id(),
        STAGED.fetch_add(1, Ordering::Relaxed)
    ));
    let meta = file.metadata()?;
    if meta.is_dir() {
        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let mut names = String::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // What was removed since it was listed has no type any more.
            if let Ok(kind) = entry.file_type() {
                let kind = if kind.is_dir() { 'd' } else { 'f' };
                let _ = writeln!(names, "{kind} {} {}", entry.ino(), entry.file_name().to_string_lossy());
            }
        }
        fs::write(&staged, names)?;
        return fs::rename(staged, notes.join(format!("folder-{}", meta.ino())));
    }
    copy(file, meta.len(), &staged)?;
    fs::rename(staged, notes.join(format!("file-{}", meta.ino())))
}

/// Copies what was written: of a file that was only reserved so far, that is little. The offset of the caller's descriptor
/// is left alone by looking through another one.
fn copy(file: &File, length: u64, to: &Path) -> io::Result<()> {
    let source = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let target = File::create(to)?;
    target.set_len(length)?;
    let mut at = 0;
    let mut buffer = vec![0; 1 << 16];
    while at < length {
        let start = match rustix::fs::seek(&source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&source, SeekFrom::Hole(start))?.min(length);
        at = start;
        while at < end {
            let wanted = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            let read = source.read_at(&mut buffer[..wanted], at)?;
            if read == 0 {
                return Ok(());
            }
            target.write_all_at(&buffer[..read], at)?;
            at += read as u64;
        }
    }
    Ok(())
}
