use std::fmt;

use crate::ModelError;

/// How a column's values are typed. The text of each type's canonical form is documented in `docs/import.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// Minor units of the row's currency. Files may give major units instead, under the column's `_major` name.
    Minor,
    /// An ISO 4217 code.
    Currency,
    /// A calendar day.
    Date,
    /// An instant, kept in UTC to the microsecond.
    Instant,
    /// A share, kept in millionths; files give percent under the column's `_percent` name.
    Ppm,
    /// A decimal kept in units of 10^-12 (exchange rates).
    E12,
}

/// One canonical column of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in tables, definitions and files.
    pub name: &'static str,
    /// How its values are typed.
    pub column_type: ColumnType,
    /// Whether every row must have it.
    pub required: bool,
    /// The text taken when a file has no such column or an empty cell.
    pub default: Option<&'static str>,
}

/// How a table is laid out on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Partitioned by the local day of landing, sorted by `occurred_at`.
    Events,
    /// Buckets by hash of the customer, each file sorted by (customer, occurred_at, arrival_seq).
    CustomerState,
}

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// People or companies that may pay; the newest version of each stands.
    Customers,
    /// One row per state of a subscription item.
    Subscriptions,
    /// One-off sales, instalments and refunds (negative).
    Orders,
    /// Spend by channel and day.
    AdSpend,
    /// Costs by category and day.
    Expenses,
    /// What one unit of a currency is worth in another, by day.
    FxRates,
    /// Tiers of prices that depend on the quantity.
    PriceTiers,
    /// Lines of invoices and of credit notes, with the days they are for.
    InvoiceLines,
    /// Money that came in or went back.
    Payments,
    /// Values that somebody reports by name and day: a cash balance, an audit's result.
    ReportedValues,
    /// What users did in the product or on the site, as event receivers get it.
    ProductEvents,
    /// What vendors told us, as they told it: whatever is made of it can be made again.
    VendorEvents,
    /// How far sources were read, written with what was read.
    SyncPositions,
    /// MRR by customer as a month was closed. Written by closing, never imported.
    MonthCloses,
}

const fn column(name: &'static str, column_type: ColumnType, required: bool) -> Column {
    Column {
        name,
        column_type,
        required,
        default: None,
    }
}

const fn defaulted(name: &'static str, column_type: ColumnType, default: &'static str) -> Column {
    Column {
        name,
        column_type,
        required: true,
        default: Some(default),
    }
}

use ColumnType::{Currency, Date, E12, Instant, Integer, Minor, Ppm, Text};

/// Columns that every table has beside those of its kind.
///
/// `record_key`, `record_version` and `operation` are the row's identity, version and `upsert`/`delete`; `occurred_at`
/// when it was true, `recorded_at` when the source knew, `landed_at` when Atalaya did; `arrival_seq` orders all rows of a
/// home; `extra` keeps, as JSON text, what a file had and the kind does not know.
pub const SYSTEM_COLUMNS: &[Column] = &[
    column("record_key", Text, true),
    column("record_version", Integer, true),
    column("operation", Text, true),
    column("occurred_at", Instant, true),
    column("recorded_at", Instant, true),
    column("landed_at", Instant, true),
    column("arrival_seq", Integer, true),
    column("source", Text, true),
    column("extra", Text, false),
];

