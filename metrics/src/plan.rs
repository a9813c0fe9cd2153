use std::collections::BTreeSet;

use atalaya_catalog::{Catalog, Definition};
use atalaya_model::{CURRENCIES, Grain, HomeSettings, Kind, KnownBy, Period, SeriesQuery, Unit, calendar};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::{
    Cell, ConstantTable, MetricsError, Policy, known_view, known_view_name,
    narrowing::{narrowed_at, narrowing},
    records::{reads_kind, versions_view, versions_view_name},
};

/// A named `SELECT` of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its text.
    pub sql: String,
    /// Compute it once instead of wherever it is used.
    pub materialise: bool,
    /// Names its rows among all questions on one snapshot, where they are the same for all: they depend on records and
    /// policy only, as known now.
    pub shared_as: Option<String>,
    /// What it reads.
    pub reads: Vec<String>,
}

/// What is asked of definitions, whichever they are.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Dimensions to split by.
    pub by: &'a [String],
    /// The periods, in order.
    pub periods: &'a [Period],
    /// Whose knowledge.
    pub known_by: KnownBy,
    /// The "now" of the evaluation.
    pub now: DateTime<Utc>,
    /// Kinds of which another instant's knowledge is wanted than that of now.
    pub vintages: &'a [(Kind, DateTime<Utc>)],
    /// Whether everything that has landed is known: no question about the past.
    pub is_present: bool,
}

impl Scope<'_> {
    /// Whether a definition's rows are the same for all questions of the present: it reads neither calendar nor dimensions.
    fn is_shareable(&self, catalog: &Catalog, definition: &Definition) -> bool {
        const CALENDAR: [&str; 5] = ["periods", "boundaries", "days", "rate_days", "moments"];
        self.is_present
            && self.vintages.is_empty()
            && definition.spec.unit == Unit::Rows
            && !catalog
                .base_tables(&[&definition.spec.id])
                .iter()
                .any(|table| CALENDAR.contains(table))
            && !catalog
                .in_order(&[&definition.spec.id])
                .iter()
                .any(|below| below.sql.contains("{by}"))
    }
}

pub(crate) fn known_by_name(known_by: KnownBy) -> &'static str {
    match known_by {
        KnownBy::Atalaya => "atalaya",
        KnownBy::Source => "source",
    }
}

/// All that an engine needs to answer a query over a snapshot's files: the same for both engines.
#[derive(Debug, Clone)]
pub struct EvaluationPlan {
    /// Kinds whose files are read, each as `raw_<kind>`.
    pub kinds: Vec<Kind>,
    /// Tables that come with the query.
    pub constants: Vec<ConstantTable>,
    /// Views, each after those it reads.
    pub views: Vec<View>,
    /// The answer.
    pub select: String,
    /// Identities by id: rows are violations.
    pub identities: Vec<(String, String)>,
    /// Gives `period_start, opening_micros, closing_micros` when published parts must add up to their difference.
    pub rounding: Option<String>,
    /// Dimensions of the answer: those asked for, then those it always has.
    pub dimensions: Vec<String>,
    /// The periods, in order.
    pub periods: Vec<Period>,
    /// The "now" of the evaluation.
    pub now: DateTime<Utc>,
    /// Whose knowledge.
    pub known_by: KnownBy,
    /// Whether all kinds are read as known at the same instant.
    pub has_one_vintage: bool,
    /// Whether everything that has landed is known: no question about the past.
    pub is_present: bool,
    /// Whether a split by dimensions is asked for.
    pub is_divided: bool,
    /// The definitions that will be read.
    pub ids: Vec<String>,
    /// The policy in force.
    pub policy: Policy,
    /// The tables of the calendar, whether or not a definition reads them.
    pub calendar: Vec<ConstantTable>,
}

