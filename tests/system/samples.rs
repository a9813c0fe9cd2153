//! Prometheus and OpenTelemetry, the real ones, pointed at us: what they measured is there, each sample once.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use atalaya_tests::Home;
use reqwest::Client;
use serde_json::Value;

use crate::receivers::{answer, listening, listening_at, listening_with_alerts};

const SOURCES: &str = r#"
[[source]]
name = "machines"
protocol = "prometheus"
key_file = "machines.key"

[[source]]
name = "services"
protocol = "otlp"
key_file = "machines.key"
"#;
const KEY: &str = "machines-key-123";

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn home() -> Home {
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(home.path().join("machines.key"), KEY).unwrap();
    home
}

pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn running(command: &mut Command) -> Running {
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// The samples of a metric by series, as `sql` gives them: time in milliseconds, value in millionths.
fn landed(home: &Home, metric: &str) -> BTreeMap<String, Vec<(i64, i64)>> {
    let sql = format!(
        "SELECT labels, sampled_at, value_e6 FROM host_metrics_known WHERE metric_name = '{metric}' ORDER BY sampled_at"
    );
    let text = home.ok(&["sql", &sql, "--format", "csv"]);
    let mut all: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for row in csv::Reader::from_reader(text.as_bytes()).into_records() {
        let row = row.unwrap();
        let at: chrono::DateTime<chrono::Utc> = row[1].parse().unwrap();
        let sample = (at.timestamp_millis(), row[2].parse().unwrap());
        all.entry(row[0].to_owned()).or_default().push(sample);
    }
    all
}

/// The same as Prometheus has them.
async fn measured(client: &Client, port: u16, metric: &str) -> BTreeMap<String, Vec<(i64, i64)>> {
    let url = format!("http://127.0.0.1:{port}/api/v1/query");
    let (_, text) = answer(client.get(url).query(&[("query", format!("{metric}[1h]"))])).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    let mut all = BTreeMap::new();
    for series in found["data"]["result"].as_array().unwrap() {
        let mut labels: BTreeMap<String, Value> = serde_json::from_value(series["metric"].clone()).unwrap();
        labels.remove("__name__");
        let samples = series["values"].as_array().unwrap().iter().map(|sample| {
            let millis = (sample[0].as_f64().unwrap() * 1e3).round() as i64;
            let value: f64 = sample[1].as_str().unwrap().parse().unwrap();
            (millis, (value * 1e6).round_ties_even() as i64)
        });
        all.insert(serde_json::to_string(&labels).unwrap(), samples.collect());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_delivers_what_it_measures_once_though_we_are_killed() {
    let Some(programs) = std::env::var_os("ATALAYA_MONITORING").map(PathBuf::from) else {
        eprintln!("skipped: Prometheus is fetched by `cargo xtask test`");
        return;
    };
    let home = home();
    let mut serving = listening(&home, SOURCES);
    let address = serving.events.clone();
    let (exporter_port, port) = (free_port(), free_port());
    let _exporter = running(
        Command::new(programs.join("prometheus-node-exporter"))
            .arg(format!("--web.listen-address=127.0.0.1:{exporter_port}")),
    );
    let configuration = format!(
        "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\n\
         scrape_configs: [{{ job_name: node, static_configs: [{{ targets: ['127.0.0.1:{exporter_port}'] }}] }}]\n\
         remote_write:\n\
         - url: http://{address}/api/v1/write\n  \
           authorization: {{ credentials: {KEY} }}\n  \
           queue_config: {{ batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 200ms }}\n"
    );
    let file = home.file("prometheus.yml", configuration);
    let data = tempfile::tempdir().unwrap();
    let _prometheus = running(
        Command::new(programs.join("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
    );
    let samples = |home: &Home| {
        landed(home, "node_load1")
            .into_values()
            .map(|all| all.len())
            .sum::<usize>()
    };
    let mut ticker = tokio::time::interval(Duration::from_millis(200));
    for (wanted, kills) in [(3, true), (10, true), (25, false)] {
        let mut ticks = 0;
        while samples(&home) < wanted {
            ticker.tick().await;
            ticks += 1;
            assert!(ticks < 600, "Prometheus sends nothing");
        }
        if kills {
            serving.kill();
            serving = listening_at(&home, SOURCES, &address, &[]);
        }
    }
    let client = Client::new();
    for metric in ["node_load1", "node_cpu_seconds_total", "node_memory_MemAvailable_bytes"] {
        let ours = landed(&home, metric);
        let theirs = measured(&client, port, metric).await;
        assert!(!ours.is_empty() && ours.len() == theirs.len(), "{metric}");
        for (labels, all) in &ours {
            let known = &theirs[labels];
            // It goes on measuring while we look.
            assert!(
                all.len() >= 20 && all.len() <= known.len(),
                "{metric} {labels}: {} of {}",
                all.len(),
                known.len()
            );
            assert_eq!(*all, known[..all.len()], "{metric} {labels}");
        }
    }
    let hosts = home.ok(&["sql", "SELECT DISTINCT host FROM host_metrics_known", "--format", "csv"]);
    assert_eq!(hosts, format!("host\n127.0.0.1:{exporter_port}\n"));
    assert!(!home.ok(&["sources", "--format", "csv"]).contains(KEY));

    // What the alerts look at is what the counters say, added up here once more.
    drop(_prometheus);
    let rows = |signal: &str| {
        let text = home.ok(&["signal", signal, "--format", "csv"]);
        let mut rows = csv::Reader::from_reader(text.as_bytes()).into_records();
        let row = rows.next().unwrap().unwrap();
        assert!(rows.next().is_none(), "one host");
        (row[3].parse::<i64>().unwrap(), row[4].parse::<i64>().unwrap())
    };
    // What Prometheus had sent when it ended may still land: both are asked of the same samples.
    let (samples, seen) = loop {
        let before = landed(&home, "node_cpu_seconds_total");
        let seen = rows("cpu_utilization");
        if before == landed(&home, "node_cpu_seconds_total") {
            break (before, seen);
        }
    };
    let (mut busy, mut all) = (0, 0);
    for (labels, samples) in samples {
        let gained = samples.last().unwrap().1 - samples[0].1;
        all += gained;
        busy += if labels.contains("\"mode\":\"idle\"") {
            0
        } else {
            gained
        };
    }
    assert_eq!(seen, (busy, all));
    let (used, total) = rows("ram_utilization");
    assert!(0 < used && used < total, "{used} of {total}");
}

/// Rules as they are shipped, on this machine: it takes some seven minutes and an otherwise idle machine, so it belongs to the
/// large numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_machine_pages_after_five_minutes_and_is_well_again_when_it_rests() {
    let Some(programs) = std::env::var_os("ATALAYA_MONITORING")
        .map(PathBuf::from)
        .filter(|_| atalaya_tests::soak())
    else {
        eprintln!("skipped: it belongs to `cargo xtask soak`, with Prometheus");
        return;
    };
    let home = home();
    let (vendor, pagerduty) = crate::alerts::start(vec![]).await;
    let key = "0123456789abcdef0123456789abcdef";
    let variables = [
        ("ATALAYA_PAGERDUTY_URL", pagerduty.as_str()),
        ("ATALAYA_PAGERDUTY_ROUTING_KEY", key),
    ];
    let serving = listening_with_alerts(&home, SOURCES, &variables);
    let (exporter_port, port) = (free_port(), free_port());
    let _exporter = running(
        Command::new(programs.join("prometheus-node-exporter"))
            .arg(format!("--web.listen-address=127.0.0.1:{exporter_port}")),
    );
    let configuration = format!(
        "global: {{ scrape_interval: 5s, scrape_timeout: 5s }}\n\
         scrape_configs: [{{ job_name: node, static_configs: [{{ targets: ['127.0.0.1:{exporter_port}'] }}] }}]\n\
         remote_write:\n\
         - url: http://{}/api/v1/write\n  \
           authorization: {{ credentials: {KEY} }}\n",
        serving.events
    );
    let file = home.file("prometheus.yml", configuration);
    let data = tempfile::tempdir().unwrap();
    let _prometheus = running(
        Command::new(programs.join("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
    );
    let processors = std::thread::available_parallelism().unwrap().get();
    let loops: Vec<Running> = (0..processors)
        .map(|_| running(Command::new("sh").args(["-c", "ulimit -t 600; while :; do :; done"])))
        .collect();
    let mut ticker = tokio::time::interval(Duration::from_secs(1));
    let mut wait_for = async |wanted: &str, most_secs: u64| {
        let mut secs = 0;
        while !crate::alerts::events(&vendor)
            .iter()
            .any(|(_, action)| action == wanted)
        {
            ticker.tick().await;
            secs += 1;
            assert!(secs < most_secs, "no {wanted} within {most_secs} s");
        }
        secs
    };
    let fired_secs = wait_for("trigger", 500).await;
    drop(loops);
    let resolved_secs = wait_for("resolve", 400).await;
    eprintln!("fired after {fired_secs} s of load, resolved {resolved_secs} s after its end");
    assert!(
        fired_secs >= 300,
        "{fired_secs} s are less than the five minutes of the rule"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_exporter_is_told_that_all_is_well() {
    let Some(libraries) = std::env::var_os("ATALAYA_CLIENTS").map(PathBuf::from) else {
        eprintln!("skipped: the client libraries are fetched by `cargo xtask test`");
        return;
    };
    let home = home();
    let serving = listening(&home, SOURCES);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/opentelemetry_client.py");
    let mut command = Command::new(libraries.join("python/bin/python"));
    let host = format!("http://{}", serving.events);
    let ended = command.args([script, &host, KEY]).status().unwrap();
    assert!(ended.success(), "{ended}");
    // Twice, as its timer and its end each export: the same points at other instants.
    let sql = "SELECT DISTINCT metric_name, host, metric_type, metric_unit, value_e6 FROM host_metrics_known
        WHERE metric_name NOT LIKE '%_bucket' ORDER BY 1";
    assert_eq!(
        home.ok(&["sql", sql, "--format", "csv"]),
        "metric_name,host,metric_type,metric_unit,value_e6\n\
         documents.made,máquina,counter,{document},15000000\n\
         documents.took_count,máquina,histogram,s,3000000\n\
         documents.took_sum,máquina,histogram,s,42250000\n\
         memory.used,máquina,gauge,1,125000\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sample_is_refused_as_the_protocols_want_it() {
    let home = home();
    let serving = listening(&home, SOURCES);
    let client = Client::new();
    let write = |key: &str, content_type: &str, encoding: &str, body: Vec<u8>| {
        let request = client.post(format!("http://{}/api/v1/write", serving.events));
        let request = request.bearer_auth(key).header("content-type", content_type);
        answer(request.header("content-encoding", encoding).body(body))
    };
    let proto = "application/x-protobuf";
    // A block that says it is four gigabytes long.
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    for (key, content_type, encoding, body, expected) in [
        ("another-key", proto, "snappy", vec![0], 401),
        (KEY, "application/json", "snappy", vec![0], 415),
        (KEY, proto, "gzip", vec![0], 415),
        (KEY, proto, "snappy", vec![9, 9, 9], 400),
        (KEY, proto, "snappy", bomb, 413),
    ] {
        let (status, said) = write(key, content_type, encoding, body).await;
        assert_eq!(status.as_u16(), expected, "{said}");
    }
    let otlp = |content_type: &'static str, body: &'static str| {
        let request = client.post(format!("http://{}/v1/metrics", serving.events));
        answer(request.bearer_auth(KEY).header("content-type", content_type).body(body))
    };
    for (content_type, body, expected) in [("text/plain", "{}", 415), ("application/json", "[", 400)] {
        assert_eq!(otlp(content_type, body).await.0.as_u16(), expected);
    }
    // A point from before there were computers is kept as a dead letter and told, and not asked for again.
    let old = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"x","gauge":{"dataPoints":[{"asInt":"1","timeUnixNano":"1"}]}}]}]}]}"#;
    let (status, said) = otlp("application/json", old).await;
    assert_eq!(status.as_u16(), 200);
    assert!(
        said.contains(r#""rejectedDataPoints":"1""#) || said.contains(r#""rejectedDataPoints":1"#),
        "{said}"
    );
    assert!(said.contains("lies outside 1990 to 2200"), "{said}");
    let counted = home.ok(&["sources", "--format", "csv"]);
    assert!(counted.contains("machines,,0,0,0,0,4,0"), "{counted}");
}
