//! What an earlier process left in the log, against what the tables have of it.

use std::collections::HashMap;

use atalaya_model::Clock;
use chrono::{DateTime, NaiveDate, Utc};

use crate::{
    DEAD_LETTERS, Home, OwnerLock, Part, StoreError,
    hot::HotRows,
    intake::LOG_APP_ID,
    seen::{LETTERS, Landed, SeenKeys, event_key, letter_key},
};

/// How far the log is in each table, by the tables' own commits.
pub(crate) async fn last_landed(
    home: &Home,
    owner: &OwnerLock,
    clock: &dyn Clock,
) -> Result<HashMap<String, i64>, StoreError> {
    let mut landed = HashMap::new();
    for name in home.table_names() {
        let table = home.table_named(&name, owner, clock.now()).await?;
        if let Some(seq) = table.transaction_version(LOG_APP_ID).await? {
            landed.insert(name, seq);
        }
    }
    Ok(landed)
}

/// Takes a request from the log that an earlier process wrote: what a table has already is passed over.
pub(crate) fn recover(
    parts: Vec<Part>,
    first_seq: i64,
    landed_at: DateTime<Utc>,
    landed_on: NaiveDate,
    landed: &HashMap<String, i64>,
    hot: &HotRows,
    seen: &mut SeenKeys,
) -> Result<(), StoreError> {
    let mut seq = first_seq;
    let landed_then = Landed {
        at: landed_at,
        on: landed_on,
    };
    for part in parts {
        let (name, count) = match &part {
            Part::Rows { kind, rows, .. } => {
                for row in rows {
                    if let (Some(source), Some(key)) = (&row.source, &row.record_key) {
                        seen.insert(source, event_key(*kind, key, row.record_version), landed_then);
                    }
                }
                (kind.name(), rows.len())
            }
            Part::Letters(letters) => {
                for letter in letters {
                    seen.insert(LETTERS, letter_key(&letter.id), landed_then);
                }
                (DEAD_LETTERS, letters.len())
            }
        };
        let part_seq = seq;
        seq = seq.saturating_add_unsigned(count as u64);
        // A flush takes whole requests, so a part is in its table as a whole or not at all.
        if count > 0 && landed.get(name).is_none_or(|last| *last < part_seq) {
            hot.push(vec![part], part_seq, landed_at, landed_on)?;
        }
    }
    Ok(())
}
