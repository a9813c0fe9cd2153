use std::collections::{BTreeMap, BTreeSet};

use atalaya_metrics::{EvaluationPlan, Evaluator, MetricsError, ProofKey, Rows, Scope, Testimony, Verdict};
use atalaya_model::{Grain, Kind, KnownBy, MetricSpec, Period, calendar};
use atalaya_store::{ByteFault, Snapshot, check_bytes};
use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::{Answer, Request, SqlError, Worker, setup, verify_signals::verify_signals, worker_setup};

/// What a verification found.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// Files whose bytes are not those committed, each with the metrics it feeds.
    pub byte_faults: Vec<(ByteFault, Vec<String>)>,
    /// Files whose bytes were checked.
    pub files: usize,
    /// Metrics that were compared.
    pub metrics: usize,
    /// Signals that were compared.
    pub signals: usize,
    /// Cells that were compared.
    pub cells: usize,
    /// Differences, one line each: metric, period, dimensions, both values.
    pub differences: Vec<String>,
    /// Identities that were checked over all months.
    pub identities: usize,
    /// Rows that break one, one line each: the identity, the period and the customer.
    pub violations: Vec<String>,
    /// What the witness found.
    pub testimony: Testimony,
}

impl Verification {
    /// Whether bytes, engines, identities and witness agree.
    pub fn holds(&self) -> bool {
        self.byte_faults.is_empty()
            && self.differences.is_empty()
            && self.violations.is_empty()
            && self.testimony.differences.is_empty()
    }
}

/// Questions that share their views: a range, a grain, at most one dimension, and the metrics that can be asked so.
struct Round<'a> {
    is_present: bool,
    grain: Grain,
    by: Vec<String>,
    periods: Vec<Period>,
    specs: Vec<&'a MetricSpec>,
}

/// Checks the bytes of a snapshot, compares every metric, cell by cell, between the engines, and has the witness recompute
/// customers from their records. Verdicts are kept, so that every surface can show them.
pub async fn verify(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    as_of: Option<DateTime<Utc>>,
    on_metric: &(dyn Fn(&str, usize, usize) + Sync),
) -> Result<Verification, SqlError> {
    let worker = Worker::find()?;
    let mut found = Verification {
        files: snapshot.tables.values().map(|table| table.files.len()).sum(),
        ..Verification::default()
    };
    let faults = tokio::task::block_in_place(|| check_bytes(snapshot))?;
    let specs: Vec<&MetricSpec> = evaluator.catalog().metrics().collect();
    let now = evaluator.clock().now();
    // A damaged file may stop the engines from finding the first day; the rest of the check must go on.
    let first = match setup::first_day(evaluator, snapshot, now).await {
        Ok(first) => first,
        Err(error) => {
            found
                .differences
                .push(format!("the range of the records cannot be read: {error}"));
            None
        }
    };
    let unreadable = first.is_none() && !found.differences.is_empty();
    let now = as_of.map_or(now, |as_of| as_of.min(now));
    let rounds = rounds(evaluator, &specs, first, as_of, now)?;
    let mut by_metric: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (index, round) in rounds.iter().enumerate() {
        let what = round.by.first().map_or(round.grain.name(), String::as_str);
        on_metric(what, index, rounds.len() + 1);
        let (cells, differences) = run(evaluator, &worker, snapshot, round, now).await?;
        found.cells += cells;
        for (metric, line) in differences {
            by_metric.entry(metric).or_default().push(line);
        }
    }
    let mut compared = verify_signals(evaluator, &worker, snapshot, as_of).await?;
    found.cells += compared.cells;
    found.signals = evaluator.catalog().signals().count();
    for signal in evaluator.catalog().signals() {
        if let Some(reason) = compared.not_compared.get(&signal.spec.id) {
            found.differences.push(format!("{}: {reason}", signal.spec.id));
            continue;
        }
        let differences = compared.differences.remove(&signal.spec.id).unwrap_or_default();
        found.differences.extend(differences.iter().cloned());
        if as_of.is_none() {
            keep_verdict(evaluator, snapshot, &signal.spec, differences, &faults)?;
        }
    }
    on_metric("witness", rounds.len(), rounds.len() + 1);
    if let Some(months) = rounds
        .iter()
        .find(|round| round.grain == Grain::Month && round.by.is_empty())
    {
        let ids: Vec<&str> = specs.iter().map(|spec| spec.id.as_str()).collect();
        found.identities = evaluator.identities_of(&ids).len();
        found.violations = match evaluator.violations(&ids, &months.periods, as_of, snapshot).await {
            Ok(violations) => violations,
            Err(error) => vec![format!("the identities cannot be checked: {error}")],
        };
        found.testimony = match evaluator
            .witness(snapshot, &months.periods, as_of, KnownBy::Atalaya)
            .await
        {
            Ok(testimony) => testimony,
            Err(error) => Testimony {
                differences: vec![format!("the witness cannot say: {error}")],
                ..Testimony::default()
            },
        };
    }
    found.metrics = specs.len();
    for spec in &specs {
        let mut differences = by_metric.remove(spec.id.as_str()).unwrap_or_default();
        // A question about the past proves nothing of the present snapshot's figures.
        if as_of.is_none() && (first.is_some() || unreadable || !faults.is_empty()) {
            let mut kept = differences.clone();
            if unreadable {
                kept.push("the range of the records cannot be read".to_owned());
            }
            if reads(evaluator, spec, Kind::Subscriptions) {
                kept.extend(found.testimony.differences.iter().cloned());
            }
            keep_verdict(evaluator, snapshot, spec, kept, &faults)?;
        }
        found.differences.append(&mut differences);
    }
    found.byte_faults = faults
        .into_iter()
        .map(|fault| {
            let fed = specs
                .iter()
                .filter(|spec| Kind::parse(&fault.table).is_ok_and(|kind| reads(evaluator, spec, kind)))
                .map(|spec| spec.id.clone())
                .collect();
            (fault, fed)
        })
        .collect();
    Ok(found)
}

