use serde::{Deserialize, Serialize};

use crate::{Grain, ModelError};

/// What a metric's figures are, and so which columns its SQL must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Columns `value_minor, currency`: whole minor units, as invoiced or paid.
    Money,
    /// Columns `value_micros, currency`: millionths of a minor unit, as normalised or converted amounts are. Published in
    /// minor units.
    MoneyMicros,
    /// Columns `numerator_micros, denominator, currency`: an amount per thing. Published in minor units.
    MoneyPer,
    /// Column `value`: a whole number of things.
    Count,
    /// Columns `numerator, denominator`; a denominator of 0 is "no value".
    Ratio,
    /// Columns `numerator, denominator` too, of what is no share: how many times, or how many months. Never a percentage.
    Factor,
    /// No figure: rows for other definitions to build on.
    Rows,
}

impl Unit {
    /// The columns that must follow `period_start` and the dimensions.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Money => &["value_minor", "currency"],
            Self::MoneyMicros => &["value_micros", "currency"],
            Self::MoneyPer => &["numerator_micros", "denominator", "currency"],
            Self::Count => &["value"],
            Self::Ratio | Self::Factor => &["numerator", "denominator"],
            Self::Rows => &[],
        }
    }

    /// Whether a figure is an amount in a currency.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Money | Self::MoneyMicros | Self::MoneyPer)
    }
}

/// Whether more of it is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Up is good.
    #[default]
    Up,
    /// Down is good.
    Down,
    /// Neither.
    Neutral,
}

/// How figures of shorter periods make one of a longer period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Additivity {
    /// They add up (revenue, movements).
    Flow,
    /// The last one stands (MRR, customers): a state at the period's end.
    #[default]
    State,
    /// Neither: it must be computed anew.
    None,
}

/// A level somebody promised, for one phase of the roadmap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The phase, for example `saas:month_6`; empty when it always holds.
    #[serde(default)]
    pub phase: String,
    /// `>=`, `>`, `<=` or `<`.
    pub comparator: String,
    /// The level: major units for money, a ratio for ratios, things for counts.
    pub level: f64,
    /// Who said so.
    pub source: String,
}

/// What is known of a metric before it is computed: the checked header of its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSpec {
    /// Its id, also its file name and its table name.
    pub id: String,
    /// Name in English.
    pub name_en: String,
    /// Name in Spanish.
    pub name_es: String,
    /// What it means, in one English sentence.
    pub description_en: String,
    /// What it means, in one Spanish sentence.
    pub description_es: String,
    /// What its figures are.
    pub unit: Unit,
    /// Whether more is good news.
    pub direction: Direction,
    /// How periods roll up.
    pub additivity: Additivity,
    /// Grains it may be asked at; never empty for a figure.
    pub grains: Vec<Grain>,
    /// Columns it may be split by.
    pub dimensions: Vec<String>,
    /// Columns it is always split by (`movement`, `cohort_on`).
    pub breakdown: Vec<String>,
    /// Promised levels.
    pub targets: Vec<Target>,
    /// Who answers for it.
    pub owner: String,
    /// Why there is no value where there is none: one English sentence part.
    #[serde(default)]
    pub no_value: Option<String>,
    /// Where the rule comes from.
    pub source: String,
    /// SHA-256 of the definition and of all it depends on, in hexadecimal.
    pub definition_hash: String,
}

impl MetricSpec {
    /// An error when the metric cannot be asked at this grain.
    pub fn check_grain(&self, grain: Grain) -> Result<(), ModelError> {
        if self.grains.contains(&grain) {
            return Ok(());
        }
        let known: Vec<_> = self.grains.iter().map(|grain| grain.name()).collect();
        Err(ModelError::BadSetting {
            name: "grain",
            reason: format!("{} is not computed by {grain}; ask for {}", self.id, known.join(", ")),
        })
    }

    /// An error when the metric cannot be split by one of these.
    pub fn check_dimensions(&self, by: &[String]) -> Result<(), ModelError> {
        for (index, wanted) in by.iter().enumerate() {
            if !self.dimensions.contains(wanted) || by[..index].contains(wanted) {
                return Err(ModelError::BadSetting {
                    name: "by",
                    reason: format!(
                        "{} cannot be split by {wanted:?}; it has: {}",
                        self.id,
                        if self.dimensions.is_empty() {
                            "no dimensions".to_owned()
                        } else {
                            self.dimensions.join(", ")
                        }
                    ),
                });
            }
        }
        Ok(())
    }
}
