use std::{fs::File, path::PathBuf, sync::Arc};

use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    buffer::{NullBuffer, ScalarBuffer},
    datatypes::{DataType, Field, Int64Type, Schema, TimestampMicrosecondType},
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    },
};

use crate::{
    Knowledge, MovementError,
    state::{Discount, Group, State, hash_of},
    text::{self, TextColumn, Texts},
};

/// Rows read at a time from all runs of a bucket together: what lies ready should fit the processor's cache.
const READY_ROWS: usize = 8192;

/// Rows read at a time from one of so many runs.
pub(crate) fn batch_rows(runs: usize) -> usize {
    (READY_ROWS / runs.max(1)).clamp(256, 4096)
}

/// Text columns that hold few different texts.
const RECURRING: [&str; 15] = [
    "source",
    "operation",
    "product",
    "plan",
    "status",
    "currency",
    "billing_interval",
    "charge_type",
    "price_id",
    "tier_mode",
    "collection",
    "cancel_reason",
    "country",
    "market",
    "channel",
];

/// Opens a file for some columns, recurring texts as dictionaries.
fn open(path: &PathBuf, columns: &[&str], batch_rows: usize) -> Result<ParquetRecordBatchReader, MovementError> {
    let parquet = |source| MovementError::Parquet {
        path: path.clone(),
        source,
    };
    let file = File::open(path).map_err(|source| MovementError::Io {
        path: path.clone(),
        source,
    })?;
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(parquet)?;
    let fields: Vec<Field> = plain
        .schema()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 if RECURRING.contains(&field.name().as_str()) => {
                let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                field.as_ref().clone().with_data_type(dictionary)
            }
            _ => field.as_ref().clone(),
        })
        .collect();
    let hinted = Schema::new_with_metadata(fields, plain.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(hinted));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options).map_err(parquet)?;
    let mask = ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied());
    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_projection(mask)
        .with_batch_size(batch_rows)
        .build()
        .map_err(parquet)
}

/// Rows of one file, which are in the order of their customers.
#[derive(Debug)]
pub(crate) struct Run<C> {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<Batch>,
    row: usize,
    columns: C,
}

#[derive(Debug)]
struct Batch {
    ids: StringArray,
    rows: usize,
}

/// What is read of a row beside its customer.
pub(crate) trait Columns {
    /// The columns, `customer_id` left out.
    const NAMES: &'static [&'static str];
    /// What the rows of a customer are gathered in.
    type Into;
    fn turn_to(&mut self, batch: &RecordBatch, texts: &mut Texts) -> Result<(), MovementError>;
    /// Gathers a row; the error says which column is wrong.
    fn gather(
        &self,
        row: usize,
        knowledge: &Knowledge,
        texts: &Texts,
        into: &mut Self::Into,
    ) -> Result<(), &'static str>;
}

impl<C: Columns> Run<C> {
    /// Opens a run, some of the columns left unread; none when it has no rows.
    pub(crate) fn open(
        path: PathBuf,
        columns: C,
        unread: &[&str],
        batch_rows: usize,
        texts: &mut Texts,
    ) -> Result<Option<Self>, MovementError> {
        let names = std::iter::once("customer_id").chain(C::NAMES.iter().copied());
        let names: Vec<&str> = names.filter(|name| !unread.contains(name)).collect();
        let reader = open(&path, &names, batch_rows)?;
        let mut run = Self {
            path,
            reader,
            batch: None,
            row: 0,
            columns,
        };
        Ok(run.turn(texts)?.then_some(run))
    }

