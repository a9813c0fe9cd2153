use clap::Args;

use crate::{
    console::Console,
    context::Context,
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
    let counts = match &context.receivers {
        Some(receivers) => receivers.counts(),
        None => {
            console.note("nobody listens for events: `atalaya serve --receive 127.0.0.1:8090`");
            Vec::new()
        }
    };
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
        ],
        &[false, false, true, true, true, true, true, true],
    );
    for of in counts {
        let name = Some(of.source).filter(|name| !name.is_empty());
        let last_at = of.last_at.map(|at| at.format("%Y-%m-%d %H:%M:%SZ").to_string());
        let numbers = [
            of.requests,
            of.rows,
            of.duplicates,
            of.dead_letters,
            of.refused,
            of.put_off,
        ];
        let numbers = numbers.map(|number| Some(number.to_string()));
        let name = name.unwrap_or_else(|| "(unknown)".to_owned());
        table
            .rows
            .push([Some(name), last_at].into_iter().chain(numbers).collect());
    }
    table.print(arguments.format, console)?;
    Ok(0)
}