impl EvaluationPlan {
    /// Plans a query. `now` is read once, so that all of an evaluation has one present.
    pub fn new(
        catalog: &Catalog,
        settings: &HomeSettings,
        policy: &Policy,
        query: &SeriesQuery,
        now: DateTime<Utc>,
    ) -> Result<Self, MetricsError> {
        let definition = catalog
            .get(&query.metric)
            .filter(|definition| definition.spec.unit != Unit::Rows)
            .ok_or_else(|| MetricsError::UnknownMetric(query.metric.clone()))?;
        definition.spec.check_grain(query.grain)?;
        definition.spec.check_dimensions(&query.by)?;
        let now = query.as_of.map_or(now, |as_of| as_of.min(now));
        let zone = calendar::parse_zone(&settings.time_zone)?;
        let mut periods = calendar::periods(zone, settings.week_start, query.grain, query.from, query.to)?;
        periods.retain(|period| period.starts_at < now);

        let identities = definition.identities_of(catalog, !query.by.is_empty());
        let mut ids: Vec<&str> = vec![&definition.spec.id];
        ids.extend(identities.iter().copied());
        ids.extend(definition.rounds_to.as_deref());
        let scope = Scope {
            by: &query.by,
            periods: &periods,
            known_by: query.known_by,
            now,
            vintages: &[],
            is_present: query.as_of.is_none(),
        };
        let mut plan = Self::for_definitions(catalog, settings, policy, &ids, &scope)?;
        let first = periods.first().map(|period| period.start_on);
        (plan.dimensions, plan.select) = Self::question(definition, &query.by, first);
        plan.identities = identities
            .iter()
            .map(|id| ((*id).to_owned(), format!("SELECT * FROM {id} LIMIT 20")))
            .collect();
        plan.rounding = definition
            .rounds_to
            .as_ref()
            .map(|id| format!("SELECT period_start, opening_micros, closing_micros FROM {id}"));
        Ok(plan)
    }

    /// The dimensions of a definition's answer split by `by`, and the `SELECT` that reads it.
    /// Periods before `first` are looked back on and not answered.
    pub fn question(definition: &Definition, by: &[String], first: Option<NaiveDate>) -> (Vec<String>, String) {
        let dimensions: Vec<String> = by.iter().chain(&definition.spec.breakdown).cloned().collect();
        let select = select(definition, &dimensions, first);
        (dimensions, select)
    }

    /// The views and tables under which `ids` can be read, without a question yet.
    pub fn for_definitions(
        catalog: &Catalog,
        settings: &HomeSettings,
        policy: &Policy,
        ids: &[&str],
        scope: &Scope<'_>,
    ) -> Result<Self, MetricsError> {
        let Scope {
            by,
            periods,
            known_by,
            now,
            vintages,
            is_present,
        } = *scope;
        let known_at = |kind: Kind| {
            let other = vintages.iter().find(|(known, _)| *known == kind);
            other.map_or(now, |(_, at)| *at)
        };
        let base = catalog.base_tables(ids);
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| reads_kind(&base, *kind)).collect();
        let known = kinds.iter().map(|kind| {
            let narrowed = narrowed_at(&narrowing(*kind, catalog, ids), now);
            let sql = known_view(*kind, known_at(*kind), known_by, &narrowed);
            (known_view_name(*kind), sql)
        });
        let versions = kinds.iter().map(|kind| {
            let sql = versions_view(*kind, known_at(*kind), known_by);
            (versions_view_name(*kind), sql)
        });
        let mut views: Vec<View> = known
            .chain(versions)
            .filter(|(name, _)| base.contains(&name.as_str()))
            .map(|(name, sql)| View {
                name,
                sql,
                materialise: false,
                shared_as: None,
                reads: Vec::new(),
            })
            .collect();
        let definitions = catalog.in_order(ids);
        let lag = u32::try_from(policy.cac_lag_months).unwrap_or(0);
        let lookback = definitions
            .iter()
            .map(|definition| definition.lookback + if definition.lookback_by_cac_lag { lag } else { 0 })
            .max()
            .unwrap_or(0);
        for definition in definitions {
            views.push(View {
                name: definition.spec.id.clone(),
                sql: definition.select(by),
                materialise: definition.spec.unit == Unit::Rows && !definition.path.starts_with("identities/"),
                shared_as: scope.is_shareable(catalog, definition).then(|| {
                    format!(
                        "{} {} {} {}",
                        definition.spec.definition_hash,
                        policy.hash(),
                        policy.books,
                        known_by_name(known_by)
                    )
                }),
                reads: definition.depends_on.clone(),
            });
        }
        let calendar = constants(settings, policy, &looking_back(settings, periods, lookback)?, now)?;
        Ok(Self {
            known_by,
            policy: policy.clone(),
            has_one_vintage: vintages.is_empty(),
            is_present,
            is_divided: !by.is_empty(),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            kinds,
            constants: calendar
                .iter()
                .filter(|table| base.contains(&table.name))
                .cloned()
                .collect(),
            calendar,
            views,
            select: String::new(),
            identities: Vec::new(),
            rounding: None,
            dimensions: Vec::new(),
            periods: periods.to_vec(),
            now,
        })
    }
}

