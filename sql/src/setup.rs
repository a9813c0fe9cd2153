//! A plan as DuckDB statements.

use std::{collections::BTreeSet, fmt::Write as _};

use atalaya_metrics::{EvaluationPlan, Evaluator, Scope};
use atalaya_model::{Column, ColumnType, Grain, Kind, KnownBy, SYSTEM_COLUMNS, Unit, calendar};
use atalaya_store::Snapshot;
use chrono::{DateTime, NaiveDate, Utc};

use crate::SqlError;

fn sql_type(column: &Column) -> &'static str {
    match column.column_type {
        ColumnType::Text | ColumnType::Currency => "VARCHAR",
        ColumnType::Integer | ColumnType::Minor | ColumnType::Ppm | ColumnType::E12 | ColumnType::E6 => "BIGINT",
        ColumnType::Date => "DATE",
        ColumnType::Instant => "TIMESTAMPTZ",
    }
}

/// The files a plan reads and the statements after which its queries can be asked.
pub fn worker_setup(plan: &EvaluationPlan, snapshot: &Snapshot) -> (Vec<String>, String) {
    let mut files = Vec::new();
    let mut setup = String::new();
    for kind in &plan.kinds {
        // A relation without rows gives every column its type, also one that no file has yet.
        let typed: Vec<String> = kind
            .columns()
            .iter()
            .chain(SYSTEM_COLUMNS)
            .map(|column| format!("CAST(NULL AS {}) AS {}", sql_type(column), column.name))
            .collect();
        let typed = format!("SELECT {} WHERE false", typed.join(", "));
        let own: Vec<String> = snapshot
            .tables
            .get(kind.name())
            .map(|table| {
                table
                    .files
                    .iter()
                    .map(|file| file.path.to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default();
        let name = kind.name();
        if own.is_empty() {
            let _ = writeln!(setup, "CREATE VIEW raw_{name} AS {typed};");
        } else {
            let list: Vec<String> = own
                .iter()
                .map(|file| format!("'{}'", file.replace('\'', "''")))
                .collect();
            let _ = writeln!(
                setup,
                "CREATE VIEW raw_{name} AS SELECT * FROM read_parquet([{}], union_by_name = true, hive_partitioning = false) UNION ALL BY NAME {typed};",
                list.join(", ")
            );
        }
        files.extend(own);
    }
    for constant in &plan.constants {
        setup.push_str(&constant.to_sql());
    }
    for view in &plan.views {
        let what = if view.materialise { "TEMP TABLE" } else { "TEMP VIEW" };
        let sql = windowed_sums(&view.sql);
        let _ = writeln!(setup, "CREATE {what} {} AS {sql};", view.name);
    }
    (files, setup)
}

/// `money_sum(x) OVER (...)` as DuckDB has it: a macro cannot be a window function, its `sum` can, and the definition
/// casts the result to BIGINT, where what does not fit is an error.
fn windowed_sums(sql: &str) -> String {
    const NAME: &str = "money_sum(";
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(start) = rest.find(NAME) {
        let inside = &rest[start + NAME.len()..];
        let mut depth = 1;
        let end = inside.find(|sign: char| {
            match sign {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let is_window = end.is_some_and(|end| inside[end + 1..].trim_start().starts_with("OVER"));
        out.push_str(&rest[..start]);
        out.push_str(if is_window { "sum(" } else { NAME });
        rest = inside;
    }
    out.push_str(rest);
    out
}

/// The first local day of which a home has a record, when it has any.
pub(crate) async fn first_day(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    now: DateTime<Utc>,
) -> Result<Option<NaiveDate>, SqlError> {
    let settings = evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone).map_err(atalaya_metrics::MetricsError::from)?;
    let ids: Vec<&str> = Vec::new();
    let mut plan = EvaluationPlan::for_definitions(
        evaluator.catalog(),
        settings,
        evaluator.policy(),
        &ids,
        &Scope {
            by: &[],
            periods: &[],
            known_by: KnownBy::Atalaya,
            now,
            vintages: &[],
            is_present: false,
        },
    )?;
    plan.kinds = vec![
        Kind::Subscriptions,
        Kind::Orders,
        Kind::InvoiceLines,
        Kind::Payments,
        Kind::AdSpend,
        Kind::Expenses,
    ];
    let session = evaluator.session(&plan, snapshot).await?;
    let mut first = None;
    for kind in &plan.kinds {
        let sql = format!("SELECT MIN(occurred_at) AS first_at FROM raw_{}", kind.name());
        let (_, batches) = session
            .query(&sql)
            .await
            .map_err(|source| atalaya_metrics::MetricsError::Engine {
                metric: kind.name().to_owned(),
                source,
            })?;
        for batch in &batches {
            use arrow::array::{Array, AsArray};
            let column = batch
                .column(0)
                .as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            if batch.num_rows() > 0 && column.is_valid(0) {
                let day = DateTime::from_timestamp_micros(column.value(0)).map(|at| calendar::day_of(zone, at));
                first = match (first, day) {
                    (Some(known), Some(day)) => Some(std::cmp::min::<NaiveDate>(known, day)),
                    (known, day) => known.or(day),
                };
            }
        }
    }
    Ok(first)
}

/// The words of a question, in lower case: what it may be naming.
fn words(question: &str) -> BTreeSet<String> {
    question
        .split(|sign: char| !sign.is_alphanumeric() && sign != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// What `atalaya sql` and reports see: records as `<kind>_known`, every definition under its id by month from the first
/// record on, and every amount in minor units as `published_<id>`. Only what the question names is set up: everything would
/// take longer than most answers.
pub async fn sql_surface(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    as_of: Option<DateTime<Utc>>,
    question: &str,
) -> Result<(Vec<String>, String), SqlError> {
    let words = words(question);
    let named = |name: &str| words.contains(name);
    let now = evaluator.clock().now();
    let now = as_of.map_or(now, |as_of| as_of.min(now));
    let settings = evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone).map_err(atalaya_metrics::MetricsError::from)?;
    let today = calendar::day_of(zone, now);
    let first = first_day(evaluator, snapshot, now).await?.unwrap_or(today).min(today);
    let periods = calendar::periods(
        zone,
        settings.week_start,
        Grain::Month,
        first,
        today + chrono::Days::new(1),
    )
    .map_err(atalaya_metrics::MetricsError::from)?;
    let ids: Vec<&str> = evaluator
        .catalog()
        .definitions()
        .map(|definition| definition.spec.id.as_str())
        .filter(|id| named(id) || named(&format!("published_{id}")))
        .collect();
    for id in &ids {
        if let Some(definition) = evaluator.catalog().get(id)
            && definition.spec.unit != Unit::Rows
            && !definition.spec.grains.contains(&Grain::Month)
        {
            let grains: Vec<&str> = definition.spec.grains.iter().map(|grain| grain.name()).collect();
            return Err(SqlError::Query(format!(
                "{id} is computed by {} only, and SQL reads months: ask `atalaya metric {id} --grain {}`",
                grains.join(", "),
                grains.first().unwrap_or(&"day")
            )));
        }
    }
    let mut plan = EvaluationPlan::for_definitions(
        evaluator.catalog(),
        settings,
        evaluator.policy(),
        &ids,
        &Scope {
            by: &[],
            periods: &periods,
            known_by: KnownBy::Atalaya,
            now,
            vintages: &[],
            is_present: false,
        },
    )?;
    for kind in Kind::ALL {
        if !plan.kinds.contains(&kind) && named(&atalaya_metrics::known_view_name(kind)) {
            plan.kinds.push(kind);
            let view = atalaya_metrics::View {
                name: atalaya_metrics::known_view_name(kind),
                sql: atalaya_metrics::known_view(kind, now, KnownBy::Atalaya, ""),
                materialise: false,
                shared_as: None,
                reads: Vec::new(),
            };
            plan.views.insert(0, view);
        }
    }
    let (files, mut setup) = worker_setup(&plan, snapshot);
    for spec in evaluator
        .catalog()
        .metrics()
        .filter(|spec| named(&format!("published_{}", spec.id)))
    {
        let extra: String = spec.breakdown.iter().map(|name| format!("{name}, ")).collect();
        let select = match spec.unit {
            Unit::MoneyMicros => {
                format!("period_start, {extra}muldiv(value_micros, 1, 1000000) AS value_minor, currency")
            }
            Unit::MoneyPer => format!(
                "period_start, {extra}CASE WHEN denominator = 0 THEN NULL ELSE muldiv(numerator_micros, 1, muldiv(denominator, 1000000, 1)) END AS value_minor, currency"
            ),
            _ => continue,
        };
        // Parts that must add up are published where the remainder is allocated, not each by itself.
        if !spec.breakdown.is_empty()
            || evaluator
                .catalog()
                .get(&spec.id)
                .is_some_and(|definition| definition.rounds_to.is_some())
        {
            continue;
        }
        let _ = writeln!(
            setup,
            "CREATE TEMP VIEW published_{} AS SELECT {select} FROM {};",
            spec.id, spec.id
        );
    }
    Ok((files, setup))
}
