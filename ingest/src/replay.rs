use std::collections::{BTreeMap, HashMap};

use atalaya_model::{Clock, Kind, calendar};
use atalaya_store::{
    DEAD_LETTERS, DeadLetter, Home, OwnerLock, RowBatchBuilder, Snapshot, TableWriter, dead_letter_batch,
    dead_letters_from, table_schema,
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{IngestError, Mapping, connectors::text_of, file, plan::Plan};

/// What a replay did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// Rows that were landed now.
    pub landed: u64,
    /// Rows that still do not fit, with the reason each has now.
    pub still_dead: Vec<String>,
}

/// The dead letters that nobody has replayed yet, oldest first.
pub async fn list_dead_letters(home: &Home) -> Result<Vec<DeadLetter>, IngestError> {
    let snapshot = Snapshot::latest(home).await?;
    let mut newest: BTreeMap<(String, String), DeadLetter> = BTreeMap::new();
    if let Some(table) = snapshot.tables.get(DEAD_LETTERS) {
        for data_file in &table.files {
            for batch in data_file.batches(None)? {
                for letter in dead_letters_from(&batch?) {
                    let key = (letter.kind.clone(), letter.id.clone());
                    let known = newest.get(&key);
                    if known.is_none_or(|known| known.arrival_seq < letter.arrival_seq) {
                        newest.insert(key, letter);
                    }
                }
            }
        }
    }
    let mut dead: Vec<DeadLetter> = newest.into_values().filter(|letter| letter.state == "dead").collect();
    dead.sort_by_key(|letter| letter.arrival_seq);
    Ok(dead)
}

/// Tries dead letters again: with `mapping` when given, else with the one they were read by. Those that fit now are
/// landed under the identity they would have had; the others stay where they are.
pub async fn replay_dead_letters(
    home: &Home,
    owner: &OwnerLock,
    clock: &dyn Clock,
    mapping: Option<&Mapping>,
) -> Result<ReplayReport, IngestError> {
    let mut report = ReplayReport {
        landed: 0,
        still_dead: Vec::new(),
    };
    let mut groups: BTreeMap<(String, String), Vec<DeadLetter>> = BTreeMap::new();
    for letter in list_dead_letters(home).await? {
        groups
            .entry((letter.kind.clone(), letter.mapping.clone()))
            .or_default()
            .push(letter);
    }
    for ((kind, own_mapping), letters) in groups {
        let kind = Kind::parse(&kind)?;
        if mapping
            .and_then(|mapping| mapping.kind)
            .is_some_and(|wanted| wanted != kind)
        {
            continue;
        }
        let own = Mapping::parse("the mapping kept with the dead letters", &own_mapping)?;
        replay_group(home, owner, clock, kind, mapping.unwrap_or(&own), letters, &mut report).await?;
    }
    Ok(report)
}

async fn replay_group(
    home: &Home,
    owner: &OwnerLock,
    clock: &dyn Clock,
    kind: Kind,
    mapping: &Mapping,
    letters: Vec<DeadLetter>,
    report: &mut ReplayReport,
) -> Result<(), IngestError> {
    let now = clock.now();
    let zone = calendar::parse_zone(&home.settings().time_zone)?;
    let first_seq = home.arrival_seq(owner).reserve(2 * letters.len() as u64)?;
    let marks_from = first_seq.saturating_add_unsigned(letters.len() as u64);
    let mut builder = RowBatchBuilder::new(kind);
    let mut replayed = Vec::new();
    let mut identity = Sha256::new();
    identity.update(mapping.text.as_bytes());
    for (letter, seq) in letters.into_iter().zip(first_seq..) {
        let place = format!("{} line {}", letter.file, letter.line);
        let Ok(row) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&letter.row) else {
            report.still_dead.push(format!(
                "{place}: {} (a line that could not be split: correct the file and import it)",
                letter.reason
            ));
            continue;
        };
        // What a tap sent has numbers, as it wrote them; what a file had is text.
        let (columns, cells): (Vec<String>, Vec<Option<String>>) = row
            .iter()
            .map(|(name, value)| (name.clone(), Some(text_of(value)).filter(|text| !text.is_empty())))
            .unzip();
        let plan = match Plan::new(std::path::Path::new(&letter.file), kind, mapping, &columns, zone, now) {
            Ok(plan) => plan,
            Err(error) => {
                report.still_dead.push(format!("{place}: {}", error.reason()));
                continue;
            }
        };
        match plan.land(&cells) {
            Ok(row) => {
                identity.update(letter.id.as_bytes());
                builder.push(row, &letter.id, now, seq);
                replayed.push(DeadLetter {
                    state: "replayed".to_owned(),
                    landed_at: now,
                    ..letter
                });
            }
            Err(fault) => report
                .still_dead
                .push(format!("{place}, {}: {}", fault.column, fault.reason)),
        }
    }
    if replayed.is_empty() {
        return Ok(());
    }
    for (letter, seq) in replayed.iter_mut().zip(marks_from..) {
        letter.arrival_seq = seq;
    }
    let app_id = format!("replay:{}", file::hex(&identity.finalize()));
    let landed_on = calendar::day_of(zone, now);
    let mut table = home.table(kind, owner, now).await?;
    let mut writer = TableWriter::new(&table, table_schema(kind), now, landed_on);
    writer.push(builder.take()?)?;
    table.commit(writer.finish()?, &app_id, HashMap::new(), now).await?;

    // The rows first, the marks second: dying between them leaves the letters "dead", and replaying them again finds
    // the rows committed under the same identity.
    let mut dead_table = home.dead_letter_table(owner, now).await?;
    let marks = dead_letter_batch(&replayed)?;
    let mut writer = TableWriter::new(&dead_table, marks.schema(), now, landed_on);
    writer.push(marks)?;
    dead_table
        .commit(writer.finish()?, &app_id, HashMap::new(), now)
        .await?;
    report.landed += replayed.len() as u64;
    Ok(())
}
