//! A bot in Slack: a stand-in for Slack's Web API that keeps a channel, and buttons pressed over the signed webhook.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use atalaya_tests::Home;
use axum::{Router, extract::State, http::HeaderMap, response::IntoResponse, routing::post};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{judges, owner::serve};

/// What was asked of it: method, body, and what it answered.
#[derive(Clone, Default)]
struct Slack {
    asked: Arc<Mutex<Vec<(String, Value, String)>>>,
    /// Errors to answer, in turn; then all is well.
    errors: Arc<Mutex<Vec<&'static str>>>,
}

impl Slack {
    async fn start(errors: Vec<&'static str>) -> (Self, String) {
        let slack = Self {
            errors: Arc::new(Mutex::new(errors)),
            ..Self::default()
        };
        let router = Router::new()
            .route("/api/{method}", post(Self::answer))
            .with_state(slack.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (slack, address)
    }

    async fn answer(
        State(slack): State<Self>,
        axum::extract::Path(method): axum::extract::Path<String>,
        headers: HeaderMap,
        body: String,
    ) -> axum::response::Response {
        let body: Value = serde_json::from_str(&body).unwrap();
        let mut asked = slack.asked.lock().unwrap();
        let mut errors = slack.errors.lock().unwrap();
        let error = if headers["authorization"] != "Bearer xoxb-1-secret" {
            Some("invalid_auth")
        } else if !errors.is_empty() {
            Some(errors.remove(0)).filter(|error| !error.is_empty())
        } else {
            None
        };
        let said = match error {
            Some(error) => json!({"ok": false, "error": error}),
            // As Slack does, it repeats the message.
            None => {
                let ts = body["ts"]
                    .as_str()
                    .map_or_else(|| format!("1773655200.{:06}", asked.len()), str::to_owned);
                json!({"ok": true, "message": body, "channel": "C0ALERTS", "ts": ts})
            }
        };
        asked.push((method, body, said.to_string()));
        ([("content-type", "application/json")], said.to_string()).into_response()
    }

    fn asked(&self) -> Vec<(String, Value, String)> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits for that many requests.
    async fn until(&self, many: usize) -> Vec<(String, Value, String)> {
        let mut ticker = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..600 {
            ticker.tick().await;
            if self.asked().len() >= many {
                return self.asked();
            }
        }
        panic!("{:#?}", self.asked());
    }
}

const FINDING: &str = "finding_id,record_version,finding_type,title,opened_at,closed_at";
const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    let text = format!("{FINDING}\nf1,0,violation,Consent <!channel> is missing,2026-03-16T09:00:00Z,\n");
    home.import(&home.file("findings.csv", text), "compliance_findings");
    home
}

fn bot(address: &str) -> Vec<(&str, &str)> {
    vec![
        ("ATALAYA_SLACK_URL", address),
        ("ATALAYA_SLACK_BOT_TOKEN", "xoxb-1-secret"),
        ("ATALAYA_SLACK_CHANNEL", "C0ALERTS"),
        ("ATALAYA_ALERT_LANGUAGE", "es"),
        ("SLACK_SECRET", SIGNING_SECRET),
    ]
}

