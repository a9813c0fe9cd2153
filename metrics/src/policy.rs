//! The switches on which serious peers differ (metric-rules, section B), as one versioned file with named presets.

use atalaya_model::{Currency, HomeSettings};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Cell, ConstantTable, MetricsError};

/// The presets, each saying only what it does otherwise than `atalaya`.
const PRESETS: [(&str, &str); 5] = [
    ("atalaya", include_str!("../policies/atalaya.toml")),
    ("stripe", include_str!("../policies/stripe.toml")),
    ("chartmogul", include_str!("../policies/chartmogul.toml")),
    ("profitwell", include_str!("../policies/profitwell.toml")),
    ("board", include_str!("../policies/board.toml")),
];

/// The file of a home that says what it does otherwise than a preset.
pub const POLICY_FILE: &str = "policy.toml";

/// How long a discount runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountDuration {
    /// For as long as the subscription.
    Forever,
    /// For some months.
    Repeating,
    /// For one payment.
    Once,
}

/// Until when a subscription that will be cancelled counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelCountsUntil {
    /// The end of what was paid.
    PeriodEnd,
    /// The moment it was asked for.
    Request,
}

/// From when a subscription counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartCountsFrom {
    /// The start of the service.
    Service,
    /// The first payment, where the source tells it.
    FirstPayment,
}

/// What a customer is whose discount is 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullDiscount {
    /// Gone.
    Churned,
    /// A customer with an MRR of zero.
    ActiveAtZero,
}

/// How what was invoiced becomes revenue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recognition {
    /// Day by day over the days of service.
    Daily,
    /// The same for every calendar month that the service touches.
    Monthly,
}

/// Whose rate converts an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FxMode {
    /// The day before the boundary: everything is revalued.
    PeriodEnd,
    /// The UTC day on which the item's state began.
    ServiceStart,
    /// One day's, for all time.
    Constant,
}

/// The raw file: everything may be missing.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    version: Option<u32>,
    preset: Option<String>,
    past_due_counts: Option<bool>,
    past_due_days: Option<i64>,
    paused_counts: Option<bool>,
    collection_paused_counts: Option<bool>,
    cancel_counts_until: Option<CancelCountsUntil>,
    start_counts_from: Option<StartCountsFrom>,
    discounts_counted: Option<Vec<DiscountDuration>>,
    full_discount: Option<FullDiscount>,
    months_per_week: Option<String>,
    months_per_day: Option<String>,
    fx_mode: Option<FxMode>,
    fx_constant_on: Option<String>,
    fx_max_age_days: Option<i64>,
    grouping_minutes: Option<i64>,
    reactivation_within_days: Option<i64>,
    quick_ratio_counts_reactivation: Option<bool>,
    cac_lag_months: Option<i64>,
    recognition: Option<Recognition>,
}

/// The switches in force, which the definitions read from the one-row `policy` view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The preset's name, with `+` when a home's file changes some of it.
    pub name: String,
    /// Counts changes of the file.
    pub version: u32,
    /// Currency of figures that sum several currencies.
    pub reporting_currency: Currency,
    /// Whether an item that is past due still counts.
    pub past_due_counts: bool,
    /// ... and for how many days; absent means until its state changes.
    pub past_due_days: Option<i64>,
    /// Whether a paused item counts.
    pub paused_counts: bool,
    /// Whether an item counts whose collection is paused while its status stays active.
    pub collection_paused_counts: bool,
    /// Until when a cancelled item counts.
    pub cancel_counts_until: CancelCountsUntil,
    /// From when an item counts.
    pub start_counts_from: StartCountsFrom,
    /// Discounts that reduce MRR.
    pub discounts_counted: Vec<DiscountDuration>,
    /// What a discount of 100 % makes of a customer.
    pub full_discount: FullDiscount,
    /// Weekly prices are times this, as a fraction.
    pub months_per_week: (i64, i64),
    /// Daily prices are times this, as a fraction.
    pub months_per_day: (i64, i64),
    /// Whose rate converts.
    pub fx_mode: FxMode,
    /// The day of the constant rates.
    pub fx_constant_on: Option<NaiveDate>,
    /// How many days an exchange rate may be old.
    pub fx_max_age_days: i64,
    /// Movements of a customer at most so far apart are one.
    pub grouping_minutes: i64,
    /// Days after which a returning customer is new; absent means never.
    pub reactivation_within_days: Option<i64>,
    /// Whether the quick ratio's growth includes reactivation.
    pub quick_ratio_counts_reactivation: bool,
    /// Months between spending and winning.
    pub cac_lag_months: i64,
    /// How what was invoiced becomes revenue.
    pub recognition: Recognition,
    /// Whether closed months are read from the books: so for a home's own policy, not for one it is compared with.
    #[serde(skip)]
    pub books: bool,
}

