//! Every alert rule fires and recovers in the demo company, and nobody is told twice or not at all.

use std::collections::{BTreeMap, BTreeSet};

use atalaya_tests::Home;

use crate::judges;

/// One incident: its rule, whether it is over, what was told.
struct Told {
    rule: String,
    is_over: bool,
    title: String,
}

fn incidents(home: &Home) -> Vec<Told> {
    let text = home.ok(&["alerts", "status", "--format", "csv"]);
    let rows = csv::Reader::from_reader(text.as_bytes()).into_records();
    rows.map(|row| {
        let row = row.unwrap();
        Told {
            rule: row[1].to_owned(),
            is_over: !row[3].is_empty(),
            title: row[4].to_owned(),
        }
    })
    .collect()
}

fn look(home: &mut Home, now: &str) {
    home.now = Some(now.to_owned());
    let said = home.run(&["alerts", "run", "--once"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_fires_and_recovers_in_the_demo() {
    let mut home = Home::new();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    home.ok(&[
        "demo",
        "--customers",
        "1000",
        "--until",
        "2026-03-16T09:00:00Z",
        "--seed",
        "26",
    ]);
    let rules = home.ok(&["alerts", "rules", "--format", "csv"]);
    let mut all: BTreeSet<String> = BTreeSet::new();
    let mut off = BTreeSet::new();
    for row in csv::Reader::from_reader(rules.as_bytes()).into_records() {
        let row = row.unwrap();
        if row[5].is_empty() {
            all.insert(row[0].to_owned());
        } else {
            off.insert(row[0].to_owned());
        }
    }
    // It clashes with the limits by priority, and says so.
    assert_eq!(off, BTreeSet::from(["ticket_first_reply_sla".to_owned()]));
    assert_eq!(
        all.len(),
        61,
        "those of alerts.csv but one, and that a rule file is wrong"
    );

    look(&mut home, "2026-03-16T10:00:00Z");
    // The demo company has yearly plans that renew; nothing else is the matter with it.
    let before: Vec<String> = incidents(&home).into_iter().map(|told| told.rule).collect();
    assert_eq!(before, ["renewal_due"]);

    // Revenue falls and comes back: the drill's own orders would hide it.
    home.ok(&["demo", "--incident", "revenue-drop"]);
    look(&mut home, "2026-03-16T10:01:00Z");
    home.ok(&["demo", "--incident", "revenue-recovery"]);
    look(&mut home, "2026-03-16T10:02:00Z");

    home.now = Some("2026-03-16T10:03:00Z".to_owned());
    home.ok(&["demo", "--incident", "drill"]);
    let wrong = home.path().join("rules/wrong.toml");
    std::fs::create_dir_all(home.path().join("rules")).unwrap();
    std::fs::write(&wrong, "id = 1").unwrap();
    // What must last is pending first; a release comes ten minutes into the drill; pages wait for somebody; payments without an
    // invoice are told of after a day.
    for minute in ["03", "08", "14", "17", "20"] {
        look(&mut home, &format!("2026-03-16T10:{minute}:00Z"));
    }
    look(&mut home, "2026-03-17T11:03:00Z");
    let fired: BTreeSet<String> = incidents(&home).into_iter().map(|told| told.rule).collect();
    let silent: Vec<_> = all.difference(&fired).collect();
    assert!(silent.is_empty(), "never fired: {silent:?}");

    home.ok(&["demo", "--incident", "drill-over"]);
    std::fs::remove_file(&wrong).unwrap();
    look(&mut home, "2026-03-17T11:04:00Z");
    look(&mut home, "2026-03-17T11:05:00Z");
    // What happened within a day, or a week, is over when that has passed.
    look(&mut home, "2026-03-17T11:10:00Z");
    let lasting: Vec<_> = incidents(&home)
        .into_iter()
        .filter(|told| !told.is_over)
        .map(|told| told.rule)
        .collect();
    // The demo company's records end on the morning of the 16th: with the drill's order gone, that day's revenue is a drop.
    assert_eq!(lasting, ["revenue_drop", "renewal_due"]);
    assert!(!home.ok(&["signal", "renewals_due"]).contains("drill-renews"));

    // Nothing fired twice: one incident a thing.
    let mut many: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for told in incidents(&home) {
        many.entry(told.rule).or_default().push(told.title);
    }
    let twice: Vec<_> = many.iter().filter(|(_, titles)| titles.len() > 1).collect();
    // A milestone was missed in the drill and reached at its end: two events. Revenue fell twice, as said above.
    let twice: Vec<_> = twice
        .into_iter()
        .map(|(rule, titles)| (rule.as_str(), titles.len()))
        .collect();
    assert_eq!(twice, [("onboarding_milestone_checkin", 2), ("revenue_drop", 2)]);

    let verified = home.ok(&["verify"]);
    assert!(
        verified.contains("42 signals") && verified.contains(" 0 differences between the engines"),
        "{verified}"
    );
    assert!(home.ok(&["alerts", "ledger", "verify"]).contains("unbroken"));
    let written = judges::written(&home).await;
    for kind in ["data_table", "data_visualization", "actions"] {
        let quoted = format!("\"{kind}\"");
        assert!(
            written.iter().any(|(_, body)| body.to_string().contains(&quoted)),
            "{kind}"
        );
    }
    judges::judge(&written);
}
