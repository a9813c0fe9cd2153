use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Builder},
        datatypes::{DataType, Int64Type},
    },
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

/// `muldiv(a, num, den)`: `a * num / den`, exact in 128 bits and rounded once, half to even.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MulDiv {
    signature: Signature,
}

impl MulDiv {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Int64; 3], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MulDiv {
    fn name(&self) -> &str {
        "muldiv"
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
        let [amounts, numerators, denominators] = columns.as_slice() else {
            return exec_err!("muldiv takes three arguments");
        };
        let (amounts, numerators, denominators) = (
            amounts.as_primitive::<Int64Type>(),
            numerators.as_primitive::<Int64Type>(),
            denominators.as_primitive::<Int64Type>(),
        );
        let wrong = sabotaged();
        let mut out = Int64Builder::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            if amounts.is_null(row) || numerators.is_null(row) || denominators.is_null(row) {
                out.append_null();
                continue;
            }
            let (amount, numerator, denominator) = (amounts.value(row), numerators.value(row), denominators.value(row));
            match atalaya_model::muldiv(amount, numerator, denominator) {
                Ok(value) => out.append_value(value + i64::from(wrong && value % 2 != 0)),
                Err(error) => return exec_err!("muldiv({amount}, {numerator}, {denominator}): {error}"),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// A deliberately wrong function for the test that verification notices: odd results are one too high. Only a test
/// build of the command sets the variable.
fn sabotaged() -> bool {
    std::env::var("ATALAYA_TEST_WRONG_FUNCTION").is_ok_and(|names| names.contains("muldiv"))
}