impl RawPolicy {
    fn parse(place: &str, text: &str) -> Result<Self, MetricsError> {
        toml::from_str(text).map_err(|error| MetricsError::Policy {
            place: place.to_owned(),
            reason: error.to_string(),
        })
    }

    fn over(self, below: Self) -> Self {
        Self {
            version: self.version.or(below.version),
            preset: self.preset.or(below.preset),
            past_due_counts: self.past_due_counts.or(below.past_due_counts),
            past_due_days: self.past_due_days.or(below.past_due_days),
            paused_counts: self.paused_counts.or(below.paused_counts),
            collection_paused_counts: self.collection_paused_counts.or(below.collection_paused_counts),
            cancel_counts_until: self.cancel_counts_until.or(below.cancel_counts_until),
            start_counts_from: self.start_counts_from.or(below.start_counts_from),
            discounts_counted: self.discounts_counted.or(below.discounts_counted),
            full_discount: self.full_discount.or(below.full_discount),
            months_per_week: self.months_per_week.or(below.months_per_week),
            months_per_day: self.months_per_day.or(below.months_per_day),
            fx_mode: self.fx_mode.or(below.fx_mode),
            fx_constant_on: self.fx_constant_on.or(below.fx_constant_on),
            fx_max_age_days: self.fx_max_age_days.or(below.fx_max_age_days),
            grouping_minutes: self.grouping_minutes.or(below.grouping_minutes),
            reactivation_within_days: self.reactivation_within_days.or(below.reactivation_within_days),
            quick_ratio_counts_reactivation: self
                .quick_ratio_counts_reactivation
                .or(below.quick_ratio_counts_reactivation),
            cac_lag_months: self.cac_lag_months.or(below.cac_lag_months),
            recognition: self.recognition.or(below.recognition),
        }
    }
}

