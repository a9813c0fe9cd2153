//! One set of `.slt` files, run on both engines: the dialect means the same on both, or it is not in the dialect.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use atalaya_engine::EngineSession;
use atalaya_sql::{Request, Worker};
use sqllogictest::{DBOutput, DefaultColumnType};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

enum Engine {
    DataFusion(Box<EngineSession>),
    DuckDb(Worker),
}

fn rows(batches: &[RecordBatch], width: usize) -> DBOutput<DefaultColumnType> {
    let mut found = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Utf8).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.as_string::<i32>());
            found.push(
                cells
                    .map(|column| {
                        if column.is_null(row) {
                            "NULL".to_owned()
                        } else {
                            column.value(row).to_owned()
                        }
                    })
                    .collect(),
            );
        }
    }
    DBOutput::Rows {
        types: vec![DefaultColumnType::Any; width],
        rows: found,
    }
}

#[async_trait::async_trait]
impl sqllogictest::AsyncDB for Engine {
    type ColumnType = DefaultColumnType;
    type Error = Failed;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failed> {
        match self {
            Self::DataFusion(session) => {
                let (schema, batches) = session.query(sql).await.map_err(|error| Failed(error.to_string()))?;
                Ok(rows(&batches, schema.fields().len()))
            }
            Self::DuckDb(worker) => {
                let request = Request {
                    files: vec![],
                    setup: String::new(),
                    queries: vec![sql.to_owned()],
                    untrusted: false,
                    timeout_secs: 60,
                    max_answer_bytes: 1 << 20,
                    memory_limit_mb: 512,
                };
                let answer = worker
                    .ask(&request)
                    .await
                    .map_err(|error| Failed(error.to_string()))?
                    .remove(0);
                let answer = answer.map_err(|error| Failed(error.to_string()))?;
                Ok(rows(&answer.batches, answer.schema.fields().len()))
            }
        }
    }

    async fn shutdown(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_speak_one_dialect() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/dialect");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut covered = String::new();
    for file in &files {
        covered += &std::fs::read_to_string(file).unwrap();
        for name in ["DataFusion", "DuckDB"] {
            let mut runner = sqllogictest::Runner::new(|| async move {
                Ok(match name {
                    "DataFusion" => Engine::DataFusion(Box::new(EngineSession::new().unwrap())),
                    _ => Engine::DuckDb(Worker::find().unwrap()),
                })
            });
            if let Err(error) = runner.run_file_async(file).await {
                panic!("{name}: {}", error.display(false));
            }
        }
    }
    let missing: Vec<_> = atalaya_catalog::FUNCTIONS
        .iter()
        .filter(|name| !covered.to_lowercase().contains(&format!("{name}(")))
        .collect();
    assert!(
        missing.is_empty(),
        "functions of the dialect without a pinned meaning: {missing:?}"
    );
}
