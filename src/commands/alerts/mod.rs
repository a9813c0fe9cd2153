mod backtest;
mod watcher;

use std::{sync::Arc, time::Duration};

use atalaya_alerts::{Control, Limit, RuleSet, Silence};
use atalaya_store::{Home, Snapshot};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand};
use tokio::sync::watch;

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

pub(crate) use watcher::Watcher;

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
    /// Sends a harmless message over every route that has an address and says how long it took: before a night depends on it.
    Test {
        /// How the list is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Where every rule stands, and which incidents there were.
    Status {
        /// How the list is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// What happened to an incident, in order.
    Incident {
        /// Its number.
        id: i64,
    },
    /// Takes an incident: whoever would be told next need not be.
    Ack {
        /// Its number.
        id: i64,
        /// Who takes it.
        #[arg(long)]
        by: String,
        /// What is known already.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Ends an incident by hand: whoever was told hears so. What still fires opens another one at the next look.
    Close {
        /// Its number.
        id: i64,
        /// Who ends it.
        #[arg(long)]
        by: String,
        /// Why.
        #[arg(long)]
        why: String,
    },
    /// Writes something into an incident's timeline.
    Note {
        /// Its number.
        id: i64,
        /// What is to be written.
        text: String,
        /// Who writes it.
        #[arg(long)]
        by: String,
    },
    /// Tells nobody of a rule, or of one thing under it, for a while. It is watched all the same, and what still fires
    /// afterwards is told then.
    Silence {
        /// The rule; `*` for all.
        rule: String,
        /// The thing: a host, a ticket; `*` for all.
        #[arg(long, default_value = "*")]
        entity: String,
        /// How long: `30 min`, `2 h`, `7 d`.
        #[arg(long = "for")]
        lasting: String,
        /// When it begins, for maintenance that is planned; now when absent.
        #[arg(long)]
        from: Option<DateTime<Utc>>,
        /// Who asks for it.
        #[arg(long)]
        by: String,
        /// Why.
        #[arg(long)]
        why: String,
    },
    /// Silences that have not ended; `--end` ends one.
    Silences {
        /// The number of the one to end.
        #[arg(long)]
        end: Option<i64>,
        /// How the list is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Checks the rules of the home, with the tests inside their files, and lists what is watched.
    Rules {
        /// How the list is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// What a rule would have done: history as it was known at each moment, through all that watches the present.
    Backtest {
        /// The rule.
        rule: String,
        /// The first day.
        #[arg(long)]
        from: NaiveDate,
        /// The first day no longer wanted; today when absent.
        #[arg(long)]
        to: Option<NaiveDate>,
        /// Time between looks: `1 d`, `1 h`, `1 min`. Days are looked at in the morning, at nine.
        #[arg(long, default_value = "1 d")]
        every: String,
        /// With what is known today: for a history that was imported at once. Rules on metrics only.
        #[arg(long)]
        hindsight: bool,
        /// How the incidents are printed.
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

/// The rules in force: those that come with Atalaya, and over them those in the home's folder `rules`.
pub(super) fn rules_of(home: &Home) -> anyhow::Result<RuleSet> {
    Ok(RuleSet::of_home(&home.dir().join("rules"))?)
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
            let watcher = Watcher::start(context, Arc::new(context.evaluator()?)).await?;
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
        Action::Test { format } => {
            // Two senders would send twice: whoever owns the home is the one that sends.
            let _owner = context.own(&home)?;
            let watcher = Watcher::start(context, Arc::new(context.evaluator()?)).await?;
            let mut table = Table::new(&["route", "state", "milliseconds", "why"], &[false, false, true, false]);
            let mut is_well = true;
            for (route, canary) in watcher.test_routes().await? {
                is_well &= canary.state == "delivered";
                table.rows.push(vec![
                    Some(route.to_owned()),
                    Some(canary.state),
                    canary.latency_ms.map(|millis| millis.to_string()),
                    Some(canary.reason),
                ]);
            }
            table.print(format, console)?;
            return Ok(u8::from(!is_well));
        }
        Action::Status { format } => {
            let control = Control::open(&home.control_database()).await?;
            let mut table = Table::new(
                &["incident", "rule", "opened", "resolved", "title", "deliveries"],
                &[true, false, false, false, false, false],
            );
            for incident in control
                .incidents()
                .await?
                .into_iter()
                .filter(|incident| !incident.is_notice())
            {
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
            for rule in rules_of(&home)?.iter() {
                let line = match (&rule.off, control.look(&rule.id).await?) {
                    (Some(reason), _) => format!("{}: off, {reason}", rule.id),
                    (None, Some(look)) => {
                        format!("{}: {} · {}", rule.id, look.verdict, look.evaluated_at.to_rfc3339())
                    }
                    (None, None) => format!("{}: not evaluated yet", rule.id),
                };
                console.note(&line);
            }
        }
        Action::Incident { id } => {
            let control = Control::open(&home.control_database()).await?;
            let Some(incident) = control.incident(id).await? else {
                anyhow::bail!("there is no incident {id}")
            };
            console.out(&format!("{}\n", incident.title));
            for entry in control.timeline(id).await? {
                let note = if entry.note.is_empty() {
                    String::new()
                } else {
                    format!(": {}", entry.note)
                };
                console.out(&format!(
                    "{}  {} by {}{note}\n",
                    entry.at.to_rfc3339(),
                    entry.event,
                    entry.actor
                ));
            }
        }
        Action::Ack { id, by, note } => {
            let control = Control::open(&home.control_database()).await?;
            let is_open = control.acknowledge(id, &by, &note, context.clock.now()).await?;
            anyhow::ensure!(is_open, "there is no open incident {id}");
            console.note(&format!("incident {id} is taken"));
        }
        Action::Close { id, by, why } => {
            let control = Control::open(&home.control_database()).await?;
            let is_done = control.close(id, &by, &why, context.clock.now()).await?;
            anyhow::ensure!(is_done, "there is no open incident {id}");
            console.note(&format!("incident {id} is closed"));
        }
        Action::Note { id, text, by } => {
            let control = Control::open(&home.control_database()).await?;
            let is_known = control.note(id, &by, &text, context.clock.now()).await?;
            anyhow::ensure!(is_known, "there is no incident {id}");
        }
        Action::Silence {
            rule,
            entity,
            lasting,
            from,
            by,
            why,
        } => {
            anyhow::ensure!(
                rule == "*" || rules_of(&home)?.get(&rule).is_some(),
                "there is no rule {rule:?}; `alerts rules` lists them"
            );
            let secs = Limit::parse_secs(&lasting).map_err(anyhow::Error::msg)?;
            let from_at = from.unwrap_or_else(|| context.clock.now());
            let until_at = TimeDelta::try_seconds(secs)
                .and_then(|lasting| from_at.checked_add_signed(lasting))
                .ok_or_else(|| anyhow::anyhow!("{lasting:?} is too long"))?;
            let control = Control::open(&home.control_database()).await?;
            let silence = Silence {
                id: 0,
                rule_id: rule,
                entity,
                from_at,
                until_at,
                actor: by,
                reason: why,
            };
            let id = control.add_silence(&silence).await?;
            console.note(&format!("silence {id} lasts until {}", until_at.to_rfc3339()));
        }
        Action::Silences { end, format } => {
            let control = Control::open(&home.control_database()).await?;
            if let Some(id) = end {
                let ended = control.end_silence(id, context.clock.now()).await?;
                anyhow::ensure!(ended, "there is no silence {id} that still lasts");
            }
            let mut table = Table::new(
                &["silence", "rule", "thing", "from", "until", "by", "why"],
                &[true, false, false, false, false, false, false],
            );
            for silence in control.silences(context.clock.now()).await? {
                table.rows.push(vec![
                    Some(silence.id.to_string()),
                    Some(silence.rule_id),
                    Some(silence.entity),
                    Some(silence.from_at.to_rfc3339()),
                    Some(silence.until_at.to_rfc3339()),
                    Some(silence.actor),
                    Some(silence.reason),
                ]);
            }
            table.print(format, console)?;
        }
        Action::Rules { format } => {
            let mut table = Table::new(
                &["rule", "class", "name", "nombre", "routes", "off"],
                &[false, false, false, false, false, false],
            );
            let rules = rules_of(&home)?;
            for rule in rules.iter() {
                let routes: Vec<&str> = rule.routes.iter().map(|route| route.name()).collect();
                table.rows.push(vec![
                    Some(rule.id.clone()),
                    Some(rule.class.name().to_owned()),
                    Some(rule.name_en.clone()),
                    Some(rule.name_es.clone()),
                    Some(routes.join(" ")),
                    rule.off.clone(),
                ]);
            }
            table.print(format, console)?;
            let faults = rules.faults();
            anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n"));
        }
        Action::Backtest {
            rule,
            from,
            to,
            every,
            hindsight,
            format,
        } => {
            let asked = backtest::Asked {
                rule,
                from,
                to,
                every,
                hindsight,
                format,
            };
            backtest::run(&asked, &home, context, console).await?;
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
