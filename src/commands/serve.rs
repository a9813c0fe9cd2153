use std::{net::SocketAddr, sync::Arc, time::Duration};

use atalaya_alerts::{Control, Routes};
use atalaya_ingest::{Connection, Receivers, SOURCES_FILE, Sources, router};
use atalaya_metrics::Evaluator;
use atalaya_model::SeriesQuery;
use atalaya_server::{Exposition, Server};
use atalaya_sql::verify;
use atalaya_store::{Compaction, Home, Intake, Snapshot};
use clap::Args;
use tokio::{net::TcpListener, signal::unix::SignalKind, sync::watch, task::JoinSet};

use super::alerts;
use crate::{
    console::Console,
    context::Context,
    delegate,
    exposition::{Watching, exposition},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen; only addresses of this machine are taken.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where sources push events to; they are named in the home's `sources.toml`. Put a proxy with TLS before it where it
    /// is reached from other machines.
    #[arg(long, value_name = "ADDRESS")]
    receive: Option<SocketAddr>,
    /// Watch the rules and send alerts too.
    #[arg(long)]
    with_alerts: bool,
}

/// How often the home is looked at for commits of its own commands, in milliseconds.
const LOOK_MILLIS: u64 = 300;
/// How often files are looked through for what can be merged, in seconds.
const TIDY_SECS: u64 = 60;
/// How many looks to wait after the log could not be moved into the tables.
const RETRY_TICKS: u32 = 20;
/// While events come in there is always something new to prove: the proofs get one part in so many of the time.
const PROOF_PAUSE: u32 = 4;

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    let owner = home
        .own()
        .map_err(|error| anyhow::anyhow!("{error}; a home is served once (ask the one that serves it, or end it)"))?;
    let mut context = Context {
        owner: Some(Arc::new(owner)),
        watching: arguments.with_alerts,
        ..context.clone()
    };
    // What goes on beside the requests; ended before the process is, so that nothing is cut off in the middle of a proof.
    let mut background = JoinSet::new();
    let receiving = take_events(&arguments, &mut context, &home, &mut background).await?;
    let evaluator = Arc::new(context.evaluator()?.following(home.component_dir("figures")?));
    let (changed, commits) = watch::channel(0_u64);
    let figures = figures_of(&context, &home, &evaluator).await?;
    let server = Server::bind(arguments.listen, Arc::clone(&evaluator), commits.clone(), figures).await?;
    delegate::listen(&home, context.clone())?;
    let seen = watch_commits(Arc::clone(&evaluator), changed, &mut background);
    if arguments.with_alerts {
        let watcher = alerts::Watcher::start(&context, Arc::clone(&evaluator)).await?;
        background.spawn(watcher.run(seen));
    }
    console.note(&format!(
        "{} is served at http://{}",
        home.settings().company,
        server.address()
    ));
    let socket = home.socket_path();
    let receiving = async {
        match receiving {
            Some((listener, router)) => {
                console.note(&format!("events are taken at http://{}", listener.local_addr()?));
                axum::serve(listener, router).await
            }
            None => std::future::pending().await,
        }
    };
    let mut terminated = tokio::signal::unix::signal(SignalKind::terminate())?;
    tokio::select! {
        ended = server.run() => ended?,
        ended = receiving => ended?,
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
    background.shutdown().await;
    if let Some(intake) = &context.intake {
        intake.flush().await?;
    }
    // A file that nobody listens on would only make the next command wait for a refusal.
    let _ = std::fs::remove_file(socket);
    Ok(0)
}

/// What `/metrics` tells: of the process, and of its alerts where it watches the rules.
async fn figures_of(context: &Context, home: &Home, evaluator: &Arc<Evaluator>) -> anyhow::Result<Exposition> {
    let watching = match context.watching {
        true => Some(Watching {
            control: Control::open(&home.control_database()).await?,
            addressed: Routes::from_variables(|name| std::env::var(name).ok())?.addressed(),
        }),
        false => None,
    };
    let (context, evaluator) = (context.clone(), Arc::clone(evaluator));
    Ok(Arc::new(move || {
        let (context, watching, evaluator) = (context.clone(), watching.clone(), Arc::clone(&evaluator));
        Box::pin(async move {
            let text = exposition(&context, watching.as_ref(), &evaluator).await;
            text.map_err(|error| error.to_string())
        })
    }))
}

