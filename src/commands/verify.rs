use atalaya_sql::verify;
use atalaya_store::Snapshot;
use clap::Args;

use super::metric::parse_as_of;
use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only what was known then: a day (its end) or an instant.
    #[arg(long)]
    as_of: Option<String>,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let evaluator = context.evaluator()?;
    let as_of = arguments
        .as_of
        .map(|text| parse_as_of(&text, &evaluator.home().settings().time_zone))
        .transpose()?;
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    let found = verify(&evaluator, &snapshot, as_of, &|metric, done, total| {
        console.progress(metric, done as u64, total as u64)
    })
    .await?;
    for (fault, metrics) in &found.byte_faults {
        console.out(&format!(
            "{}: {}\n  feeds {}\n",
            fault.path.display(),
            fault.reason,
            metrics.join(", ")
        ));
    }
    for line in &found.differences {
        console.out(&format!("{line}\n"));
    }
    for line in found.violations.iter().chain(&found.testimony.differences) {
        console.out(&format!("{line}\n"));
    }
    console.out(&format!(
        "{} files, {} byte faults; {} metrics, {} signals, {} cells, {} differences between the engines\n",
        found.files,
        found.byte_faults.len(),
        found.metrics,
        found.signals,
        found.cells,
        found.differences.len()
    ));
    console.out(&format!(
        "{} identities, {} rows break them\n",
        found.identities,
        found.violations.len()
    ));
    console.out(&format!(
        "witness: {} of {} customers, {} customer periods, {} differences\n",
        found.testimony.customers,
        found.testimony.of_customers,
        found.testimony.periods,
        found.testimony.differences.len()
    ));
    Ok(u8::from(!found.holds()))
}
