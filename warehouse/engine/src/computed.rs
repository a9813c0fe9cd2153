use std::{fmt, sync::Arc};

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

struct Share {
    name: String,
    schema: SchemaRef,
    work: Work,
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
        let work = (self.start)(columns).map_err(DataFusionError::External)?;
        let share = || -> Arc<dyn PartitionStream> {
            Arc::new(Share {
                name: self.name.clone(),
                schema: Arc::clone(&schema),
                work: Arc::clone(&work),
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
        let (work, sender) = (Arc::clone(&self.work), stream.tx());
        stream.spawn_blocking(move || {
            let mut is_wanted = true;
            let done = work(&mut |batch| {
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
