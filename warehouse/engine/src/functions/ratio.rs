use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{AsArray, Float64Array},
        datatypes::{DataType, Int64Type},
    },
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

/// `ratio(a, b)`: a float for people to read, NULL where `b` is 0. Figures carry numerator and denominator instead.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ratio {
    signature: Signature,
}

impl Ratio {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Int64; 2], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Ratio {
    fn name(&self) -> &str {
        "ratio"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    #[allow(clippy::cast_precision_loss, reason = "a ratio is an approximation by definition")]
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [above, below] = args.args.as_slice() else {
            return exec_err!("ratio takes two arguments");
        };
        let (above, below) = (above.to_array(args.number_rows)?, below.to_array(args.number_rows)?);
        let out: Float64Array = above
            .as_primitive::<Int64Type>()
            .iter()
            .zip(below.as_primitive::<Int64Type>().iter())
            .map(|pair| match pair {
                (Some(above), Some(below)) if below != 0 => Some(above as f64 / below as f64),
                _ => None,
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(out)))
    }
}
