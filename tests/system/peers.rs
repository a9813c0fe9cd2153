//! The same failures for Debian's Alertmanager and for Atalaya, in one run: what each of them delivers, and when.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use atalaya_tests::Home;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::{
    owner::{Serving, serve},
    samples::{Running, free_port, running},
};

/// Where Debian's Alertmanager looks for its template; nothing can tell it another place.
const TEMPLATE: &str = "/usr/share/prometheus/alertmanager/default.tmpl";

/// A receiver that refuses by path, and a log of what it was sent.
#[derive(Clone)]
struct Receiver {
    /// What the log counts from: the moment something is the matter.
    began: Arc<Mutex<Instant>>,
    /// Refusals that are left, by path.
    refusals: Arc<Mutex<std::collections::BTreeMap<String, usize>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start(refusals: &[(&str, usize)]) -> (Self, String) {
        let receiver = Self {
            began: Arc::new(Mutex::new(Instant::now())),
            refusals: Arc::new(Mutex::new(
                refusals
                    .iter()
                    .map(|(path, many)| ((*path).to_owned(), *many))
                    .collect(),
            )),
            log: Arc::default(),
        };
        let router = Router::new().fallback(Self::answer).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    async fn answer(State(receiver): State<Self>, uri: axum::http::Uri, body: String) -> axum::response::Response {
        let path = uri.path().to_owned();
        let is_refused = {
            let mut refusals = receiver.refusals.lock().unwrap();
            let left = refusals.entry(path.clone()).or_default();
            let is_refused = *left > 0;
            *left = left.saturating_sub(1);
            is_refused
        };
        let (status, answer) = match path.as_str() {
            _ if is_refused => (429, ""),
            "/slackok200" => (200, "{\"ok\":false,\"error\":\"channel_not_found\"}"),
            path if path.contains("slack") => (200, "ok"),
            _ => (202, "{\"status\":\"success\"}"),
        };
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let title = body["text"]
            .as_str()
            .or(body["attachments"][0]["title"].as_str())
            .unwrap_or_default();
        let is_over =
            body["event_action"] == "resolve" || ["RESOLVED", "Resolved", "🟢"].iter().any(|word| title.contains(word));
        let what = if is_over { "resolve" } else { "alert" };
        let secs = receiver.began.lock().unwrap().elapsed().as_secs_f64();
        receiver
            .log
            .lock()
            .unwrap()
            .push(format!("{path} {what} {status} @{secs:.2}"));
        let code = StatusCode::from_u16(status).unwrap();
        match status {
            429 => (code, [("retry-after", "1")], answer).into_response(),
            _ => (code, answer).into_response(),
        }
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn begin(&self) {
        *self.began.lock().unwrap() = Instant::now();
    }

    fn has(&self, begin: &str) -> bool {
        self.log().iter().any(|line| line.starts_with(begin))
    }
}

/// So long, for a peer that is given all its time.
async fn wait(secs: u64) {
    let mut ticker = interval(Duration::from_secs(secs));
    ticker.tick().await;
    ticker.tick().await;
}

async fn until(receiver: &Receiver, begin: &str, most_secs: u64) {
    let mut ticker = interval(Duration::from_millis(100));
    for _ in 0..most_secs * 10 {
        ticker.tick().await;
        if receiver.has(begin) {
            return;
        }
    }
    panic!("no {begin:?} within {most_secs} s: {:#?}", receiver.log());
}

struct Alertmanager {
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    process: Option<Running>,
}

impl Alertmanager {
    fn new(program: &Path, home: &Home, receiver: &str, group_wait: &str) -> Self {
        let configuration = format!(
            "route:\n  receiver: slack\n  group_by: [to]\n  group_wait: {group_wait}\n  group_interval: 20s\n  routes:\n  \
               - {{ match: {{ to: pd }}, receiver: pd }}\n  - {{ match: {{ to: slackok200 }}, receiver: slackok200 }}\n\
             receivers:\n\
             - name: slack\n  slack_configs: [ {{ api_url: '{receiver}/slack', channel: '#a', send_resolved: true }} ]\n\
             - name: slackok200\n  slack_configs: [ {{ api_url: '{receiver}/slackok200', channel: '#a' }} ]\n\
             - name: pd\n  pagerduty_configs: [ {{ routing_key: k, url: '{receiver}/pd' }} ]\n"
        );
        let file = home.file("alertmanager.yml", configuration);
        let port = free_port();
        let arguments = vec![
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", home.path().join("alertmanager").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ];
        Self {
            program: program.to_owned(),
            arguments,
            port,
            process: None,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn start(&mut self) {
        self.process = Some(running(Command::new(&self.program).args(&self.arguments)));
        let mut ticker = interval(Duration::from_millis(50));
        for _ in 0..400 {
            ticker.tick().await;
            if reqwest::get(self.url("/-/ready"))
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                return;
            }
        }
        panic!("Alertmanager does not start: is {TEMPLATE} there?");
    }

    async fn post(&self, to: &[&str], is_over: bool) {
        let now = chrono::DateTime::<chrono::Utc>::from(std::time::UNIX_EPOCH);
        let alerts: Vec<Value> = to
            .iter()
            .map(|to| {
                let mut alert = json!({"labels": {"alertname": "down", "to": to}});
                if is_over {
                    alert["endsAt"] = (now + chrono::TimeDelta::days(1)).to_rfc3339().into();
                }
                alert
            })
            .collect();
        let posted = reqwest::Client::new()
            .post(self.url("/api/v2/alerts"))
            .json(&alerts)
            .send()
            .await
            .unwrap();
        assert!(posted.status().is_success(), "{posted:?}");
    }
}

const FINDING: &str = "finding_id,record_version,finding_type,title,opened_at,closed_at";

fn watching(home: &Home, receiver: &str, slack: &str) -> Serving {
    let slack = format!("{receiver}{slack}");
    let variables = [
        ("ATALAYA_PAGERDUTY_URL", receiver),
        ("ATALAYA_PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789abcdef"),
        ("ATALAYA_SLACK_WEBHOOK_URL", slack.as_str()),
    ];
    serve(home, &["--with-alerts"], &variables)
}

fn fire(home: &Home) {
    let text = format!("{FINDING}\nf1,0,violation,Consent,2026-03-16T09:00:00Z,\n");
    home.import(&home.file("findings.csv", text), "compliance_findings");
}

fn recover(home: &Home) {
    let text = format!("{FINDING}\nf1,1,violation,Consent,2026-03-16T09:00:00Z,2026-03-16T09:30:00Z\n");
    home.import(&home.file("closed.csv", text), "compliance_findings");
}

fn ours() -> Home {
    let home = Home::new();
    home.import(
        &home.file(
            "none.csv",
            format!("{FINDING}\nf0,0,violation,Old,2026-03-01T09:00:00Z,2026-03-01T09:30:00Z\n"),
        ),
        "compliance_findings",
    );
    home
}

fn show(title: &str, receiver: &Receiver) {
    eprintln!("{title}");
    for line in receiver.log() {
        eprintln!("    {line}");
    }
}

/// It takes some three minutes of waiting for the peer, so it belongs to the large numbers.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_refusal_a_resolve_and_a_kill_cost_a_peer_they_do_not_cost_us() {
    let Some(programs) = std::env::var_os("ATALAYA_MONITORING")
        .map(PathBuf::from)
        .filter(|_| atalaya_tests::soak())
    else {
        eprintln!("skipped: it belongs to `cargo xtask soak`, with Alertmanager");
        return;
    };
    let program = programs.join("prometheus-alertmanager");
    if !Path::new(TEMPLATE).is_file() {
        eprintln!("skipped: Debian's Alertmanager wants {TEMPLATE}; link it there");
        return;
    }
    let refusals = [("/slack", 2), ("/pd", 2), ("/v2/enqueue", 2)];

    // Two refusals, then all is well; and a Slack that says "200 OK" and means no.
    let scratch = Home::new();
    std::fs::create_dir_all(scratch.path()).unwrap();
    let (peer, address) = Receiver::start(&refusals).await;
    let mut manager = Alertmanager::new(&program, &scratch, &address, "1s");
    manager.start().await;
    peer.begin();
    manager.post(&["slack", "pd", "slackok200"], false).await;
    wait(60).await;
    show("Alertmanager, 429 twice:", &peer);
    drop(manager);
    let (receiver, address) = Receiver::start(&refusals).await;
    let home = ours();
    let serving = watching(&home, &address, "/slack");
    receiver.begin();
    fire(&home);
    until(&receiver, "/slack alert 200", 20).await;
    until(&receiver, "/v2/enqueue alert 202", 20).await;
    show("Atalaya, 429 twice:", &receiver);
    drop(serving);
    let (receiver, address) = Receiver::start(&[]).await;
    let home = ours();
    let serving = watching(&home, &address, "/slackok200");
    receiver.begin();
    fire(&home);
    until(&receiver, "/slackok200 alert 200", 20).await;
    // The incident itself, and that Slack refused it.
    let mut ticker = interval(Duration::from_millis(100));
    for _ in 0..200 {
        ticker.tick().await;
        if receiver
            .log()
            .iter()
            .filter(|line| line.starts_with("/v2/enqueue alert 202"))
            .count()
            == 2
        {
            break;
        }
    }
    show("Atalaya, a Slack that says 200 and refuses:", &receiver);
    assert_eq!(
        receiver
            .log()
            .iter()
            .filter(|line| line.starts_with("/v2/enqueue alert 202"))
            .count(),
        2
    );
    drop(serving);

    // One refusal, and it is over before the next try.
    let (peer, address) = Receiver::start(&[("/slack", 1)]).await;
    let mut manager = Alertmanager::new(&program, &scratch, &address, "1s");
    manager.start().await;
    peer.begin();
    manager.post(&["slack"], false).await;
    wait(8).await;
    manager.post(&["slack"], true).await;
    wait(35).await;
    show("Alertmanager, refused once and over after 8 s:", &peer);
    drop(manager);
    let (receiver, address) = Receiver::start(&[("/slack", 1)]).await;
    let home = ours();
    let serving = watching(&home, &address, "/slack");
    receiver.begin();
    fire(&home);
    wait(8).await;
    recover(&home);
    until(&receiver, "/slack resolve 200", 20).await;
    show("Atalaya, refused once and over after 8 s:", &receiver);
    assert!(receiver.has("/slack alert 200"));
    drop(serving);

    // Killed before it was sent.
    let (peer, address) = Receiver::start(&[]).await;
    let mut manager = Alertmanager::new(&program, &scratch, &address, "30s");
    manager.start().await;
    peer.begin();
    manager.post(&["slack"], false).await;
    wait(2).await;
    // Ends by SIGKILL.
    manager.process = None;
    manager.start().await;
    let left = reqwest::get(manager.url("/api/v2/alerts"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    wait(35).await;
    show(
        &format!(
            "Alertmanager, killed after the alert was taken; then it knows {}:",
            left.trim()
        ),
        &peer,
    );
    drop(manager);
    let (receiver, address) = Receiver::start(&[("/slack", 1), ("/v2/enqueue", 1)]).await;
    let home = ours();
    let mut serving = watching(&home, &address, "/slack");
    receiver.begin();
    fire(&home);
    until(&receiver, "/slack alert 429", 20).await;
    serving.kill();
    let serving = watching(&home, &address, "/slack");
    until(&receiver, "/slack alert 200", 20).await;
    until(&receiver, "/v2/enqueue alert 202", 20).await;
    show("Atalaya, killed after a refusal:", &receiver);
    drop(serving);
}