impl Policy {
    /// The presets' names.
    pub fn preset_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, _)| *name)
    }

    /// A preset, for a home's reporting currency.
    pub fn preset(name: &str, settings: &HomeSettings) -> Result<Self, MetricsError> {
        validate(raw_preset(name)?, name.to_owned(), &format!("preset {name}"), settings)
    }

    /// A home's own policy: its file over the preset that the file names (`atalaya` unless it names another).
    pub fn of_home(file: Option<(&str, &str)>, settings: &HomeSettings) -> Result<Self, MetricsError> {
        let Some((place, text)) = file else {
            let own = Self::preset("atalaya", settings)?;
            return Ok(Self { books: true, ..own });
        };
        let raw = RawPolicy::parse(place, text)?;
        let preset = raw.preset.clone().unwrap_or_else(|| "atalaya".to_owned());
        let below = raw_preset(&preset)?;
        let own = validate(raw.over(below), format!("{preset}+"), place, settings)?;
        Ok(Self { books: true, ..own })
    }

    /// SHA-256 of every switch, in hexadecimal: part of what a proof is a proof of.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The name with the first digits of the hash, as surfaces show it.
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, &self.hash()[..8])
    }

    /// Every switch with its value, in the order of the file.
    pub fn switches(&self) -> Vec<(String, String)> {
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) else {
            return Vec::new();
        };
        fields
            .into_iter()
            .filter(|(name, _)| name != "name" && name != "version")
            .map(|(name, value)| (name, value.to_string()))
            .collect()
    }

    /// The policies from `self` to `other`, changing one switch at a time, each with the switch's name.
    pub fn steps_to(&self, other: &Self) -> Vec<(&'static str, Self)> {
        let mut steps = Vec::new();
        let mut at = self.clone();
        macro_rules! step {
            ($($field:ident)|+ => $name:literal) => {
                if false $(|| at.$field != other.$field)+ {
                    $(at.$field = other.$field.clone();)+
                    steps.push(($name, at.clone()));
                }
            };
        }
        step!(past_due_counts | past_due_days => "past due");
        step!(paused_counts => "paused");
        step!(collection_paused_counts => "collection paused");
        step!(cancel_counts_until => "cancelled, not yet ended");
        step!(start_counts_from => "start of counting");
        step!(discounts_counted => "discounts");
        step!(full_discount => "full discount");
        step!(months_per_week => "weekly prices");
        step!(months_per_day => "daily prices");
        step!(fx_mode | fx_constant_on | fx_max_age_days => "exchange rates");
        step!(grouping_minutes | reactivation_within_days => "grouping of movements");
        step!(quick_ratio_counts_reactivation | cac_lag_months => "ratios");
        step!(recognition => "recognition");
        steps
    }

    pub(crate) fn table(&self) -> ConstantTable {
        let flag = |on: bool| Cell::Integer(i64::from(on));
        let days = |days: Option<i64>| days.map_or(Cell::Null, Cell::Integer);
        let counted = |duration| flag(self.discounts_counted.contains(&duration));
        let fx_mode = match self.fx_mode {
            FxMode::PeriodEnd => "period_end",
            FxMode::ServiceStart => "service_start",
            FxMode::Constant => "constant",
        };
        let columns = vec![
            ("books", "BIGINT", flag(self.books)),
            (
                "reporting_currency",
                "VARCHAR",
                Cell::Text(self.reporting_currency.code().to_owned()),
            ),
            ("past_due_counts", "BIGINT", flag(self.past_due_counts)),
            (
                "past_due_minutes",
                "BIGINT",
                days(self.past_due_days.map(|days| days * 1440)),
            ),
            ("paused_counts", "BIGINT", flag(self.paused_counts)),
            (
                "collection_paused_counts",
                "BIGINT",
                flag(self.collection_paused_counts),
            ),
            (
                "cancel_counts_at_request",
                "BIGINT",
                flag(self.cancel_counts_until == CancelCountsUntil::Request),
            ),
            (
                "start_counts_at_payment",
                "BIGINT",
                flag(self.start_counts_from == StartCountsFrom::FirstPayment),
            ),
            ("forever_counts", "BIGINT", counted(DiscountDuration::Forever)),
            ("repeating_counts", "BIGINT", counted(DiscountDuration::Repeating)),
            ("once_counts", "BIGINT", counted(DiscountDuration::Once)),
            (
                "active_at_zero",
                "BIGINT",
                flag(self.full_discount == FullDiscount::ActiveAtZero),
            ),
            ("week_numerator", "BIGINT", Cell::Integer(self.months_per_week.0)),
            ("week_denominator", "BIGINT", Cell::Integer(self.months_per_week.1)),
            ("day_numerator", "BIGINT", Cell::Integer(self.months_per_day.0)),
            ("day_denominator", "BIGINT", Cell::Integer(self.months_per_day.1)),
            ("fx_mode", "VARCHAR", Cell::Text(fx_mode.to_owned())),
            (
                "fx_constant_on",
                "DATE",
                self.fx_constant_on.map_or(Cell::Null, Cell::Date),
            ),
            ("fx_max_age_days", "BIGINT", Cell::Integer(self.fx_max_age_days)),
            ("grouping_minutes", "BIGINT", Cell::Integer(self.grouping_minutes)),
            (
                "reactivation_minutes",
                "BIGINT",
                days(self.reactivation_within_days.map(|days| days * 1440)),
            ),
            (
                "quick_ratio_counts_reactivation",
                "BIGINT",
                flag(self.quick_ratio_counts_reactivation),
            ),
            ("cac_lag_months", "BIGINT", Cell::Integer(self.cac_lag_months)),
            (
                "recognises_by_month",
                "BIGINT",
                flag(self.recognition == Recognition::Monthly),
            ),
        ];
        let (names, row) = columns
            .into_iter()
            .map(|(name, sql_type, cell)| ((name, sql_type), cell))
            .unzip();
        ConstantTable {
            name: "policy",
            columns: names,
            rows: vec![row],
        }
    }
}

