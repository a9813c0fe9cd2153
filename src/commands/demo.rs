use std::path::Path;

use atalaya_demo::{Company, Drill, Incident};
use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_model::Kind;
use atalaya_store::{Home, OwnerLock, write_atomically};
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{console::Console, context::Context};

const SETTINGS: &str = "\
version = 1
company = \"Academia Faro\"
time_zone = \"Europe/Madrid\"
week_start = \"monday\"
fiscal_year_start_month = 1
reporting_currency = \"USD\"
";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Fixes all chance.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many people ever signed up.
    #[arg(long, default_value_t = 5_000)]
    customers: u32,
    /// The company's present; now when absent. With the seed and the customers it fixes every byte.
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// Fills the home and ends. (Without it the home is filled too; `serve` shows it.)
    #[arg(long)]
    generate_only: bool,
    /// Stages an incident in a home that has the demo company.
    #[arg(long, value_enum)]
    incident: Option<Staged>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Staged {
    /// Two of three payments of the last week are taken back.
    RevenueDrop,
    /// They are given back.
    RevenueRecovery,
    /// Every other alert rule has its reason to fire.
    Drill,
    /// What the drill of the day before said is mended.
    DrillOver,
}

/// What the demo company of a home was made from.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    seed: u64,
    customers: u32,
    until: DateTime<Utc>,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = Home::open_or_create(&context.home_dir, Some(SETTINGS))?;
    let owner = context.own(&home)?;
    let manifest_path = home.dir().join("demo.json");
    let known: Option<Manifest> = match std::fs::read(&manifest_path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes)?),
        Err(_) => None,
    };
    if let Some(staged) = arguments.incident {
        let Some(manifest) = known else {
            anyhow::bail!(
                "{} has no demo company yet; run `atalaya demo` first",
                home.dir().display()
            )
        };
        return stage(staged, &manifest, &home, &owner, context, console).await;
    }
    let manifest = match known {
        // The same home twice is the same company: an interrupted filling is finished, a finished one changes nothing.
        Some(manifest) => manifest,
        None => {
            if !home.table_names().is_empty() {
                anyhow::bail!(
                    "{} already holds other records; name an empty folder with --home",
                    home.dir().display()
                );
            }
            let until = arguments.until.unwrap_or_else(|| context.clock.now());
            let manifest = Manifest {
                seed: arguments.seed,
                customers: arguments.customers,
                until,
            };
            write_atomically(&manifest_path, &serde_json::to_vec_pretty(&manifest)?)?;
            manifest
        }
    };
    let dir = home.scratch_dir()?.join("demo");
    std::fs::create_dir_all(&dir)?;
    let company = Company {
        seed: manifest.seed,
        customers: manifest.customers,
        until: manifest.until,
    };
    let files = tokio::task::block_in_place(|| {
        company.write(&dir, |done| {
            console.progress("inventing customers", u64::from(done), u64::from(company.customers))
        })
    })?;
    for (path, kind) in files {
        import(&path, Kind::parse(kind)?, &home, &owner, context, console).await?;
        std::fs::remove_file(&path)?;
    }
    Ok(0)
}

async fn import(
    path: &Path,
    kind: Kind,
    home: &Home,
    owner: &OwnerLock,
    context: &Context,
    console: &dyn Console,
) -> anyhow::Result<()> {
    let request = ImportRequest {
        file: path.to_owned(),
        kind,
        mapping: Mapping::parse("demo", "source = \"demo\"")?,
        delimiter: None,
    };
    let report = import_file(home, owner, context.clock.as_ref(), &request, &|progress| {
        console.progress(kind.name(), progress.done_bytes, progress.total_bytes);
    })
    .await?;
    if !report.already_imported {
        console.note(&format!("{kind}: {} rows landed", report.rows));
    }
    anyhow::ensure!(
        report.dead == 0,
        "the demo company wrote rows that do not fit: {}",
        report.first_faults.join("; ")
    );
    Ok(())
}

async fn stage(
    staged: Staged,
    manifest: &Manifest,
    home: &Home,
    owner: &OwnerLock,
    context: &Context,
    console: &dyn Console,
) -> anyhow::Result<u8> {
    let now = context.clock.now();
    anyhow::ensure!(
        now - manifest.until < chrono::TimeDelta::hours(60),
        "the demo company of this home ends on {}; name an empty folder with --home and make a new one, so that there is a last week to spoil",
        manifest.until.date_naive()
    );
    let dir = home.scratch_dir()?.join("incident");
    std::fs::create_dir_all(&dir)?;
    let incident = match staged {
        Staged::RevenueDrop => Incident::RevenueDrop,
        Staged::RevenueRecovery => Incident::RevenueRecovery,
        Staged::Drill | Staged::DrillOver => {
            let drill = if matches!(staged, Staged::Drill) {
                Drill::Begin
            } else {
                Drill::End
            };
            for (path, kind) in drill.write(now, &dir)? {
                import(&path, Kind::parse(kind)?, home, owner, context, console).await?;
            }
            std::fs::remove_dir_all(&dir)?;
            return Ok(0);
        }
    };
    let company = Company {
        seed: manifest.seed,
        customers: manifest.customers,
        until: manifest.until,
    };
    let path = tokio::task::block_in_place(|| incident.write(&company, context.clock.now(), &dir))?;
    import(&path, Kind::Orders, home, owner, context, console).await?;
    std::fs::remove_dir_all(&dir)?;
    Ok(0)
}
