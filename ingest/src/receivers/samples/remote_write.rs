//! Prometheus remote-write. A sample that was there already counts as written, else the sender books it as lost.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::DateTime;
use prost::Message as _;

use super::{
    series::{KIND, Room, Sampled, Series, is_stale},
    wire::{Count, Histogram, Request, Sample, WriteRequest},
};
use crate::{
    Protocol,
    receivers::{
        Fault, Receivers,
        answer::Refusal,
        body::{self, Coding},
        parsed::{Parsed, Received},
        routes::bearer,
    },
};

/// Many times what Prometheus sends.
const MAX_BYTES: usize = 4 << 20;
/// What an inflated byte may take when it is read: an empty series is two of them.
const READ_FACTOR: usize = 48;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// `POST /api/v1/write`.
pub(in crate::receivers) async fn remote_write(
    State(receivers): State<Arc<Receivers>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let known = bearer(&headers).and_then(|key| receivers.sources.by_key(Protocol::Prometheus, key.as_bytes()));
    let answered = async {
        let source = known.ok_or_else(Refusal::unknown_key)?;
        let version = version(&headers)?;
        let mut bytes = body::read_bytes(&headers, body, &receivers.room, MAX_BYTES, &[Coding::Snappy]).await?;
        bytes.widen(&receivers.room, READ_FACTOR)?;
        let mut written = Written::default();
        let appended = receivers.land(source, &bytes.bytes, |received| {
            let (parsed, count) = parse(version, &bytes.bytes, received).map_err(Refusal::bad)?;
            written = count;
            Ok(parsed)
        });
        Ok((appended.await?, written))
    };
    // Prometheus drops what is answered with 429 unless it is told otherwise.
    let answered = answered.await.map_err(Refusal::unavailable_when_busy_or_slow);
    receivers.count(known, &answered.as_ref().map(|(appended, _)| *appended));
    let (_, written) = answered?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", written.samples),
        ("x-prometheus-remote-write-histograms-written", written.histograms),
        ("x-prometheus-remote-write-exemplars-written", 0),
    ] {
        response.headers_mut().insert(name, HeaderValue::from(count));
    }
    Ok(response)
}

fn version(headers: &HeaderMap) -> Result<Version, Refusal> {
    let text = |name: header::HeaderName| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let content_type = text(header::CONTENT_TYPE).to_ascii_lowercase().replace(' ', "");
    match content_type.as_str() {
        "application/x-protobuf" | "application/x-protobuf;proto=prometheus.writerequest" => Ok(Version::One),
        "application/x-protobuf;proto=io.prometheus.write.v2.request" => Ok(Version::Two),
        _ => {
            let reason = "the content type is application/x-protobuf, of prometheus.WriteRequest or io.prometheus.write.v2.Request";
            Err(Refusal::Never(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()))
        }
    }
}

/// What the sender is told to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Written {
    samples: u64,
    histograms: u64,
}

/// A series and what was sampled of it; why it is none, where it has no name.
struct Told {
    series: Result<Series, Fault>,
    samples: Vec<Sample>,
    histograms: Vec<Histogram>,
}

fn parse(version: Version, bytes: &[u8], received: &Received<'_>) -> Result<(Parsed, Written), String> {
    let told = match version {
        Version::One => first(bytes)?,
        Version::Two => second(bytes)?,
    };
    let mut written = Written::default();
    let mut room = Room::default();
    let mut events = Vec::new();
    for told in &told {
        let series = match &told.series {
            Ok(series) => series,
            Err(fault) => {
                room.take(1 + told.samples.len(), fault.reason.len())?;
                let samples = format!("{:?} {:?}", told.samples, told.histograms);
                events.push((events.len() as i64 + 1, samples, Err(fault.clone())));
                continue;
            }
        };
        room.take(told.samples.len() + 2 * told.histograms.len(), series.label_bytes())?;
        let mut push = |series: &Series, timestamp: i64, sampled: Sampled| {
            let at = i128::from(timestamp);
            let row = series.row(at, DateTime::from_timestamp_millis(timestamp), sampled, received);
            let shown = if row.is_err() {
                series.shown(at, sampled)
            } else {
                String::new()
            };
            events.push((events.len() as i64 + 1, shown, row));
        };
        for sample in &told.samples {
            push(series, sample.timestamp, Sampled::Float(sample.value));
        }
        written.samples += told.samples.len() as u64;
        if told.histograms.is_empty() {
            continue;
        }
        let (count, sum) = (series.part("count"), series.part("sum"));
        for histogram in &told.histograms {
            let number = match histogram.count {
                // A histogram that has ended is not one of nothing.
                _ if is_stale(histogram.sum) => Sampled::Nothing,
                Some(Count::Int(number)) => Sampled::Whole(i64::try_from(number).unwrap_or(i64::MAX)),
                Some(Count::Float(number)) => Sampled::Float(number),
                None => Sampled::Whole(0),
            };
            push(&count, histogram.timestamp, number);
            push(&sum, histogram.timestamp, Sampled::Float(histogram.sum));
        }
        written.histograms += told.histograms.len() as u64;
    }
    Ok((Parsed::collect(KIND, received, "prometheus", events), written))
}

