use std::collections::{BTreeMap, BTreeSet};

use atalaya_ingest::{SourceCounts, landed_last};
use chrono::{DateTime, Utc};
use clap::Args;

use crate::{
    console::Console,
    context::{Context, Synced},
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How the list is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    if context.receivers.is_none() && context.owner.is_none() {
        // Only the process that listens knows; it is asked when there is one.
        drop(context.own(&home)?);
    }
    if context.receivers.is_none() {
        console.note("nobody listens for events: `atalaya serve --receive 127.0.0.1:8090`");
    }
    let counts = context.receivers.as_ref().map(|receivers| receivers.counts());
    let mut counts: BTreeMap<String, SourceCounts> =
        counts.into_iter().flatten().map(|of| (of.source.clone(), of)).collect();
    let synced = context.synced();
    for (name, note) in &synced {
        counts.insert(name.clone(), as_counts(name, note));
    }
    let landed = landed_last(&home, context.clock.now()).await?;
    let configured = context.sources(&home)?;
    let connections = configured.iter().flat_map(|sources| sources.connections());
    let named: BTreeSet<String> = connections
        .map(|connection| connection.name.clone())
        .chain(counts.keys().cloned())
        .chain(landed.keys().cloned())
        .collect();
    let mut table = Table::new(
        &[
            "source",
            "last_at",
            "requests",
            "rows",
            "duplicates",
            "dead_letters",
            "refused",
            "put_off",
            "landed_at",
            "state",
        ],
        &[false, false, true, true, true, true, true, true, false, false],
    );
    for name in named {
        let of = counts.get(&name).cloned().unwrap_or_default();
        let numbers = [
            of.requests,
            of.rows,
            of.duplicates,
            of.dead_letters,
            of.refused,
            of.put_off,
        ];
        let state = synced.get(&name).map(|note| match &note.failed {
            Some(reason) => format!("failed: {reason}"),
            None => "ok".to_owned(),
        });
        let shown = if name.is_empty() {
            "(unknown)".to_owned()
        } else {
            name.clone()
        };
        let numbers = numbers.map(|number| Some(number.to_string()));
        let row = [Some(shown), of.last_at.map(written)].into_iter().chain(numbers);
        table
            .rows
            .push(row.chain([landed.get(&name).copied().map(written), state]).collect());
    }
    table.print(arguments.format, console)?;
    Ok(0)
}

fn written(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Of a source that is asked, a page is what a request is of one that pushes.
fn as_counts(name: &str, note: &Synced) -> SourceCounts {
    SourceCounts {
        source: name.to_owned(),
        requests: note.all.pages,
        rows: note.all.rows,
        duplicates: note.all.duplicates,
        dead_letters: note.all.dead_letters,
        put_off: note.failures,
        last_at: note.at,
        ..SourceCounts::default()
    }
}
