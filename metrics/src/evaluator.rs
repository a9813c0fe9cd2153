use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use arrow::{array::AsArray, datatypes::Date32Type};
use atalaya_catalog::Catalog;
use atalaya_engine::{EngineError, EngineSession};
use atalaya_model::{
    Clock, Grain, Kind, KnownBy, MetricSpec, Point, Proof, ProofState, Series, SeriesQuery, WeekStart, calendar,
};
use atalaya_store::{Home, Snapshot, table_schema};
use chrono::{DateTime, Days, NaiveDate, Utc};
use sha2::{Digest, Sha256};

use crate::{
    EvaluationPlan, MetricsError, POLICY_FILE, Policy, ProofKey, Proofs, Rows, View,
    cache::Cache,
    operator::{self, Stand, Stands},
    operator_inputs::{self, Runs},
    records::reads_kind,
    series_from_rows,
};

/// Computes metrics on DataFusion.
pub struct Evaluator {
    home: Home,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    proofs: Proofs,
    policy: Policy,
    stands: Stands,
    pub(crate) cache: Cache,
    /// Whether every definition runs as SQL.
    sql_only: bool,
    /// Threads of a question, when not as many as the machine has.
    pub(crate) threads: Option<usize>,
    /// Where customers' rows are kept when sums follow commits.
    pub(crate) kept_in: Option<PathBuf>,
}