fn first(bytes: &[u8]) -> Result<Vec<Told>, String> {
    let request = WriteRequest::decode(bytes).map_err(|error| format!("the body is no WriteRequest: {error}"))?;
    let told = request.timeseries.into_iter().map(|found| {
        let labels = found.labels.into_iter().map(|label| (label.name, label.value));
        Told {
            series: series(labels),
            samples: found.samples,
            histograms: found.histograms,
        }
    });
    Ok(told.collect())
}

fn second(bytes: &[u8]) -> Result<Vec<Told>, String> {
    let request = Request::decode(bytes).map_err(|error| format!("the body is no Request: {error}"))?;
    let symbol = |number: u32| {
        let found = request.symbols.get(number as usize).cloned();
        found.ok_or_else(|| format!("a label names symbol {number} of {}", request.symbols.len()))
    };
    let length = |number: &u32| request.symbols.get(*number as usize).map_or(0, String::len);
    let mut all = Vec::new();
    let mut room = Room::default();
    for found in &request.timeseries {
        // One text may be the label of every series.
        room.take(1, found.labels_refs.iter().map(length).sum())?;
        let (pairs, []) = found.labels_refs.as_chunks::<2>() else {
            return Err("a series has a label without a value".to_owned());
        };
        let labels = pairs.iter().map(|[name, value]| Ok((symbol(*name)?, symbol(*value)?)));
        let mut series = series(labels.collect::<Result<Vec<_>, String>>()?);
        if let (Some(metadata), Ok(series)) = (found.metadata, &mut series) {
            series.metric_type = match metadata.metric_type {
                1 => Some("counter"),
                2 => Some("gauge"),
                3 | 4 => Some("histogram"),
                5 => Some("summary"),
                _ => None,
            };
            series.unit = Some(symbol(metadata.unit_ref)?).filter(|unit| !unit.is_empty());
        }
        all.push(Told {
            series,
            samples: found.samples.clone(),
            histograms: found.histograms.clone(),
        });
    }
    Ok(all)
}

