//! OTLP metrics over HTTP, as Protobuf or JSON: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. What cannot be kept is
//! told as a partial success, which the sender does not send again.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::DateTime;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, DataPointFlags, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
        NumberDataPoint, SummaryDataPoint, metric::Data, number_data_point,
    },
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::series::{KIND, Room, Sampled, Series};
use crate::{
    Protocol,
    receivers::{
        Receivers,
        answer::Refusal,
        body::{self, Coding},
        parsed::{Parsed, Received},
        routes::bearer,
    },
};

/// As much as a collector sends at once.
const MAX_BYTES: usize = 2 << 20;
/// What an inflated byte may take when it is read: an empty point of a histogram is two of them.
const READ_FACTOR: usize = 120;

/// `POST /v1/metrics`.
pub(in crate::receivers) async fn otlp_metrics(
    State(receivers): State<Arc<Receivers>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let known = bearer(&headers).and_then(|key| receivers.sources.by_key(Protocol::Otlp, key.as_bytes()));
    let answered = async {
        let source = known.ok_or_else(Refusal::unknown_key)?;
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_json = match content_type.and_then(|text| text.split(';').next()).map(str::trim) {
            Some("application/x-protobuf") => false,
            Some("application/json") => true,
            _ => {
                let reason = "the content types are application/x-protobuf and application/json".to_owned();
                return Err(Refusal::Never(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
            }
        };
        let codings = [Coding::Identity, Coding::Gzip];
        let mut bytes = body::read_bytes(&headers, body, &receivers.room, MAX_BYTES, &codings).await?;
        bytes.widen(&receivers.room, READ_FACTOR)?;
        let mut faults = Vec::new();
        let appended = receivers.land(source, &bytes.bytes, |received| {
            let parsed = parse(is_json, &bytes.bytes, received).map_err(Refusal::bad)?;
            faults.clone_from(&parsed.first_faults);
            Ok(parsed)
        });
        Ok((appended.await?, is_json, faults))
    };
    let answered = answered.await.map_err(Refusal::unavailable_when_busy_or_slow);
    receivers.count(known, &answered.as_ref().map(|(appended, ..)| *appended));
    let (appended, is_json, faults) = answered?;
    let letters = appended.letters + appended.known_letters;
    let partial_success = (letters > 0).then(|| ExportMetricsPartialSuccess {
        rejected_data_points: i64::try_from(letters).unwrap_or(i64::MAX),
        error_message: faults.join("; "),
    });
    let answer = ExportMetricsServiceResponse { partial_success };
    Ok(if is_json {
        axum::Json(answer).into_response()
    } else {
        (
            [(header::CONTENT_TYPE, "application/x-protobuf")],
            answer.encode_to_vec(),
        )
            .into_response()
    })
}

type Labels = BTreeMap<String, serde_json::Value>;

fn parse(is_json: bool, bytes: &[u8], received: &Received<'_>) -> Result<Parsed, String> {
    let request: ExportMetricsServiceRequest = if is_json {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?
    } else {
        ExportMetricsServiceRequest::decode(bytes).map_err(|error| error.to_string())?
    };
    let mut samples = Samples::default();
    for resource in &request.resource_metrics {
        let mut labels = Labels::new();
        let attributes = resource.resource.iter().flat_map(|resource| &resource.attributes);
        extend(&mut labels, attributes);
        let of_resource = format!("{labels:?}");
        for scope in &resource.scope_metrics {
            let mut labels = labels.clone();
            if let Some(named) = scope.scope.as_ref().filter(|scope| !scope.name.is_empty()) {
                labels.insert("otel.scope.name".to_owned(), named.name.clone().into());
            }
            // A point may have attributes that are named like its resource's, and a scope more than its name.
            let apart = format!("{of_resource}{:?}", scope.scope);
            samples.apart = crate::file::hex(&Sha256::digest(apart.as_bytes()));
            for metric in &scope.metrics {
                of_metric(metric, &labels, &mut samples)?;
            }
        }
    }
    let events = samples
        .all
        .into_iter()
        .zip(1..)
        .map(|((series, at_nanos, sampled), number)| {
            let at = i128::from(at_nanos);
            let sampled_at = i64::try_from(at_nanos).ok().map(DateTime::from_timestamp_nanos);
            // Microseconds are what tables keep.
            let sampled_at = sampled_at.and_then(|at| DateTime::from_timestamp_micros(at.timestamp_micros()));
            let row = series.row(at, sampled_at, sampled, received);
            let shown = if row.is_err() {
                series.shown(at, sampled)
            } else {
                String::new()
            };
            (number, shown, row)
        });
    Ok(Parsed::collect(KIND, received, "otlp", events))
}

/// Samples as they are found, and room for them.
#[derive(Default)]
struct Samples {
    all: Vec<(Series, u64, Sampled)>,
    room: Room,
    /// Resource and scope of what is found now.
    apart: String,
}

impl Samples {
    fn push(&mut self, series: Series, at: u64, sampled: Sampled) {
        self.all.push((series.apart(&self.apart), at, sampled));
    }

    /// Takes room for rows of a point before its labels are put together.
    fn make_room(&mut self, rows: usize, metric: &Metric, labels: &Labels, own: &[KeyValue]) -> Result<(), String> {
        let shared: usize = labels.iter().map(|(name, value)| name.len() + value_bytes(value)).sum();
        let own: usize = own.iter().map(|attribute| attribute.encoded_len()).sum();
        // Twice: what tells the series apart repeats them until its row is made.
        self.room.take(rows, metric.name.len() + 2 * shared + own)
    }
}

fn value_bytes(value: &serde_json::Value) -> usize {
    value.as_str().map_or_else(|| value.to_string().len(), str::len)
}

fn of_metric(metric: &Metric, labels: &Labels, samples: &mut Samples) -> Result<(), String> {
    let is_delta = |temporality: i32| temporality == AggregationTemporality::Delta as i32;
    match &metric.data {
        Some(Data::Gauge(gauge)) => numbers(metric, "gauge", &gauge.data_points, labels, samples)?,
        Some(Data::Sum(sum)) => {
            let metric_type = match (sum.is_monotonic, is_delta(sum.aggregation_temporality)) {
                (_, true) => "delta",
                (true, false) => "counter",
                (false, false) => "gauge",
            };
            numbers(metric, metric_type, &sum.data_points, labels, samples)?;
        }
        Some(Data::Histogram(histogram)) => {
            let metric_type = typed("histogram", is_delta(histogram.aggregation_temporality));
            for point in &histogram.data_points {
                samples.make_room(3 + point.bucket_counts.len(), metric, labels, &point.attributes)?;
                let of = Of::point(metric, metric_type, labels, &point.attributes);
                buckets(&of, point, samples);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let metric_type = typed("histogram", is_delta(histogram.aggregation_temporality));
            for point in &histogram.data_points {
                samples.make_room(2, metric, labels, &point.attributes)?;
                let of = Of::point(metric, metric_type, labels, &point.attributes);
                totals(&of, point, samples);
            }
        }
        Some(Data::Summary(summary)) => {
            for point in &summary.data_points {
                samples.make_room(2 + point.quantile_values.len(), metric, labels, &point.attributes)?;
                let of = Of::point(metric, "summary", labels, &point.attributes);
                quantiles(&of, point, samples);
            }
        }
        None => {}
    }
    Ok(())
}

fn typed(metric_type: &'static str, is_delta: bool) -> &'static str {
    if is_delta { "delta" } else { metric_type }
}

/// What a point is of.
struct Of<'m> {
    metric: &'m Metric,
    metric_type: &'static str,
    labels: Labels,
}

impl<'m> Of<'m> {
    fn point(metric: &'m Metric, metric_type: &'static str, labels: &Labels, attributes: &[KeyValue]) -> Self {
        let mut labels = labels.clone();
        extend(&mut labels, attributes);
        Self {
            metric,
            metric_type,
            labels,
        }
    }

    fn series(&self) -> Series {
        let mut series = Series::new(
            &self.metric.name,
            &self.labels,
            &["host.name", "host.id", "service.instance.id"],
        );
        series.metric_type = Some(self.metric_type);
        series.unit = Some(self.metric.unit.clone()).filter(|unit| !unit.is_empty());
        series
    }

    /// A part that has a label more, as Prometheus has it for buckets and quantiles.
    fn labelled(&self, part: &str, name: &str, value: f64) -> Series {
        let mut labels = self.labels.clone();
        let value = if value == f64::INFINITY {
            "+Inf".to_owned()
        } else {
            value.to_string()
        };
        labels.insert(name.to_owned(), value.into());
        let of = Self { labels, ..*self };
        let series = of.series();
        if part.is_empty() { series } else { series.part(part) }
    }
}

fn numbers(
    metric: &Metric,
    metric_type: &'static str,
    points: &[NumberDataPoint],
    labels: &Labels,
    samples: &mut Samples,
) -> Result<(), String> {
    for point in points {
        samples.make_room(1, metric, labels, &point.attributes)?;
        let sampled = match point.value {
            _ if is_nothing(point.flags) => Sampled::Nothing,
            Some(number_data_point::Value::AsDouble(number)) => Sampled::Float(number),
            Some(number_data_point::Value::AsInt(number)) => Sampled::Whole(number),
            None => Sampled::Nothing,
        };
        let series = Of::point(metric, metric_type, labels, &point.attributes).series();
        samples.push(series, point.time_unix_nano, sampled);
    }
    Ok(())
}

fn is_nothing(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

fn whole(number: u64) -> Sampled {
    Sampled::Whole(i64::try_from(number).unwrap_or(i64::MAX))
}

fn count_and_sum(of: &Of<'_>, at: u64, flags: u32, count: u64, sum: Option<f64>, samples: &mut Samples) {
    let or_nothing = |sampled| if is_nothing(flags) { Sampled::Nothing } else { sampled };
    samples.push(of.series().part("count"), at, or_nothing(whole(count)));
    if let Some(sum) = sum {
        samples.push(of.series().part("sum"), at, or_nothing(Sampled::Float(sum)));
    }
}

/// Buckets that count everything up to their bound, as Prometheus has them.
fn buckets(of: &Of<'_>, point: &HistogramDataPoint, samples: &mut Samples) {
    let at = point.time_unix_nano;
    count_and_sum(of, at, point.flags, point.count, point.sum, samples);
    let bounds = point.explicit_bounds.iter().copied().chain([f64::INFINITY]);
    let mut below: u64 = 0;
    for (bound, count) in bounds.zip(&point.bucket_counts) {
        below = below.saturating_add(*count);
        let sampled = if is_nothing(point.flags) {
            Sampled::Nothing
        } else {
            whole(below)
        };
        samples.push(of.labelled("bucket", "le", bound), at, sampled);
    }
}

fn totals(of: &Of<'_>, point: &ExponentialHistogramDataPoint, samples: &mut Samples) {
    count_and_sum(of, point.time_unix_nano, point.flags, point.count, point.sum, samples);
}

fn quantiles(of: &Of<'_>, point: &SummaryDataPoint, samples: &mut Samples) {
    let at = point.time_unix_nano;
    count_and_sum(of, at, point.flags, point.count, Some(point.sum), samples);
    for found in &point.quantile_values {
        samples.push(
            of.labelled("", "quantile", found.quantile),
            at,
            Sampled::Float(found.value),
        );
    }
}

fn extend<'a>(labels: &mut Labels, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    for attribute in attributes {
        labels.insert(attribute.key.clone(), shown(attribute.value.as_ref()));
    }
}

fn shown(value: Option<&AnyValue>) -> serde_json::Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone().into(),
        Some(any_value::Value::BoolValue(flag)) => (*flag).into(),
        Some(any_value::Value::IntValue(number)) => (*number).into(),
        Some(any_value::Value::DoubleValue(number)) => (*number).into(),
        Some(any_value::Value::ArrayValue(list)) => list.values.iter().map(|value| shown(Some(value))).collect(),
        Some(any_value::Value::KvlistValue(list)) => {
            let pairs = list.values.iter();
            pairs
                .map(|pair| (pair.key.clone(), shown(pair.value.as_ref())))
                .collect()
        }
        Some(any_value::Value::BytesValue(bytes)) => crate::file::hex(bytes).into(),
        _ => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use atalaya_store::{Part, Value};
    use chrono::Utc;
    use serde_json::json;

    use super::*;

    fn read(is_json: bool, bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), String> {
        let received = Received {
            source: "services",
            received_at: DateTime::<Utc>::UNIX_EPOCH,
            body_sha256: "body",
        };
        let parsed = parse(is_json, bytes, &received)?;
        let text = |value: &Option<Value>| match value {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Integer(number)) => number.to_string(),
            _ => "-".to_owned(),
        };
        let mut rows = Vec::new();
        for part in parsed.parts {
            if let Part::Rows { rows: found, .. } = part {
                rows.extend(
                    found
                        .iter()
                        .map(|row| row.values[..6].iter().map(text).collect::<Vec<_>>().join(" ")),
                );
            }
        }
        Ok((rows, parsed.first_faults))
    }

    fn request() -> serde_json::Value {
        let at = "1772000000000000000";
        json!({ "resourceMetrics": [{
            "resource": { "attributes": [{ "key": "host.name", "value": { "stringValue": "a" } }] },
            "scopeMetrics": [{ "scope": { "name": "s" }, "metrics": [
                { "name": "cpu", "unit": "1", "gauge": { "dataPoints": [
                    { "asDouble": 0.25, "timeUnixNano": at, "attributes": [{ "key": "core", "value": { "intValue": "3" } }] },
                    { "asInt": "7", "timeUnixNano": "1" },
                    { "timeUnixNano": at, "flags": 1 } ] } },
                { "name": "sent", "sum": { "isMonotonic": true, "aggregationTemporality": 2, "dataPoints": [{ "asInt": "9", "timeUnixNano": at }] } },
                { "name": "took", "histogram": { "aggregationTemporality": 2, "dataPoints": [
                    { "count": "6", "sum": 2.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.5, 1.0], "timeUnixNano": at }] } }
            ] }]
        }] })
    }

    #[test]
    fn every_point_is_a_row_and_both_encodings_say_the_same() {
        let json = request();
        let (rows, faults) = read(true, json.to_string().as_bytes()).unwrap();
        let labels = r#"{"host.name":"a","otel.scope.name":"s"}"#;
        assert_eq!(
            rows,
            [
                r#"cpu a {"core":3,"host.name":"a","otel.scope.name":"s"} gauge 1 250000"#.to_owned(),
                format!("cpu a {labels} gauge 1 -"),
                format!("sent a {labels} counter - 9000000"),
                format!("took_count a {labels} histogram - 6000000"),
                format!("took_sum a {labels} histogram - 2500000"),
                r#"took_bucket a {"host.name":"a","le":"0.5","otel.scope.name":"s"} histogram - 1000000"#.to_owned(),
                r#"took_bucket a {"host.name":"a","le":"1","otel.scope.name":"s"} histogram - 3000000"#.to_owned(),
                r#"took_bucket a {"host.name":"a","le":"+Inf","otel.scope.name":"s"} histogram - 6000000"#.to_owned(),
            ]
        );
        assert_eq!(faults, ["event 2, timestamp: 1 lies outside 1990 to 2200"]);
        let message: ExportMetricsServiceRequest = serde_json::from_value(json).unwrap();
        assert_eq!(read(false, &message.encode_to_vec()).unwrap(), (rows, faults));
        assert!(read(true, b"{").is_err() && read(false, b"\xff").is_err());
    }
}
