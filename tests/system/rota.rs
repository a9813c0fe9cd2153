//! Who is on call: what the file says, what the months ahead hold, and who is told when nobody answers.

use atalaya_alerts::{Control, Route};
use atalaya_tests::Home;
use serde_json::Value;

use crate::{
    alerts::{once, start},
    judges::judge,
};

const ROTA: &str = r#"
time_zone = "Europe/Madrid"

[[person]]
id = "ana"
name = "Ana"
slack = "U0ANA"
[[person]]
id = "bo"
name = "Bo"
email = "bo@example.org"
slack = "U0BO"
[[person]]
id = "cy"
slack = "U0CY"

[[rotation]]
id = "primary"
people = ["ana", "bo"]
starts_on = "2026-03-02"
hands_over_at = "09:00"
every = "7 d"

[[override]]
rotation = "primary"
person = "cy"
from = "2026-03-18T18:00"
to = "2026-03-19T09:00"

[[policy]]
id = "business"
classes = ["critical"]
[[policy.level]]
who = ["primary"]
[[policy.level]]
who = ["bo"]
after = "10 min"
[[policy.level]]
who = ["cy"]
after = "20 min"
"#;

fn home(rota: &str) -> Home {
    let mut home = Home::new();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    let text = "finding_id,finding_type,title,opened_at\nf1,violation,Consent,2026-03-16T09:00:00Z\n";
    home.import(&home.file("findings.csv", text), "compliance_findings");
    std::fs::write(home.path().join("oncall.toml"), rota).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_call_is_mentioned_and_those_behind_are_told_when_nobody_answers() {
    let (vendor, address) = start(vec![]).await;
    let home = home(ROTA);
    let slack = || -> Vec<Value> {
        let received = vendor.received.lock().unwrap();
        received
            .iter()
            .filter(|(_, body)| body["text"].is_string())
            .map(|(_, body)| body.clone())
            .collect()
    };
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    once(&home, &address, "2026-03-16T10:09:59Z").await;
    let told = slack();
    assert_eq!(told.len(), 1);
    assert!(
        told[0]["text"].as_str().unwrap().contains("On call: Ana"),
        "{}",
        told[0]
    );
    assert_eq!(told[0].to_string().matches("<@U0ANA>").count(), 1);

    once(&home, &address, "2026-03-16T10:10:00Z").await;
    once(&home, &address, "2026-03-16T10:11:00Z").await;
    let told = slack();
    assert_eq!(told.len(), 2, "{told:?}");
    let text = told[1].to_string();
    assert!(
        text.contains("Escalated to · Se escala a: Bo") && text.contains("<@U0BO>"),
        "{text}"
    );
    let control = Control::open(&home.path().join("control.sqlite")).await.unwrap();
    let intents = control.intents(1).await.unwrap();
    let letter = intents.iter().rfind(|intent| intent.route == Route::Email).unwrap();
    let letter: Value = serde_json::from_str(&letter.body).unwrap();
    assert_eq!(letter["also_to"], serde_json::json!(["bo@example.org"]));

    // Whoever takes it ends the row.
    home.ok(&["alerts", "ack", "1", "--by", "Bo"]);
    once(&home, &address, "2026-03-16T10:12:00Z").await;
    let before = slack().len();
    once(&home, &address, "2026-03-16T10:21:00Z").await;
    assert_eq!(slack().len(), before);
    let incident = home.ok(&["alerts", "incident", "1"]);
    assert_eq!(incident.matches("escalated by atalaya: Bo").count(), 1, "{incident}");
    let bodies: Vec<_> = slack().into_iter().map(|body| ("slack", body)).collect();
    judge(&bodies);
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_is_quiet_for_those_behind_too_and_ends() {
    let (vendor, address) = start(vec![]).await;
    let home = home(ROTA);
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    let silence = [
        "alerts",
        "silence",
        "compliance_issue",
        "--entity",
        "import/f1",
        "--for",
        "1 h",
    ];
    home.ok(&[&silence[..], &["--by", "ana", "--why", "known"]].concat());
    for minute in ["10", "15", "20", "59"] {
        once(&home, &address, &format!("2026-03-16T10:{minute}:00Z")).await;
    }
    assert_eq!(
        vendor.received.lock().unwrap().len(),
        2,
        "the first word on both routes, and no more"
    );
    once(&home, &address, "2026-03-16T11:00:00Z").await;
    let incident = home.ok(&["alerts", "incident", "1"]);
    assert_eq!(incident.matches("escalated by atalaya").count(), 2, "{incident}");
}

#[test]
fn the_months_ahead_say_who_carries_what_and_when_nobody_is_told() {
    let mut home = home(ROTA);
    insta::assert_snapshot!(home.ok(&["oncall", "who"]), @r"
    of        on call  until                     level after
    ────────  ───────  ────────────────────────  ───────────
    primary   Ana      Wed 2026-03-18 18:00 CET            –
    business  Ana      –                               0 min
    business  Bo       –                              10 min
    business  cy       –                              20 min
    ");
    insta::assert_snapshot!(home.ok(&["oncall", "who", "--at", "2026-03-18T18:00:00Z"]), @r"
    of        on call  until                     level after
    ────────  ───────  ────────────────────────  ───────────
    primary   cy       Thu 2026-03-19 09:00 CET            –
    business  cy       –                               0 min
    business  Bo       –                              10 min
    business  cy       –                              20 min
    ");
    let ahead = home.run(&["oncall", "simulate", "--from", "2026-03-16T08:00:00Z", "--months", "3"]);
    assert_eq!(ahead.code, Some(0), "{}", ahead.err);
    insta::assert_snapshot!(ahead.out, @r"
    rotation  person  turns   hours  night hours
    ────────  ──────  ─────  ──────  ───────────
    primary   ana         7  1161.0        480.0
    primary   bo          7  1032.0        429.0
    primary   cy          1    15.0         10.0
    ");
    // Before the first turn nobody is there.
    let early = home.run(&["oncall", "simulate", "--from", "2026-03-01T08:00:00Z", "--months", "1"]);
    assert_eq!(early.code, Some(1));
    assert!(
        early
            .out
            .contains("business  Sun 2026-03-01 09:00 CET  Mon 2026-03-02 09:00 CET   24.0"),
        "{}",
        early.out
    );

    // Turns that no policy uses reach nobody.
    let unused = ROTA.split("[[policy]]").next().unwrap();
    std::fs::write(home.path().join("oncall.toml"), unused).unwrap();
    let ahead = home.run(&["oncall", "simulate"]);
    assert_eq!(ahead.code, Some(1));
    let said = "no policy names anybody for incidents of: critical, infrastructure, sla, product";
    assert!(ahead.err.contains(said), "{}", ahead.err);

    let wrong = ROTA.replace("slack = \"U0ANA\"", "slack = \"<!channel>\"");
    std::fs::write(home.path().join("oncall.toml"), wrong).unwrap();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    let refused = home.run(&["alerts", "run", "--once"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused
            .err
            .contains("oncall.toml: person \"ana\": slack: \"<!channel>\" is no member id"),
        "{}",
        refused.err
    );
}
