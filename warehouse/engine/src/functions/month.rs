use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{AsArray, Int64Array},
        datatypes::{DataType, Date32Type},
    },
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

/// What is asked of a day's month. No zone has a say: a DATE is a day of some calendar already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MonthPart {
    /// `month_index(day)`: months since year 0.
    Index,
    /// `month_day(day)`: the day in its month, from 1.
    Day,
    /// `month_days(day)`: how many days the month has.
    Days,
}

impl MonthPart {
    pub(crate) const ALL: [Self; 3] = [Self::Index, Self::Day, Self::Days];

    /// Of days since 1970. Days are counted from March, so that a leap day is the last of its year.
    fn of(self, day: i32) -> i64 {
        let since_march = i64::from(day) + 719_468;
        let (era, day_of_era) = (since_march.div_euclid(146_097), since_march.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        match self {
            Self::Index => year * 12 + month - 1,
            Self::Day => day_of_month,
            Self::Days => match month {
                4 | 6 | 9 | 11 => 30,
                2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
                2 => 28,
                _ => 31,
            },
        }
    }
}

/// The functions of [`MonthPart`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Month {
    part: MonthPart,
    signature: Signature,
}

impl Month {
    pub(crate) fn new(part: MonthPart) -> Self {
        Self {
            part,
            signature: Signature::exact(vec![DataType::Date32], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Month {
    fn name(&self) -> &str {
        match self.part {
            MonthPart::Index => "month_index",
            MonthPart::Day => "month_day",
            MonthPart::Days => "month_days",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [days] = args.args.as_slice() else {
            return exec_err!("{} takes one day", self.name());
        };
        let days = days.to_array(args.number_rows)?;
        let part = self.part;
        let out: Int64Array = days
            .as_primitive::<Date32Type>()
            .iter()
            .map(|day| day.map(|day| part.of(day)))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(out)))
    }
}

#[cfg(test)]
mod tests {
    use super::MonthPart::{Day, Days, Index};

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        // 1 March 1600 up to 1 March 2000.
        let (mut index, mut day) = (Index.of(-135_080), Day.of(-135_080));
        assert_eq!((index, day), (1_600 * 12 + 2, 1));
        for date in -135_079..=11_017 {
            let (next_index, next_day) = (Index.of(date), Day.of(date));
            if next_day == 1 {
                assert_eq!((next_index, day), (index + 1, Days.of(date - 1)), "{date}");
            } else {
                assert_eq!((next_index, next_day), (index, day + 1), "{date}");
            }
            (index, day) = (next_index, next_day);
        }
        assert_eq!((index, day), (2_000 * 12 + 2, 1));
    }
}
