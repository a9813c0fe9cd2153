//! What people do with alerts: take them, silence them, and hear of a route that refuses.

use atalaya_tests::Home;

use crate::alerts::{Step, Vendor, events, once, start};

const FINDING: &str = "finding_id,record_version,finding_type,title,opened_at,closed_at";

/// A company with violations of that many, and its clock.
fn company(findings: usize) -> Home {
    let mut home = Home::new();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    let rows: String = (0..findings)
        .map(|number| format!("f{number},0,violation,Consent is missing ({number}),2026-03-16T09:00:00Z,\n"))
        .collect();
    home.import(
        &home.file("findings.csv", format!("{FINDING}\n{rows}")),
        "compliance_findings",
    );
    home
}

fn close(home: &mut Home, finding: &str, at: &str) {
    home.now = Some(at.to_owned());
    let text = format!("{FINDING}\n{finding},1,violation,Consent is missing,2026-03-16T09:00:00Z,{at}\n");
    home.import(&home.file("closed.csv", text), "compliance_findings");
}

fn slack(vendor: &Vendor) -> Vec<(u16, serde_json::Value)> {
    let received = vendor.received.lock().unwrap();
    received
        .iter()
        .filter(|(_, body)| body["text"].is_string())
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_answered_within_a_quarter_of_an_hour_pages_again_until_somebody_takes_it() {
    let (vendor, address) = start(vec![]).await;
    let home = company(1);
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    once(&home, &address, "2026-03-16T10:14:59Z").await;
    assert_eq!(events(&vendor).len(), 1);
    once(&home, &address, "2026-03-16T10:15:00Z").await;
    assert_eq!(
        events(&vendor).len(),
        2,
        "the page itself, and that nobody has taken it"
    );

    // Ana takes it in PagerDuty, Bo gives it back, Ana takes it again; the webhooks come out of order.
    let received = vendor.received.lock().unwrap().clone();
    let key = received
        .iter()
        .find_map(|(_, body)| body["dedup_key"].as_str())
        .unwrap();
    let event = |number: u8, what: &str, who: &str| {
        let payload = serde_json::json!({"event": {
            "id": number.to_string(), "event_type": what, "agent": {"summary": who}, "data": {"id": "P1", "incident_key": key},
        }});
        let payload = payload.to_string().replace('"', "\"\"");
        format!("{number},{what},P1,2026-03-16T10:1{number}:00Z,\"{payload}\"\n")
    };
    let rows = [
        event(8, "incident.acknowledged", "Ana"),
        event(6, "incident.acknowledged", "Ana"),
        event(7, "incident.unacknowledged", "Bo"),
    ];
    let text = format!("record_key,event_type,object_id,happened_at,payload\n{}", rows.concat());
    home.import(&home.file("webhooks.csv", text), "vendor_events");
    once(&home, &address, "2026-03-16T10:20:00Z").await;
    once(&home, &address, "2026-03-16T10:21:00Z").await;
    let told = home.ok(&["alerts", "incident", "1"]);
    assert_eq!(told.matches("acknowledged by Ana").count(), 1, "{told}");
    // The escalation is over, and the violation is not.
    let status = home.run(&["alerts", "status"]).err;
    assert!(
        status.contains("incident_unacknowledged: ok") && status.contains("compliance_issue: 1 firing"),
        "{status}"
    );
    let sent: Vec<String> = events(&vendor).into_iter().map(|(_, action)| action).collect();
    assert_eq!(sent, ["trigger", "trigger", "resolve"]);

    // Bo gives it back there, and takes it here: what PagerDuty said before does not undo that.
    let row = event(9, "incident.unacknowledged", "Bo").replace("10:19:00", "10:22:00");
    let text = format!("record_key,event_type,object_id,happened_at,payload\n{row}");
    home.import(&home.file("back.csv", text), "vendor_events");
    once(&home, &address, "2026-03-16T10:23:00Z").await;
    let mut taking = home.command(&["alerts", "ack", "1", "--by", "Bo"]);
    assert!(
        taking
            .env("ATALAYA_NOW", "2026-03-16T10:24:00Z")
            .status()
            .unwrap()
            .success()
    );
    once(&home, &address, "2026-03-16T10:25:00Z").await;
    let told = home.ok(&["alerts", "incident", "1"]);
    assert!(told.trim_end().ends_with("acknowledged by Bo"), "{told}");
    let sent: Vec<String> = events(&vendor).into_iter().map(|(_, action)| action).collect();
    let expected = ["trigger", "trigger", "resolve", "acknowledge"];
    assert_eq!(sent, expected, "PagerDuty hears who has it");

    assert_eq!(home.run(&["alerts", "ack", "99", "--by", "Bo"]).code, Some(2));
    home.ok(&["alerts", "note", "1", "Legal is told", "--by", "Bo"]);
    assert!(
        home.ok(&["alerts", "incident", "1"])
            .contains("note by Bo: Legal is told")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_hides_one_thing_and_what_still_fires_is_told_when_it_ends() {
    let (vendor, address) = start(vec![]).await;
    let mut home = company(2);
    for (thing, lasting) in [("import/f0", "1 h"), ("import/f1", "1 h")] {
        home.ok(&[
            "alerts",
            "silence",
            "compliance_issue",
            "--entity",
            thing,
            "--for",
            lasting,
            "--by",
            "ana",
            "--why",
            "audit",
        ]);
    }
    assert_eq!(
        home.run(&[
            "alerts", "silence", "no_rule", "--for", "1 h", "--by", "a", "--why", "b"
        ])
        .code,
        Some(2)
    );
    once(&home, &address, "2026-03-16T10:01:00Z").await;
    assert!(vendor.received.lock().unwrap().is_empty());
    // The first is mended while nobody is told: neither its end nor its beginning is news.
    close(&mut home, "f0", "2026-03-16T10:30:00Z");
    once(&home, &address, "2026-03-16T10:31:00Z").await;
    assert!(vendor.received.lock().unwrap().is_empty());
    once(&home, &address, "2026-03-16T11:00:00Z").await;
    let sent = vendor.received.lock().unwrap().clone();
    let titles: Vec<&str> = sent
        .iter()
        .filter_map(|(_, body)| body["payload"]["summary"].as_str())
        .collect();
    assert!(matches!(titles[..], [title] if title.contains("(1)")), "{titles:?}");
    assert!(home.ok(&["alerts", "incident", "2"]).contains("told by atalaya"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_explains_another_keeps_it_quiet() {
    let (vendor, address) = start(vec![]).await;
    let mut home = Home::new();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    let mut text = "record_key,record_version,service,is_up,checked_at\n".to_owned();
    for minute in 0..20 {
        text += &format!(
            "c{minute},0,api,{},2026-03-16T09:{:02}:00Z\n",
            u8::from(minute > 3),
            59 - minute
        );
    }
    // A service that is well is no news.
    text += "w,0,shop,1,2026-03-16T09:59:00Z\n";
    home.import(&home.file("checks.csv", text), "uptime_checks");
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    assert_eq!(events(&vendor), [(202, "trigger".to_owned())]);
    let told = home.ok(&["alerts", "status", "--format", "csv"]);
    assert!(!told.contains("shop"), "{told}");
    assert!(
        told.contains("system_downtime") && told.contains("continuous_monitoring"),
        "{told}"
    );
    assert!(
        home.ok(&["alerts", "incident", "2"])
            .contains("suppressed by atalaya: rule system_downtime")
    );
    // It comes back, and two hours later it is gone again: the first outage explains nothing of that.
    for (at, is_up) in [("10:05:00", 1), ("12:05:00", 0)] {
        home.now = Some(format!("2026-03-16T{at}Z"));
        let text = format!("service,is_up,checked_at\napi,{is_up},2026-03-16T{at}Z\n");
        home.import(&home.file("later.csv", text), "uptime_checks");
        once(&home, &address, &format!("2026-03-16T{at}Z")).await;
    }
    let received = vendor.received.lock().unwrap().clone();
    let paged: Vec<&str> = received
        .iter()
        .filter_map(|(_, body)| body["payload"]["class"].as_str())
        .collect();
    assert_eq!(
        paged,
        ["system_downtime", "incident_unacknowledged", "continuous_monitoring"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_alert_is_told_elsewhere_and_a_message_of_bad_form_goes_as_text() {
    let (vendor, address) = start(vec![Step::Answer(400, None)]).await;
    vendor.slack.lock().unwrap().push((400, "invalid_blocks"));
    let home = company(1);
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    once(&home, &address, "2026-03-16T10:00:01Z").await;
    once(&home, &address, "2026-03-16T10:00:02Z").await;
    let told = slack(&vendor);
    let shapes: Vec<(u16, bool)> = told
        .iter()
        .map(|(status, body)| (*status, body["blocks"].is_array()))
        .collect();
    // With blocks and refused; as text; and, from PagerDuty's refusal, that nobody was paged.
    assert_eq!(shapes, [(400, true), (200, false), (200, true)]);
    let last = told[2].1["text"].as_str().unwrap();
    assert!(
        last.contains("pagerduty refused an alert") && last.contains("400"),
        "{last}"
    );
    // It ends there: a notice is not told of again.
    once(&home, &address, "2026-03-16T10:05:00Z").await;
    assert_eq!(slack(&vendor).len(), 3);
    assert!(home.ok(&["alerts", "ledger", "verify"]).contains("unbroken"));
}

#[test]
fn a_rule_of_the_home_replaces_the_shipped_one_and_a_wrong_one_is_named() {
    let home = company(1);
    let rules = home.path().join("rules");
    std::fs::create_dir_all(&rules).unwrap();
    let rule = |limit: &str| {
        format!(
            "id = \"low_cac\"\nname_en = \"Low acquisition cost\"\nname_es = \"CAC bajo\"\nclass = \"opportunity\"\nseverity = \"info\"\n\
             routes = [\"slack\"]\n[watch]\nmetric = \"cac\"\ngrain = \"month\"\n[fires]\nbelow = \"{limit}\"\n"
        )
    };
    std::fs::write(rules.join("low_cac.toml"), rule("45 EUR")).unwrap();
    home.ok(&["alerts", "rules"]);
    for (limit, said) in [("45 pesos", "45 pesos"), ("", "is no limit")] {
        std::fs::write(rules.join("low_cac.toml"), rule(limit)).unwrap();
        let answer = home.run(&["alerts", "rules"]);
        assert!(
            answer.code == Some(2) && answer.err.contains("low_cac.toml") && answer.err.contains(said),
            "{}",
            answer.err
        );
        // The others go on, and the fault is told.
        let looked = home.run(&["alerts", "run", "--once"]);
        assert!(
            looked.err.contains("rule_file_wrong: 1 firing")
                && looked.err.contains("low_cac: ")
                && looked.err.contains("compliance_issue: 1 firing"),
            "{}",
            looked.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_host_that_falls_silent_is_told_of_and_none_is_called_well() {
    let (vendor, address) = start(vec![]).await;
    let mut home = Home::new();
    let mut text = "metric_name,host,value,sampled_at\ncpu_percent,web-1,95,2026-03-16T10:00:00Z\n".to_owned();
    for minute in 0..19 {
        text += &format!("cpu_percent,web-2,10,2026-03-16T10:{minute:02}:00Z\n");
    }
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    home.import(&home.file("samples.csv", text), "host_metrics");
    let texts = |vendor: &Vendor| -> Vec<String> {
        let told = slack(vendor);
        told.iter()
            .map(|(_, body)| body["text"].as_str().unwrap().to_owned())
            .collect()
    };
    // The first is pending when it falls silent: what was about to fire does not fire on nothing.
    for minute in ["01", "07", "17", "18", "25", "35", "36"] {
        once(&home, &address, &format!("2026-03-16T10:{minute}:00Z")).await;
    }
    let told = texts(&vendor);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("No data: High CPU: web-1") && told[1].contains("web-2"),
        "{told:?}"
    );
    assert!(
        events(&vendor).is_empty(),
        "silence of a machine is for the channel, not for a pager"
    );
    // Both were removed, and Ana says so.
    let id = home.ok(&["alerts", "status", "--format", "csv"]);
    let id = id.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    home.now = Some("2026-03-16T10:40:00Z".to_owned());
    home.ok(&["alerts", "close", &id, "--by", "ana", "--why", "both were removed"]);
    assert_eq!(
        home.run(&["alerts", "close", &id, "--by", "ana", "--why", "again"])
            .code,
        Some(2)
    );
    once(&home, &address, "2026-03-16T10:41:00Z").await;
    once(&home, &address, "2026-03-16T11:00:00Z").await;
    let told = texts(&vendor);
    assert!(
        told.len() == 3 && told[2].contains("Closed") && told[2].contains("both were removed"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_hears_that_a_rule_is_no_longer_watched() {
    let (vendor, address) = start(vec![]).await;
    let home = company(1);
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    let rules = home.path().join("rules");
    std::fs::create_dir_all(&rules).unwrap();
    let text = "id = \"compliance_issue\"\nname_en = \"Compliance\"\nname_es = \"Cumplimiento\"\nclass = \"critical\"\nseverity = \"critical\"\n\
         routes = [\"slack\"]\noff = \"audit is over\"\n[watch]\nsignal = \"compliance_findings\"\n[fires]\npresent = true\n";
    std::fs::write(rules.join("compliance_issue.toml"), text).unwrap();
    once(&home, &address, "2026-03-16T10:01:00Z").await;
    // PagerDuty is no route of the rule any more, and was told of the beginning.
    let sent: Vec<String> = events(&vendor).into_iter().map(|(_, action)| action).collect();
    assert_eq!(sent, ["trigger", "resolve"]);
    let last = slack(&vendor).pop().unwrap().1["text"].as_str().unwrap().to_owned();
    assert!(
        last.contains("No longer watched") && !last.contains("Resolved"),
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_joined_an_incident_under_a_silence_is_told_when_that_ends() {
    let (vendor, address) = start(vec![]).await;
    let mut home = Home::new();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    let ticket =
        |id: &str| format!("ticket_id,subject,priority,created_at\n{id},Ticket {id},high,2026-03-16T01:00:00Z\n");
    home.import(&home.file("a.csv", ticket("a")), "tickets");
    once(&home, &address, "2026-03-16T10:00:00Z").await;
    let silence = ["alerts", "silence", "ticket_sla_high", "--entity", "import/b"];
    home.ok(&[&silence[..], &["--for", "1 h", "--by", "ana", "--why", "known"]].concat());
    home.import(&home.file("b.csv", ticket("b")), "tickets");
    once(&home, &address, "2026-03-16T10:10:00Z").await;
    assert_eq!(slack(&vendor).len(), 1, "the second ticket is silenced");
    once(&home, &address, "2026-03-16T11:00:00Z").await;
    once(&home, &address, "2026-03-16T11:01:00Z").await;
    let told = slack(&vendor);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].1["text"].as_str().unwrap().contains("Ticket b"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_what_is_known_of_silent_hosts_ends_nothing_that_fires() {
    let (vendor, address) = start(vec![]).await;
    let mut home = Home::new();
    let mut text = "metric_name,host,value,sampled_at\ncpu_percent,gone,10,2026-03-16T10:00:00Z\n".to_owned();
    for minute in 0..40 {
        text += &format!("cpu_percent,busy,95,2026-03-16T10:{minute:02}:00Z\n");
    }
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    home.import(&home.file("samples.csv", text), "host_metrics");
    for minute in ["01", "06", "12", "23"] {
        once(&home, &address, &format!("2026-03-16T10:{minute}:00Z")).await;
    }
    let open = home.ok(&["alerts", "status", "--format", "csv"]);
    let blind = open.lines().find(|line| line.contains("No data")).unwrap();
    home.now = Some("2026-03-16T10:24:00Z".to_owned());
    let id = blind.split(',').next().unwrap().to_owned();
    home.ok(&["alerts", "close", &id, "--by", "ana", "--why", "it was removed"]);
    for minute in ["25", "31", "37"] {
        once(&home, &address, &format!("2026-03-16T10:{minute}:00Z")).await;
    }
    let told = home.ok(&["alerts", "status", "--format", "csv"]);
    let of_busy = |line: &&str| line.contains(",cpu_high,") && !line.contains("No data");
    let busy: Vec<&str> = told.lines().filter(of_busy).collect();
    assert_eq!(busy.len(), 1, "{told}");
    let of_cpu = |action: &str| {
        let received = vendor.received.lock().unwrap();
        let of_action = received.iter().filter(|(_, body)| body["event_action"] == action);
        of_action
            .filter(|(_, body)| body["payload"]["class"] == "cpu_high")
            .count()
    };
    assert_eq!((of_cpu("trigger"), of_cpu("resolve")), (1, 0));
}
