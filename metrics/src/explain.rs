//! From a figure to what it is made of: the rows of every definition it stands on, down to the records and the files they
//! came in.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use atalaya_engine::EngineSession;
use atalaya_model::{Kind, Period, SeriesQuery, Unit};
use atalaya_store::{Snapshot, origins};

use crate::{Evaluator, MetricsError};

/// Rows shown of one table.
const MOST_ROWS: usize = 40;
/// Customers shown where none is named.
const MOST_CUSTOMERS: usize = 20;

/// One table of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    /// The definition's or the table's name.
    pub name: String,
    /// What its rows are, in one English sentence.
    pub about: String,
    /// Names of the columns that have any value.
    pub columns: Vec<String>,
    /// Whether a column holds numbers.
    pub numeric: Vec<bool>,
    /// Rows as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many there are in all.
    pub of_rows: usize,
}

impl Evaluator {
    /// What a metric's figure of one period is made of. With a customer: its rows in every definition below, and every version
    /// of its records with where it came from. Without: the figure, and the customers that weigh most.
    pub async fn explain(
        &self,
        query: &SeriesQuery,
        period: Period,
        customer: Option<&str>,
        snapshot: &Snapshot,
    ) -> Result<Vec<Exhibit>, MetricsError> {
        let mut plan = self.plan(query)?;
        // Every step is shown, also those below what the operator computes.
        plan.ids = plan.views.iter().map(|view| view.name.clone()).collect();
        let session = self.session(&plan, snapshot).await?;
        let measured_at = period.ends_at.min(plan.now).format("%Y-%m-%d %H:%M:%S%.6f+00:00");
        let mut exhibits = Vec::new();
        for definition in self.catalog().in_order(&[&query.metric]) {
            let id = &definition.spec.id;
            let (schema, _) = ask(&session, &format!("SELECT * FROM {id} LIMIT 0")).await?;
            let has = |name: &str| schema.iter().any(|(known, _)| known == name);
            let by_customer = has("customer_id");
            if !by_customer && definition.spec.unit == Unit::Rows {
                continue;
            }
            let mut only = Vec::new();
            if has("period_start") {
                only.push(format!("period_start = DATE '{}'", period.start_on));
            }
            if has("boundary_at") {
                only.push(format!("boundary_at = CAST('{measured_at}' AS TIMESTAMPTZ)"));
            }
            if let (true, Some(customer)) = (by_customer, customer) {
                only.push(format!("customer_id = '{}'", customer.replace('\'', "''")));
            }
            let weight = schema.iter().rev().find(|(name, _)| name.ends_with("_micros"));
            let order = match (customer, weight) {
                (None, Some((name, _))) if by_customer => format!("ORDER BY ABS({name}) DESC, customer_id"),
                _ => {
                    let all: Vec<String> = (1..=schema.len()).map(|index| index.to_string()).collect();
                    format!("ORDER BY {}", all.join(", "))
                }
            };
            let filter = if only.is_empty() {
                String::new()
            } else {
                format!("WHERE {}", only.join(" AND "))
            };
            let most = if customer.is_some() { MOST_ROWS } else { MOST_CUSTOMERS };
            exhibits.push(
                exhibit(
                    &session,
                    id,
                    &definition.spec.description_en,
                    &format!("{id} {filter}"),
                    &order,
                    most,
                )
                .await?,
            );
        }
        let Some(customer) = customer else {
            // The figure and what stands directly below it by customer.
            let last_rows = exhibits
                .iter()
                .rposition(|exhibit| exhibit.columns.iter().any(|name| name == "customer_id"));
            let figure = exhibits.len().saturating_sub(1);
            return Ok(exhibits
                .into_iter()
                .enumerate()
                .filter(|(index, _)| *index == figure || Some(*index) == last_rows)
                .map(|(_, exhibit)| exhibit)
                .rev()
                .collect());
        };
        exhibits.reverse();
        for kind in &plan.kinds {
            exhibits.extend(self.records(&session, *kind, customer).await?);
        }
        Ok(exhibits)
    }

    /// Every version of a customer's records, with the file it came in.
    async fn records(
        &self,
        session: &EngineSession,
        kind: Kind,
        customer: &str,
    ) -> Result<Option<Exhibit>, MetricsError> {
        if !kind.columns().iter().any(|column| column.name == "customer_id") || kind == Kind::MonthCloses {
            return Ok(None);
        }
        let table = format!("raw_{}", kind.name());
        let from = format!("{table} WHERE customer_id = '{}'", customer.replace('\'', "''"));
        let about = "Every version of the customer's records: what the source said, when it knew, when it landed here, in which file.";
        let mut found = exhibit(session, &table, about, &from, "ORDER BY arrival_seq", MOST_ROWS).await?;
        let origins = if self.home().table_names().iter().any(|name| name == kind.name()) {
            origins(self.home(), kind.name())?
        } else {
            Vec::new()
        };
        if let Some(column) = found.columns.iter().position(|name| name == "arrival_seq") {
            found.columns.extend(["file".to_owned(), "file_sha256".to_owned()]);
            found.numeric.extend([false, false]);
            for row in &mut found.rows {
                let seq = row[column].as_deref().and_then(|text| text.parse::<i64>().ok());
                let origin = seq.and_then(|seq| {
                    origins
                        .iter()
                        .find(|origin| origin.first_seq <= seq && seq <= origin.last_seq)
                });
                row.push(origin.and_then(|origin| origin.file.clone()));
                row.push(origin.and_then(|origin| origin.content_sha256.clone()));
            }
        }
        Ok(Some(found))
    }
}

type Columns = Vec<(String, DataType)>;

async fn ask(session: &EngineSession, sql: &str) -> Result<(Columns, Vec<RecordBatch>), MetricsError> {
    let (schema, batches) = session.query(sql).await.map_err(|source| MetricsError::Engine {
        metric: "explain".to_owned(),
        source,
    })?;
    let columns = schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    Ok((columns, batches))
}

async fn exhibit(
    session: &EngineSession,
    name: &str,
    about: &str,
    from: &str,
    order: &str,
    most: usize,
) -> Result<Exhibit, MetricsError> {
    let (_, counted) = ask(session, &format!("SELECT COUNT(*) FROM {from}")).await?;
    let of_rows = counted.first().map_or(0, |batch| {
        let count = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0);
        usize::try_from(count).unwrap_or(0)
    });
    let (schema, batches) = ask(session, &format!("SELECT * FROM {from} {order} LIMIT {most}")).await?;
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    for batch in &batches {
        let texts = batch
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Utf8))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| MetricsError::Contract {
                metric: name.to_owned(),
                reason: error.to_string(),
            })?;
        for row in 0..batch.num_rows() {
            rows.push(
                texts
                    .iter()
                    .map(|text| text.as_string::<i32>())
                    .map(|text| text.is_valid(row).then(|| text.value(row).to_owned()))
                    .collect(),
            );
        }
    }
    // Columns without any value say nothing and make the table wide.
    let kept: Vec<usize> = (0..schema.len())
        .filter(|&column| rows.iter().any(|row| row[column].is_some()))
        .collect();
    Ok(Exhibit {
        name: name.to_owned(),
        about: about.to_owned(),
        columns: kept.iter().map(|&column| schema[column].0.clone()).collect(),
        numeric: kept.iter().map(|&column| schema[column].1.is_numeric()).collect(),
        rows: rows
            .into_iter()
            .map(|row| kept.iter().map(|&column| row[column].clone()).collect())
            .collect(),
        of_rows,
    })
}
