//! Records at many moments of knowledge: each version at those moments at which it was the newest known.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array},
    compute::take,
    datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType},
};
use atalaya_engine::{EngineError, EngineSession, VINTAGE};
use atalaya_model::{Kind, KnownBy};
use chrono::{DateTime, Utc};

use crate::{
    EvaluationPlan, known_columns,
    narrowing::{Narrowing, narrowed_at},
    records::{known_times, version_times},
};

/// Moments in the order of time, in microseconds.
#[derive(Debug)]
pub(crate) struct Moments {
    /// When each is.
    as_of: Vec<i64>,
    /// Where the calendar of each begins.
    calendar_from: Vec<i64>,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

/// Which records of a kind are read at a moment.
#[derive(Debug)]
pub(crate) struct Reads<'a> {
    pub(crate) known_by: KnownBy,
    pub(crate) narrowing: Narrowing<'a>,
    /// Only what happened within the calendar of the moment.
    pub(crate) is_within_calendar: bool,
    /// All versions, and not only the newest known.
    pub(crate) has_versions: bool,
}

/// Rows that one scan may hold of a kind.
const MOST_ROWS: usize = 16_000_000;

impl Moments {
    /// The moments of some plans; none where they are not in the order of time.
    pub(crate) fn of(plans: &[EvaluationPlan]) -> Option<Self> {
        let (first, last) = (plans.first()?.now, plans.last()?.now);
        let moments = Self {
            first,
            last,
            as_of: plans.iter().map(|plan| plan.now.timestamp_micros()).collect(),
            calendar_from: plans
                .iter()
                .map(|plan| plan.calendar_from().unwrap_or(plan.now).timestamp_micros())
                .collect(),
        };
        (moments.as_of.is_sorted() && moments.calendar_from.is_sorted()).then_some(moments)
    }

    /// The first and the last but one of the moments that read a version; the same where none does.
    fn of_version(
        &self,
        reads: &Reads<'_>,
        happened_at: i64,
        known_at: i64,
        replaced_at: Option<i64>,
    ) -> (usize, usize) {
        let first_from = |at: i64| self.as_of.partition_point(|as_of| *as_of < at);
        let mut first = first_from(known_at);
        let mut end = replaced_at.map_or(self.as_of.len(), first_from);
        if let Some(minutes) = reads.narrowing.minutes {
            let last = happened_at.saturating_add(i64::from(minutes) * 60_000_000);
            end = end.min(self.as_of.partition_point(|as_of| *as_of <= last));
        }
        if reads.is_within_calendar {
            first = first.max(self.as_of.partition_point(|as_of| *as_of <= happened_at));
            end = end.min(self.calendar_from.partition_point(|from| *from <= happened_at));
        }
        (first, end.max(first))
    }

    /// The rows of a kind at all moments, in the columns that some texts name.
    pub(crate) async fn rows(
        &self,
        session: &EngineSession,
        kind: Kind,
        reads: &Reads<'_>,
        texts: &str,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words: BTreeSet<&str> = texts.split(|letter| !is_word(letter)).collect();
        let mut columns = known_columns(kind);
        columns.push("operation");
        columns.retain(|name| words.contains(name) && (*name != "operation" || reads.has_versions));
        let select = if reads.has_versions {
            version_times(kind, reads.known_by, &columns)
        } else {
            known_times(
                kind,
                reads.known_by,
                &columns,
                self.last,
                &narrowed_at(&reads.narrowing, self.first),
            )
        };
        let (schema, batches) = session.query(&select).await?;
        let fields = schema.fields().iter().take(columns.len()).cloned();
        let own = std::iter::once(Field::new(VINTAGE, DataType::Int64, false).into());
        let schema = Arc::new(Schema::new(own.chain(fields).collect::<Vec<_>>()));
        let mut found = Vec::with_capacity(batches.len());
        let mut rows = 0;
        for batch in &batches {
            let places = self.places(batch, reads)?;
            rows += places.len();
            if rows > MOST_ROWS {
                return Err(EngineError::Memory(format!(
                    "more than {MOST_ROWS} rows of {kind} at {} moments",
                    self.as_of.len()
                )));
            }
            found.push(of_places(&schema, batch, places)?);
        }
        Ok((schema, found))
    }

    /// The rows of a batch that are read, and at which moments.
    fn places(&self, batch: &RecordBatch, reads: &Reads<'_>) -> Result<Vec<(u64, i64)>, EngineError> {
        let instants = |name: &str| {
            let column = batch.column_by_name(name);
            let column = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
            column.ok_or_else(|| EngineError::Lift(format!("{name} is no instant")))
        };
        let (happened, known) = (instants("own_happened_at")?, instants("own_known_at")?);
        // Where all versions are read, none takes the place of another.
        let replaced = match reads.has_versions {
            true => None,
            false => Some(instants("own_replaced_at")?),
        };
        let mut places = Vec::new();
        for row in 0..batch.num_rows() {
            let replaced = replaced.filter(|replaced| replaced.is_valid(row));
            let replaced_at = replaced.map(|replaced| replaced.value(row));
            let (first, end) = self.of_version(reads, happened.value(row), known.value(row), replaced_at);
            places.extend((first..end).map(|vintage| (row as u64, vintage as i64)));
            if places.len() > MOST_ROWS {
                break;
            }
        }
        Ok(places)
    }
}

/// The rows at some places of a batch, each with its moment.
fn of_places(schema: &SchemaRef, batch: &RecordBatch, places: Vec<(u64, i64)>) -> Result<RecordBatch, EngineError> {
    let vintages = Int64Array::from_iter_values(places.iter().map(|(_, vintage)| *vintage));
    let rows = UInt64Array::from_iter_values(places.iter().map(|(row, _)| *row));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(vintages)];
    for column in batch.columns().iter().take(schema.fields().len() - 1) {
        columns.push(take(column, &rows, None)?);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