fn raw_preset(name: &str) -> Result<RawPolicy, MetricsError> {
    let text = |wanted: &str| {
        PRESETS
            .iter()
            .find(|(known, _)| *known == wanted)
            .map(|(_, text)| *text)
    };
    let own = text(name).ok_or_else(|| MetricsError::Policy {
        place: format!("{name:?}"),
        reason: format!(
            "is no preset; there are {}",
            Policy::preset_names().collect::<Vec<_>>().join(", ")
        ),
    })?;
    let defaults = RawPolicy::parse("preset atalaya", PRESETS[0].1)?;
    Ok(RawPolicy::parse(&format!("preset {name}"), own)?.over(defaults))
}

fn validate(raw: RawPolicy, name: String, place: &str, settings: &HomeSettings) -> Result<Policy, MetricsError> {
    let fault = |field: &str, reason: String| MetricsError::Policy {
        place: format!("{place}: {field}"),
        reason,
    };
    let missing = |field: &'static str| move || fault(field, "is missing".to_owned());
    let fraction = |field: &'static str, text: Option<String>| {
        let text = text.ok_or_else(missing(field))?;
        let (above, below) = text.split_once('/').unwrap_or((&text, "1"));
        match (above.trim().parse::<i64>(), below.trim().parse::<i64>()) {
            (Ok(above @ 0..=1_000_000), Ok(below @ 1..=1_000_000)) => Ok((above, below)),
            _ => Err(fault(field, format!("{text:?} is not a fraction such as \"52/12\""))),
        }
    };
    let range = |field: &'static str, value: Option<i64>, least: i64, most: i64| match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(fault(field, format!("{value} is not between {least} and {most}")))
        }
        value => Ok(value),
    };
    let fx_mode = raw.fx_mode.ok_or_else(missing("fx_mode"))?;
    let fx_constant_on = raw
        .fx_constant_on
        .map(|text| {
            text.parse::<NaiveDate>()
                .map_err(|_| fault("fx_constant_on", format!("{text:?} is not a day such as 2026-01-31")))
        })
        .transpose()?;
    if (fx_mode == FxMode::Constant) != fx_constant_on.is_some() {
        return Err(fault(
            "fx_constant_on",
            "belongs to fx_mode = \"constant\", which needs it".to_owned(),
        ));
    }
    Ok(Policy {
        name,
        version: raw.version.unwrap_or(1),
        reporting_currency: settings.reporting_currency,
        past_due_counts: raw.past_due_counts.ok_or_else(missing("past_due_counts"))?,
        past_due_days: range("past_due_days", raw.past_due_days, 0, 36_500)?,
        paused_counts: raw.paused_counts.ok_or_else(missing("paused_counts"))?,
        collection_paused_counts: raw
            .collection_paused_counts
            .ok_or_else(missing("collection_paused_counts"))?,
        cancel_counts_until: raw.cancel_counts_until.ok_or_else(missing("cancel_counts_until"))?,
        start_counts_from: raw.start_counts_from.ok_or_else(missing("start_counts_from"))?,
        discounts_counted: raw.discounts_counted.ok_or_else(missing("discounts_counted"))?,
        full_discount: raw.full_discount.ok_or_else(missing("full_discount"))?,
        months_per_week: fraction("months_per_week", raw.months_per_week)?,
        months_per_day: fraction("months_per_day", raw.months_per_day)?,
        fx_mode,
        fx_constant_on,
        fx_max_age_days: range("fx_max_age_days", raw.fx_max_age_days, 0, 36_500)?
            .ok_or_else(missing("fx_max_age_days"))?,
        grouping_minutes: range("grouping_minutes", raw.grouping_minutes, 0, 44_640)?
            .ok_or_else(missing("grouping_minutes"))?,
        reactivation_within_days: range("reactivation_within_days", raw.reactivation_within_days, 0, 36_500)?,
        quick_ratio_counts_reactivation: raw
            .quick_ratio_counts_reactivation
            .ok_or_else(missing("quick_ratio_counts_reactivation"))?,
        cac_lag_months: range("cac_lag_months", raw.cac_lag_months, 0, 24)?.ok_or_else(missing("cac_lag_months"))?,
        recognition: raw.recognition.ok_or_else(missing("recognition"))?,
        books: false,
    })
}