fn once(home: &Home, address: &str, now: &str) {
    let mut command = home.command(&["alerts", "run", "--once"]);
    let done = command.env("ATALAYA_NOW", now).envs(bot(address)).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Waits until the ledger says so.
async fn until_ledger(home: &Home, words: &str) -> String {
    let mut ticker = tokio::time::interval(Duration::from_millis(100));
    let mut ledger = String::new();
    for _ in 0..300 {
        ticker.tick().await;
        ledger = home.ok(&["alerts", "ledger", "--format", "csv"]);
        if ledger.contains(words) {
            return ledger;
        }
    }
    panic!("{words} is not in {ledger}");
}

fn close(home: &Home) {
    let text = format!("{FINDING}\nf1,1,violation,Consent is missing,2026-03-16T09:00:00Z,2026-03-16T09:59:00Z\n");
    home.import(&home.file("closed.csv", text), "compliance_findings");
}

fn actions(body: &Value) -> Vec<&str> {
    let blocks = body["blocks"].as_array().into_iter().flatten();
    let elements = blocks
        .filter(|block| block["type"] == "actions")
        .flat_map(|block| block["elements"].as_array().unwrap());
    elements.map(|element| element["action_id"].as_str().unwrap()).collect()
}

fn header(body: &Value) -> &str {
    body["blocks"][0]["text"]["text"].as_str().unwrap()
}

/// The form that Slack sends when a button is pressed, with its signature.
fn press(
    client: &reqwest::Client,
    url: &str,
    trigger: &str,
    action: &str,
    value: &str,
    (secret, now): (&str, i64),
) -> reqwest::RequestBuilder {
    let payload = json!({
        "type": "block_actions", "trigger_id": trigger, "user": {"id": "U1", "username": "ana", "name": "ana"},
        "actions": [{"action_id": action, "value": value, "type": "button", "action_ts": format!("{now}.250000")}],
    });
    let body: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{now}:{body}").as_bytes());
    let signature: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-slack-request-timestamp", now)
        .header("x-slack-signature", format!("v0={signature}"))
        .body(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_a_thread_whose_buttons_answer_and_whose_first_message_says_how_it_stands() {
    let (slack, address) = Slack::start(vec![]).await;
    let home = home();
    let source = "[[source]]\nname = \"buttons\"\nprotocol = \"slack\"\nkey_variable = \"SLACK_SECRET\"\n";
    std::fs::write(home.path().join("sources.toml"), source).unwrap();
    let serving = serve(&home, &["--receive", "127.0.0.1:0", "--with-alerts"], &bot(&address));
    let (method, posted, said) = slack.until(1).await.remove(0);
    assert_eq!(
        (method.as_str(), posted["channel"].as_str()),
        ("chat.postMessage", Some("C0ALERTS"))
    );
    assert_eq!(actions(&posted), ["atalaya_acknowledge", "atalaya_snooze"]);
    assert!(
        posted["text"].as_str().unwrap().contains("&lt;!channel&gt;"),
        "{posted}"
    );
    let ts = serde_json::from_str::<Value>(&said).unwrap()["ts"].clone();

    // Ana presses; Slack sends it twice; somebody without the secret presses too.
    let key = posted["blocks"].as_array().unwrap().last().unwrap()["elements"][0]["value"]
        .as_str()
        .unwrap();
    let url = format!("http://{}/v1/webhooks/buttons", serving.events);
    let client = reqwest::Client::new();
    let now = (SIGNING_SECRET, 1_773_655_200);
    for _ in 0..2 {
        let answered = press(&client, &url, "t1", "atalaya_acknowledge", key, now)
            .send()
            .await
            .unwrap();
        assert_eq!(answered.status(), 200);
    }
    let forged = press(&client, &url, "t2", "atalaya_snooze", key, ("another", now.1));
    assert_eq!(forged.send().await.unwrap().status(), 401);
    let (method, edited, _) = slack.until(2).await.remove(1);
    assert_eq!((method.as_str(), &edited["ts"]), ("chat.update", &ts));
    assert_eq!(header(&edited), header(&posted));
    assert_eq!(actions(&edited), ["atalaya_snooze"]);
    assert!(edited.to_string().contains("Lo tiene ana"), "{edited}");
    let answered = press(&client, &url, "t3", "atalaya_snooze", key, now)
        .send()
        .await
        .unwrap();
    assert_eq!(answered.status(), 200);

    // It ends: the thread hears it, and the first message shows it.
    close(&home);
    let asked = slack.until(4).await;
    let (method, reply, _) = &asked[2];
    assert_eq!((method.as_str(), &reply["thread_ts"]), ("chat.postMessage", &ts));
    let (method, settled, _) = &asked[3];
    assert_eq!((method.as_str(), &settled["ts"]), ("chat.update", &ts));
    assert!(header(settled).starts_with("🟢 Resuelto: "), "{settled}");
    assert!(
        settled.to_string().contains("Lo tiene ana") && actions(settled).is_empty(),
        "{settled}"
    );
    assert!(
        settled.to_string().contains("Consent <!channel> is missing"),
        "what was told stays: {settled}"
    );
    // Slack has it before the ledger knows what Slack answered.
    let ledger = until_ledger(&home, "settle delivered").await;
    drop(serving);

    let incident = home.ok(&["alerts", "incident", "1"]);
    assert_eq!(
        incident.matches("acknowledged by ana: by way of Slack").count(),
        1,
        "{incident}"
    );
    assert_eq!(
        incident.matches("note by ana: quiet for an hour").count(),
        1,
        "{incident}"
    );
    assert!(
        home.ok(&["alerts", "silences", "--format", "csv"])
            .contains("compliance_issue,import/f1,")
    );
    assert!(!ledger.contains("xoxb"), "{ledger}");
    let bodies: Vec<_> = asked.into_iter().map(|(_, body, _)| ("slack", body)).collect();
    judges::judge(&bodies);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_refuses_is_written_more_plainly_or_answered_instead_of_edited() {
    // The message is refused for its form, then not now; the edit comes too late.
    let (slack, address) = Slack::start(vec!["invalid_blocks", "ratelimited", "", "edit_window_closed"]).await;
    let home = home();
    once(&home, &address, "2026-03-16T10:00:00Z");
    once(&home, &address, "2026-03-16T10:00:05Z");
    once(&home, &address, "2026-03-16T10:00:07Z");
    let asked = slack.asked();
    assert!(asked[0].1["blocks"].is_array() && asked[1].1["blocks"].is_null() && asked[2].1["blocks"].is_null());
    home.ok(&["alerts", "ack", "1", "--by", "bo"]);
    once(&home, &address, "2026-03-16T10:00:10Z");
    once(&home, &address, "2026-03-16T10:00:11Z");
    let asked = slack.asked();
    let methods: Vec<&str> = asked[3..].iter().map(|(method, ..)| method.as_str()).collect();
    assert_eq!(methods, ["chat.update", "chat.postMessage"]);
    assert!(asked[4].1["thread_ts"].is_string() && asked[4].1["text"].as_str().unwrap().contains("Lo tiene bo"));

    // The first message had lost its blocks: what it said must not be lost with the edit.
    let edit = asked[3].1["blocks"].to_string();
    assert!(edit.contains("Consent <!channel> is missing"), "{edit}");

    // The last edit is not worth a word when it fails.
    slack.errors.lock().unwrap().extend(["", "cant_update_message"]);
    close(&home);
    once(&home, &address, "2026-03-16T10:01:00Z");
    once(&home, &address, "2026-03-16T10:01:01Z");
    let status = home.ok(&["alerts", "status", "--format", "csv"]);
    assert!(
        status.contains("slack settle superseded (200: cant_update_message)"),
        "{status}"
    );

    let mut both = home.command(&["alerts", "run", "--once"]);
    let refused = both
        .envs(bot(&address))
        .env("ATALAYA_SLACK_WEBHOOK_URL", &address)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && words.contains("ATALAYA_SLACK_WEBHOOK_URL"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_was_let_go_is_told_elsewhere_and_its_alerts_wait_for_it() {
    let (slack, address) = Slack::start(vec!["token_revoked"]).await;
    let (vendor, pagerduty) = crate::alerts::start(vec![]).await;
    let home = home();
    let look = |now: &str| {
        let mut command = home.command(&["alerts", "run", "--once"]);
        command
            .env("ATALAYA_NOW", now)
            .envs(bot(&address))
            .env("ATALAYA_PAGERDUTY_URL", &pagerduty);
        let key = "0123456789abcdef0123456789abcdef";
        let done = command.env("ATALAYA_PAGERDUTY_ROUTING_KEY", key).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    look("2026-03-16T10:00:00Z");
    look("2026-03-16T10:00:01Z");
    let told = || crate::alerts::events(&vendor).len();
    assert_eq!(told(), 2, "the violation, and that Slack does not take it");
    let status = home.ok(&["alerts", "status", "--format", "csv"]);
    assert!(
        status.contains("slack trigger pending (200: token_revoked)"),
        "{status}"
    );
    look("2026-03-16T10:09:59Z");
    assert_eq!(slack.asked().len(), 1);
    // Mended: the alert is there, and nobody is told twice that it was not.
    look("2026-03-16T10:10:00Z");
    let asked = slack.asked();
    assert_eq!((asked.len(), asked[1].0.as_str()), (2, "chat.postMessage"));
    look("2026-03-16T10:10:01Z");
    let actions: Vec<String> = crate::alerts::events(&vendor)
        .into_iter()
        .map(|(_, action)| action)
        .collect();
    assert_eq!(
        actions,
        ["trigger", "trigger", "resolve"],
        "the page about Slack is over"
    );

    // The channel is another now: what is new of the incident goes there.
    slack.errors.lock().unwrap().push("is_archived");
    let mut bot = bot(&address);
    bot.push(("ATALAYA_SLACK_CHANNEL", "C0OTHER"));
    home.ok(&["alerts", "ack", "1", "--by", "ana"]);
    for now in ["2026-03-16T10:11:00Z", "2026-03-16T10:11:01Z"] {
        let mut command = home.command(&["alerts", "run", "--once"]);
        assert!(
            command
                .env("ATALAYA_NOW", now)
                .envs(bot.clone())
                .output()
                .unwrap()
                .status
                .success()
        );
    }
    let (method, body, _) = slack.asked().pop().unwrap();
    assert_eq!(
        (method.as_str(), body["channel"].as_str()),
        ("chat.postMessage", Some("C0OTHER"))
    );
    assert!(
        body["text"].as_str().unwrap().contains("Lo tiene ana") && body["thread_ts"].is_null(),
        "{body}"
    );
}
