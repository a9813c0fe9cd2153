use std::path::PathBuf;

use crate::{StoreError, durable::write_atomically};

/// Allocates the numbers that order all rows of a home by arrival. A range is on the disk before any number of it is
/// handed out, so that no number is given twice; numbers of a range that was not used up are never given.
#[derive(Debug)]
pub struct ArrivalSeq {
    path: PathBuf,
}

impl ArrivalSeq {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Reserves `count` numbers and returns the first.
    pub fn reserve(&self, count: u64) -> Result<i64, StoreError> {
        let damaged = |reason: &str| StoreError::Damaged {
            path: self.path.clone(),
            reason: reason.to_owned(),
        };
        let next = match std::fs::read_to_string(&self.path) {
            Ok(text) => text
                .trim()
                .parse::<i64>()
                .map_err(|_| damaged("does not hold the next arrival number"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 1,
            Err(error) => return Err(StoreError::io("read", &self.path)(error)),
        };
        let after = i64::try_from(count)
            .ok()
            .and_then(|count| next.checked_add(count))
            .ok_or_else(|| damaged("arrival numbers are used up"))?;
        write_atomically(&self.path, format!("{after}\n").as_bytes())?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_overlap_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("arrival_seq");
        let seq = ArrivalSeq::new(path.clone());
        assert_eq!(
            (
                seq.reserve(10).unwrap(),
                seq.reserve(5).unwrap(),
                seq.reserve(1).unwrap()
            ),
            (1, 11, 16)
        );
        std::fs::write(&path, "oops").unwrap();
        assert!(seq.reserve(1).unwrap_err().to_string().contains("arrival_seq"));
    }
}
