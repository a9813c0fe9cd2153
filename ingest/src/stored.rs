//! Rows of one source as they lie in a table: no more of them than is asked for.

use arrow::{
    array::{Array, AsArray, Int64Array, StringArray},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use atalaya_store::{DataFile, StoreError};

/// Gives every row's source, a text and a number of it to `visit`. An instant is its microseconds.
pub(crate) fn each(
    file: &DataFile,
    text: &str,
    number: &str,
    mut visit: impl FnMut(&str, &str, i64),
) -> Result<(), StoreError> {
    for batch in file.batches(Some(&["source", text, number]))? {
        let batch = batch?;
        let damaged = |name: &str| StoreError::Damaged {
            path: file.path.clone(),
            reason: format!("it has no column {name}"),
        };
        let texts = |name: &str| -> Result<StringArray, StoreError> {
            let column = batch
                .column_by_name(name)
                .and_then(|column| column.as_string_opt::<i32>());
            column.cloned().ok_or_else(|| damaged(name))
        };
        let column = batch.column_by_name(number).ok_or_else(|| damaged(number))?;
        let numbers = cast(column, &DataType::Int64)?;
        let numbers: &Int64Array = numbers.as_primitive::<Int64Type>();
        let (sources, texts) = (texts("source")?, texts(text)?);
        for row in (0..batch.num_rows()).filter(|row| sources.is_valid(*row)) {
            visit(sources.value(row), texts.value(row), numbers.value(row));
        }
    }
    Ok(())
}