/// Opens the log where events are to be taken, or where an earlier process left some, and binds the address for them.
async fn take_events(
    arguments: &Arguments,
    context: &mut Context,
    home: &Home,
    background: &mut JoinSet<()>,
) -> anyhow::Result<Option<(TcpListener, axum::Router)>> {
    let sources = context.sources(home)?;
    let connections = sources.as_ref().map_or(&[][..], Sources::connections);
    if arguments.receive.is_none() && connections.is_empty() && !home.has_log()? {
        return Ok(None);
    }
    let owner = context.own(home)?;
    let intake = Arc::new(context.open_intake(home, owner, sources.as_ref()).await?);
    background.spawn(flush_when_due(Arc::clone(&intake)));
    context.intake = Some(Arc::clone(&intake));
    background.spawn(tidy(context.clone()));
    for connection in connections {
        background.spawn(ask_again_and_again(
            connection.clone(),
            Arc::clone(&intake),
            context.clone(),
        ));
    }
    let Some(address) = arguments.receive else {
        return Ok(None);
    };
    let Some(sources) = sources else {
        anyhow::bail!(
            "{} is missing: it names the sources that may push events (see docs/sources.md)",
            home.dir().join(SOURCES_FILE).display()
        );
    };
    let receivers = Arc::new(Receivers::new(home, intake, sources, Arc::clone(&context.clock))?);
    context.receivers = Some(Arc::clone(&receivers));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| anyhow::anyhow!("cannot listen on {address}: {error}"))?;
    Ok(Some((listener, router(receivers))))
}

/// Merges files and removes those that nobody needs any more, beside everything else: it may take minutes.
async fn tidy(context: Context) {
    let mut ticker = tokio::time::interval(Duration::from_secs(TIDY_SECS));
    let mut vacuumed_on = chrono::NaiveDate::MIN;
    loop {
        ticker.tick().await;
        let done = async {
            let home = context.home()?;
            let owner = context.own(&home)?;
            let now = context.clock.now();
            // First what makes room.
            if vacuumed_on != now.date_naive() {
                home.vacuum(&owner, now).await?;
                vacuumed_on = now.date_naive();
            }
            home.compact_all(&owner, Compaction::Due, now).await?;
            anyhow::Ok(())
        };
        if let Err(error) = done.await {
            tracing::warn!("files could not be merged or removed; it is tried again: {error:#}");
        }
    }
}

/// Asks a source for what is new, as often as it says. A failure is told, and what was read before it stays.
async fn ask_again_and_again(connection: Connection, intake: Arc<Intake>, context: Context) {
    let mut ticker = tokio::time::interval(Duration::from_secs(u64::from(connection.every_secs)));
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticker.tick().await;
        let done = async {
            let home = context.home()?;
            let report = context.sync(&home, &intake, &connection, &|_| {}).await?;
            tracing::info!(
                "{}: {} rows new, {} dead letters",
                connection.name,
                report.rows,
                report.dead_letters
            );
            anyhow::Ok(())
        };
        if let Err(error) = done.await {
            tracing::warn!("{}: {error:#}", connection.name);
        }
    }
}

/// Moves rows from the log into the tables when there are many or they are old. A failure is told and tried again: until
/// then the rows are durable in the log, and when too many are in memory senders are asked to come again.
async fn flush_when_due(intake: Arc<Intake>) {
    let mut ticker = tokio::time::interval(Duration::from_millis(LOOK_MILLIS));
    loop {
        ticker.tick().await;
        if !intake.is_due() {
            continue;
        }
        let done = async {
            let flushed = intake.flush().await?;
            tracing::debug!("{} rows into {} tables", flushed.rows, flushed.tables);
            anyhow::Ok(())
        };
        if let Err(error) = done.await {
            tracing::error!("what was pushed stays in the log and is moved later: {error:#}");
            for _ in 0..RETRY_TICKS {
                ticker.tick().await;
            }
        }
    }
}

