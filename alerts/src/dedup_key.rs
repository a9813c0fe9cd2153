use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// The one name of an incident wherever it is told: 64 hexadecimal digits, another for each time it begins.
pub(crate) fn dedup_key(parts: &[&str], began_at: DateTime<Utc>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(began_at.timestamp_micros().to_le_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
