use std::{sync::Arc, time::Duration};

use atalaya_alerts::{Control, Routes, Runner, Sender};
use atalaya_model::{Clock, Language};
use atalaya_store::Snapshot;
use clap::{Args, Subcommand};
use tokio::sync::watch;

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Evaluates the rules after every commit and delivers what is due, until it is ended.
    Run {
        /// Evaluates and delivers what is due once, then ends.
        #[arg(long)]
        once: bool,
    },
    /// Where every rule stands, and which incidents there were.
    Status {
        /// How the list is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Every delivery attempt; `verify` checks that no row was changed or removed.
    Ledger {
        /// `list` or `verify`.
        #[arg(default_value = "list")]
        what: String,
        /// How the list is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Evaluates after commits and delivers what is due.
pub(crate) struct Watcher {
    runner: Runner,
    sender: Sender,
    clock: Arc<dyn Clock>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Watcher {
    pub(crate) async fn start(context: &Context) -> anyhow::Result<Self> {
        let home = context.home()?;
        let control = Control::open(&home.control_database()).await?;
        let routes = Routes::from_variables(|name| std::env::var(name).ok())?;
        let language = match std::env::var("ATALAYA_ALERT_LANGUAGE").as_deref() {
            Ok("es") => Language::Es,
            Ok("en") | Err(_) => Language::En,
            Ok(other) => anyhow::bail!("ATALAYA_ALERT_LANGUAGE: {other:?} is neither en nor es"),
        };
        let clock = Arc::clone(&context.clock);
        let runner = Runner::new(
            Arc::new(context.evaluator()?),
            control.clone(),
            Arc::clone(&clock),
            home.settings().clone(),
            language,
        )?;
        let sender = Sender::new(control, routes, Arc::clone(&clock))?;
        Ok(Self {
            runner,
            sender,
            clock,
            turn: Arc::clone(&context.alert_turn),
        })
    }

    async fn once(&self) -> anyhow::Result<Vec<String>> {
        let _turn = self.turn.lock().await;
        let report = self.runner.tick().await?;
        self.sender.deliver_due().await?;
        Ok(report.lines)
    }

    /// Runs until `commits` ends. A failure is told and tried again: watching must not end because of it.
    pub(crate) async fn run(self, mut commits: watch::Receiver<u64>) {
        loop {
            {
                let _turn = self.turn.lock().await;
                match self.runner.tick().await {
                    Ok(report) => report.lines.iter().for_each(|line| tracing::info!("{line}")),
                    Err(error) => tracing::error!("rules could not be evaluated: {error}"),
                }
            }
            // A new day needs no commit: whatever else is waited for, the rules are looked at again in a minute.
            let look_again = tokio::time::Instant::now() + Duration::from_secs(60);
            loop {
                let turn = self.turn.lock().await;
                let delivered = self.sender.deliver_due().await;
                drop(turn);
                let wait = match delivered {
                    Ok(Some(next)) => (next - self.clock.now())
                        .to_std()
                        .unwrap_or(Duration::ZERO)
                        .max(Duration::from_millis(50)),
                    Ok(None) => Duration::from_secs(60),
                    Err(error) => {
                        tracing::error!("delivery: {error}");
                        Duration::from_secs(5)
                    }
                };
                // A commit, the next delivery or the minute, whichever comes first.
                let wait = wait.min(look_again.saturating_duration_since(tokio::time::Instant::now()));
                match tokio::time::timeout(wait, commits.changed()).await {
                    Ok(Ok(())) => break,
                    Ok(Err(_)) => return,
                    Err(_) if tokio::time::Instant::now() >= look_again => break,
                    Err(_) => {}
                }
            }
        }
    }
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    match arguments.action {
        Action::Run { once } => {
            // Two watchers would both decide: the owner of the home is the one that watches.
            let _owner = context.own(&home)?;
            if context.owner.is_some() && !once {
                anyhow::ensure!(
                    context.watching,
                    "this home is served without --with-alerts: nobody watches its rules"
                );
                console.note(
                    "the process that serves this home watches the rules; `alerts run --once` asks it to look now",
                );
                return Ok(0);
            }
            let watcher = Watcher::start(context).await?;
            if once {
                for line in watcher.once().await? {
                    console.note(&line);
                }
                return Ok(0);
            }
            let (changed, commits) = watch::channel(0_u64);
            let evaluator = context.evaluator()?;
            tokio::spawn(async move {
                let mut known = String::new();
                let mut ticker = tokio::time::interval(Duration::from_secs(1));
                loop {
                    ticker.tick().await;
                    if let Ok(snapshot) = Snapshot::latest(evaluator.home()).await
                        && snapshot.id(&[]) != known
                    {
                        known = snapshot.id(&[]);
                        changed.send_modify(|count| *count += 1);
                    }
                }
            });
            console.note("watching; end with Ctrl-C");
            tokio::select! {
                () = watcher.run(commits) => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Action::Status { format } => {
            let control = Control::open(&home.control_database()).await?;
            let mut table = Table::new(
                &["incident", "rule", "opened", "resolved", "title", "deliveries"],
                &[true, false, false, false, false, false],
            );
            for incident in control.incidents().await? {
                let deliveries: Vec<String> = control
                    .intents(incident.id)
                    .await?
                    .into_iter()
                    .map(|intent| {
                        format!(
                            "{} {} {}{}",
                            intent.route.name(),
                            intent.action,
                            intent.state,
                            if intent.reason.is_empty() {
                                String::new()
                            } else {
                                format!(" ({})", intent.reason)
                            }
                        )
                    })
                    .collect();
                table.rows.push(vec![
                    Some(incident.id.to_string()),
                    Some(incident.rule_id),
                    Some(incident.opened_at.to_rfc3339()),
                    incident.resolved_at.map(|at| at.to_rfc3339()),
                    Some(incident.title),
                    Some(deliveries.join("; ")),
                ]);
            }
            table.print(format, console)?;
            for rule in atalaya_alerts::rules()? {
                let line = match control.rule_state(&rule.id).await? {
                    Some(state) => format!(
                        "{}: {} · {} · {}",
                        rule.id,
                        state.state,
                        state.evaluated_at.to_rfc3339(),
                        state.verdict
                    ),
                    None => format!("{}: not evaluated yet", rule.id),
                };
                console.note(&line);
            }
        }
        Action::Ledger { what, format } => {
            let control = Control::open(&home.control_database()).await?;
            match what.as_str() {
                "verify" => {
                    if let Some(row) = control.first_broken_row().await? {
                        console.out(&format!("row {row} was changed, removed or put in between\n"));
                        return Ok(1);
                    }
                    console.out(&format!("{} rows, unbroken\n", control.ledger().await?.len()));
                }
                "list" => {
                    let mut table = Table::new(
                        &["row", "at", "incident", "route", "event", "status", "answer"],
                        &[true, false, true, false, false, true, false],
                    );
                    for row in control.ledger().await? {
                        table.rows.push(vec![
                            Some(row.sequence.to_string()),
                            Some(row.at.to_rfc3339()),
                            Some(row.incident_id.to_string()),
                            Some(row.route),
                            Some(row.event),
                            row.status.map(|status| status.to_string()),
                            Some(row.answer),
                        ]);
                    }
                    table.print(format, console)?;
                }
                other => anyhow::bail!("{other:?} is neither list nor verify"),
            }
        }
    }
    Ok(0)
}