fn series(labels: impl IntoIterator<Item = (String, String)>) -> Result<Series, Fault> {
    let mut labels: BTreeMap<String, serde_json::Value> =
        labels.into_iter().map(|(name, value)| (name, value.into())).collect();
    match labels.remove("__name__") {
        Some(serde_json::Value::String(name)) if !name.is_empty() => {
            Ok(Series::new(&name, &labels, &["instance", "host"]))
        }
        _ => Err(Fault::of("__name__", format!("is missing among {labels:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use atalaya_store::Part;
    use chrono::Utc;

    use super::*;
    use crate::receivers::samples::wire::{Label, Metadata, TimeSeries, TimeSeriesV2};

    fn read(version: Version, bytes: &[u8]) -> Result<(Vec<String>, Vec<String>, Written), String> {
        let received = Received {
            source: "machines",
            received_at: DateTime::<Utc>::UNIX_EPOCH,
            body_sha256: "body",
        };
        let (parsed, written) = parse(version, bytes, &received)?;
        let mut rows = Vec::new();
        for part in parsed.parts {
            if let Part::Rows { rows: found, .. } = part {
                rows.extend(found.iter().map(|row| format!("{:?} {:?}", row.values, row.record_key)));
            }
        }
        Ok((rows, parsed.first_faults, written))
    }

    const LABELS: [(&str, &str); 3] = [("__name__", "load"), ("instance", "a"), ("job", "node")];
    const SAMPLES: [Sample; 2] = [
        Sample {
            value: 0.5,
            timestamp: 1_772_000_000_000,
        },
        Sample {
            value: 0.75,
            timestamp: 5,
        },
    ];

    fn histogram() -> Histogram {
        Histogram {
            count: Some(Count::Int(3)),
            sum: 1.25,
            timestamp: 1_772_000_000_000,
        }
    }

    #[test]
    fn both_versions_say_the_same() {
        let labels = LABELS.map(|(name, value)| Label {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        let one = WriteRequest {
            timeseries: vec![TimeSeries {
                labels: labels.to_vec(),
                samples: SAMPLES.to_vec(),
                histograms: vec![histogram()],
            }],
        };
        let two = Request {
            symbols: ["", "__name__", "load", "job", "node", "instance", "a", "seconds"]
                .map(str::to_owned)
                .to_vec(),
            timeseries: vec![TimeSeriesV2 {
                labels_refs: vec![5, 6, 1, 2, 3, 4],
                samples: SAMPLES.to_vec(),
                histograms: vec![histogram()],
                metadata: None,
            }],
        };
        let (rows, faults, written) = read(Version::One, &one.encode_to_vec()).unwrap();
        assert_eq!(rows.len(), 3);
        assert!(
            rows[0].contains("Text(\"load\")") && rows[0].contains("Integer(500000)"),
            "{rows:?}"
        );
        assert!(
            rows[1].contains("load_count") && rows[1].contains("Integer(3000000)"),
            "{rows:?}"
        );
        assert!(
            rows[2].contains("load_sum") && rows[2].contains("Integer(1250000)"),
            "{rows:?}"
        );
        assert_eq!(faults, ["event 2, timestamp: 5 lies outside 1990 to 2200"]);
        assert_eq!(
            written,
            Written {
                samples: 2,
                histograms: 1
            }
        );
        assert_eq!(
            read(Version::Two, &two.encode_to_vec()).unwrap(),
            (rows, faults, written)
        );

        let mut typed = two.clone();
        typed.timeseries[0].metadata = Some(Metadata {
            metric_type: 2,
            unit_ref: 7,
        });
        let (rows, ..) = read(Version::Two, &typed.encode_to_vec()).unwrap();
        assert!(
            rows[0].contains("Text(\"gauge\")") && rows[0].contains("Text(\"seconds\")"),
            "{rows:?}"
        );
        for (refs, expected) in [
            (vec![1, 2, 3], "without a value"),
            (vec![1, 99], "names symbol 99 of 8"),
        ] {
            let mut wrong = two.clone();
            wrong.timeseries[0].labels_refs = refs;
            let error = read(Version::Two, &wrong.encode_to_vec()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(read(Version::One, b"\xff\xff\xff").is_err());

        // A series without a name is a fault of its own.
        let mut nameless = two.clone();
        nameless.timeseries.push(TimeSeriesV2 {
            labels_refs: vec![3, 4],
            samples: SAMPLES[..1].to_vec(),
            ..TimeSeriesV2::default()
        });
        let (rows, faults, _) = read(Version::Two, &nameless.encode_to_vec()).unwrap();
        assert_eq!(rows.len(), 3);
        assert!(faults[1].starts_with("event 5, __name__: is missing"), "{faults:?}");
        // One that has ended is not one of nothing.
        let mut ended = two.clone();
        ended.timeseries[0].histograms[0].sum = f64::from_bits(0x7ff0_0000_0000_0002);
        ended.timeseries[0].histograms[0].count = None;
        let (rows, ..) = read(Version::Two, &ended.encode_to_vec()).unwrap();
        assert!(
            rows[1..].iter().all(|row| row.contains("None, Some(Instant")),
            "{rows:?}"
        );
        // A long label that many samples would repeat.
        let mut long = two.clone();
        long.symbols[4] = "x".repeat(1 << 20);
        long.timeseries[0].samples = vec![SAMPLES[0]; 100];
        let error = read(Version::Two, &long.encode_to_vec()).unwrap_err();
        assert!(error.contains("send fewer at once"), "{error}");
    }
}
