use atalaya_metrics::Evaluator;
use atalaya_model::calendar;
use atalaya_store::Snapshot;
use chrono::NaiveDate;
use serde::Deserialize;

use crate::{Answer, Request, SqlError, Worker, sql_surface};

/// A report: SQL with a header, run in the worker on a pinned snapshot.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its name.
    pub id: String,
    /// Title in English.
    pub title_en: String,
    /// Title in Spanish.
    pub title_es: String,
    /// What it shows.
    pub description_en: String,
    sql: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    id: String,
    title_en: String,
    title_es: String,
    description_en: String,
}

const EMBEDDED: &[(&str, &str)] = &[("mrr_rollforward.sql", include_str!("../reports/mrr_rollforward.sql"))];

/// The reports that come with Atalaya.
pub fn reports() -> Result<Vec<Report>, SqlError> {
    EMBEDDED
        .iter()
        .map(|(file, text)| {
            let header: String = text
                .lines()
                .take_while(|line| line.starts_with("---"))
                .map(|line| line.trim_start_matches('-').to_owned() + "\n")
                .collect();
            let sql: String = text
                .lines()
                .skip_while(|line| line.starts_with("---"))
                .map(|line| line.to_owned() + "\n")
                .collect();
            let raw: RawHeader = toml::from_str(&header)
                .map_err(|error| SqlError::Query(format!("sql/reports/{file}: {}", error.message())))?;
            Ok(Report {
                id: raw.id,
                title_en: raw.title_en,
                title_es: raw.title_es,
                description_en: raw.description_en,
                sql,
            })
        })
        .collect()
}

/// Runs a report for one month.
pub async fn run_report(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    id: &str,
    month: NaiveDate,
) -> Result<(Report, Answer), SqlError> {
    let known = reports()?;
    let Some(report) = known.iter().find(|report| report.id == id).cloned() else {
        let known: Vec<&str> = known.iter().map(|report| report.id.as_str()).collect();
        return Err(SqlError::UnknownReport {
            name: id.to_owned(),
            known: known.join(", "),
        });
    };
    let settings = evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone).map_err(atalaya_metrics::MetricsError::from)?;
    if month > calendar::day_of(zone, evaluator.clock().now()) {
        return Err(SqlError::Query(format!("the month of {month} has not begun")));
    }
    let (files, mut setup) = sql_surface(evaluator, snapshot, None, &report.sql).await?;
    setup.push_str(&format!(
        "CREATE TEMP VIEW parameters AS SELECT DATE '{month}' AS month;\n"
    ));
    let request = Request {
        files,
        setup,
        queries: vec![report.sql.clone()],
        untrusted: false,
        timeout_secs: 600,
        max_answer_bytes: 256 << 20,
        memory_limit_mb: 4096,
    };
    let answer = Worker::find()?.ask(&request).await?.into_iter().next();
    match answer {
        Some(answer) => Ok((report, answer?)),
        None => Err(SqlError::WorkerDied("it gave no answer".to_owned())),
    }
}
