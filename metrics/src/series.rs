//! Rows of either engine into published figures: the contract of columns, rounding to minor units, missing values.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Date32Type, Decimal128Type, Int64Type},
};
use atalaya_model::{
    Currency, Figure, MetricSpec, Point, Status, Unit, allocate_largest_remainder, muldiv, round_micros,
};
use chrono::NaiveDate;

use crate::{EvaluationPlan, MetricsError};

/// The rows an engine gave: period, dimensions, then the unit's numbers and the currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Period, dimension values, numbers, currency code when the unit is money.
    pub rows: Vec<Row>,
}

/// One row's labels, numbers and currency within its period.
type Part = (Vec<Option<String>>, Vec<i64>, Option<String>);

/// One row.
type Row = (NaiveDate, Vec<Option<String>>, Vec<i64>, Option<String>);

impl Rows {
    /// Reads an engine's batches. Columns must be those that the plan selects.
    pub fn read(spec: &MetricSpec, dimensions: usize, batches: &[RecordBatch]) -> Result<Self, MetricsError> {
        let contract = |reason: String| MetricsError::Contract {
            metric: spec.id.clone(),
            reason,
        };
        let mut rows = Vec::new();
        for batch in batches {
            let texts: Vec<ArrayRef> = (1..=dimensions)
                .map(|index| cast(batch.column(index), &DataType::Utf8).map_err(|error| contract(error.to_string())))
                .collect::<Result<_, _>>()?;
            let days = cast(batch.column(0), &DataType::Date32).map_err(|error| contract(error.to_string()))?;
            let days = days.as_primitive::<Date32Type>();
            for row in 0..batch.num_rows() {
                let mut numbers = Vec::new();
                let mut currency = None;
                for (offset, name) in spec.unit.columns().iter().enumerate() {
                    let column = batch.column(1 + dimensions + offset);
                    if *name == "currency" {
                        let text = cast(column, &DataType::Utf8).map_err(|error| contract(error.to_string()))?;
                        currency = Some(text.as_string::<i32>().value(row).to_owned());
                    } else {
                        numbers.push(
                            integer(column, row)
                                .ok_or_else(|| contract(format!("{name} is not a whole number of 64 bits")))?,
                        );
                    }
                }
                let labels = texts
                    .iter()
                    .map(|text| text.as_string::<i32>())
                    .map(|text| text.is_valid(row).then(|| text.value(row).to_owned()))
                    .collect();
                rows.push((
                    Date32Type::to_naive_date_opt(days.value(row)).unwrap_or_default(),
                    labels,
                    numbers,
                    currency,
                ));
            }
        }
        Ok(Self { rows })
    }
}

fn integer(column: &ArrayRef, row: usize) -> Option<i64> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row)),
        DataType::Decimal128(_, 0) => i64::try_from(column.as_primitive::<Decimal128Type>().value(row)).ok(),
        DataType::Int32 | DataType::UInt32 | DataType::UInt64 | DataType::Int16 => {
            let wide = cast(column, &DataType::Int64).ok()?;
            Some(wide.as_primitive::<Int64Type>().value(row))
        }
        _ => None,
    }
}

/// The published points. `ends` holds, by period, the exact opening and closing amounts that parts must add up to.
pub fn series_from_rows(
    spec: &MetricSpec,
    plan: &EvaluationPlan,
    rows: Rows,
    ends: Option<&BTreeMap<NaiveDate, (i64, i64)>>,
    reporting: Currency,
) -> Result<Vec<Point>, MetricsError> {
    let status: BTreeMap<NaiveDate, Status> = plan
        .periods
        .iter()
        .map(|period| {
            (
                period.start_on,
                if period.ends_at > plan.now {
                    Status::Open
                } else {
                    Status::Closed
                },
            )
        })
        .collect();
    let mut by_period: BTreeMap<NaiveDate, Vec<Part>> = BTreeMap::new();
    for (day, labels, numbers, currency) in rows.rows {
        by_period.entry(day).or_default().push((labels, numbers, currency));
    }
    let mut points = Vec::new();
    for (&period_on, &status) in &status {
        let mut parts = by_period.remove(&period_on).unwrap_or_default();
        sort_parts(&mut parts);
        if parts.is_empty() && plan.dimensions.is_empty() {
            points.push(Point {
                period_on,
                dimensions: vec![],
                figure: nothing(spec, reporting),
                status,
            });
            continue;
        }
        let total = ends.and_then(|ends| ends.get(&period_on)).copied();
        let figures = figures(spec, &parts, total)?;
        for ((labels, _, _), figure) in parts.into_iter().zip(figures) {
            points.push(Point {
                period_on,
                dimensions: labels,
                figure,
                status,
            });
        }
    }
    if let Some((stray, _)) = by_period.into_iter().next() {
        let reason = format!("gives a row for {stray}, which is no period of the query");
        return Err(MetricsError::Contract {
            metric: spec.id.clone(),
            reason,
        });
    }
    Ok(points)
}