/// Compares some metrics between the engines over given periods, split by at most one dimension; a line for each cell that
/// differs.
pub async fn compare_engines(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    metrics: &[&str],
    (grain, periods): (Grain, &[Period]),
    by: Option<&str>,
) -> Result<Vec<String>, SqlError> {
    let worker = Worker::find()?;
    let specs = evaluator
        .catalog()
        .metrics()
        .filter(|spec| metrics.contains(&spec.id.as_str()))
        .collect();
    let round = Round {
        is_present: true,
        grain,
        by: by.into_iter().map(str::to_owned).collect(),
        periods: periods.to_vec(),
        specs,
    };
    let (_, differences) = compare(
        evaluator,
        &worker,
        snapshot,
        &round,
        &round.specs,
        evaluator.clock().now(),
    )
    .await?;
    Ok(differences.into_iter().map(|(_, line)| line).collect())
}

fn reads(evaluator: &Evaluator, spec: &MetricSpec, kind: Kind) -> bool {
    evaluator.kinds_of(&spec.id).contains(&kind)
}

/// Every figure a surface may show: all months and years of the records undivided, the last weeks by day, and the last
/// year of months by each dimension.
fn rounds<'a>(
    evaluator: &Evaluator,
    specs: &[&'a MetricSpec],
    first: Option<NaiveDate>,
    as_of: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Vec<Round<'a>>, SqlError> {
    let settings = evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone).map_err(MetricsError::from)?;
    let to = calendar::day_of(zone, now) + Days::new(1);
    let first = first.unwrap_or(to - Days::new(1)).min(to - Days::new(1));
    let round = |grain: Grain, from: NaiveDate, dimension: Option<&String>| -> Result<Round<'a>, SqlError> {
        let mut periods = calendar::periods(zone, settings.week_start, grain, from, to).map_err(MetricsError::from)?;
        periods.retain(|period| period.starts_at < now);
        Ok(Round {
            is_present: as_of.is_none(),
            grain,
            by: dimension.into_iter().cloned().collect(),
            periods,
            specs: specs
                .iter()
                .filter(|spec| spec.grains.contains(&grain))
                .filter(|spec| dimension.is_none_or(|name| spec.dimensions.contains(name)))
                .copied()
                .collect(),
        })
    };
    let mut rounds = vec![
        round(Grain::Month, first, None)?,
        round(Grain::Quarter, first, None)?,
        round(Grain::Year, first, None)?,
        round(Grain::Day, first.max(to - Days::new(35)), None)?,
    ];
    let dimensions: BTreeSet<&String> = specs.iter().flat_map(|spec| &spec.dimensions).collect();
    for dimension in dimensions {
        rounds.push(round(Grain::Month, first.max(to - Days::new(366)), Some(dimension))?);
    }
    rounds.retain(|round| !round.specs.is_empty());
    Ok(rounds)
}

