use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{StoreError, durable::write_atomically};

/// Numbers taken from the disk at a time.
const BLOCK: u64 = 1 << 16;

/// Allocates the numbers that order all rows of a home by arrival. A block is on the disk before any number of it is
/// handed out, so that no number is given twice; numbers of a block that was not used up are never given. All parts of
/// the owner share one block, so that what arrives later has the greater number whoever takes it.
#[derive(Debug, Clone)]
pub struct ArrivalSeq {
    path: PathBuf,
    block: Arc<Mutex<Block>>,
}

#[derive(Debug, Default)]
struct Block {
    next: i64,
    end: i64,
}

impl ArrivalSeq {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            block: Arc::default(),
        }
    }

    /// Takes `count` consecutive numbers and returns the first.
    pub fn reserve(&self, count: u64) -> Result<i64, StoreError> {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = i64::try_from(count).map_err(|_| self.used_up())?;
        if block.end - block.next < wanted {
            let size = count.max(BLOCK);
            block.next = self.take_block(size)?;
            block.end = block.next.saturating_add_unsigned(size);
        }
        block.next += wanted;
        Ok(block.next - wanted)
    }

    /// Sees to it that every number given from now on is greater than this one.
    pub(crate) fn raise_above(&self, last: i64) -> Result<(), StoreError> {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        if block.next > last {
            return Ok(());
        }
        let next = self.take_block(0)?;
        if next <= last {
            let after = last.checked_add(1).ok_or_else(|| self.used_up())?;
            write_atomically(&self.path, format!("{after}\n").as_bytes())?;
        }
        *block = Block::default();
        Ok(())
    }

    fn take_block(&self, count: u64) -> Result<i64, StoreError> {
        let next = match std::fs::read_to_string(&self.path) {
            Ok(text) => text
                .trim()
                .parse::<i64>()
                .map_err(|_| self.damaged("does not hold the next arrival number"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 1,
            Err(error) => return Err(StoreError::io("read", &self.path)(error)),
        };
        let after = i64::try_from(count)
            .ok()
            .and_then(|count| next.checked_add(count))
            .ok_or_else(|| self.used_up())?;
        write_atomically(&self.path, format!("{after}\n").as_bytes())?;
        Ok(next)
    }

    fn used_up(&self) -> StoreError {
        self.damaged("arrival numbers are used up")
    }

    fn damaged(&self, reason: &str) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
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
        let other_part = seq.clone();
        assert_eq!((seq.reserve(10).unwrap(), other_part.reserve(5).unwrap()), (1, 11));
        assert_eq!(seq.reserve(1).unwrap(), 16);
        // More than is left of the block: a new one, and the rest is never given.
        assert_eq!(seq.reserve(BLOCK).unwrap(), 1 + BLOCK as i64);
        // The next process begins after everything that may have been given.
        let next_process = ArrivalSeq::new(path.clone());
        assert_eq!(next_process.reserve(1).unwrap(), 1 + 2 * BLOCK as i64);
        std::fs::write(&path, "many\n").unwrap();
        let error = ArrivalSeq::new(path).reserve(1).unwrap_err().to_string();
        assert!(
            error.contains("arrival_seq") && error.contains("next arrival number"),
            "{error}"
        );
    }
}
