use std::path::PathBuf;

use atalaya_model::ModelError;
use chrono::NaiveDate;

/// Why a pass over customers ended early. None of these goes away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum MovementError {
    /// A data file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A data file is not the Parquet it should be.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// What is kept of customers' rows cannot be written or read.
    #[error("the rows kept by customer: {0}")]
    Kept(String),
    /// Rows could not be read or made.
    #[error("{0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A data file is not as the layout of its table says.
    #[error("{}: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The records lack a rate that a figure needs.
    #[error("no exchange rate from {currency} to {reporting_currency} for {day}")]
    NoRate {
        /// Currency of the amount.
        currency: String,
        /// Currency of the figure.
        reporting_currency: String,
        /// The day whose rate is missing.
        day: NaiveDate,
    },
    /// The records lack the rate of the day on which an item began.
    #[error(
        "no exchange rate from {currency} to {reporting_currency} for the start of an item of customer {customer_id}"
    )]
    NoStartRate {
        /// Currency of the amount.
        currency: String,
        /// Currency of the figure.
        reporting_currency: String,
        /// Whose item it is.
        customer_id: String,
    },
    /// The records lack the tier that a quantity falls into.
    #[error("price {price_id} has no tier in {currency} for quantity {quantity}")]
    NoTier {
        /// The price.
        price_id: String,
        /// The currency.
        currency: String,
        /// The quantity.
        quantity: i64,
    },
    /// An amount does not fit 64 bits.
    #[error("customer {customer_id}: {source}")]
    Amount {
        /// Whose amount.
        customer_id: String,
        /// What is wrong with it.
        source: ModelError,
    },
    /// A sum or an instant does not fit 64 bits.
    #[error("{0} does not fit 64 bits")]
    TooLarge(&'static str),
    /// Whoever asked no longer listens.
    #[error("the rows are no longer wanted")]
    Abandoned,
}

impl MovementError {
    /// Says whose amount does not fit.
    pub(crate) fn amount(customer_id: &str) -> impl Fn(ModelError) -> Self + '_ {
        move |source| Self::Amount {
            customer_id: customer_id.to_owned(),
            source,
        }
    }
}