/// Tells boards and rules of every commit, and has the second engine prove the newest snapshot behind them: a commit that
/// lands while a proof is running is told at once and proved next.
fn watch_commits(
    evaluator: Arc<Evaluator>,
    changed: watch::Sender<u64>,
    background: &mut JoinSet<()>,
) -> watch::Receiver<u64> {
    let (landed, landings) = watch::channel(0_u64);
    let (to_prove, newest) = watch::channel(None::<Snapshot>);
    let changed = Arc::new(changed);
    background.spawn(prove(Arc::clone(&evaluator), newest, Arc::clone(&changed)));
    background.spawn(async move {
        let mut ticker = tokio::time::interval(Duration::from_millis(LOOK_MILLIS));
        let mut known: Option<Snapshot> = None;
        loop {
            ticker.tick().await;
            if known.as_ref().is_some_and(|known| known.is_latest(evaluator.home())) {
                continue;
            }
            let snapshot = match Snapshot::latest(evaluator.home()).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    tracing::warn!("the home cannot be read: {error}");
                    continue;
                }
            };
            if known.as_ref().is_none_or(|known| known.id(&[]) != snapshot.id(&[])) {
                known = Some(snapshot.clone());
                landed.send_modify(|count| *count += 1);
                changed.send_modify(|count| *count += 1);
                to_prove.send_replace(Some(snapshot));
            }
        }
    });
    landings
}

/// Questions proved in a row before the newest snapshot is looked after again.
const QUESTIONS_IN_A_ROW: usize = 8;

/// Proves some of the questions that wait, each on the data that are newest then; how many have a verdict now. What could
/// not be proved is not told to boards, which would ask it again at once.
async fn prove_questions(
    evaluator: &Evaluator,
    newest: &watch::Receiver<Option<Snapshot>>,
    first: Option<SeriesQuery>,
) -> usize {
    let mut proved = 0;
    let mut next = first.or_else(|| evaluator.take_unproved());
    for _ in 0..QUESTIONS_IN_A_ROW {
        let snapshot = newest.borrow().clone();
        let Some(snapshot) = snapshot else {
            break;
        };
        let Some(query) = next.take() else {
            break;
        };
        let found = atalaya_sql::prove(evaluator, &snapshot, &query).await;
        proved += usize::from(found.is_ok());
        match found {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => tracing::error!("{}: {}", query.metric, differences.join("; ")),
            Err(error) => tracing::warn!("a question of {} stays unproved: {error}", query.metric),
        }
        next = evaluator.take_unproved();
    }
    // Who was taken and not asked waits again.
    if let Some(query) = next {
        evaluator.put_back(query);
    }
    proved
}

async fn prove(
    evaluator: Arc<Evaluator>,
    mut newest: watch::Receiver<Option<Snapshot>>,
    changed: Arc<watch::Sender<u64>>,
) {
    loop {
        // A question that no verification asks is proved when somebody has asked it, on the data that are newest then.
        let asked = tokio::select! {
            biased;
            landed = newest.changed() => match landed {
                Ok(()) => None,
                Err(_) => break,
            },
            asked = evaluator.next_unproved() => Some(asked),
        };
        if let Some(asked) = asked {
            if prove_questions(&evaluator, &newest, Some(asked)).await > 0 {
                changed.send_modify(|count| *count += 1);
            }
            continue;
        }
        let Some(snapshot) = newest.borrow_and_update().clone() else {
            continue;
        };
        let began = tokio::time::Instant::now();
        match verify(&evaluator, &snapshot, None, &|_, _, _| {}).await {
            Ok(found) if found.holds() => {
                tracing::info!("{} metrics checked by both engines, no difference", found.metrics)
            }
            Ok(found) => {
                let (differences, faults) = (found.differences.len(), found.byte_faults.len());
                let (broken, witnessed) = (found.violations.len(), found.testimony.differences.len());
                tracing::error!(
                    "{differences} differences, {faults} byte faults, {broken} rows that break an identity, \
                     {witnessed} differences of the witness: see `atalaya verify`"
                );
            }
            Err(error) => tracing::warn!("figures stay unproved: {error}"),
        }
        match evaluator.check_drift().await {
            Ok(Some(drift)) if drift.differences > 0 => {
                tracing::error!(
                    "{} sums had drifted from their records; they are computed anew",
                    drift.differences
                )
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("sums that follow commits stay uncompared: {error}"),
        }
        // Where commits never end, questions would otherwise wait for ever.
        prove_questions(&evaluator, &newest, None).await;
        changed.send_modify(|count| *count += 1);
        if snapshot.has_rows_in_the_log() {
            let mut pause = tokio::time::interval(began.elapsed() * PROOF_PAUSE);
            // The first tick is at once.
            pause.tick().await;
            pause.tick().await;
        }
    }
}
