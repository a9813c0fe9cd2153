use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array},
        datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type},
    },
    common::{Result, ScalarValue, exec_err, not_impl_err},
    logical_expr::{
        Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::{AggregateOrderSensitivity, format_state_name},
    },
    physical_expr::NullState,
};

/// The running sum is kept in 128 bits, so the check at the end does not depend on the order of rows.
const STATE: DataType = DataType::Decimal128(38, 0);

/// `money_sum(x)`: a sum that is an error when it does not fit 64 bits, where DataFusion's own would wrap silently.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MoneySum {
    signature: Signature,
}

impl MoneySum {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable),
        }
    }
}

fn narrow(sum: i128) -> Result<i64> {
    i64::try_from(sum).or_else(|_| exec_err!("money_sum: {sum} does not fit 64 bits"))
}

impl AggregateUDFImpl for MoneySum {
    fn name(&self) -> &str {
        "money_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("money_sum(DISTINCT ...)");
        }
        Ok(Box::<Running>::default())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            format_state_name(args.name, "sum"),
            STATE,
            true,
        ))])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups {
            sums: Vec::new(),
            nulls: NullState::new(),
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug, Default)]
struct Running {
    sum: i128,
    count: u64,
}

impl Accumulator for Running {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Int64Type>().iter().flatten() {
            self.sum += i128::from(value);
            self.count += 1;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(if self.count == 0 {
            None
        } else {
            Some(narrow(self.sum)?)
        }))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128(
            (self.count != 0).then_some(self.sum),
            38,
            0,
        )])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for partial in states[0].as_primitive::<Decimal128Type>().iter().flatten() {
            self.sum += partial;
            self.count += 1;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

struct Groups {
    sums: Vec<i128>,
    nulls: NullState,
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.sums.resize(total, 0);
        let sums = &mut self.sums;
        self.nulls.accumulate(
            groups,
            values[0].as_primitive::<Int64Type>(),
            filter,
            total,
            |group, value: i64| {
                sums[group] += i128::from(value);
            },
        );
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.sums.resize(total, 0);
        let sums = &mut self.sums;
        self.nulls.accumulate(
            groups,
            states[0].as_primitive::<Decimal128Type>(),
            None,
            total,
            |group, partial: i128| {
                sums[group] += partial;
            },
        );
        Ok(())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit.take_needed(&mut self.sums);
        let nulls = self.nulls.build(emit);
        Ok(vec![Arc::new(
            Decimal128Array::new(sums.into(), nulls).with_data_type(STATE),
        )])
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let sums = emit.take_needed(&mut self.sums);
        let nulls = self.nulls.build(emit);
        let narrowed = sums.into_iter().map(narrow).collect::<Result<Vec<i64>>>()?;
        Ok(Arc::new(Int64Array::new(narrowed.into(), nulls)))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = values[0].as_primitive::<Int64Type>();
        let states: Decimal128Array = (0..values.len())
            .map(|row| {
                let wanted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
                (wanted && values.is_valid(row)).then(|| i128::from(values.value(row)))
            })
            .collect();
        Ok(vec![Arc::new(states.with_data_type(STATE))])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.nulls.size()
    }
}
