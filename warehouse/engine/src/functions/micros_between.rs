use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Builder},
        datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    },
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

/// `micros_between(from, to)`: microseconds from one instant to another, negative when `to` is earlier; no value where either
/// has none.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MicrosBetween {
    signature: Signature,
}

impl MicrosBetween {
    pub(crate) fn new() -> Self {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Self {
            signature: Signature::exact(vec![instant.clone(), instant], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MicrosBetween {
    fn name(&self) -> &str {
        "micros_between"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let [from, to] = columns.as_slice() else {
            return exec_err!("micros_between takes two arguments");
        };
        let from = from.as_primitive::<TimestampMicrosecondType>();
        let to = to.as_primitive::<TimestampMicrosecondType>();
        let mut out = Int64Builder::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            if from.is_null(row) || to.is_null(row) {
                out.append_null();
                continue;
            }
            match to.value(row).checked_sub(from.value(row)) {
                Some(micros) => out.append_value(micros),
                None => return exec_err!("micros_between: the instants lie too far apart"),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