impl EvaluationPlan {
    /// Where its calendar begins, what it looks back on included.
    pub(crate) fn calendar_from(&self) -> Option<DateTime<Utc>> {
        let tables = self.constants.iter();
        let starts = tables
            .filter(|table| matches!(table.name, "periods" | "days"))
            .flat_map(|table| {
                let place = table.columns.iter().position(|(name, _)| *name == "starts_at");
                table.rows.iter().filter_map(move |row| match row.get(place?) {
                    Some(Cell::Instant(at)) => Some(*at),
                    _ => None,
                })
            });
        starts.min()
    }
}

/// The moment of a signal: one row.
fn moments(settings: &HomeSettings, zone: chrono_tz::Tz, now: DateTime<Utc>) -> ConstantTable {
    let period = |grain: Grain, day: NaiveDate| calendar::period_of(zone, settings.week_start, grain, day);
    let today = calendar::day_of(zone, now);
    let start = |grain: Grain| Cell::Instant(period(grain, today).starts_at);
    let last_start =
        |grain: Grain| Cell::Instant(period(grain, period(grain, today).start_on - Days::new(1)).starts_at);
    ConstantTable {
        name: "moments",
        columns: vec![
            ("now_at", "TIMESTAMPTZ"),
            ("today_on", "DATE"),
            ("day_starts_at", "TIMESTAMPTZ"),
            ("month_starts_at", "TIMESTAMPTZ"),
            ("last_month_starts_at", "TIMESTAMPTZ"),
            ("last_quarter_starts_at", "TIMESTAMPTZ"),
        ],
        rows: vec![vec![
            Cell::Instant(now),
            Cell::Date(today),
            start(Grain::Day),
            start(Grain::Month),
            last_start(Grain::Month),
            last_start(Grain::Quarter),
        ]],
    }
}

/// The periods, with so many more before the first.
pub(crate) fn looking_back(
    settings: &HomeSettings,
    periods: &[Period],
    lookback: u32,
) -> Result<Vec<Period>, MetricsError> {
    let zone = calendar::parse_zone(&settings.time_zone)?;
    let mut all = periods.to_vec();
    for _ in 0..lookback {
        let Some(first) = all.first().copied() else {
            break;
        };
        let before = first.start_on - Days::new(1);
        all.insert(0, calendar::period_of(zone, settings.week_start, first.grain, before));
    }
    Ok(all)
}

/// Figures in a total order: period, then dimensions.
fn select(definition: &Definition, dimensions: &[String], first: Option<NaiveDate>) -> String {
    let columns: Vec<&str> = std::iter::once("period_start")
        .chain(dimensions.iter().map(String::as_str))
        .chain(definition.spec.unit.columns().iter().copied())
        .collect();
    let order: Vec<String> = (1..=dimensions.len() + 1).map(|index| index.to_string()).collect();
    let only = first
        .map(|day| format!(" WHERE period_start >= DATE '{day}'"))
        .unwrap_or_default();
    format!(
        "SELECT {} FROM {}{only} ORDER BY {}",
        columns.join(", "),
        definition.spec.id,
        order.join(", ")
    )
}