/// Differences, each with its metric.
type Differences<'a> = Vec<(&'a str, String)>;

/// Both engines answer a round. Where its views cannot be set up (one metric's data may stop all), each metric is asked
/// alone, so that only those which have no answer say so.
async fn run<'a>(
    evaluator: &Evaluator,
    worker: &Worker,
    snapshot: &Snapshot,
    round: &Round<'a>,
    now: DateTime<Utc>,
) -> Result<(usize, Differences<'a>), SqlError> {
    if let Ok(answered) = compare(evaluator, worker, snapshot, round, &round.specs, now).await {
        return Ok(answered);
    }
    let (mut cells, mut differences) = (0, Vec::new());
    for spec in &round.specs {
        match compare(evaluator, worker, snapshot, round, &[spec], now).await {
            Ok((more, different)) => {
                cells += more;
                differences.extend(different);
            }
            Err(error) => differences.push((spec.id.as_str(), format!("{} by {}: {error}", spec.id, round.grain))),
        }
    }
    Ok((cells, differences))
}

/// The second engine's answers to questions about a plan's views, one each.
pub(crate) async fn ask_second(
    worker: &Worker,
    plan: &EvaluationPlan,
    snapshot: &Snapshot,
    queries: Vec<String>,
) -> Result<Vec<Result<Answer, SqlError>>, SqlError> {
    let (files, setup) = worker_setup(plan, snapshot);
    let asked = queries.len();
    let request = Request {
        files,
        setup,
        queries,
        untrusted: false,
        timeout_secs: 3600,
        max_answer_bytes: 1 << 30,
        memory_limit_mb: 4096,
    };
    let answers = worker.ask(&request).await?;
    if answers.len() != asked {
        return Err(SqlError::WorkerDied(format!(
            "it gave {} answers to {asked} questions",
            answers.len()
        )));
    }
    Ok(answers)
}

async fn compare<'a>(
    evaluator: &Evaluator,
    worker: &Worker,
    snapshot: &Snapshot,
    round: &Round<'a>,
    specs: &[&'a MetricSpec],
    now: DateTime<Utc>,
) -> Result<(usize, Differences<'a>), SqlError> {
    let ids: Vec<&str> = specs.iter().map(|spec| spec.id.as_str()).collect();
    let plan = EvaluationPlan::for_definitions(
        evaluator.catalog(),
        evaluator.home().settings(),
        evaluator.policy(),
        &ids,
        &Scope {
            by: &round.by,
            periods: &round.periods,
            known_by: KnownBy::Atalaya,
            now,
            vintages: &[],
            is_present: round.is_present,
        },
    )?;
    let first = round.periods.first().map(|period| period.start_on);
    let questions: Vec<(Vec<String>, String)> = ids
        .iter()
        .filter_map(|id| evaluator.catalog().get(id))
        .map(|definition| EvaluationPlan::question(definition, &round.by, first))
        .collect();
    let queries = questions.iter().map(|(_, select)| select.clone()).collect();
    let session = evaluator.session(&plan, snapshot).await?;
    let answers = ask_second(worker, &plan, snapshot, queries).await?;
    let (mut cells, mut differences) = (0, Vec::new());
    for ((spec, (dimensions, select)), theirs) in specs.iter().zip(&questions).zip(answers) {
        let ours = session
            .query(select)
            .await
            .map_err(|source| MetricsError::Engine {
                metric: spec.id.clone(),
                source,
            })
            .and_then(|(_, batches)| Rows::read(spec, dimensions.len(), &batches));
        let theirs = theirs.and_then(|answer| Ok(Rows::read(spec, dimensions.len(), &answer.batches)?));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                let (more, different) = differences_of(spec, round.grain, dimensions, ours, theirs);
                cells += more;
                differences.extend(different.into_iter().map(|line| (spec.id.as_str(), line)));
            }
            (Err(error), _) => differences.push((&spec.id, format!("{} by {}: {error}", spec.id, round.grain))),
            (_, Err(error)) => differences.push((&spec.id, format!("{} by {}: {error}", spec.id, round.grain))),
        }
    }
    Ok((cells, differences))
}

