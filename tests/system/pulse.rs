//! Watching the watcher: signs of life, numbers that a real Prometheus scrapes, and tests of the routes.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use atalaya_tests::Home;
use axum::{Router, routing::get};
use serde_json::Value;

use crate::{
    alerts::{Vendor, start},
    owner::serve,
    samples::{free_port, running},
};

fn home() -> Home {
    let mut home = Home::new();
    let text = "finding_id,finding_type,title,opened_at\nf1,violation,Consent,2026-03-16T09:00:00Z\n";
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    home.import(&home.file("findings.csv", text), "compliance_findings");
    home
}

fn routes(address: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ATALAYA_PAGERDUTY_URL", address.to_owned()),
        (
            "ATALAYA_PAGERDUTY_ROUTING_KEY",
            "0123456789abcdef0123456789abcdef".to_owned(),
        ),
        ("ATALAYA_SLACK_WEBHOOK_URL", format!("{address}/slack")),
    ]
}

/// A heartbeat service that counts.
async fn heart() -> (Arc<AtomicUsize>, String) {
    let beats = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&beats);
    let router = Router::new().route(
        "/beat",
        get(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { "OK" }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/beat", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (beats, address)
}

/// Asks until the answer is there.
pub(crate) async fn until<T>(what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticker = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..450 {
        ticker.tick().await;
        if let Some(found) = asked().await {
            return found;
        }
    }
    panic!("{what} did not come");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_scrapes_the_watcher_and_a_heartbeat_says_that_it_lives() {
    let (vendor, address) = start(vec![]).await;
    let (beats, heartbeat) = heart().await;
    let home = home();
    let mut variables = routes(&address);
    variables.push(("ATALAYA_HEARTBEAT_URL", heartbeat));
    variables.push(("ATALAYA_CANARY_AT", "00:00".to_owned()));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let serving = serve(&home, &["--with-alerts"], &variables);
    until("a sign of life", async || {
        (beats.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;

    let url = format!("http://{}/metrics", serving.address);
    let text = until("an alert and a canary on both routes", async || {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let is_there = |part: &str| text.contains(part);
        let all = is_there("route=\"slack\",state=\"delivered\"} 2.0")
            && is_there("route=\"pagerduty\",state=\"delivered\"} 3.0")
            && is_there("\natalaya_alerts_last_look_timestamp_seconds ");
        all.then_some(text)
    })
    .await;
    for line in [
        "atalaya_alerts_incidents_open{severity=\"critical\",taken=\"no\"} 1.0",
        "atalaya_alerts_canary_latency_seconds{route=\"slack\"} 0.0",
        "atalaya_alerts_last_look_timestamp_seconds 1773655200.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let Some(programs) = std::env::var_os("ATALAYA_MONITORING").map(PathBuf::from) else {
        eprintln!("skipped: Prometheus is fetched by `cargo xtask test`");
        return;
    };
    let mut judge = Command::new(programs.join("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = judge.wait_with_output().unwrap();
    // It reads the older format, in which the help of a counter bears its whole name.
    for complaint in String::from_utf8_lossy(&said.stderr).lines() {
        let counter = complaint.strip_suffix("_total no help text");
        let is_explained = counter.is_some_and(|name| text.contains(&format!("# HELP {name} ")));
        assert!(is_explained, "{complaint}\n{text}");
    }

    let port = free_port();
    let configuration = format!(
        "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\n\
         scrape_configs: [{{ job_name: atalaya, static_configs: [{{ targets: ['{}'] }}] }}]\n",
        serving.address
    );
    let file = home.file("prometheus.yml", configuration);
    let data = tempfile::tempdir().unwrap();
    let _prometheus = running(
        Command::new(programs.join("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
    );
    let query = format!("http://127.0.0.1:{port}/api/v1/query");
    let looks = until("a scrape", async || {
        let asked = [("query", "atalaya_alerts_looks_total{outcome=\"well\"}")];
        let answer = reqwest::Client::new().get(&query).query(&asked).send().await.ok()?;
        let found: Value = answer.json().await.ok()?;
        found["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok()
    })
    .await;
    assert!(looks >= 1.0, "{looks}");
    let slack = vendor
        .received
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, body)| body["text"].is_string())
        .count();
    assert_eq!(slack, 2, "one alert, one canary and no more");
}

fn test_routes(home: &Home, vendor: &str) -> (Option<i32>, String) {
    let done = home
        .command(&["alerts", "test", "--format", "csv"])
        .envs(routes(vendor))
        .output()
        .unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_the_routes_says_which_of_them_works() {
    let (vendor, address) = start(vec![]).await;
    let mut home = home();
    let asked = |vendor: Vendor| {
        let received = vendor.received.lock().unwrap();
        received
            .iter()
            .map(|(_, body)| body["event_action"].as_str().unwrap_or("slack").to_owned())
            .collect::<Vec<_>>()
    };
    let (code, said) = test_routes(&home, &address);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("pagerduty,delivered,") && said.contains("slack,delivered,"),
        "{said}"
    );
    let mut sent = asked(vendor.clone());
    sent.sort();
    assert_eq!(sent, ["resolve", "slack", "trigger"]);

    vendor.slack.lock().unwrap().push((404, "no_service"));
    home.now = Some("2026-03-16T10:05:00Z".to_owned());
    let (code, said) = test_routes(&home, &address);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("pagerduty,delivered,") && said.contains("slack,dead,,404: no_service"),
        "{said}"
    );
    // It is nobody's incident.
    let status = home.ok(&["alerts", "status", "--format", "csv"]);
    assert_eq!(status.lines().count(), 1, "{status}");
    let alone = home.run(&["alerts", "test"]);
    assert!(
        alone.code == Some(2) && alone.err.contains("no route has an address"),
        "{}",
        alone.err
    );
}
