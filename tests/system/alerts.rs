//! The first alert, end to end: real process, real database, a scripted vendor.

use std::sync::{Arc, Mutex};

use atalaya_tests::Home;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};

/// A vendor that answers by a script and remembers what it was sent and what it answered.
#[derive(Clone, Default)]
pub(crate) struct Vendor {
    pub(crate) script: Arc<Mutex<Vec<Step>>>,
    /// Slack's answers, in turn; then `ok`.
    pub(crate) slack: Arc<Mutex<Vec<(u16, &'static str)>>>,
    pub(crate) received: Arc<Mutex<Vec<(u16, serde_json::Value)>>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    Answer(u16, Option<&'static str>),
    /// Takes the request and never answers.
    Hang,
}

async fn enqueue(State(vendor): State<Vendor>, body: String) -> axum::response::Response {
    let step = {
        let mut script = vendor.script.lock().unwrap();
        if script.is_empty() {
            Step::Answer(202, None)
        } else {
            script.remove(0)
        }
    };
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    match step {
        Step::Hang => {
            vendor.received.lock().unwrap().push((0, body));
            std::future::pending::<()>().await;
            StatusCode::OK.into_response()
        }
        Step::Answer(status, retry_after) => {
            vendor.received.lock().unwrap().push((status, body));
            let code = StatusCode::from_u16(status).unwrap();
            match retry_after {
                Some(secs) => (code, [("retry-after", secs)], "{}").into_response(),
                None => (code, "{\"status\":\"success\"}").into_response(),
            }
        }
    }
}

pub(crate) async fn start(script: Vec<Step>) -> (Vendor, String) {
    let vendor = Vendor {
        script: Arc::new(Mutex::new(script)),
        ..Vendor::default()
    };
    let slack = vendor.clone();
    let router = Router::new()
        .route("/v2/enqueue", post(enqueue))
        .with_state(vendor.clone())
        .route(
            "/slack",
            post(move |body: String| {
                let slack = slack.clone();
                async move {
                    let (status, answer) = {
                        let mut script = slack.slack.lock().unwrap();
                        if script.is_empty() {
                            (200, "ok")
                        } else {
                            script.remove(0)
                        }
                    };
                    let body = serde_json::from_str(&body).unwrap();
                    slack.received.lock().unwrap().push((status, body));
                    (StatusCode::from_u16(status).unwrap(), answer)
                }
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (vendor, address)
}

const NOW: &str = "2026-03-16T10:00:00Z";

/// Two weeks of 1,000 a day; in the second week some days are worth less.
fn company(daily: i64) -> Home {
    let mut home = Home::new();
    home.now = Some(NOW.to_owned());
    let mut content = "record_key,record_version,customer_id,product,amount_minor,currency,ordered_at\n".to_owned();
    for day in 2..=15 {
        let amount = if day < 9 { 100_000 } else { daily };
        content += &format!("o{day},0,cus_{day},course,{amount},USD,2026-03-{day:02}T12:00:00Z\n");
    }
    // Today is not over, and must not be judged.
    content += "o16,0,cus_16,course,1,USD,2026-03-16T09:00:00Z\n";
    home.import(&home.file("orders.csv", content), "orders");
    home
}

fn recover(home: &Home) {
    let mut content = "record_key,record_version,customer_id,product,amount_minor,currency,ordered_at\n".to_owned();
    for day in 9..=15 {
        content += &format!("o{day},1,cus_{day},course,100000,USD,2026-03-{day:02}T12:00:00Z\n");
    }
    home.import(&home.file("corrected.csv", content), "orders");
}

pub(crate) async fn once(home: &Home, address: &str, now: &str) {
    let mut command = home.command(&["alerts", "run", "--once"]);
    command
        .env("ATALAYA_NOW", now)
        .env("ATALAYA_PAGERDUTY_URL", address)
        .env("ATALAYA_PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789abcdef")
        .env("ATALAYA_SLACK_WEBHOOK_URL", format!("{address}/slack"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn events(vendor: &Vendor) -> Vec<(u16, String)> {
    let received = vendor.received.lock().unwrap();
    received
        .iter()
        .filter_map(|(status, body)| Some((*status, body["event_action"].as_str()?.to_owned())))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_delivered_once_then_resolved_once() {
    let script = vec![Step::Answer(429, Some("2")), Step::Answer(500, None), Step::Hang];
    let (vendor, address) = start(script).await;
    let home = company(50_000);
    // Each run is a process of its own: what is not delivered survives only in the database.
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    assert_eq!(events(&vendor), [(429, "trigger".into())]);
    // Retry-After: 2 is kept: one second later nothing is sent.
    once(&home, &address, "2026-03-16T10:00:01Z").await;
    assert_eq!(events(&vendor).len(), 1);
    once(&home, &address, "2026-03-16T10:00:03Z").await;
    once(&home, &address, "2026-03-16T10:01:00Z").await;
    once(&home, &address, "2026-03-16T10:05:00Z").await;
    once(&home, &address, "2026-03-16T10:06:00Z").await;
    let sent = [
        (429, "trigger".to_owned()),
        (500, "trigger".into()),
        (0, "trigger".into()),
        (202, "trigger".into()),
    ];
    assert_eq!(events(&vendor), sent);

    recover(&home);
    once(&home, &address, "2026-03-16T10:07:00Z").await;
    once(&home, &address, "2026-03-16T10:20:00Z").await;
    let delivered: Vec<_> = events(&vendor)
        .into_iter()
        .filter(|(status, _)| *status == 202)
        .collect();
    assert_eq!(delivered, [(202, "trigger".to_owned()), (202, "resolve".into())]);

    let received = vendor.received.lock().unwrap().clone();
    let pages: Vec<_> = received
        .iter()
        .filter(|(_, body)| body["event_action"] == "trigger")
        .collect();
    let details = &pages[0].1["payload"]["custom_details"];
    assert_eq!(
        (
            &details["base_minor"],
            &details["current_minor"],
            &details["change_minor"]
        ),
        (&700_000.into(), &350_000.into(), &(-350_000).into())
    );
    assert_eq!(
        details["drivers"],
        serde_json::json!([{"part": "course", "change_minor": -350_000}])
    );
    assert_eq!(
        details["current_window"],
        serde_json::json!(["2026-03-09", "2026-03-15"])
    );
    assert_eq!(pages[0].1["payload"]["severity"], "critical");
    let keys: std::collections::BTreeSet<_> = received
        .iter()
        .filter_map(|(_, body)| body["dedup_key"].as_str())
        .collect();
    assert_eq!(keys.len(), 1);
    let slack: Vec<_> = received.iter().filter_map(|(_, body)| body["text"].as_str()).collect();
    assert_eq!(slack.len(), 2);
    assert!(
        slack[0].contains("Revenue drop") && slack[0].contains("$3,500.00") && slack[1].contains("Resolved"),
        "{slack:?}"
    );

    assert!(home.ok(&["alerts", "ledger", "verify"]).contains("unbroken"));
    assert!(
        !home
            .ok(&["alerts", "ledger", "--format", "csv"])
            .contains("0123456789abcdef"),
        "a secret is in the ledger"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_day_and_exactly_ten_percent_fire_nothing() {
    let (vendor, address) = start(vec![]).await;
    let home = company(90_000);
    once(&home, &address, NOW).await;
    assert!(vendor.received.lock().unwrap().is_empty());
    assert!(home.run(&["alerts", "status"]).err.contains("revenue_drop: ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_before_the_morning_s_import_is_not_a_drop() {
    let (vendor, address) = start(vec![]).await;
    let home = company(100_000);
    // The 16th has ended with a single cent, because nothing has landed since its morning.
    once(&home, &address, "2026-03-17T00:30:00Z").await;
    assert!(vendor.received.lock().unwrap().is_empty());
    assert!(home.run(&["alerts", "status"]).err.contains("revenue_drop: ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_without_an_address_keeps_its_alerts() {
    let (vendor, address) = start(vec![]).await;
    let home = company(50_000);
    let said = home.run(&["alerts", "run", "--once"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(home.ok(&["alerts", "status"]).contains("pagerduty has no address yet"));
    // Killed between decision and delivery is the same: the decision is in the database.
    once(&home, &address, "2026-03-16T10:02:00Z").await;
    assert_eq!(events(&vendor), [(202, "trigger".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_decision_and_delivery_the_page_still_arrives_once() {
    let (vendor, address) = start(vec![Step::Hang]).await;
    let home = company(50_000);
    let mut child = home
        .command(&["alerts", "run"])
        .env("ATALAYA_PAGERDUTY_URL", &address)
        .env("ATALAYA_PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789abcdef")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The decision is made when the vendor holds the request; it never answers, and the process dies.
    while events(&vendor).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the watcher ended before it asked");
        tokio::task::yield_now().await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    once(&home, &address, "2026-03-16T10:01:00Z").await;
    once(&home, &address, "2026-03-16T10:02:00Z").await;
    assert_eq!(events(&vendor), [(0, "trigger".to_owned()), (202, "trigger".into())]);
    recover(&home);
    once(&home, &address, "2026-03-16T10:03:00Z").await;
    once(&home, &address, "2026-03-16T10:04:00Z").await;
    let delivered: Vec<_> = events(&vendor)
        .into_iter()
        .filter(|(status, _)| *status == 202)
        .collect();
    assert_eq!(delivered, [(202, "trigger".to_owned()), (202, "resolve".into())]);
}
