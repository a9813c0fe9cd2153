//! What is sent to people, put before those who know the vendors' rules and nothing of us.

use std::{io::Write, path::PathBuf, process::Stdio};

use atalaya_alerts::Control;
use atalaya_tests::Home;
use serde_json::{Value, json};

/// Has Slack's library, slackblocks and PagerDuty's OpenAPI document judge bodies, each with its route.
pub(crate) fn judge(messages: &[(&str, Value)]) {
    if let Some(faults) = faults(messages) {
        assert_eq!(faults, "");
    }
}

/// What they find; `None` when they are not there.
fn faults(messages: &[(&str, Value)]) -> Option<String> {
    let Some(libraries) = std::env::var_os("ATALAYA_CLIENTS").map(PathBuf::from) else {
        eprintln!("skipped: ATALAYA_CLIENTS names no folder with the judges (cargo xtask test fetches them)");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/judge_messages.py");
    let mut command = std::process::Command::new(libraries.join("python/bin/python"));
    command.arg(script);
    match std::env::var_os("ATALAYA_SAMPLES").map(|samples| PathBuf::from(samples).join("judges")) {
        Some(judges) if judges.is_dir() => {
            command.arg(judges.join("pagerduty-events-v2.json"));
        }
        _ => eprintln!("skipped: ATALAYA_SAMPLES has no judges/pagerduty-events-v2.json"),
    }
    let lines: String = messages
        .iter()
        .map(|(route, body)| format!("{}\n", json!({"route": route, "body": body})))
        .collect();
    let mut judging = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = judging.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let said = judging.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let faults = String::from_utf8_lossy(&said.stderr).into_owned();
    let judged = String::from_utf8_lossy(&said.stdout);
    assert_eq!(judged.trim(), format!("{} messages judged", messages.len()), "{faults}");
    Some(faults)
}

#[test]
fn the_judges_know_what_is_wrong() {
    let slack = |block: Value| ("slack", json!({"text": "t", "blocks": [block]}));
    let cell = |text: &str| json!({"type": "raw_text", "text": text});
    let point = |label: &str| json!({"label": label, "value": 1});
    let chart = |label: &str| {
        slack(json!({"type": "data_visualization", "title": "t", "chart": {
            "type": "line", "series": [{"name": "n", "data": [point(label)]}], "axis_config": {"categories": ["b"]},
        }}))
    };
    let table = |last: Value| {
        slack(json!({
            "type": "data_table", "caption": "c", "page_size": 10, "rows": [[cell("a"), cell("b")], last],
        }))
    };
    let right = [chart("b"), table(json!([cell("c"), cell("d")]))];
    assert_eq!(faults(&right).unwrap_or_default(), "");
    let wrong = [
        slack(json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(151)}})),
        slack(json!({"type": "actions", "elements": [
            {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x".repeat(76)}},
        ]})),
        table(json!([cell("c")])),
        table(json!([cell("c"), cell("")])),
        chart("a"),
        (
            "pagerduty",
            json!({"event_action": "resolve", "routing_key": "0123456789abcdef0123456789abcdef"}),
        ),
    ];
    for message in wrong {
        let Some(faults) = faults(std::slice::from_ref(&message)) else {
            return;
        };
        assert!(
            !faults.is_empty() && !faults.contains("NotImplemented"),
            "{message:?}: {faults}"
        );
    }
}

/// Every message that a home's alerts have written for Slack and PagerDuty, with all the buttons that a bot would add.
pub(crate) async fn written(home: &Home) -> Vec<(&'static str, Value)> {
    let control = Control::open(&home.path().join("control.sqlite")).await.unwrap();
    let mut found = Vec::new();
    for incident in control.incidents().await.unwrap() {
        for intent in control.intents(incident.id).await.unwrap() {
            let mut body: Value = serde_json::from_str(&intent.body).unwrap();
            match intent.route.name() {
                "slack" => {
                    let buttons = body.as_object_mut().unwrap().remove("buttons");
                    let buttons = buttons.map(|elements| json!({"type": "actions", "elements": elements}));
                    body["blocks"].as_array_mut().unwrap().extend(buttons);
                    found.push(("slack", body));
                }
                "pagerduty" => {
                    body["routing_key"] = "0123456789abcdef0123456789abcdef".into();
                    found.push(("pagerduty", body));
                }
                _ => {}
            }
        }
    }
    found
}