#[cfg(test)]
mod tests {
    use atalaya_model::WeekStart;

    use super::*;

    fn settings() -> HomeSettings {
        HomeSettings {
            version: 1,
            company: "x".to_owned(),
            time_zone: "Europe/Madrid".to_owned(),
            week_start: WeekStart::Monday,
            fiscal_year_start_month: 1,
            reporting_currency: Currency::parse("EUR").unwrap(),
            roadmap_start_on: None,
        }
    }

    #[test]
    fn every_preset_is_valid_and_differs_from_the_others() {
        let settings = settings();
        let hashes: std::collections::BTreeSet<String> = Policy::preset_names()
            .map(|name| Policy::preset(name, &settings).unwrap().hash())
            .collect();
        assert_eq!(hashes.len(), PRESETS.len());
    }

    #[test]
    fn a_home_changes_single_switches_of_a_preset() {
        let text = "preset = 'stripe'\npast_due_days = 14";
        let policy = Policy::of_home(Some(("policy.toml", text)), &settings()).unwrap();
        assert_eq!((policy.name.as_str(), policy.past_due_days), ("stripe+", Some(14)));
        assert_eq!(policy.cancel_counts_until, CancelCountsUntil::Request);
    }

    #[test]
    fn a_wrong_policy_is_named_with_its_file_and_field() {
        for (text, expected) in [
            ("colour = 1", "unknown field `colour`"),
            ("preset = 'excel'", "\"excel\": is no preset; there are atalaya"),
            (
                "months_per_week = 'often'",
                "policy.toml: months_per_week: \"often\" is not a fraction",
            ),
            ("months_per_week = '4/0'", "months_per_week"),
            ("past_due_days = -1", "policy.toml: past_due_days: -1 is not between"),
            ("fx_mode = 'constant'", "policy.toml: fx_constant_on: belongs to"),
            (
                "fx_constant_on = '2026-01-01'",
                "policy.toml: fx_constant_on: belongs to",
            ),
            ("fx_mode = 'guess'", "unknown variant `guess`"),
        ] {
            let error = Policy::of_home(Some(("policy.toml", text)), &settings()).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_steps_between_two_policies_end_in_the_second() {
        let settings = settings();
        for from in Policy::preset_names() {
            for to in Policy::preset_names() {
                let (from, to) = (
                    Policy::preset(from, &settings).unwrap(),
                    Policy::preset(to, &settings).unwrap(),
                );
                let last = from.steps_to(&to).pop().map_or(from.clone(), |(_, policy)| policy);
                assert_eq!(last.switches(), to.switches());
            }
        }
    }
}