impl Evaluator {
    /// An evaluator over a home with the definitions that come with Atalaya, under the home's own policy.
    pub fn new(home: Home, clock: Arc<dyn Clock>) -> Result<Self, MetricsError> {
        let proofs = Proofs::new(home.component_dir("proofs")?);
        let path = home.dir().join(POLICY_FILE);
        let place = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let reason = format!("cannot be read: {error}");
                return Err(MetricsError::Policy { place, reason });
            }
        };
        let policy = Policy::of_home(text.as_deref().map(|text| (place.as_str(), text)), home.settings())?;
        let catalog = Catalog::embedded()?;
        Ok(Self {
            home,
            stands: Stands::new(&catalog),
            catalog,
            clock,
            proofs,
            policy,
            cache: Cache::default(),
            sql_only: false,
            threads: None,
            kept_in: None,
        })
    }

    /// The same on so many threads.
    pub fn on_threads(self, threads: usize) -> Self {
        Self {
            threads: Some(threads),
            cache: Cache::default(),
            ..self
        }
    }

    /// The same without the movement operator: every definition runs as its SQL.
    pub fn by_sql_only(self) -> Self {
        Self {
            sql_only: true,
            cache: Cache::default(),
            ..self
        }
    }

    /// The same under another policy.
    pub fn under(self, policy: Policy) -> Self {
        Self {
            policy,
            cache: Cache::default(),
            ..self
        }
    }

    /// The definitions.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The second engine's verdicts.
    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Plans a query at the clock's now.
    pub fn plan(&self, query: &SeriesQuery) -> Result<EvaluationPlan, MetricsError> {
        self.plan_at(query, self.clock.now())
    }

    pub(crate) fn plan_at(&self, query: &SeriesQuery, now: DateTime<Utc>) -> Result<EvaluationPlan, MetricsError> {
        EvaluationPlan::new(&self.catalog, self.home.settings(), &self.policy, query, now)
    }

    /// What the proof of a metric that reads these kinds is called on a snapshot.
    pub fn proof_key(&self, metric: &str, kinds: &[Kind], snapshot: &Snapshot) -> ProofKey {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let definition_hash = self
            .catalog
            .get(metric)
            .map(|definition| definition.spec.definition_hash.clone())
            .unwrap_or_default();
        let mut inputs = Sha256::new();
        inputs.update(serde_json::to_vec(self.home.settings()).unwrap_or_default());
        inputs.update(self.policy.hash());
        inputs.update([u8::from(self.policy.books)]);
        for name in &names {
            for file in snapshot.tables.get(*name).into_iter().flat_map(|table| &table.files) {
                inputs.update(file.sha256.as_bytes());
            }
        }
        let inputs_hash = inputs.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        ProofKey {
            definition_hash,
            snapshot: snapshot.id(&names),
            inputs_hash,
            question: None,
        }
    }

    /// What both engines have said of a question: as one of those that are asked of every snapshot, or of itself.
    fn proof_of(&self, query: &SeriesQuery, key: &ProofKey) -> (ProofState, Vec<String>) {
        let of_snapshot = self.proofs.get(key);
        let is_covered = self.is_verified_anyway(query);
        let of_question = self.proofs.get(&key.of_question(query));
        let is_proved = of_question.is_some() || (is_covered && of_snapshot.is_some());
        let verdicts = of_snapshot.into_iter().chain(of_question);
        let differences: Vec<String> = verdicts.flat_map(|verdict| verdict.differences).collect();
        let state = match (differences.is_empty(), is_proved) {
            (false, _) => ProofState::Failed,
            (true, true) => ProofState::Checked,
            (true, false) => ProofState::Pending,
        };
        (state, differences)
    }

    /// Computes a series on a pinned snapshot, checks its identities, and says what else has been proved of it.
    pub async fn series_on(&self, query: &SeriesQuery, snapshot: &Snapshot) -> Result<Series, MetricsError> {
        let plan = self.plan_at(query, self.present(snapshot))?;
        let spec = self.spec(&query.metric)?;
        let session = self.session(&plan, snapshot).await;
        let session = session.map_err(|error| error.asked_for(&query.metric))?;
        let engine = |source: EngineError| MetricsError::Engine {
            metric: query.metric.clone(),
            source,
        };
        let (_, batches) = session.query(&plan.select).await.map_err(engine)?;
        let rows = Rows::read(spec, plan.dimensions.len(), &batches)?;
        let ends = match &plan.rounding {
            Some(select) => {
                let (_, batches) = session.query(select).await.map_err(engine)?;
                Some(read_ends(&batches))
            }
            None => None,
        };
        let points = series_from_rows(
            spec,
            &plan,
            rows,
            ends.as_ref(),
            self.home.settings().reporting_currency,
        )?;
        let mut failures = Vec::new();
        for (id, select) in &plan.identities {
            failures.extend(
                self.broken(&session, &plan, snapshot, id, select)
                    .await
                    .map_err(engine)?,
            );
        }
        let key = self.proof_key(&query.metric, &plan.kinds, snapshot);
        let fresh_at = self.fresh_at(&session, &plan, snapshot).await.map_err(engine)?;
        self.series_of(query, &plan, points, failures, &key, fresh_at)
    }

    /// The answer to a question, with all that is known of its proof.
    pub(crate) fn series_of(
        &self,
        query: &SeriesQuery,
        plan: &EvaluationPlan,
        points: Vec<Point>,
        mut failures: Vec<String>,
        key: &ProofKey,
        fresh_at: Option<DateTime<Utc>>,
    ) -> Result<Series, MetricsError> {
        let spec = self.spec(&query.metric)?;
        let (proved, differences) = self.proof_of(query, key);
        failures.extend(differences);
        let state = if failures.is_empty() {
            proved
        } else {
            ProofState::Failed
        };
        Ok(Series {
            metric: query.metric.clone(),
            unit: spec.unit,
            grain: query.grain,
            dimensions: plan.dimensions.clone(),
            points,
            proof: Proof {
                state,
                definition_hash: key.definition_hash.clone(),
                policy: self.policy.id(),
                snapshot: key.snapshot.clone(),
                failures,
            },
            fresh_at,
            evaluated_at: plan.now,
        })
    }

    /// Whether verification asks this of every snapshot.
    pub(crate) fn is_verified_anyway(&self, query: &SeriesQuery) -> bool {
        second_engine_compared(query, self.today())
    }

    /// The local day.
    fn today(&self) -> NaiveDate {
        let zone = calendar::parse_zone(&self.home.settings().time_zone).unwrap_or(chrono_tz::UTC);
        calendar::day_of(zone, self.clock.now())
    }

    /// A kept answer with what has been proved of it meanwhile.
    pub(crate) fn proved_since(&self, known: &Series, query: &SeriesQuery, snapshot: &Snapshot) -> Series {
        let mut series = known.clone();
        let kinds = self.kinds_of(&query.metric);
        let key = self.proof_key(&query.metric, &kinds, snapshot);
        let (proved, differences) = self.proof_of(query, &key);
        if !differences.is_empty() {
            series.proof.state = ProofState::Failed;
            series.proof.failures.extend(differences);
            series.proof.failures.dedup();
        } else if series.proof.state == ProofState::Pending {
            series.proof.state = proved;
        }
        series
    }

    /// The kinds of record that a metric, its identities and its rounding read.
    pub fn kinds_of(&self, metric: &str) -> Vec<Kind> {
        let Some(definition) = self.catalog.get(metric) else {
            return Vec::new();
        };
        let mut ids = vec![metric];
        ids.extend(
            definition
                .identities
                .iter()
                .chain(&definition.rounds_to)
                .map(String::as_str),
        );
        let base = self.catalog.base_tables(&ids);
        Kind::ALL.into_iter().filter(|kind| reads_kind(&base, *kind)).collect()
    }

    /// The specification of a metric.
    pub fn spec(&self, metric: &str) -> Result<&MetricSpec, MetricsError> {
        self.catalog
            .get(metric)
            .map(|definition| &definition.spec)
            .ok_or_else(|| MetricsError::UnknownMetric(metric.to_owned()))
    }

    /// A session with a plan's files and constant tables, without any view.
    pub(crate) fn bare_session(
        &self,
        plan: &EvaluationPlan,
        snapshot: &Snapshot,
    ) -> Result<EngineSession, MetricsError> {
        let engine = |name: &str| {
            let metric = name.to_owned();
            move |source: EngineError| MetricsError::Engine { metric, source }
        };
        let session = match self.threads {
            Some(threads) => EngineSession::on_threads(threads),
            None => EngineSession::new(),
        };
        let session = session.map_err(engine("session"))?;
        for kind in &plan.kinds {
            let table = snapshot.tables.get(kind.name());
            session
                .register_files(kind.name(), table_schema(*kind), table)
                .map_err(engine(kind.name()))?;
        }
        for constant in &plan.constants {
            let (schema, batch) = constant.to_batch().map_err(|error| MetricsError::Contract {
                metric: constant.name.to_owned(),
                reason: error.to_string(),
            })?;
            session
                .register_rows(constant.name, schema, vec![batch])
                .map_err(engine(constant.name))?;
        }
        Ok(session)
    }

    /// Creates the views that the operator reads; which they are.
    pub(crate) async fn create_inputs(
        &self,
        session: &EngineSession,
        plan: &EvaluationPlan,
        snapshot: &Snapshot,
    ) -> Result<BTreeSet<String>, MetricsError> {
        let (read, _) = operator::needed(plan, &operator::INPUTS, &BTreeMap::new());
        for view in plan.views.iter().filter(|view| read.contains(&view.name)) {
            self.create(session, view, snapshot).await?;
        }
        Ok(read)
    }

    /// What the movement operator stands in for, where it may.
    pub(crate) fn stands_in(&self, plan: &EvaluationPlan, snapshot: &Snapshot) -> BTreeMap<&'static str, Stand> {
        if self.sql_only {
            return BTreeMap::new();
        }
        self.stands.of(&self.catalog, plan, snapshot)
    }

    /// A session in which the plan's views can be read.
    pub async fn session(&self, plan: &EvaluationPlan, snapshot: &Snapshot) -> Result<EngineSession, MetricsError> {
        let session = self.bare_session(plan, snapshot)?;
        let wanted: Vec<&str> = plan.ids.iter().map(String::as_str).collect();
        let mut computed = self.stands_in(plan, snapshot);
        let (_, reached) = operator::needed(plan, &wanted, &computed);
        let is_sum = |stand: &Stand| matches!(stand, Stand::Sums(_));
        let mut figures = if reached.values().any(is_sum) {
            self.followed(plan, snapshot).await?
        } else {
            None
        };
        // Looking for the runs reads every item: only for questions that the operator answers by a pass.
        let passes = reached.values().any(|stand| figures.is_none() || !is_sum(stand));
        let runs = if passes { self.runs(snapshot).await? } else { None };
        // What the operator reads comes first, what reads the operator's rows last.
        let mut inputs_read = BTreeSet::new();
        let mut inputs = None;
        if let Some(runs) = runs {
            inputs_read = self.create_inputs(&session, plan, snapshot).await?;
            let prices = operator_inputs::prices(&session, plan, String::new()).await?;
            let of_pass = Arc::new(operator_inputs::inputs(plan, &runs, &prices));
            if figures.is_none() && reached.values().any(is_sum) {
                figures = self.sums_for(plan, snapshot, &of_pass).await?;
            }
            inputs = Some(of_pass);
        }
        computed.retain(|_, stand| match *stand {
            Stand::Sums(table) => figures.as_ref().is_some_and(|figures| figures.has(table)),
            Stand::Rows(_) => inputs.is_some(),
        });
        let (needed, reached) = operator::needed(plan, &wanted, &computed);
        let periods = operator_inputs::periods(&plan.calendar);
        let figures = figures.as_deref().map(|figures| (figures, periods.as_slice()));
        operator::register(&session, inputs.as_ref(), figures, &reached)?;
        let is_needed = |view: &&View| needed.contains(&view.name) && !inputs_read.contains(&view.name);
        for view in plan.views.iter().filter(is_needed) {
            self.create(&session, view, snapshot).await?;
        }
        Ok(session)
    }

    /// Gives a view its name in a session: its rows, where they are computed once, or its text.
    async fn create(&self, session: &EngineSession, view: &View, snapshot: &Snapshot) -> Result<(), MetricsError> {
        let done = if view.materialise {
            let compute = || session.materialise(&view.sql);
            let rows = match &view.shared_as {
                Some(shared_as) => {
                    let cell = self.cache.shared(snapshot.id(&[]), shared_as);
                    cell.get_or_try_init(compute).await.cloned()
                }
                None => compute().await,
            };
            rows.and_then(|rows| session.adopt(&view.name, &rows))
        } else {
            session.create_view(&view.name, &view.sql).await
        };
        done.map_err(|source| MetricsError::Engine {
            metric: view.name.clone(),
            source,
        })
    }

    /// The sorted runs that the operator reads, where it can.
    pub(crate) async fn runs(&self, snapshot: &Snapshot) -> Result<Option<Arc<Runs>>, MetricsError> {
        let cell = self
            .cache
            .runs(snapshot.id(&[Kind::Subscriptions.name(), Kind::Customers.name()]));
        let snapshot = snapshot.clone();
        let find = || async {
            let found = tokio::task::spawn_blocking(move || Runs::find(&snapshot)).await;
            found
                .map_err(|error| error.to_string())
                .and_then(|found| found)
                .map(|runs| runs.map(Arc::new))
                .map_err(|reason| MetricsError::Contract {
                    metric: "movements".to_owned(),
                    reason,
                })
        };
        cell.get_or_try_init(find).await.cloned()
    }
}