/// Numbers by value, words by text: `age` 2 stands before 10.
fn sort_parts(parts: &mut [Part]) {
    parts.sort_by(|(left, ..), (right, ..)| {
        let key = |labels: &[Option<String>]| {
            labels
                .iter()
                .map(|label| {
                    let number = label.as_deref().and_then(|text| text.parse::<i64>().ok());
                    (label.is_none(), number.is_none(), number, label.clone())
                })
                .collect::<Vec<_>>()
        };
        key(left).cmp(&key(right))
    });
}

/// What stands where there are no rows: nothing was sold and nobody pays, which are figures; a rate of nothing is none.
fn nothing(spec: &MetricSpec, reporting: Currency) -> Figure {
    match spec.unit {
        Unit::Money | Unit::MoneyMicros => Figure::Money {
            value_minor: 0,
            currency: reporting,
        },
        Unit::Count => Figure::Count { value: 0 },
        Unit::Ratio | Unit::Factor | Unit::MoneyPer | Unit::Rows => no_value(spec),
    }
}

fn no_value(spec: &MetricSpec) -> Figure {
    let reason = spec
        .no_value
        .as_deref()
        .unwrap_or("nothing to divide by in this period");
    Figure::None {
        reason: reason.to_owned(),
    }
}

fn figures(spec: &MetricSpec, parts: &[Part], ends: Option<(i64, i64)>) -> Result<Vec<Figure>, MetricsError> {
    let contract = |reason: String| MetricsError::Contract {
        metric: spec.id.clone(),
        reason,
    };
    let currency = |code: &Option<String>| -> Result<Currency, MetricsError> {
        Ok(Currency::parse(code.as_deref().unwrap_or_default())?)
    };
    match spec.unit {
        Unit::Rows => Err(contract("has no figures".to_owned())),
        Unit::Count => Ok(parts
            .iter()
            .map(|(_, numbers, _)| Figure::Count { value: numbers[0] })
            .collect()),
        Unit::Ratio | Unit::Factor => Ok(parts
            .iter()
            .map(|(_, numbers, _)| match numbers[1] {
                0 => no_value(spec),
                denominator => Figure::Ratio {
                    numerator: numbers[0],
                    denominator,
                },
            })
            .collect()),
        Unit::Money => parts
            .iter()
            .map(|(_, numbers, code)| {
                Ok(Figure::Money {
                    value_minor: numbers[0],
                    currency: currency(code)?,
                })
            })
            .collect(),
        Unit::MoneyPer => parts
            .iter()
            .map(|(_, numbers, code)| match numbers[1] {
                0 => Ok(no_value(spec)),
                things => {
                    let below = things
                        .checked_mul(atalaya_model::MICROS_PER_MINOR)
                        .ok_or(atalaya_model::ModelError::Overflow)?;
                    Ok(Figure::Money {
                        value_minor: muldiv(numbers[0], 1, below)?,
                        currency: currency(code)?,
                    })
                }
            })
            .collect(),
        Unit::MoneyMicros => {
            let exact: Vec<i128> = parts.iter().map(|(_, numbers, _)| i128::from(numbers[0])).collect();
            let total = match ends {
                Some((opening, closing)) => round_micros(i128::from(closing))? - round_micros(i128::from(opening))?,
                None => round_micros(exact.iter().sum())?,
            };
            let minor = allocate_largest_remainder(&exact, total)?;
            parts
                .iter()
                .zip(minor)
                .map(|((_, _, code), value_minor)| {
                    Ok(Figure::Money {
                        value_minor,
                        currency: currency(code)?,
                    })
                })
                .collect()
        }
    }
}
