use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, TimestampMicrosecondBuilder},
        datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType},
    },
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

/// `after_minutes(at, minutes)`: the instant so many minutes later; no value where either has none. Elapsed time, not
/// wall-clock time: a day is 1,440 minutes, also when clocks change.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AfterMinutes {
    signature: Signature,
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl AfterMinutes {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![instant(), DataType::Int64], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for AfterMinutes {
    fn name(&self) -> &str {
        "after_minutes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(instant())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let [instants, minutes] = columns.as_slice() else {
            return exec_err!("after_minutes takes two arguments");
        };
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let minutes = minutes.as_primitive::<Int64Type>();
        let mut out = TimestampMicrosecondBuilder::with_capacity(args.number_rows).with_timezone("UTC");
        for row in 0..args.number_rows {
            if instants.is_null(row) || minutes.is_null(row) {
                out.append_null();
                continue;
            }
            let later = minutes
                .value(row)
                .checked_mul(60_000_000)
                .and_then(|micros| instants.value(row).checked_add(micros));
            match later {
                Some(at) => out.append_value(at),
                None => return exec_err!("after_minutes: {} minutes lead out of time", minutes.value(row)),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
