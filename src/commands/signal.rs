use atalaya_model::MetricReader;
use chrono::{DateTime, Utc};
use clap::Args;

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The signal's id; all signals are listed without it.
    signal: Option<String>,
    /// The moment, with what was known then; now when absent.
    #[arg(long)]
    at: Option<DateTime<Utc>>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let evaluator = context.evaluator()?;
    let Some(signal) = arguments.signal else {
        let mut table = Table::new(
            &["signal", "name", "nombre", "what it says"],
            &[false, false, false, false],
        );
        for definition in evaluator.catalog().signals() {
            table.rows.push(vec![
                Some(definition.spec.id.clone()),
                Some(definition.spec.name_en.clone()),
                Some(definition.spec.name_es.clone()),
                Some(definition.spec.description_en.clone()),
            ]);
        }
        table.print(arguments.format, console)?;
        return Ok(0);
    };
    let found = evaluator.readings(&signal, arguments.at).await?;
    let mut table = Table::new(
        &["thing", "name", "since", "numerator", "denominator", "evidence"],
        &[false, false, false, true, true, false],
    );
    for reading in found.readings {
        let evidence: Vec<String> = reading
            .evidence
            .iter()
            .map(|(name, text)| format!("{name} {text}"))
            .collect();
        table.rows.push(vec![
            Some(reading.entity),
            reading.label,
            reading.since_at.map(|at| at.to_rfc3339()),
            Some(reading.numerator.to_string()),
            Some(reading.denominator.to_string()),
            Some(evidence.join("; ")),
        ]);
    }
    table.print(arguments.format, console)?;
    console.note(&format!(
        "proof {} on {}",
        found.proof.state.name(),
        found.proof.snapshot
    ));
    Ok(0)
}
