use atalaya_alerts::{ONCALL_FILE, Oncall};
use atalaya_model::calendar;
use chrono::{DateTime, Datelike, Months, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};

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
    /// Who is on call, rotation by rotation and level by level.
    Who {
        /// At which moment; now when absent.
        #[arg(long)]
        at: Option<DateTime<Utc>>,
        /// How the list is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// The months ahead: who carries how much, and when nobody would be told. Ends with 1 when there is such a time.
    Simulate {
        /// From which moment; now when absent.
        #[arg(long)]
        from: Option<DateTime<Utc>>,
        /// How many months.
        #[arg(long, default_value_t = 12)]
        months: u32,
        /// How the lists are printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    let zone = calendar::parse_zone(&home.settings().time_zone)?;
    let Some(oncall) = Oncall::of_home(home.dir(), zone)? else {
        anyhow::bail!(
            "{} is missing: it says who is on call (see docs/alerts.md)",
            home.dir().join(ONCALL_FILE).display()
        )
    };
    let now = context.clock.now();
    match arguments.action {
        Action::Who { at, format } => {
            who(&oncall, zone, sane(at.unwrap_or(now))?).print(format, console)?;
            Ok(0)
        }
        Action::Simulate { from, months, format } => {
            let from_at = sane(from.unwrap_or(now))?;
            let to_at = from_at
                .checked_add_months(Months::new(months))
                .filter(|_| (1..=120).contains(&months))
                .ok_or_else(|| anyhow::anyhow!("{months} months are none, or more than ten years"))?;
            let found = oncall.simulate(from_at, to_at);
            let mut burdens = Table::new(
                &["rotation", "person", "turns", "hours", "night hours"],
                &[false, false, true, true, true],
            );
            for ((rotation, person), burden) in &found.burdens {
                burdens.rows.push(vec![
                    Some(rotation.clone()),
                    Some(person.clone()),
                    Some(burden.shifts.to_string()),
                    Some(hours(burden.secs)),
                    Some(hours(burden.night_secs)),
                ]);
            }
            burdens.print(format, console)?;
            let mut gaps = Table::new(
                &["policy", "nobody from", "until", "hours"],
                &[false, false, false, true],
            );
            for gap in &found.gaps {
                gaps.rows.push(vec![
                    Some(gap.policy.clone()),
                    Some(shown(zone, gap.from_at)),
                    Some(shown(zone, gap.to_at)),
                    Some(hours((gap.to_at - gap.from_at).num_seconds())),
                ]);
            }
            if !found.unnamed.is_empty() {
                let classes: Vec<&str> = found.unnamed.iter().map(|class| class.name()).collect();
                console.note(&format!(
                    "no policy names anybody for incidents of: {}",
                    classes.join(", ")
                ));
            }
            if found.gaps.is_empty() && oncall.policies.is_empty() {
                return Ok(1);
            }
            if found.gaps.is_empty() {
                console.note(&format!("somebody is told at any time until {}", shown(zone, to_at)));
                return Ok(0);
            }
            gaps.print(format, console)?;
            console.note(&format!("times at which nobody is told: {}", found.gaps.len()));
            Ok(1)
        }
    }
}

/// A moment in whose year turns can be computed.
fn sane(at: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    anyhow::ensure!(
        (1970..3000).contains(&at.year()),
        "{at} is no moment of these centuries"
    );
    Ok(at)
}

fn who(oncall: &Oncall, zone: Tz, at: DateTime<Utc>) -> Table {
    let mut table = Table::new(&["of", "on call", "until", "level after"], &[false, false, false, true]);
    for rotation in oncall.rotations.values() {
        let shift = rotation.shift_at(at);
        // It ends when the turn does, or the window, or when somebody stands in.
        let ends = shift.as_ref().and_then(|shift| {
            let ahead = rotation.shifts(at, at + chrono::TimeDelta::days(i64::from(rotation.every_days) + 1));
            let found = ahead.into_iter().find(|found| found.person == shift.person)?;
            // An override may be longer than what was looked ahead.
            let instead = rotation
                .overrides
                .iter()
                .find(|one| one.from_at <= at && at < one.to_at);
            Some(instead.map_or(found.to_at, |one| one.to_at))
        });
        let name = shift.and_then(|shift| Some(oncall.people.get(&shift.person)?.name.clone()));
        table.rows.push(vec![
            Some(rotation.id.clone()),
            Some(name.unwrap_or_else(|| "nobody".to_owned())),
            ends.map(|ends| shown(zone, ends)),
            None,
        ]);
    }
    for policy in &oncall.policies {
        for level in &policy.levels {
            let names: Vec<&str> = oncall
                .on_level(level, at)
                .iter()
                .map(|person| person.name.as_str())
                .collect();
            table.rows.push(vec![
                Some(policy.id.clone()),
                Some(if names.is_empty() {
                    "nobody".to_owned()
                } else {
                    names.join(", ")
                }),
                None,
                Some(format!("{} min", level.after_secs / 60)),
            ]);
        }
    }
    table
}

fn shown(zone: Tz, at: DateTime<Utc>) -> String {
    at.with_timezone(&zone).format("%a %Y-%m-%d %H:%M %Z").to_string()
}

/// Hours with one decimal.
fn hours(secs: i64) -> String {
    let tenths = (secs + 180) / 360;
    format!("{}.{}", tenths / 10, tenths % 10)
}
