//! The files a company would export: one CSV a kind, in canonical columns.

use std::{
    collections::BTreeMap,
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Months, SecondsFormat, Utc};

use crate::{DemoError, company::Person};

pub(crate) const KINDS: [(&str, &[&str]); 8] = [
    (
        "fx_rates",
        &["rate_on", "currency", "quote_currency", "rate_e12", "recorded_at"],
    ),
    (
        "customers",
        &[
            "customer_id",
            "name",
            "country",
            "market",
            "channel",
            "created_at",
            "recorded_at",
        ],
    ),
    (
        "subscriptions",
        &[
            "record_key",
            "record_version",
            "customer_id",
            "subscription_id",
            "item_id",
            "product",
            "plan",
            "status",
            "quantity",
            "unit_price_minor",
            "currency",
            "interval",
            "interval_count",
            "discount_percent",
            "trial_ends_at",
            "valid_from",
            "recorded_at",
        ],
    ),
    (
        "orders",
        &[
            "record_key",
            "record_version",
            "operation",
            "customer_id",
            "product",
            "quantity",
            "amount_minor",
            "currency",
            "order_type",
            "ordered_at",
            "recorded_at",
        ],
    ),
    (
        "invoice_lines",
        &[
            "customer_id",
            "invoice_id",
            "line_id",
            "product",
            "line_type",
            "amount_minor",
            "currency",
            "issued_at",
            "service_from_on",
            "service_to_on",
            "recorded_at",
        ],
    ),
    (
        "payments",
        &[
            "customer_id",
            "payment_id",
            "invoice_id",
            "payment_type",
            "amount_minor",
            "currency",
            "paid_at",
            "recorded_at",
        ],
    ),
    (
        "ad_spend",
        &[
            "spent_on",
            "channel",
            "campaign",
            "amount_minor",
            "currency",
            "recorded_at",
        ],
    ),
    (
        "expenses",
        &[
            "spent_on",
            "category",
            "amount_minor",
            "currency",
            "cost_role",
            "recorded_at",
        ],
    ),
];

pub(crate) struct Files {
    writers: BTreeMap<&'static str, (PathBuf, csv::Writer<BufWriter<File>>)>,
    /// Keeps only what a later step wants of the orders; see [`crate::Incident`].
    pub(crate) order_filter: Option<OrderFilter>,
}

/// Decides what an incident does to an order, if anything.
pub(crate) type OrderFilter = Box<dyn FnMut(&OrderRow) -> Option<OrderChange>>;

/// What an incident does to an order.
pub(crate) struct OrderChange {
    pub(crate) operation: &'static str,
    pub(crate) record_version: i64,
    pub(crate) recorded_at: DateTime<Utc>,
}

pub(crate) struct CustomerRow<'a> {
    pub(crate) person: &'a Person,
    pub(crate) channel: &'a str,
}

/// One state of a subscription item.
#[derive(Debug, Clone)]
pub(crate) struct StateRow {
    pub(crate) key: String,
    pub(crate) version: i64,
    pub(crate) customer_id: String,
    pub(crate) subscription_id: String,
    pub(crate) product: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) status: &'static str,
    pub(crate) quantity: i64,
    pub(crate) unit_price_minor: i64,
    pub(crate) currency: &'static str,
    pub(crate) interval: &'static str,
    pub(crate) discount_percent: u32,
    pub(crate) trial_ends_at: Option<DateTime<Utc>>,
    pub(crate) valid_from: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub(crate) struct OrderRow {
    pub(crate) key: String,
    pub(crate) customer_id: String,
    pub(crate) product: &'static str,
    pub(crate) quantity: i64,
    pub(crate) amount_minor: i64,
    pub(crate) currency: &'static str,
    pub(crate) order_type: &'static str,
    pub(crate) ordered_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
}

pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Files {
    pub(crate) fn create(dir: &Path) -> Result<Self, DemoError> {
        let mut writers = BTreeMap::new();
        for (kind, header) in KINDS {
            let path = dir.join(format!("{kind}.csv"));
            let file = File::create(&path).map_err(|source| DemoError::Io {
                path: path.clone(),
                source,
            })?;
            let mut writer = csv::Writer::from_writer(BufWriter::new(file));
            writer.write_record(header)?;
            writers.insert(kind, (path, writer));
        }
        Ok(Self {
            writers,
            order_filter: None,
        })
    }

    pub(crate) fn row(&mut self, kind: &'static str, cells: &[&str]) -> Result<(), DemoError> {
        if let Some((_, writer)) = self.writers.get_mut(kind) {
            writer.write_record(cells)?;
        }
        Ok(())
    }

    pub(crate) fn customer(&mut self, row: &CustomerRow<'_>) -> Result<(), DemoError> {
        let person = row.person;
        let at = instant(person.signed_up_at);
        let name = format!(
            "Customer {}",
            person.id.trim_start_matches("cus_").trim_start_matches('0')
        );
        self.row(
            "customers",
            &[
                &person.id,
                &name,
                person.market.country,
                person.market.market,
                row.channel,
                &at,
                &at,
            ],
        )
    }

    /// Writes a state unless it lies in the future; what is only recorded later is known only later.
    pub(crate) fn state(&mut self, row: &StateRow, until: DateTime<Utc>) -> Result<(), DemoError> {
        if row.valid_from >= until || row.recorded_at >= until {
            return Ok(());
        }
        let trial = row.trial_ends_at.map(instant).unwrap_or_default();
        self.row(
            "subscriptions",
            &[
                &row.key,
                &row.version.to_string(),
                &row.customer_id,
                &row.subscription_id,
                &format!("{}_item", row.subscription_id),
                row.product,
                row.plan,
                row.status,
                &row.quantity.to_string(),
                &row.unit_price_minor.to_string(),
                row.currency,
                row.interval,
                "1",
                &row.discount_percent.to_string(),
                &trial,
                &instant(row.valid_from),
                &instant(row.recorded_at),
            ],
        )
    }

    pub(crate) fn order(&mut self, row: &OrderRow, until: DateTime<Utc>) -> Result<(), DemoError> {
        if row.ordered_at >= until || row.recorded_at >= until {
            return Ok(());
        }
        let change = match &mut self.order_filter {
            None => OrderChange {
                operation: "upsert",
                record_version: 0,
                recorded_at: row.recorded_at,
            },
            Some(filter) => match filter(row) {
                Some(change) => change,
                None => return Ok(()),
            },
        };
        self.row(
            "orders",
            &[
                &row.key,
                &change.record_version.to_string(),
                change.operation,
                &row.customer_id,
                row.product,
                &row.quantity.to_string(),
                &row.amount_minor.to_string(),
                row.currency,
                row.order_type,
                &instant(row.ordered_at),
                &instant(change.recorded_at),
            ],
        )
    }

    /// The invoice of a subscription's order, for so many months from `served_from`, and its payment. A refund has a credit
    /// note for the same days.
    pub(crate) fn invoice(
        &mut self,
        row: &OrderRow,
        served_from: DateTime<Utc>,
        months: u32,
        until: DateTime<Utc>,
    ) -> Result<(), DemoError> {
        if row.ordered_at >= until || row.recorded_at >= until {
            return Ok(());
        }
        let (line_type, payment_type) = if row.order_type == "refund" {
            ("credit_note", "refund")
        } else {
            ("charge", "payment")
        };
        let invoice = format!("in_{}", row.key);
        let (at, known) = (instant(row.ordered_at), instant(row.recorded_at));
        let amount = row.amount_minor.to_string();
        let from_on = served_from.date_naive();
        let to_on = from_on + Months::new(months);
        self.row(
            "invoice_lines",
            &[
                &row.customer_id,
                &invoice,
                "1",
                row.product,
                line_type,
                &amount,
                row.currency,
                &at,
                &from_on.to_string(),
                &to_on.to_string(),
                &known,
            ],
        )?;
        self.row(
            "payments",
            &[
                &row.customer_id,
                &format!("pay_{}", row.key),
                &invoice,
                payment_type,
                &amount,
                row.currency,
                &at,
                &known,
            ],
        )
    }

    pub(crate) fn finish(self) -> Result<Vec<(PathBuf, &'static str)>, DemoError> {
        let mut written = Vec::new();
        for (kind, _) in KINDS {
            if let Some((path, writer)) = self.writers.get(kind) {
                let _ = writer;
                written.push((path.clone(), kind));
            }
        }
        for (path, writer) in self.writers.into_values() {
            writer
                .into_inner()
                .map_err(|error| std::io::Error::other(error.to_string()))
                .and_then(|buffered| buffered.into_inner().map_err(std::io::IntoInnerError::into_error))
                .map_err(|source| DemoError::Io { path, source })?;
        }
        Ok(written)
    }
}