    /// Turns to the next batch with rows, if there is one.
    fn turn(&mut self, texts: &mut Texts) -> Result<bool, MovementError> {
        loop {
            let Some(batch) = self.reader.next().transpose()? else {
                self.batch = None;
                return Ok(false);
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let ids = batch
                .column_by_name("customer_id")
                .and_then(|column| column.as_string_opt::<i32>())
                .filter(|ids| ids.null_count() == 0)
                .ok_or_else(|| self.wrong("customer_id is missing".to_owned()))?;
            self.columns.turn_to(&batch, texts)?;
            self.batch = Some(Batch {
                ids: ids.clone(),
                rows: batch.num_rows(),
            });
            self.row = 0;
            return Ok(true);
        }
    }

    fn wrong(&self, reason: String) -> MovementError {
        MovementError::Layout {
            path: self.path.clone(),
            reason,
        }
    }

    /// The customer whose rows come next.
    pub(crate) fn customer(&self) -> &str {
        self.batch.as_ref().map_or("", |batch| batch.ids.value(self.row))
    }

    /// Gathers all rows of a customer; whether rows of others follow.
    pub(crate) fn take(
        &mut self,
        customer: &str,
        knowledge: &Knowledge,
        texts: &mut Texts,
        into: &mut C::Into,
    ) -> Result<bool, MovementError> {
        loop {
            let Some(batch) = &self.batch else {
                return Ok(false);
            };
            while self.row < batch.rows && batch.ids.value(self.row) == customer {
                self.columns
                    .gather(self.row, knowledge, texts, into)
                    .map_err(|column| self.wrong(format!("a row of customer {customer} has no {column}")))?;
                self.row += 1;
            }
            if self.row < batch.rows {
                if batch.ids.value(self.row) < customer {
                    return Err(self.wrong(format!("customers are out of order after {customer}")));
                }
                return Ok(true);
            }
            if !self.turn(texts)? {
                return Ok(false);
            }
        }
    }
}

/// A column of whole numbers or instants, or none where the file is older than the column.
#[derive(Debug)]
pub(crate) struct Numbers {
    name: &'static str,
    values: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
}

impl Numbers {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            values: ScalarBuffer::from(Vec::new()),
            nulls: None,
        }
    }

    pub(crate) fn turn_to(&mut self, batch: &RecordBatch) {
        // A column without any value is read like one that is not there: no row has one.
        let column = batch
            .column_by_name(self.name)
            .filter(|column| column.null_count() < column.len());
        let values = column.and_then(|column| {
            let numbers = column.as_primitive_opt::<Int64Type>().map(|numbers| numbers.values());
            numbers.or_else(|| Some(column.as_primitive_opt::<TimestampMicrosecondType>()?.values()))
        });
        self.values = values.cloned().unwrap_or_else(|| ScalarBuffer::from(Vec::new()));
        self.nulls = column.and_then(|column| column.nulls()).cloned();
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        let value = self.values.get(row)?;
        let is_valid = self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        is_valid.then_some(*value)
    }

    #[inline]
    pub(crate) fn required(&self, row: usize) -> Result<i64, &'static str> {
        self.get(row).ok_or(self.name)
    }
}

/// A column of texts that hardly recur.
#[derive(Debug)]
pub(crate) struct Keys {
    name: &'static str,
    values: Option<StringArray>,
}

impl Keys {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, values: None }
    }

    pub(crate) fn turn_to(&mut self, batch: &RecordBatch) {
        self.values = batch
            .column_by_name(self.name)
            .and_then(|column| column.as_string_opt::<i32>())
            .cloned();
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        let values = self.values.as_ref()?;
        values.is_valid(row).then(|| values.value(row))
    }

    pub(crate) fn required(&self, row: usize) -> Result<&str, &'static str> {
        self.get(row).ok_or(self.name)
    }
}

macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($field:ident : $kind:ident $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name { $(pub(crate) $field: $kind),+ }

        impl $name {
            pub(crate) const NAMES: &'static [&'static str] = &[$($text),+];

            pub(crate) fn new() -> Self {
                Self { $($field: $kind::new($text)),+ }
            }

            pub(crate) fn turn(&mut self, batch: &RecordBatch, texts: &mut Texts) {
                $(columns!(@turn $kind self.$field, batch, texts);)+
            }
        }
    };
    (@turn TextColumn $field:expr, $batch:expr, $texts:expr) => { $field.turn_to($batch, $texts) };
    (@turn $kind:ident $field:expr, $batch:expr, $texts:expr) => { $field.turn_to($batch) };
}
pub(crate) use columns;

