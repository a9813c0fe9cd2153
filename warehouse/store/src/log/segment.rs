//! Segments as files: created at full size and synced before their first use, read back at start-up, removed when all they
//! hold is in the tables.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::frame::{BLOCK, read_segment, segment_header};
use crate::{
    StoreError,
    durable::{create_dir, sync_dir},
};

/// A segment's size: its blocks are reserved, so that appending changes no metadata that a sync would have to write.
const SEGMENT_BYTES: usize = 64 << 20;

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    file: File,
    end: usize,
    size: usize,
}

impl Segment {
    /// Creates the segment whose first group will be `first_group`, with room for `least` bytes of groups.
    pub(crate) fn create(dir: &Path, first_group: u64, least: usize) -> Result<Self, StoreError> {
        create_dir(dir)?;
        let path = dir.join(format!("{first_group:020}.log"));
        let size = SEGMENT_BYTES.max(BLOCK + least.next_multiple_of(BLOCK));
        let create = || -> std::io::Result<File> {
            let file = OpenOptions::new().create_new(true).write(true).open(&path)?;
            reserve(&file, size)?;
            file.write_all_at(&segment_header(first_group), 0)?;
            file.sync_all()?;
            Ok(file)
        };
        let file = create().map_err(|error| {
            // What could not be created whole is no segment; recovery would take it for a damaged one. What was there
            // before is not ours to remove.
            if error.kind() != std::io::ErrorKind::AlreadyExists {
                let _ = std::fs::remove_file(&path);
            }
            StoreError::io("create log segment", &path)(error)
        })?;
        sync_dir(dir)?;
        Ok(Self {
            path,
            file,
            end: BLOCK,
            size,
        })
    }

    /// Whether a group of so many bytes fits.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.end + bytes.next_multiple_of(BLOCK) <= self.size
    }

    /// Writes a group and syncs it. After an error nothing is known of the file any more: it must not be written again.
    pub(crate) fn append(&mut self, group: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all_at(group, self.end as u64)
            .and_then(|()| {
                crate::FailPoint("after_log_write").pass();
                self.file.sync_data()
            })
            .map_err(StoreError::io("write log segment", &self.path))?;
        self.end += group.len();
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn reserve(file: &File, size: usize) -> std::io::Result<()> {
    use rustix::{fs, io::Errno};
    match fs::fallocate(file, fs::FallocateFlags::empty(), 0, size as u64) {
        Ok(()) => Ok(()),
        // The file system cannot reserve: appending then changes metadata too, which the sync writes as well.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(size as u64),
        Err(error) => Err(error.into()),
    }
}

/// Reads the log from its oldest segment: every frame's payload, then the number of the next group. A write that was cut
/// off at the end of the last segment is removed; damage to anything that was acknowledged is an error.
pub(crate) fn replay(
    dir: &Path,
    mut each: impl FnMut(&Path, &[u8]) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let paths = segments(dir)?;
    if dir.is_dir() {
        sync_dir(dir)?;
    }
    let mut next_group = None;
    for (index, path) in paths.iter().enumerate() {
        let is_last = index + 1 == paths.len();
        // What an earlier process wrote and did not live to sync may be in the machine's memory alone; from here on it is
        // taken for durable.
        let bytes = std::fs::File::open(path)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::read(path))
            .map_err(StoreError::io("read log segment", path))?;
        let damaged = |reason: String| StoreError::Damaged {
            path: path.clone(),
            reason: format!(
                "{reason}. Events that were acknowledged may be in it: restore the file, or move it away to start without them"
            ),
        };
        let read = match read_segment(&bytes) {
            Ok(read) => read,
            // A header that never became durable: the segment was created and the machine went down before its first use.
            Err(corrupt) if is_last && corrupt.offset == 0 && never_used(&bytes) => {
                std::fs::remove_file(path).map_err(StoreError::io("remove", path))?;
                continue;
            }
            Err(corrupt) => return Err(damaged(format!("at byte {}: {}", corrupt.offset, corrupt.reason))),
        };
        if next_group.is_some_and(|expected| expected != read.first_group) {
            return Err(damaged(format!(
                "it begins with group {} where group {} should follow: a segment is missing",
                read.first_group,
                next_group.unwrap_or_default()
            )));
        }
        if read.torn && !is_last {
            return Err(damaged(format!(
                "at byte {}: an acknowledged group is damaged",
                read.end
            )));
        }
        if is_last && read.frames.is_empty() {
            // The next segment will have its name.
            std::fs::remove_file(path).map_err(StoreError::io("remove", path))?;
            sync_dir(dir)?;
            return Ok(read.next_group);
        }
        if read.torn {
            tracing::warn!("{}: a write that was never acknowledged is cut off", path.display());
            cut(path, read.end)?;
        }
        for frame in &read.frames {
            each(path, &bytes[frame.clone()])?;
        }
        next_group = Some(read.next_group);
    }
    Ok(next_group.unwrap_or(1))
}

