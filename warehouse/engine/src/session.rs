use std::sync::Arc;

use atalaya_store::TableSnapshot;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    config::Dialect,
    datasource::MemTable,
    execution::{memory_pool::FairSpillPool, runtime_env::RuntimeEnvBuilder},
    logical_expr::{AggregateUDF, ScalarUDF},
    prelude::{SQLOptions, SessionConfig, SessionContext},
};

use crate::{EngineError, Start, computed::ComputedTable, functions, table::FileListTable};

/// Tables as they lie in the home stand under this prefix; what definitions see are views over them.
pub const RAW_PREFIX: &str = "raw_";

/// Memory that all queries of one session may use together.
const MEMORY_BYTES: usize = 4 << 30;

/// Rows that were computed once.
#[derive(Debug, Clone)]
pub struct Materialised(Arc<MemTable>);

/// A session over pinned files: what is registered once stays as it is.
pub struct EngineSession {
    context: SessionContext,
}

impl EngineSession {
    /// An empty session with the dialect's functions, on as many threads as the machine has.
    pub fn new() -> Result<Self, EngineError> {
        Self::on_threads(std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
    }

    /// An empty session on so many threads.
    pub fn on_threads(threads: usize) -> Result<Self, EngineError> {
        let mut config = SessionConfig::new()
            .with_target_partitions(threads)
            .with_information_schema(false);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.parquet.schema_force_view_types = false;
        options.sql_parser.dialect = Dialect::DuckDB;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.default_null_ordering = "nulls_last".to_owned();
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_BYTES)))
            .build_arc()?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        // It loses conditions over three relations: two of them are joined by another condition first, and what the third is
        // needed for is forgotten (`a_condition_over_three_relations_is_kept`).
        context.remove_optimizer_rule("eliminate_cross_join");
        context.register_udf(ScalarUDF::from(functions::AfterMinutes::new()));
        context.register_udf(ScalarUDF::from(functions::MicrosBetween::new()));
        context.register_udf(ScalarUDF::from(functions::MulDiv::new()));
        for part in functions::MonthPart::ALL {
            context.register_udf(ScalarUDF::from(functions::Month::new(part)));
        }
        context.register_udf(ScalarUDF::from(functions::Ratio::new()));
        context.register_udf(ScalarUDF::from(functions::Require::new()));
        context.register_udaf(AggregateUDF::from(functions::MoneySum::new()));
        Ok(Self { context })
    }

    /// Registers a table of the home under [`RAW_PREFIX`]; a table that does not exist yet is empty.
    pub fn register_files(
        &self,
        name: &str,
        schema: SchemaRef,
        table: Option<&TableSnapshot>,
    ) -> Result<(), EngineError> {
        let files = table.map(|table| table.files.as_slice()).unwrap_or_default();
        let table = FileListTable::new(schema, files)?;
        self.context
            .register_table(format!("{RAW_PREFIX}{name}"), Arc::new(table))?;
        Ok(())
    }

    /// Registers rows that are in memory.
    pub fn register_rows(&self, name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<(), EngineError> {
        let table = MemTable::try_new(schema, vec![batches])?;
        self.context.register_table(name, Arc::new(table))?;
        Ok(())
    }

    /// Registers a table whose rows are computed by code, only in the columns that a question needs.
    pub fn register_computed(&self, name: &str, schema: SchemaRef, start: Start) -> Result<(), EngineError> {
        let name = name.to_owned();
        let table = ComputedTable {
            name: name.clone(),
            schema,
            start,
        };
        self.context.register_table(name, Arc::new(table))?;
        Ok(())
    }

    /// Gives a `SELECT` a name. It is computed anew wherever it is used.
    pub async fn create_view(&self, name: &str, select: &str) -> Result<(), EngineError> {
        let view = self.plan(select).await?.into_view();
        self.context.register_table(name, view)?;
        Ok(())
    }

    /// Computes a `SELECT` once. Its rows have a name only where they are adopted.
    pub async fn materialise(&self, select: &str) -> Result<Materialised, EngineError> {
        let plan = self.plan(select).await?;
        let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        let batches = plan.collect_partitioned().await?;
        let schema = batches.iter().flatten().next().map_or(schema, RecordBatch::schema);
        Ok(Materialised(Arc::new(MemTable::try_new(schema, batches)?)))
    }

    /// Gives computed rows, of this session or of another, a name.
    pub fn adopt(&self, name: &str, rows: &Materialised) -> Result<(), EngineError> {
        let rows: Arc<MemTable> = Arc::clone(&rows.0);
        self.context.register_table(name, rows)?;
        Ok(())
    }

    /// Answers a `SELECT`.
    pub async fn query(&self, select: &str) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
        let plan = self.plan(select).await?;
        let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        Ok((schema, plan.collect().await?))
    }

    /// Only reading is possible: no statement that creates, writes or sets anything is planned.
    async fn plan(&self, select: &str) -> Result<datafusion::prelude::DataFrame, EngineError> {
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        Ok(self.context.sql_with_options(select, read_only).await?)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{array::AsArray, datatypes::Int64Type};

    use super::*;

    async fn number(sql: &str) -> Result<Option<i64>, String> {
        let session = EngineSession::new().unwrap();
        let (_, batches) = session.query(sql).await.map_err(|error| error.to_string())?;
        Ok(batches[0].column(0).as_primitive::<Int64Type>().iter().next().flatten())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_condition_over_three_relations_is_kept() {
        let sql = "SELECT COUNT(*) FROM (VALUES (0, 1), (0, 2), (0, 3)) w(v, x) CROSS JOIN (VALUES (1)) p(lag) \
                   JOIN (VALUES (0, 0), (0, 1), (0, 2)) s(v, x) ON s.x = w.x - p.lag AND s.v = w.v";
        assert_eq!(number(sql).await, Ok(Some(3)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sums_of_money_never_wrap() {
        let rows = "(VALUES (9223372036854775807), (1)) t(x)";
        assert!(
            number(&format!("SELECT money_sum(x) FROM {rows}"))
                .await
                .unwrap_err()
                .contains("does not fit")
        );
        assert_eq!(
            number("SELECT money_sum(x) FROM (VALUES (1), (2), (NULL)) t(x)").await,
            Ok(Some(3))
        );
        assert_eq!(
            number("SELECT money_sum(x) FROM (VALUES (1)) t(x) WHERE x > 1").await,
            Ok(None)
        );
        // The exact sum fits although a partial sum does not.
        let rows = "(VALUES (9223372036854775807), (1), (-1)) t(x)";
        assert_eq!(
            number(&format!("SELECT money_sum(x) FROM {rows}")).await,
            Ok(Some(i64::MAX))
        );
        assert_eq!(
            number(&format!("SELECT money_sum(x) FROM {rows} GROUP BY x > 100 ORDER BY 1")).await,
            Ok(Some(0))
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_missing_value_that_is_required_is_an_error_with_its_name() {
        let error = number("SELECT require(CAST(NULL AS BIGINT), 'no rate for ' || 'MXN')")
            .await
            .unwrap_err();
        assert_eq!(error, "no rate for MXN");
        assert_eq!(number("SELECT require(7, 'unused')").await, Ok(Some(7)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_but_reading_is_planned() {
        for sql in [
            "CREATE TABLE t AS SELECT 1",
            "COPY (SELECT 1) TO 'x.csv'",
            "SET a = 1",
            "INSERT INTO t VALUES (1)",
            "SELECT 1; SELECT 2",
        ] {
            assert!(number(sql).await.is_err(), "{sql}");
        }
        assert!(number("SELECT * FROM 'Cargo.toml'").await.is_err());
    }
}
