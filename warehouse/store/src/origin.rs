use serde_json::Value;

use crate::{Home, StoreError};

/// Where the rows of one data file came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The least arrival number in it.
    pub first_seq: i64,
    /// The greatest.
    pub last_seq: i64,
    /// Name of the file that was imported, where the commit tells.
    pub file: Option<String>,
    /// SHA-256 of that file's decompressed content.
    pub content_sha256: Option<String>,
    /// The data file, relative to its table.
    pub data_file: String,
}

/// The origins of a table's rows, as its commits tell them.
pub fn origins(home: &Home, table: &str) -> Result<Vec<Origin>, StoreError> {
    let log = home.table_dir(table).join("_delta_log");
    let mut entries: Vec<_> = std::fs::read_dir(&log)
        .map_err(StoreError::io("list", &log))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(StoreError::io("list", &log))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let text = std::fs::read_to_string(&path).map_err(StoreError::io("read", &path))?;
        let actions: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let info = actions.iter().find_map(|action| action.get("commitInfo"));
        let told = |name: &str| info.and_then(|info| info.get(name)?.as_str().map(str::to_owned));
        // A compaction brings no rows: they came with the commit that brought them.
        let brings_rows = |add: &&Value| add.get("dataChange").and_then(Value::as_bool) != Some(false);
        for add in actions
            .iter()
            .filter_map(|action| action.get("add"))
            .filter(brings_rows)
        {
            let stats: Value = add
                .get("stats")
                .and_then(Value::as_str)
                .and_then(|stats| serde_json::from_str(stats).ok())
                .unwrap_or_default();
            let seq = |bound: &str| stats.get(bound)?.get("arrival_seq")?.as_i64();
            let (Some(first_seq), Some(last_seq), Some(data_file)) = (
                seq("minValues"),
                seq("maxValues"),
                add.get("path").and_then(Value::as_str),
            ) else {
                continue;
            };
            found.push(Origin {
                first_seq,
                last_seq,
                file: told("atalayaFile"),
                content_sha256: told("atalayaContentSha256"),
                data_file: data_file.to_owned(),
            });
        }
    }
    Ok(found)
}