/// What verification compares: present knowledge, undivided by month, quarter and year and the last five weeks by day, and a
/// year of months by one dimension. Any other question stands on the same rows and is proved of itself where somebody asks it.
fn second_engine_compared(query: &SeriesQuery, today: NaiveDate) -> bool {
    let present = query.as_of.is_none() && query.known_by == KnownBy::Atalaya;
    let since = |days: u64| today + Days::new(1) - Days::new(days);
    present
        && match (query.by.len(), query.grain) {
            (0, Grain::Month | Grain::Quarter | Grain::Year) => true,
            (0, Grain::Day) => query.from >= since(35),
            (1, Grain::Month) => query.from >= Grain::Month.start_of(since(366), WeekStart::Monday),
            _ => false,
        }
}

fn read_ends(batches: &[arrow::array::RecordBatch]) -> BTreeMap<NaiveDate, (i64, i64)> {
    let mut ends = BTreeMap::new();
    for batch in batches {
        let days = batch.column(0).as_primitive::<Date32Type>();
        let opening = batch.column(1).as_primitive::<arrow::datatypes::Int64Type>();
        let closing = batch.column(2).as_primitive::<arrow::datatypes::Int64Type>();
        for row in 0..batch.num_rows() {
            let day = Date32Type::to_naive_date_opt(days.value(row)).unwrap_or_default();
            ends.insert(day, (opening.value(row), closing.value(row)));
        }
    }
    ends
}
