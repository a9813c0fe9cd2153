//! A series and its samples as rows, whatever protocol brought them.

use std::collections::BTreeMap;

use atalaya_model::Kind;
use atalaya_store::{Row, Value};
use chrono::{DateTime, Datelike, Utc};
use sha2::{Digest, Sha256};

use crate::{
    file::hex,
    receivers::{Fault, parsed::Received},
};

/// The bits of the value by which Prometheus says that a series has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// What the rows of a request may take in memory: each repeats the labels of its series.
const MOST_BYTES: usize = 48 << 20;
/// What a row takes beside its labels.
const ROW_BYTES: usize = 400;

/// Room for the rows of one request, taken before they are made.
#[derive(Debug, Default)]
pub(super) struct Room(usize);

impl Room {
    /// Takes room for rows of a series whose name and labels have so many bytes.
    pub(super) fn take(&mut self, rows: usize, label_bytes: usize) -> Result<(), String> {
        self.0 = self
            .0
            .saturating_add(rows.saturating_mul(label_bytes.saturating_add(ROW_BYTES)));
        if self.0 > MOST_BYTES {
            return Err(format!(
                "its samples and their labels take more than {MOST_BYTES} bytes: send fewer at once"
            ));
        }
        Ok(())
    }
}

/// What identifies a series, and what is said of it.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    host: Option<String>,
    /// A JSON object, its names in order.
    pub(super) labels: String,
    pub(super) metric_type: Option<&'static str>,
    pub(super) unit: Option<String>,
    /// What tells it from another of the same name and labels.
    apart: String,
    identity: String,
}

/// A value at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sampled {
    Float(f64),
    Whole(i64),
    /// The sender says that there is none.
    Nothing,
}

