//! What a query from outside may be: one `SELECT`, over tables by name, with table functions that only compute.

use anyhow::{Context, bail};
use duckdb::Connection;
use serde_json::Value;

/// Table functions without any effect but their rows.
const TABLE_FUNCTIONS: [&str; 3] = ["range", "generate_series", "unnest"];

/// Functions that reach outside the query or tell about the machine.
const REFUSED_FUNCTIONS: [&str; 8] = [
    "current_setting",
    "getenv",
    "read_text",
    "read_blob",
    "getvariable",
    "query",
    "query_table",
    "error",
];

/// Refuses what is not plainly a read.
pub(crate) fn check(connection: &Connection, sql: &str) -> anyhow::Result<()> {
    let tree: String = connection
        .query_row(
            "SELECT json_serialize_sql(CAST(? AS VARCHAR), skip_null := true, skip_empty := true)",
            [sql],
            |row| row.get(0),
        )
        .context("the query cannot be read")?;
    let tree: Value = serde_json::from_str(&tree)?;
    if tree["error"].as_bool() != Some(false) {
        let reason = tree["error_message"].as_str().unwrap_or("it cannot be read");
        bail!("only one SELECT is allowed: {reason}");
    }
    match tree["statements"].as_array().map(Vec::len) {
        Some(1) => walk(&tree),
        _ => bail!("only one SELECT is allowed"),
    }
}

fn walk(node: &Value) -> anyhow::Result<()> {
    match node {
        Value::Array(items) => items.iter().try_for_each(walk),
        Value::Object(fields) => {
            let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
            match word("type") {
                "TABLE_FUNCTION" => {
                    let name = fields["function"]["function_name"]
                        .as_str()
                        .unwrap_or_default()
                        .to_lowercase();
                    if !TABLE_FUNCTIONS.contains(&name.as_str()) {
                        bail!(
                            "the table function {name}() is not allowed; there are {}",
                            TABLE_FUNCTIONS.join(", ")
                        );
                    }
                }
                "BASE_TABLE" => {
                    let name = word("table_name");
                    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                        bail!("{name:?} is not the name of a table");
                    }
                }
                _ => {}
            }
            if matches!(word("class"), "FUNCTION" | "WINDOW") {
                let name = word("function_name").to_lowercase();
                if REFUSED_FUNCTIONS.contains(&name.as_str()) {
                    bail!("the function {name}() is not allowed");
                }
            }
            fields.values().try_for_each(walk)
        }
        _ => Ok(()),
    }
}