impl Kind {
    /// Whether records of it come from outside; the others are Atalaya's own bookkeeping.
    pub fn is_from_outside(self) -> bool {
        !matches!(self, Self::MonthCloses | Self::SyncPositions)
    }

    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::Customers,
        Self::Subscriptions,
        Self::Orders,
        Self::AdSpend,
        Self::Expenses,
        Self::FxRates,
        Self::PriceTiers,
        Self::InvoiceLines,
        Self::Payments,
        Self::ReportedValues,
        Self::ProductEvents,
        Self::VendorEvents,
        Self::SyncPositions,
        Self::MonthCloses,
    ];

    /// The name of the kind and of its table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Subscriptions => "subscriptions",
            Self::Orders => "orders",
            Self::AdSpend => "ad_spend",
            Self::Expenses => "expenses",
            Self::FxRates => "fx_rates",
            Self::PriceTiers => "price_tiers",
            Self::InvoiceLines => "invoice_lines",
            Self::Payments => "payments",
            Self::ReportedValues => "reported_values",
            Self::ProductEvents => "product_events",
            Self::VendorEvents => "vendor_events",
            Self::SyncPositions => "sync_positions",
            Self::MonthCloses => "month_closes",
        }
    }

    /// Reads a name as [`Kind::name`] writes it.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| ModelError::UnknownKind(text.to_owned()))
    }

    /// How its table is laid out.
    pub fn layout(self) -> Layout {
        match self {
            Self::Customers | Self::Subscriptions => Layout::CustomerState,
            _ => Layout::Events,
        }
    }

    /// The canonical columns.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Customers => {
                const {
                    &[
                        column("customer_id", Text, true),
                        column("name", Text, false),
                        column("country", Text, false),
                        column("market", Text, false),
                        column("channel", Text, false),
                        column("created_at", Instant, true),
                    ]
                }
            }
            Self::Subscriptions => {
                const {
                    &[
                        column("customer_id", Text, true),
                        column("subscription_id", Text, true),
                        column("item_id", Text, true),
                        column("product", Text, false),
                        column("plan", Text, false),
                        column("status", Text, true),
                        defaulted("quantity", Integer, "1"),
                        column("unit_price_minor", Minor, true),
                        column("currency", Currency, true),
                        column("billing_interval", Text, true),
                        defaulted("interval_count", Integer, "1"),
                        defaulted("discount_ppm", Ppm, "0"),
                        defaulted("discount_minor", Minor, "0"),
                        column("trial_ends_at", Instant, false),
                        column("cancel_at", Instant, false),
                        column("valid_from", Instant, true),
                        defaulted("charge_type", Text, "licensed"),
                        column("price_id", Text, false),
                        column("tier_mode", Text, false),
                        defaulted("repeating_discount_ppm", Ppm, "0"),
                        defaulted("repeating_discount_minor", Minor, "0"),
                        column("repeating_discount_ends_at", Instant, false),
                        defaulted("once_discount_ppm", Ppm, "0"),
                        defaulted("once_discount_minor", Minor, "0"),
                        column("once_discount_ends_at", Instant, false),
                        defaulted("included_tax_ppm", Ppm, "0"),
                        defaulted("collection", Text, "charge"),
                        column("past_due_at", Instant, false),
                        column("first_paid_at", Instant, false),
                        column("cancel_reason", Text, false),
                    ]
                }
            }
            Self::Orders => {
                const {
                    &[
                        column("customer_id", Text, true),
                        column("product", Text, false),
                        defaulted("quantity", Integer, "1"),
                        column("amount_minor", Minor, true),
                        column("currency", Currency, true),
                        defaulted("order_type", Text, "sale"),
                        column("ordered_at", Instant, true),
                    ]
                }
            }
            Self::AdSpend => {
                const {
                    &[
                        column("spent_on", Date, true),
                        column("channel", Text, true),
                        column("campaign", Text, false),
                        column("amount_minor", Minor, true),
                        column("currency", Currency, true),
                    ]
                }
            }
            Self::Expenses => {
                const {
                    &[
                        column("spent_on", Date, true),
                        column("category", Text, true),
                        column("amount_minor", Minor, true),
                        column("currency", Currency, true),
                        column("cost_role", Text, false),
                    ]
                }
            }
            Self::InvoiceLines => {
                const {
                    &[
                        column("customer_id", Text, true),
                        column("invoice_id", Text, true),
                        column("line_id", Text, true),
                        column("subscription_id", Text, false),
                        column("product", Text, false),
                        column("plan", Text, false),
                        defaulted("line_type", Text, "charge"),
                        column("amount_minor", Minor, true),
                        column("currency", Currency, true),
                        column("issued_at", Instant, true),
                        column("service_from_on", Date, false),
                        column("service_to_on", Date, false),
                    ]
                }
            }
            Self::Payments => {
                const {
                    &[
                        column("customer_id", Text, true),
                        column("payment_id", Text, true),
                        column("invoice_id", Text, false),
                        defaulted("payment_type", Text, "payment"),
                        column("amount_minor", Minor, true),
                        column("currency", Currency, true),
                        column("paid_at", Instant, true),
                    ]
                }
            }
            Self::ReportedValues => {
                const {
                    &[
                        column("value_name", Text, true),
                        column("reported_on", Date, true),
                        defaulted("part", Text, "all"),
                        column("amount_minor", Minor, false),
                        column("currency", Currency, false),
                        column("number_e12", E12, false),
                        column("words", Text, false),
                    ]
                }
            }
            Self::ProductEvents => {
                const {
                    &[
                        defaulted("event_type", Text, "track"),
                        column("event_name", Text, false),
                        column("user_id", Text, false),
                        column("anonymous_id", Text, false),
                        column("group_id", Text, false),
                        column("previous_id", Text, false),
                        column("happened_at", Instant, true),
                        column("sent_at", Instant, false),
                        column("page_url", Text, false),
                        column("page_path", Text, false),
                        column("referrer", Text, false),
                        column("campaign_source", Text, false),
                        column("campaign_medium", Text, false),
                        column("campaign_name", Text, false),
                        column("properties", Text, false),
                        column("traits", Text, false),
                        column("context", Text, false),
                    ]
                }
            }
            Self::VendorEvents => {
                const {
                    &[
                        column("event_type", Text, false),
                        column("object_id", Text, false),
                        column("happened_at", Instant, true),
                        column("payload", Text, true),
                    ]
                }
            }
            Self::SyncPositions => const { &[column("position", Text, true), column("read_at", Instant, true)] },
            Self::MonthCloses => {
                const {
                    &[
                        column("boundary_at", Instant, true),
                        column("boundary", Text, true),
                        column("month_on", Date, true),
                        column("customer_id", Text, true),
                        column("currency", Currency, true),
                        column("product", Text, false),
                        column("plan", Text, false),
                        column("country", Text, false),
                        column("market", Text, false),
                        column("channel", Text, false),
                        column("native_micros", Integer, true),
                        column("value_micros", Integer, true),
                        column("reporting_currency", Currency, true),
                        column("policy", Text, true),
                        column("definition_hash", Text, true),
                        column("closed_at", Instant, true),
                    ]
                }
            }
            Self::PriceTiers => {
                const {
                    &[
                        column("price_id", Text, true),
                        column("currency", Currency, true),
                        column("first_unit", Integer, true),
                        column("unit_price_minor", Minor, true),
                        defaulted("flat_minor", Minor, "0"),
                        defaulted("valid_from", Instant, "1970-01-01"),
                    ]
                }
            }
            Self::FxRates => {
                const {
                    &[
                        column("rate_on", Date, true),
                        column("currency", Currency, true),
                        column("quote_currency", Currency, true),
                        column("rate_e12", E12, true),
                    ]
                }
            }
        }
    }

    /// The canonical column that says when the row was true.
    pub fn occurred_column(self) -> &'static str {
        match self {
            Self::Customers => "created_at",
            Self::Subscriptions | Self::PriceTiers => "valid_from",
            Self::Orders => "ordered_at",
            Self::AdSpend | Self::Expenses => "spent_on",
            Self::FxRates => "rate_on",
            Self::InvoiceLines => "issued_at",
            Self::Payments => "paid_at",
            Self::ReportedValues => "reported_on",
            Self::ProductEvents | Self::VendorEvents => "happened_at",
            Self::SyncPositions => "read_at",
            Self::MonthCloses => "boundary_at",
        }
    }

    /// Canonical columns that identify a row when the file maps no `record_key`; empty when the row's place in its file
    /// must serve.
    pub fn natural_key(self) -> &'static [&'static str] {
        match self {
            Self::Customers => &["customer_id"],
            Self::FxRates => &["rate_on", "currency", "quote_currency"],
            Self::PriceTiers => &["price_id", "currency", "first_unit"],
            Self::InvoiceLines => &["invoice_id", "line_id"],
            Self::Payments => &["payment_id"],
            Self::ReportedValues => &["value_name", "reported_on", "part"],
            _ => &[],
        }
    }

    /// Another name under which files may give a column: the plain word, where SQL reserves it.
    pub fn file_alias(self, column: &str) -> Option<&'static str> {
        match (self, column) {
            (Self::Subscriptions, "billing_interval") => Some("interval"),
            _ => None,
        }
    }

    /// The least and the greatest value of a whole-number column, where not every one makes sense.
    pub fn allowed_range(self, column: &str) -> Option<(i64, i64)> {
        match (self, column) {
            (Self::Subscriptions, "interval_count") => Some((1, 1_200)),
            (Self::PriceTiers, "first_unit") => Some((1, i64::MAX)),
            (Self::Subscriptions, "included_tax_ppm") => Some((0, 10_000_000)),
            (Self::Subscriptions, "quantity" | "unit_price_minor" | "discount_minor")
            | (Self::Subscriptions, "repeating_discount_minor" | "once_discount_minor") => Some((0, i64::MAX)),
            (Self::Subscriptions, "discount_ppm" | "repeating_discount_ppm" | "once_discount_ppm") => {
                Some((0, 1_000_000))
            }
            _ => None,
        }
    }

    /// Words a text column of this kind may hold; empty when any text is fine.
    pub fn allowed_words(self, column: &str) -> &'static [&'static str] {
        match (self, column) {
            (Self::Subscriptions, "status") => &[
                "active",
                "trialing",
                "past_due",
                "unpaid",
                "canceled",
                "incomplete",
                "incomplete_expired",
                "paused",
            ],
            (Self::Subscriptions, "billing_interval") => &["day", "week", "month", "year"],
            (Self::Subscriptions, "charge_type") => &["licensed", "metered", "one_off"],
            (Self::Subscriptions, "tier_mode") => &["volume", "graduated"],
            (Self::Subscriptions, "collection") => &["charge", "paused"],
            (Self::Subscriptions, "cancel_reason") => &["voluntary", "delinquent", "pause", "migration"],
            (Self::ProductEvents, "event_type") => &["track", "page", "screen", "identify", "group", "alias"],
            (Self::MonthCloses, "boundary") => &["opening", "closing"],
            (Self::InvoiceLines, "line_type") => &["charge", "credit_note", "void", "bad_debt"],
            (Self::Payments, "payment_type") => &["payment", "refund", "dispute"],
            (Self::Expenses, "cost_role") => &["cogs", "marketing", "sales", "sales_team", "research", "general"],
            (Self::Orders, "order_type") => &["sale", "instalment", "subscription", "usage", "refund"],
            _ => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
