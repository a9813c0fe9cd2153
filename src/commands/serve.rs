use std::{net::SocketAddr, sync::Arc};

use atalaya_metrics::Evaluator;
use atalaya_server::Server;
use atalaya_sql::verify;
use atalaya_store::Snapshot;
use clap::Args;
use tokio::sync::watch;

use super::alerts;
use crate::{console::Console, context::Context, delegate};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen; only addresses of this machine are taken.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Watch the rules and send alerts too.
    #[arg(long)]
    with_alerts: bool,
}

/// How often the home is looked at for commits of its own commands, in milliseconds.
const LOOK_MILLIS: u64 = 300;

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    let owner = home
        .own()
        .map_err(|error| anyhow::anyhow!("{error}; a home is served once (ask the one that serves it, or end it)"))?;
    let context = Context {
        owner: Some(Arc::new(owner)),
        watching: arguments.with_alerts,
        ..context.clone()
    };
    let evaluator = Arc::new(context.evaluator()?);
    let (changed, commits) = watch::channel(0_u64);
    let server = Server::bind(arguments.listen, Arc::clone(&evaluator), commits.clone()).await?;
    delegate::listen(&home, context.clone())?;
    let seen = watch_commits(Arc::clone(&evaluator), changed);
    if arguments.with_alerts {
        let watcher = alerts::Watcher::start(&context).await?;
        tokio::spawn(watcher.run(seen));
    }
    console.note(&format!(
        "{} is served at http://{}",
        home.settings().company,
        server.address()
    ));
    let socket = home.socket_path();
    tokio::select! {
        ended = server.run() => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    // A file that nobody listens on would only make the next command wait for a refusal.
    let _ = std::fs::remove_file(socket);
    Ok(0)
}

/// Tells boards and rules of every commit, and has the second engine prove the newest snapshot behind them: a commit that
/// lands while a proof is running is told at once and proved next.
fn watch_commits(evaluator: Arc<Evaluator>, changed: watch::Sender<u64>) -> watch::Receiver<u64> {
    let (landed, landings) = watch::channel(0_u64);
    let (to_prove, newest) = watch::channel(None::<Snapshot>);
    let changed = Arc::new(changed);
    tokio::spawn(prove(Arc::clone(&evaluator), newest, Arc::clone(&changed)));
    tokio::spawn(async move {
        let mut ticker = tokio::time::interval(std::time::Duration::from_millis(LOOK_MILLIS));
        let mut known = String::new();
        loop {
            ticker.tick().await;
            let snapshot = match Snapshot::latest(evaluator.home()).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    tracing::warn!("the home cannot be read: {error}");
                    continue;
                }
            };
            let id = snapshot.id(&[]);
            if id != known {
                known = id;
                landed.send_modify(|count| *count += 1);
                changed.send_modify(|count| *count += 1);
                to_prove.send_replace(Some(snapshot));
            }
        }
    });
    landings
}

async fn prove(
    evaluator: Arc<Evaluator>,
    mut newest: watch::Receiver<Option<Snapshot>>,
    changed: Arc<watch::Sender<u64>>,
) {
    while newest.changed().await.is_ok() {
        let Some(snapshot) = newest.borrow_and_update().clone() else {
            continue;
        };
        match verify(&evaluator, &snapshot, None, &|_, _, _| {}).await {
            Ok(found) if found.holds() => {
                tracing::info!("{} metrics checked by both engines, no difference", found.metrics)
            }
            Ok(found) => {
                let (differences, faults) = (found.differences.len(), found.byte_faults.len());
                tracing::error!("{differences} differences, {faults} byte faults: see `atalaya verify`");
            }
            Err(error) => tracing::warn!("figures stay unproved: {error}"),
        }
        changed.send_modify(|count| *count += 1);
    }
}
