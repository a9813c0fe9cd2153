use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{Currency, Grain, Unit};

/// One published figure. Integers throughout: what is divided is divided where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Figure {
    /// An amount in minor units.
    Money {
        /// Minor units of `currency`.
        value_minor: i64,
        /// The currency.
        currency: Currency,
    },
    /// A number of things.
    Count {
        /// How many.
        value: i64,
    },
    /// A ratio of sums.
    Ratio {
        /// Above the line.
        numerator: i64,
        /// Below the line; never 0.
        denominator: i64,
    },
    /// There is no value, and why.
    None {
        /// What stands where the value would: one short English sentence part.
        reason: String,
    },
}

impl Figure {
    /// As a float, for drawing and for comparing with targets only: major units, things, or a ratio.
    #[allow(clippy::cast_precision_loss, reason = "a drawing has fewer digits than a float")]
    pub fn approximate(&self) -> Option<f64> {
        match self {
            Self::Money { value_minor, currency } => Some(*value_minor as f64 / currency.minor_per_major() as f64),
            Self::Count { value } => Some(*value as f64),
            Self::Ratio { numerator, denominator } => Some(*numerator as f64 / *denominator as f64),
            Self::None { .. } => None,
        }
    }
}

/// How final a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The period has not ended; the figure is as of now.
    Open,
    /// The period has ended. Later knowledge may still restate it.
    Closed,
}

impl Status {
    /// The word used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// One period's figure for one combination of dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// First local day of the period.
    pub period_on: NaiveDate,
    /// Values of the series' dimensions, in their order; an absent value is `null`.
    pub dimensions: Vec<Option<String>>,
    /// The figure.
    pub figure: Figure,
    /// How final it is.
    pub status: Status,
}

/// What has been proved of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofState {
    /// Identities hold and a second engine gave the same figures on this snapshot.
    Checked,
    /// Identities hold; the second engine has not answered for this snapshot yet.
    Pending,
    /// An identity or the second engine disagrees. Shown red on every surface.
    Failed,
}

impl ProofState {
    /// The word used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Pending => "pending",
            Self::Failed => "failed",
        }
    }
}

/// The proof that goes with every published series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What has been proved.
    pub state: ProofState,
    /// Hash of the definition and of all it depends on.
    pub definition_hash: String,
    /// The policy in force: its preset's name and the first digits of its hash.
    pub policy: String,
    /// The pinned data: `table@version` for every table read.
    pub snapshot: String,
    /// What failed, one line each; empty unless failed.
    pub failures: Vec<String>,
}

/// The answer to a query: figures with their proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The metric.
    pub metric: String,
    /// What the figures are.
    pub unit: Unit,
    /// The grain asked for.
    pub grain: Grain,
    /// Names of the dimensions of every point.
    pub dimensions: Vec<String>,
    /// Ordered by period, then dimensions.
    pub points: Vec<Point>,
    /// The proof.
    pub proof: Proof,
    /// When the newest record it was computed from landed; absent when there is none.
    pub fresh_at: Option<DateTime<Utc>>,
    /// The "now" of the computation.
    pub evaluated_at: DateTime<Utc>,
}

impl Series {
    /// The points without dimensions, in order: what a tile or a line shows.
    pub fn totals(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.points.iter().filter(|point| point.dimensions.is_empty())
    }
}

/// A change between two figures of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// New minus old: major units, things, or ratio points.
    pub absolute: f64,
    /// `absolute / |old|`; absent when the old figure is 0.
    pub relative_ratio: Option<f64>,
}

impl Delta {
    /// From `old` to `new`; absent when either has no value.
    pub fn between(old: &Figure, new: &Figure) -> Option<Self> {
        let (old, new) = (old.approximate()?, new.approximate()?);
        let absolute = new - old;
        Some(Self {
            absolute,
            relative_ratio: (old != 0.0).then(|| absolute / old.abs()),
        })
    }
}
