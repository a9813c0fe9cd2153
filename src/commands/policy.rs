use atalaya_metrics::Policy;
use clap::Args;

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A preset; the home's own policy when absent.
    preset: Option<String>,
    /// How the switches are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let evaluator = context.evaluator()?;
    let policy = match arguments.preset {
        Some(name) => Policy::preset(&name, evaluator.home().settings())?,
        None => evaluator.policy().clone(),
    };
    let mut table = Table::new(&["switch", "value"], &[false, false]);
    for (name, value) in policy.switches() {
        table.rows.push(vec![Some(name), Some(value)]);
    }
    table.print(arguments.format, console)?;
    console.note(&format!(
        "policy {} · presets: {}",
        policy.id(),
        Policy::preset_names().collect::<Vec<_>>().join(", ")
    ));
    Ok(0)
}