/// The tables of the calendar: periods as they are measured at `now`.
pub(crate) fn constants(
    settings: &HomeSettings,
    policy: &Policy,
    periods: &[Period],
    now: DateTime<Utc>,
) -> Result<Vec<ConstantTable>, MetricsError> {
    let zone = calendar::parse_zone(&settings.time_zone)?;
    // The rate of the last instant before a boundary: the day before it when it is a midnight.
    let rate_on = |boundary: DateTime<Utc>| calendar::day_of(zone, boundary - TimeDelta::microseconds(1));
    let measured_at = |period: &Period| period.ends_at.min(now);

    let period_rows = periods.iter().zip(0_i64..).map(|(period, index)| {
        vec![
            Cell::Date(period.start_on),
            Cell::Integer(index),
            Cell::Instant(period.starts_at),
            Cell::Instant(period.ends_at),
            Cell::Instant(measured_at(period)),
            Cell::Date(rate_on(period.starts_at)),
            Cell::Date(rate_on(measured_at(period))),
            Cell::Integer(i64::from(period.ends_at > now)),
            Cell::Date(if period.ends_at > now {
                calendar::day_of(zone, now)
            } else {
                period.end_on
            }),
        ]
    });
    let boundaries: BTreeSet<DateTime<Utc>> = periods
        .iter()
        .flat_map(|period| [period.starts_at, measured_at(period)])
        .collect();

    let mut day_rows = Vec::new();
    let mut rate_days: BTreeSet<NaiveDate> = boundaries
        .iter()
        .map(|at| rate_on(*at))
        .chain(policy.fx_constant_on)
        .collect();
    for period in periods {
        let mut day = period.start_on;
        while day < period.end_on {
            let starts_at = calendar::day_starts_at(zone, day);
            let ends_at = calendar::day_starts_at(zone, day + Days::new(1)).min(now);
            if starts_at >= now {
                break;
            }
            let mut utc_on = starts_at.date_naive();
            while utc_on <= (ends_at - TimeDelta::microseconds(1)).date_naive() {
                day_rows.push(vec![
                    Cell::Date(day),
                    Cell::Date(utc_on),
                    Cell::Instant(starts_at),
                    Cell::Instant(ends_at),
                    Cell::Date(period.start_on),
                ]);
                utc_on = utc_on + Days::new(1);
            }
            rate_days.insert(day);
            day = day + Days::new(1);
        }
    }
    let currency_rows = CURRENCIES
        .iter()
        .map(|(code, exponent)| {
            vec![
                Cell::Text((*code).to_owned()),
                Cell::Integer(10_i64.pow(u32::from(*exponent))),
            ]
        })
        .collect();
    Ok(vec![
        policy.table(),
        ConstantTable {
            name: "currencies",
            columns: vec![("currency", "VARCHAR"), ("minor_scale", "BIGINT")],
            rows: currency_rows,
        },
        ConstantTable {
            name: "periods",
            columns: vec![
                ("period_start", "DATE"),
                ("period_index", "BIGINT"),
                ("starts_at", "TIMESTAMPTZ"),
                ("ends_at", "TIMESTAMPTZ"),
                ("measured_at", "TIMESTAMPTZ"),
                ("start_rate_on", "DATE"),
                ("end_rate_on", "DATE"),
                ("is_open", "BIGINT"),
                ("served_until_on", "DATE"),
            ],
            rows: period_rows.collect(),
        },
        ConstantTable {
            name: "boundaries",
            columns: vec![("boundary_at", "TIMESTAMPTZ"), ("rate_on", "DATE")],
            rows: boundaries
                .iter()
                .map(|at| vec![Cell::Instant(*at), Cell::Date(rate_on(*at))])
                .collect(),
        },
        ConstantTable {
            name: "days",
            columns: vec![
                ("day_on", "DATE"),
                ("utc_on", "DATE"),
                ("starts_at", "TIMESTAMPTZ"),
                ("ends_at", "TIMESTAMPTZ"),
                ("period_start", "DATE"),
            ],
            rows: day_rows,
        },
        moments(settings, zone, now),
        ConstantTable {
            name: "rate_days",
            columns: vec![("rate_on", "DATE")],
            rows: rate_days.into_iter().map(|day| vec![Cell::Date(day)]).collect(),
        },
    ])
}
