use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    common::{DataFusionError, Result},
    datasource::TableType,
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::Expr,
    physical_plan::{
        ExecutionPlan,
        stream::RecordBatchReceiverStreamBuilder,
        streaming::{PartitionStream, StreamingTableExec},
    },
};

/// Batches that wait for their reader, for each thread.
const WAITING_BATCHES: usize = 2;

/// Takes a batch; false when nobody wants more.
pub type Emit<'a> = dyn FnMut(RecordBatch) -> bool + 'a;

/// Computes rows and hands them over. Several threads may work at once; together they hand over every row once.
pub type Work = Arc<dyn Fn(&mut Emit<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send + Sync>;

/// Starts computing some columns of a table, anew for each question.
pub type Start = Arc<dyn Fn(&[usize]) -> Result<Work, Box<dyn std::error::Error + Send + Sync>> + Send + Sync>;

/// A table whose rows are computed by code instead of a plan, on as many threads as the session has.
pub(crate) struct ComputedTable {
    pub(crate) name: String,
    pub(crate) schema: SchemaRef,
    pub(crate) start: Start,
}

impl fmt::Debug for ComputedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComputedTable({})", self.name)
    }
}

/// The work of a plan, begun anew each time the plan is executed: a join that ran out of memory reads its side again.
struct Rounds {
    start: Start,
    columns: Vec<usize>,
    works: Mutex<Vec<Work>>,
}

impl Rounds {
    fn work(&self, round: usize) -> Result<Work> {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        while works.len() <= round {
            works.push((self.start)(&self.columns).map_err(DataFusionError::External)?);
        }
        Ok(Arc::clone(&works[round]))
    }
}

/// One partition's share in the work.
struct Share {
    name: String,
    schema: SchemaRef,
    rounds: Arc<Rounds>,
    /// How often it was executed.
    executed: AtomicUsize,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({})", self.name)
    }
}

#[async_trait]
impl TableProvider for ComputedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let columns = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(columns)?);
        let rounds = Arc::new(Rounds {
            start: Arc::clone(&self.start),
            columns: columns.clone(),
            works: Mutex::default(),
        });
        let share = || -> Arc<dyn PartitionStream> {
            Arc::new(Share {
                name: self.name.clone(),
                schema: Arc::clone(&schema),
                rounds: Arc::clone(&rounds),
                executed: AtomicUsize::new(0),
            })
        };
        let shares = (0..state.config().target_partitions()).map(|_| share()).collect();
        let exec = StreamingTableExec::try_new(Arc::clone(&schema), shares, None, [], false, limit)?;
        Ok(Arc::new(exec))
    }
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), WAITING_BATCHES);
        let work = self.rounds.work(self.executed.fetch_add(1, Ordering::Relaxed));
        let sender = stream.tx();
        stream.spawn_blocking(move || {
            let mut is_wanted = true;
            let done = work?(&mut |batch| {
                is_wanted = sender.blocking_send(Ok(batch)).is_ok();
                is_wanted
            });
            // Who stopped listening does not want to hear why the work stopped.
            done.or_else(|error| {
                if is_wanted {
                    Err(DataFusionError::External(error))
                } else {
                    Ok(())
                }
            })
        });
        stream.build()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{
            array::{AsArray, Int64Array},
            datatypes::{DataType, Field, Int64Type, Schema},
        },
        physical_plan::collect,
        prelude::SessionContext,
    };

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_that_is_executed_again_has_all_rows_again() {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
        let of_rows = Arc::clone(&schema);
        // Five rows, handed over one by one by whoever comes.
        let start: Start = Arc::new(move |_| {
            let (next, schema) = (AtomicUsize::new(0), Arc::clone(&of_rows));
            Ok(Arc::new(move |emit: &mut Emit<'_>| {
                while next.fetch_add(1, Ordering::Relaxed) < 5 {
                    let rows = Int64Array::from(vec![1]);
                    emit(RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(rows)])?);
                }
                Ok(())
            }))
        });
        let table = ComputedTable {
            name: "ones".to_owned(),
            schema,
            start,
        };
        let context = SessionContext::new();
        context.register_table("ones", Arc::new(table)).unwrap();
        let plan = context.sql("SELECT SUM(x) FROM ones").await.unwrap();
        let plan = plan.create_physical_plan().await.unwrap();
        let source = Arc::clone(plan.children()[0]);
        for round in 0..3 {
            let batches = collect(Arc::clone(&source), context.task_ctx()).await.unwrap();
            let sums = batches
                .iter()
                .map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>());
            assert_eq!(sums.sum::<i64>(), 5, "round {round}");
        }
    }
}