/// Compares cell by cell; the number of cells and a line for each that differs.
pub(crate) fn differences_of(
    spec: &MetricSpec,
    grain: Grain,
    dimensions: &[String],
    ours: Rows,
    theirs: Rows,
) -> (usize, Vec<String>) {
    type Key = (NaiveDate, Vec<Option<String>>);
    let table = |rows: Rows| -> BTreeMap<Key, (Vec<i64>, Option<String>)> {
        rows.rows
            .into_iter()
            .map(|(day, labels, numbers, currency)| ((day, labels), (numbers, currency)))
            .collect()
    };
    let (ours, theirs) = (table(ours), table(theirs));
    let keys: BTreeSet<&Key> = ours.keys().chain(theirs.keys()).collect();
    let mut different = Vec::new();
    for key in &keys {
        let (mine, other) = (ours.get(*key), theirs.get(*key));
        if mine != other {
            let labels: Vec<String> = dimensions
                .iter()
                .zip(&key.1)
                .map(|(name, label)| format!(" {name}={}", label.as_deref().unwrap_or("(none)")))
                .collect();
            let show = |cell: Option<&(Vec<i64>, Option<String>)>| match cell {
                None => "no row".to_owned(),
                Some((numbers, currency)) => {
                    let numbers: Vec<String> = spec
                        .unit
                        .columns()
                        .iter()
                        .zip(numbers)
                        .map(|(name, value)| format!("{name} {value}"))
                        .collect();
                    numbers.join(", ") + &currency.as_deref().map(|code| format!(" {code}")).unwrap_or_default()
                }
            };
            different.push(format!(
                "{} {grain} {}{}: DataFusion has {}, DuckDB has {}",
                spec.id,
                key.0,
                labels.concat(),
                show(mine),
                show(other)
            ));
        }
    }
    (keys.len() * spec.unit.columns().len(), different)
}

fn keep_verdict(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    spec: &MetricSpec,
    differences: Vec<String>,
    faults: &[ByteFault],
) -> Result<(), SqlError> {
    let key = evaluator.proof_key(&spec.id, &evaluator.kinds_of(&spec.id), snapshot);
    keep_verdict_of(evaluator, &key, spec, differences, faults)?;
    Ok(())
}

/// Keeps a verdict under a key, with the faults of the bytes that the metric reads; what it says.
pub(crate) fn keep_verdict_of(
    evaluator: &Evaluator,
    key: &ProofKey,
    spec: &MetricSpec,
    mut differences: Vec<String>,
    faults: &[ByteFault],
) -> Result<Vec<String>, SqlError> {
    for fault in faults {
        if Kind::parse(&fault.table).is_ok_and(|kind| reads(evaluator, spec, kind)) {
            differences.push(format!("{}: {}", fault.path.display(), fault.reason));
        }
    }
    differences.truncate(20);
    let verdict = Verdict { differences };
    evaluator.proofs().put(key, &verdict)?;
    Ok(verdict.differences)
}
