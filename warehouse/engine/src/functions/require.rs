use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, AsArray},
        datatypes::DataType,
    },
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

/// `require(value, message)`: the value, or an error with the message where there is none. It stands where a missing
/// value would otherwise drop silently out of a sum.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Require {
    signature: Signature,
}

impl Require {
    pub(crate) fn new() -> Self {
        // Volatile: the optimizer must neither fold it away nor move it in front of the filter that guards it.
        Self {
            signature: Signature::exact(vec![DataType::Int64, DataType::Utf8], Volatility::Volatile),
        }
    }
}

impl ScalarUDFImpl for Require {
    fn name(&self) -> &str {
        "require"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values, messages] = args.args.as_slice() else {
            return exec_err!("require takes two arguments");
        };
        let values = values.to_array(args.number_rows)?;
        if values.null_count() > 0 {
            let messages = messages.to_array(args.number_rows)?;
            let messages = messages.as_string::<i32>();
            let first = (0..values.len()).find(|&row| values.is_null(row)).unwrap_or(0);
            return exec_err!("{}", messages.value(first));
        }
        Ok(ColumnarValue::Array(Arc::clone(&values)))
    }
}
