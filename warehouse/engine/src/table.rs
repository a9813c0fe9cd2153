use std::sync::Arc;

use async_trait::async_trait;
use atalaya_store::DataFile;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{Session, TableProvider},
    common::{Result, Statistics},
    datasource::{
        TableType,
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    logical_expr::{Expr, TableProviderFilterPushDown},
    object_store::{ObjectMeta, path::Path},
    physical_plan::{ExecutionPlan, empty::EmptyExec, project_schema},
};

/// A table over an explicit list of Parquet files: the very list that the second engine reads. Columns that an older
/// file lacks read as NULL.
#[derive(Debug)]
pub(crate) struct FileListTable {
    schema: TableSchema,
    files: Vec<PartitionedFile>,
}

impl FileListTable {
    pub(crate) fn new(schema: SchemaRef, files: &[DataFile]) -> Result<Self> {
        let files = files
            .iter()
            .map(|file| {
                // Not from text: that would escape the letters of a path a second time.
                let location = Path::from_absolute_path(&file.path)?;
                let last_modified = chrono::DateTime::UNIX_EPOCH;
                let meta = ObjectMeta {
                    location,
                    last_modified,
                    size: file.size_bytes,
                    e_tag: None,
                    version: None,
                };
                Ok(PartitionedFile::new_from_meta(meta))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            schema: TableSchema::from(schema),
            files,
        })
    }
}

#[async_trait]
impl TableProvider for FileListTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        if self.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&schema, projection)?)));
        }
        let source =
            ParquetSource::new(self.schema.clone()).with_table_parquet_options(state.default_table_options().parquet);
        let groups = FileGroup::new(self.files.clone()).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(Statistics::new_unknown(&schema))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
