use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::DataType,
};
use atalaya_sql::{Request, Worker, sql_surface, to_csv};
use atalaya_store::Snapshot;
use clap::Args;

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// One SELECT. Records are `<kind>_known`; metrics stand under their ids by month; amounts in minor units under
    /// `published_<id>`.
    sql: String,
    /// How the rows are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Seconds after which the question is broken off.
    #[arg(long, default_value_t = 60)]
    timeout_secs: u64,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let evaluator = context.evaluator()?;
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    let (files, setup) = sql_surface(&evaluator, &snapshot, None, &arguments.sql).await?;
    let request = Request {
        files,
        setup,
        queries: vec![arguments.sql],
        untrusted: true,
        timeout_secs: arguments.timeout_secs,
        max_answer_bytes: 256 << 20,
        memory_limit_mb: 2048,
    };
    let answer = Worker::find()?.ask(&request).await?.into_iter().next();
    let answer = answer.ok_or_else(|| anyhow::anyhow!("the worker gave no answer"))??;
    if arguments.format == Format::Csv {
        console.out(&to_csv(&answer)?);
        return Ok(0);
    }
    let names: Vec<&str> = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let numeric: Vec<bool> = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.data_type().is_numeric())
        .collect();
    let mut table = Table::new(&names, &numeric);
    for batch in &answer.batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Utf8))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            table.rows.push(
                columns
                    .iter()
                    .map(|column| column.as_string::<i32>())
                    .map(|column| column.is_valid(row).then(|| column.value(row).to_owned()))
                    .collect(),
            );
        }
    }
    table.print(arguments.format, console)?;
    Ok(0)
}