/// Shortens a segment to its whole groups, so that it reads as sound when others follow it.
fn cut(path: &Path, end: usize) -> Result<(), StoreError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| {
            file.set_len(end as u64)?;
            file.sync_all()
        })
        .map_err(StoreError::io("cut log segment", path))
}

fn never_used(bytes: &[u8]) -> bool {
    bytes.iter().skip(BLOCK).all(|byte| *byte == 0)
}

/// The segments, oldest first.
pub(crate) fn segments(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .map_err(StoreError::io("list", dir))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(StoreError::io("list", dir))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::frame::GroupWriter;

    fn group(number: u64, payload: &[u8]) -> Vec<u8> {
        let mut writer = GroupWriter::default();
        writer
            .frame(|bytes| {
                bytes.extend_from_slice(payload);
                Ok::<_, ()>(())
            })
            .unwrap();
        writer.finish(number).to_vec()
    }

    fn read(dir: &Path) -> Result<(u64, Vec<Vec<u8>>), StoreError> {
        let mut payloads = Vec::new();
        let next = replay(dir, |_, payload| {
            payloads.push(payload.to_vec());
            Ok(())
        })?;
        Ok((next, payloads))
    }

    fn two_segments(dir: &Path) -> (Segment, Segment) {
        let mut first = Segment::create(dir, 1, 0).unwrap();
        first.append(&group(1, b"one")).unwrap();
        first.append(&group(2, b"two")).unwrap();
        let mut second = Segment::create(dir, 3, 0).unwrap();
        second.append(&group(3, b"three")).unwrap();
        (first, second)
    }

    #[test]
    fn segments_are_read_in_order_and_a_cut_off_end_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), (1, vec![]));
        let (_, second) = two_segments(dir.path());
        let all = vec![b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        assert_eq!(read(dir.path()).unwrap(), (4, all.clone()));
        let torn = &group(4, b"four")[..20];
        second.file.write_all_at(torn, second.end as u64).unwrap();
        assert_eq!(read(dir.path()).unwrap(), (4, all.clone()));
        // What was cut off does not look like damage when the next process has written on.
        let mut third = Segment::create(dir.path(), 4, 0).unwrap();
        third.append(&group(4, b"another four")).unwrap();
        let all = [all, vec![b"another four".to_vec()]].concat();
        assert_eq!(read(dir.path()).unwrap(), (5, all));
    }

    #[test]
    fn damage_before_the_end_stops_the_start() {
        for (number, offset, expected) in [
            (1, 9, "header"),
            (1, BLOCK + 37, "damaged"),
            (1, 2 * BLOCK + 3, "damaged"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (first, _) = two_segments(dir.path());
            assert_eq!(number, 1);
            let file = OpenOptions::new().write(true).open(first.path()).unwrap();
            file.write_all_at(&[0xff], offset as u64).unwrap();
            let error = read(dir.path()).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("00000000000000000001.log"),
                "{error}"
            );
        }
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = two_segments(dir.path());
        let mut third = Segment::create(dir.path(), 4, 0).unwrap();
        third.append(&group(4, b"four")).unwrap();
        std::fs::remove_file(second.path()).unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("a segment is missing"), "{error}");
        std::fs::remove_file(first.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), (5, vec![b"four".to_vec()]));
    }

    #[test]
    fn a_segment_that_was_never_used_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (_first, _second) = two_segments(dir.path());
        std::fs::write(dir.path().join(format!("{:020}.log", 4)), vec![0; 3 * BLOCK]).unwrap();
        assert_eq!(read(dir.path()).unwrap().0, 4);
        assert_eq!(segments(dir.path()).unwrap().len(), 2);
        // Nor does one whose header is there, and whose first group is torn; the next has its name.
        let mut third = Segment::create(dir.path(), 4, 0).unwrap();
        third.file.write_all_at(&group(4, b"four")[..20], BLOCK as u64).unwrap();
        assert_eq!(read(dir.path()).unwrap().0, 4);
        third = Segment::create(dir.path(), 4, 0).unwrap();
        third.append(&group(4, b"four")).unwrap();
        assert_eq!(read(dir.path()).unwrap().0, 5);
    }
}