impl Series {
    pub(super) fn new(name: &str, labels: &BTreeMap<String, serde_json::Value>, host_labels: &[&str]) -> Self {
        let shown = serde_json::Value::from_iter(labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        let labels_text = shown.to_string();
        let host = host_labels.iter().find_map(|host| labels.get(*host)?.as_str());
        Self {
            name: name.to_owned(),
            host: host.map(str::to_owned),
            identity: identity(name, &labels_text, ""),
            apart: String::new(),
            labels: labels_text,
            metric_type: None,
            unit: None,
        }
    }

    /// The same as seen by somebody who is not in its labels.
    pub(super) fn apart(self, apart: &str) -> Self {
        Self {
            identity: identity(&self.name, &self.labels, apart),
            apart: apart.to_owned(),
            ..self
        }
    }

    /// What its name and labels take in a row.
    pub(super) fn label_bytes(&self) -> usize {
        self.name.len() + self.labels.len()
    }

    /// A series of its own for a part of what it tells: its count, its sum.
    pub(super) fn part(&self, part: &str) -> Self {
        let name = format!("{}_{part}", self.name);
        Self {
            identity: identity(&name, &self.labels, &self.apart),
            name,
            ..self.clone()
        }
    }

    /// One sample. `at` is its time as the sender writes it: together with the series it identifies the sample.
    pub(super) fn row(
        &self,
        at: i128,
        sampled_at: Option<DateTime<Utc>>,
        sampled: Sampled,
        received: &Received<'_>,
    ) -> Result<Row, Fault> {
        let sampled_at = sampled_at
            .filter(|at| (1990..2200).contains(&at.year()))
            .ok_or_else(|| Fault::of("timestamp", format!("{at} lies outside 1990 to 2200")))?;
        let (value, kept) = match sampled {
            Sampled::Whole(whole) => match whole.checked_mul(1_000_000) {
                Some(millionths) => (Some(millionths), None),
                None => (None, Some(whole.to_string())),
            },
            Sampled::Float(float) => match millionths(float) {
                Some(millionths) => (Some(millionths), None),
                None if is_stale(float) => (None, Some("stale".to_owned())),
                None => (None, Some(float.to_string())),
            },
            Sampled::Nothing => (None, Some("stale".to_owned())),
        };
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        Ok(Row {
            values: vec![
                text(&self.name),
                self.host.clone().map(Value::Text),
                text(&self.labels),
                self.metric_type.and_then(text),
                self.unit.clone().map(Value::Text),
                value.map(Value::Integer),
                Some(Value::Instant(sampled_at)),
            ],
            record_key: Some(format!("{}|{at}", self.identity)),
            record_version: 0,
            operation: "upsert".to_owned(),
            occurred_at: sampled_at,
            recorded_at: None,
            source: Some(received.source.to_owned()),
            extra: kept.map(|kept| serde_json::json!({ "value": kept }).to_string()),
        })
    }

    /// What a dead letter shows.
    pub(super) fn shown(&self, at: i128, sampled: Sampled) -> String {
        format!("{} {} {sampled:?} at {at}", self.name, self.labels)
    }
}

/// Whether a float is the mark that a series has ended.
pub(super) fn is_stale(float: f64) -> bool {
    float.to_bits() == STALE
}

fn identity(name: &str, labels: &str, apart: &str) -> String {
    let hash = Sha256::new_with_prefix(name).chain_update([0]).chain_update(labels);
    let hash = hash.chain_update([0]).chain_update(apart);
    hex(&hash.finalize())[..32].to_owned()
}

/// The kind that samples land in.
pub(super) const KIND: Kind = Kind::HostMetrics;

/// A float in millionths, half-even; `None` when it has none that fit.
fn millionths(float: f64) -> Option<i64> {
    // The whole part apart: together with the rest it may have more digits than a float keeps.
    let whole = float.trunc();
    if !float.is_finite() || whole.abs() >= 9.0e12 {
        return None;
    }
    let rest = ((float - whole) * 1e6).round_ties_even();
    (whole as i64).checked_mul(1_000_000)?.checked_add(rest as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_to_the_millionth_or_as_they_were_said() {
        for (float, expected) in [
            (1.5, Some(1_500_000)),
            (-0.000_000_5, Some(0)),
            (0.000_001_5, Some(2)),
            (8_000_000_000_001.25, Some(8_000_000_000_001_250_000)),
            (12_345.678_901, Some(12_345_678_901)),
            (1e13, None),
            (f64::NAN, None),
            (f64::NEG_INFINITY, None),
        ] {
            assert_eq!(millionths(float), expected, "{float}");
        }
        let received = Received {
            source: "machines",
            received_at: DateTime::UNIX_EPOCH,
            body_sha256: "body",
        };
        let series = Series::new("up", &BTreeMap::new(), &[]);
        let at = DateTime::from_timestamp_millis(1_772_000_000_123);
        let extra = |sampled| series.row(1, at, sampled, &received).unwrap().extra;
        assert_eq!(
            extra(Sampled::Float(f64::from_bits(STALE))).unwrap(),
            r#"{"value":"stale"}"#
        );
        assert_eq!(extra(Sampled::Float(f64::NAN)).unwrap(), r#"{"value":"NaN"}"#);
        assert_eq!(extra(Sampled::Float(1e300)).unwrap().len(), 313);
        assert_eq!(extra(Sampled::Whole(7)), None);
        assert!(
            series
                .row(1, DateTime::from_timestamp(1, 0), Sampled::Whole(7), &received)
                .is_err()
        );
    }

    #[test]
    fn a_series_is_its_name_and_its_labels_whatever_their_order() {
        let labels = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        let one = Series::new("up", &labels(&[("job", "node"), ("instance", "a:9100")]), &["instance"]);
        let other = Series::new("up", &labels(&[("instance", "a:9100"), ("job", "node")]), &["instance"]);
        assert_eq!(one.identity, other.identity);
        assert_eq!(one.host.as_deref(), Some("a:9100"));
        assert_ne!(
            one.identity,
            Series::new("up", &labels(&[("job", "node")]), &[]).identity
        );
    }
}