columns! {
    /// The columns of a subscription state that MRR hangs on.
    StateColumns {
        source: TextColumn "source", operation: TextColumn "operation", record_key: Keys "record_key", item_id: Keys "item_id",
        subscription_id: Keys "subscription_id",
        record_version: Numbers "record_version", recorded_at: Numbers "recorded_at", landed_at: Numbers "landed_at",
        arrival_seq: Numbers "arrival_seq", product: TextColumn "product", plan: TextColumn "plan", status: TextColumn "status",
        quantity: Numbers "quantity", unit_price_minor: Numbers "unit_price_minor", currency: TextColumn "currency",
        billing_interval: TextColumn "billing_interval", interval_count: Numbers "interval_count", discount_ppm: Numbers "discount_ppm",
        discount_minor: Numbers "discount_minor", trial_ends_at: Numbers "trial_ends_at", cancel_at: Numbers "cancel_at",
        valid_from: Numbers "valid_from", charge_type: TextColumn "charge_type", price_id: TextColumn "price_id",
        tier_mode: TextColumn "tier_mode", repeating_ppm: Numbers "repeating_discount_ppm",
        repeating_minor: Numbers "repeating_discount_minor", repeating_ends_at: Numbers "repeating_discount_ends_at",
        once_ppm: Numbers "once_discount_ppm", once_minor: Numbers "once_discount_minor", once_ends_at: Numbers "once_discount_ends_at",
        tax_ppm: Numbers "included_tax_ppm", collection: TextColumn "collection", past_due_at: Numbers "past_due_at",
        first_paid_at: Numbers "first_paid_at", cancel_reason: TextColumn "cancel_reason",
    }
}

impl Columns for StateColumns {
    const NAMES: &'static [&'static str] = StateColumns::NAMES;
    type Into = Group;

    fn turn_to(&mut self, batch: &RecordBatch, texts: &mut Texts) -> Result<(), MovementError> {
        self.turn(batch, texts);
        Ok(())
    }

    fn gather(&self, row: usize, knowledge: &Knowledge, texts: &Texts, group: &mut Group) -> Result<(), &'static str> {
        let (recorded_at, landed_at) = (self.recorded_at.required(row)?, self.landed_at.required(row)?);
        if !knowledge.covers(recorded_at, landed_at) {
            return Ok(());
        }
        let source = self.source.get(row);
        let source_text = texts.get(source).unwrap_or("");
        let (record_key, item) = (self.record_key.required(row)?, self.item_id.required(row)?);
        let (record_hash, item_hash) = (hash_of(source_text, record_key), hash_of(source_text, item));
        let subscription = self.subscription_id.get(row).map(|text| group.keep(text));
        let (record_key, item) = (group.keep(record_key), group.keep(item));
        let charge_type = self.charge_type.get(row);
        let none = |number: &Numbers| number.get(row).unwrap_or(0);
        group.states.push(State {
            customer: u32::try_from(group.customers.len().saturating_sub(1)).unwrap_or(0),
            source,
            record_key,
            record_hash,
            item,
            item_hash,
            subscription,
            record_version: self.record_version.required(row)?,
            recorded_at,
            arrival_seq: self.arrival_seq.required(row)?,
            is_deleted: self.operation.get(row) != text::UPSERT,
            product: self.product.get(row),
            plan: self.plan.get(row),
            currency: self.currency.get(row),
            status: self.status.get(row),
            interval: self.billing_interval.get(row),
            interval_count: self.interval_count.required(row)?,
            quantity: self.quantity.required(row)?,
            unit_price_minor: self.unit_price_minor.required(row)?,
            tier_mode: self.tier_mode.get(row),
            price_id: self.price_id.get(row),
            is_licensed: charge_type == text::NONE || charge_type == text::LICENSED,
            is_collection_paused: self.collection.get(row) == text::PAUSED,
            forever: Discount {
                ppm: self.discount_ppm.required(row)?,
                minor: self.discount_minor.required(row)?,
            },
            repeating: Discount {
                ppm: none(&self.repeating_ppm),
                minor: none(&self.repeating_minor),
            },
            repeating_ends_at: self.repeating_ends_at.get(row),
            once: Discount {
                ppm: none(&self.once_ppm),
                minor: none(&self.once_minor),
            },
            once_ends_at: self.once_ends_at.get(row),
            tax_ppm: none(&self.tax_ppm),
            valid_from: self.valid_from.required(row)?,
            trial_ends_at: self.trial_ends_at.get(row),
            cancel_at: self.cancel_at.get(row),
            cancel_reason: self.cancel_reason.get(row),
            past_due_at: self.past_due_at.get(row),
            first_paid_at: self.first_paid_at.get(row),
        });
        Ok(())
    }
}
