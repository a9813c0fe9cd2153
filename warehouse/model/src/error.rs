use thiserror::Error;

/// What can be wrong with a value that came from outside. None of these is cured by trying again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// The code is not an active ISO 4217 currency.
    #[error("unknown currency {0:?}: expected an ISO 4217 code such as EUR")]
    UnknownCurrency(String),
    /// Two amounts of different currencies met in one sum.
    #[error("cannot add {left} and {right}: convert one of them first")]
    CurrencyMismatch {
        /// Currency of the left amount.
        left: &'static str,
        /// Currency of the right amount.
        right: &'static str,
    },
    /// The exact result does not fit 64 bits.
    #[error("amount is too large: the exact result does not fit 64 bits")]
    Overflow,
    /// A division by zero was asked for.
    #[error("division by zero")]
    DivisionByZero,
    /// The text is not an amount of this currency.
    #[error("{text:?} is not an amount in {currency}: {reason}")]
    BadAmount {
        /// What was read.
        text: String,
        /// The currency it should be in.
        currency: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The text names no grain.
    #[error("unknown grain {0:?}: expected day, week, month, quarter or year")]
    UnknownGrain(String),
    /// The text names no record kind.
    #[error("unknown kind {found:?}: expected one of {known}")]
    UnknownKind {
        /// The text.
        found: String,
        /// The kinds whose records come from outside.
        known: String,
    },
    /// The text names no IANA time zone.
    #[error("unknown time zone {0:?}: expected an IANA name such as Europe/Madrid")]
    UnknownZone(String),
    /// The range ends before it starts.
    #[error("empty range: {from} is not before {to}")]
    EmptyRange {
        /// First day asked for.
        from: chrono::NaiveDate,
        /// First day not asked for.
        to: chrono::NaiveDate,
    },
    /// A setting has a value it cannot have.
    #[error("setting {name}: {reason}")]
    BadSetting {
        /// The setting's name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
}
