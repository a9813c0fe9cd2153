use std::{fs::File, io::Read, path::PathBuf};

use sha2::{Digest, Sha256};

use crate::{Snapshot, StoreError, data_file::hex};

/// A data file whose bytes are not those that were committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteFault {
    /// The table it belongs to.
    pub table: String,
    /// The file.
    pub path: PathBuf,
    /// What is wrong, in words.
    pub reason: String,
}

/// Reads every file of a snapshot and compares its SHA-256 with the one in the commit.
pub fn check_bytes(snapshot: &Snapshot) -> Result<Vec<ByteFault>, StoreError> {
    let mut faults = Vec::new();
    for (table, pinned) in &snapshot.tables {
        for file in &pinned.files {
            let fault = |reason| ByteFault {
                table: table.clone(),
                path: file.path.clone(),
                reason,
            };
            match sha256_of(&file.path) {
                Ok(found) if found == file.sha256 => {}
                Ok(found) => faults.push(fault(format!("SHA-256 is {found}, the commit says {}", file.sha256))),
                Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    faults.push(fault("the file is missing".to_owned()));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(faults)
}

pub(crate) fn sha256_of(path: &std::path::Path) -> Result<String, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(StoreError::io("read", path))?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}
