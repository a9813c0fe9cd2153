use std::collections::{BTreeMap, BTreeSet};

use atalaya_metrics::{Evaluator, MetricsError, Rows, Verdict};
use atalaya_model::{Grain, KnownBy, MetricSpec, SeriesQuery, calendar};
use atalaya_store::{ByteFault, Snapshot, check_bytes};
use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::{Request, SqlError, Worker, setup, worker_setup};

/// What a verification found.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// Files whose bytes are not those committed, each with the metrics it feeds.
    pub byte_faults: Vec<(ByteFault, Vec<String>)>,
    /// Files whose bytes were checked.
    pub files: usize,
    /// Metrics that were compared.
    pub metrics: usize,
    /// Cells that were compared.
    pub cells: usize,
    /// Differences, one line each: metric, period, dimensions, both values.
    pub differences: Vec<String>,
}

impl Verification {
    /// Whether bytes and engines agree.
    pub fn holds(&self) -> bool {
        self.byte_faults.is_empty() && self.differences.is_empty()
    }
}

/// Checks the bytes of a snapshot and compares every metric, cell by cell, between the engines. Verdicts are kept, so
/// that every surface can show them.
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
    let mut fed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, spec) in specs.iter().enumerate() {
        on_metric(&spec.id, index, specs.len());
        let mut differences = Vec::new();
        for query in queries(evaluator, spec, first, as_of)? {
            let plan = evaluator.plan(&query)?;
            for kind in &plan.kinds {
                let names = fed.entry(kind.name().to_owned()).or_default();
                if names.last() != Some(&spec.id) {
                    names.push(spec.id.clone());
                }
            }
            match compare(evaluator, &worker, snapshot, spec, &query).await {
                Ok((cells, different)) => {
                    found.cells += cells;
                    differences.extend(different);
                }
                Err(error) => differences.push(format!("{} by {}: {error}", spec.id, query.grain)),
            }
        }
        found.metrics += 1;
        // A question about the past proves nothing of the present snapshot's figures.
        if as_of.is_none() && (first.is_some() || unreadable || !faults.is_empty()) {
            let mut kept = differences.clone();
            if unreadable {
                kept.push("the range of the records cannot be read".to_owned());
            }
            keep_verdict(evaluator, snapshot, spec, &kept, &faults)?;
        }
        found.differences.extend(differences);
    }
    found.byte_faults = faults
        .into_iter()
        .map(|fault| (fault.clone(), fed.get(&fault.table).cloned().unwrap_or_default()))
        .collect();
    Ok(found)
}

/// Every figure a surface may show: all months and years of the records undivided, the last weeks by day, and the last
/// year of months by each dimension.
fn queries(
    evaluator: &Evaluator,
    spec: &MetricSpec,
    first: Option<NaiveDate>,
    as_of: Option<DateTime<Utc>>,
) -> Result<Vec<SeriesQuery>, SqlError> {
    let settings = evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone).map_err(MetricsError::from)?;
    let now = as_of.unwrap_or_else(|| evaluator.clock().now());
    let to = calendar::day_of(zone, now) + Days::new(1);
    let first = first.unwrap_or(to - Days::new(1)).min(to - Days::new(1));
    let query = |from: NaiveDate, grain, by: Vec<String>| SeriesQuery {
        metric: spec.id.clone(),
        from,
        to,
        grain,
        by,
        as_of,
        known_by: KnownBy::Atalaya,
    };
    let mut queries = Vec::new();
    for grain in [Grain::Month, Grain::Year] {
        if spec.grains.contains(&grain) {
            queries.push(query(first, grain, vec![]));
        }
    }
    if spec.grains.contains(&Grain::Day) {
        queries.push(query(first.max(to - Days::new(35)), Grain::Day, vec![]));
    }
    for dimension in &spec.dimensions {
        queries.push(query(
            first.max(to - Days::new(366)),
            Grain::Month,
            vec![dimension.clone()],
        ));
    }
    Ok(queries)
}

async fn compare(
    evaluator: &Evaluator,
    worker: &Worker,
    snapshot: &Snapshot,
    spec: &MetricSpec,
    query: &SeriesQuery,
) -> Result<(usize, Vec<String>), SqlError> {
    let plan = evaluator.plan(query)?;
    let engine = |source| MetricsError::Engine {
        metric: spec.id.clone(),
        source,
    };
    let session = evaluator.session(&plan, snapshot).await?;
    let (_, ours) = session.query(&plan.select).await.map_err(engine)?;
    let ours = Rows::read(spec, plan.dimensions.len(), &ours)?;

    let (files, setup) = worker_setup(&plan, snapshot);
    let request = Request {
        files,
        setup,
        queries: vec![plan.select.clone()],
        untrusted: false,
        timeout_secs: 3600,
        max_answer_bytes: 1 << 30,
        memory_limit_mb: 4096,
    };
    let answers = worker.ask(&request).await?;
    let theirs = match answers.into_iter().next() {
        Some(answer) => answer?,
        None => return Err(SqlError::WorkerDied("it gave no answer".to_owned())),
    };
    let theirs = Rows::read(spec, plan.dimensions.len(), &theirs.batches)?;

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
            let labels: Vec<String> = plan
                .dimensions
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
                "{} {} {}{}: DataFusion has {}, DuckDB has {}",
                spec.id,
                query.grain,
                key.0,
                labels.concat(),
                show(mine),
                show(other)
            ));
        }
    }
    let cells = keys.len() * spec.unit.columns().len();
    Ok((cells, different))
}

fn keep_verdict(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    spec: &MetricSpec,
    differences: &[String],
    faults: &[ByteFault],
) -> Result<(), SqlError> {
    let Some(query) = queries(evaluator, spec, None, None)?.into_iter().next() else {
        return Ok(());
    };
    let plan = evaluator.plan(&query)?;
    let mut all = differences.to_vec();
    for fault in faults {
        if plan.kinds.iter().any(|kind| kind.name() == fault.table) {
            all.push(format!("{}: {}", fault.path.display(), fault.reason));
        }
    }
    all.truncate(20);
    let key = evaluator.proof_key(&spec.id, &plan, snapshot);
    Ok(evaluator.proofs().put(&key, &Verdict { differences: all })?)
}
