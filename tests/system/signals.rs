//! Signals by hand: what each says of records that a person can check.

use atalaya_tests::Home;

const NOW: &str = "2026-03-16T10:00:00Z";

fn home(files: &[(&str, &str)]) -> Home {
    let mut home = Home::new();
    home.now = Some(NOW.to_owned());
    for (kind, text) in files {
        let path = home.file(&format!("{kind}.csv"), text);
        let said = home.import(&path, kind);
        assert_eq!(said.code, Some(0), "{kind}: {}", said.err);
        assert!(said.err.contains(" 0 dead letters"), "{kind}: {}", said.err);
    }
    home
}

/// `thing numerator/denominator` of each reading.
fn readings(home: &Home, signal: &str) -> Vec<String> {
    let text = home.ok(&["signal", signal, "--format", "csv"]);
    let rows = csv::Reader::from_reader(text.as_bytes()).into_records();
    rows.map(|row| {
        let row = row.unwrap();
        format!("{} {}/{}", &row[0], &row[3], &row[4])
    })
    .collect()
}

#[test]
fn processors_are_busy_as_their_counters_say_also_across_a_restart() {
    let cpu = |mode: &str| format!("\"{{\"\"cpu\"\":\"\"0\"\",\"\"mode\"\":\"\"{mode}\"\"}}\"");
    let (idle, user) = (cpu("idle"), cpu("user"));
    let mut text = "metric_name,host,labels,value,sampled_at\n".to_owned();
    for (labels, samples) in [
        // 60 s before the window; then 100 -> 130, a restart, 0 -> 10: 40 s idle. 200 -> 290, a restart, 0 -> 70: 160 s busy.
        (
            &idle,
            [
                ("09:54:00", 40),
                ("09:56:00", 100),
                ("09:57:00", 130),
                ("09:58:00", 10),
                ("10:01:00", 9_999),
            ],
        ),
        (
            &user,
            [
                ("09:54:00", 20),
                ("09:56:00", 200),
                ("09:57:00", 290),
                ("09:58:00", 70),
                ("10:01:00", 99_999),
            ],
        ),
    ] {
        for (at, value) in samples {
            text += &format!("node_cpu_seconds_total,web-1,{labels},{value},2026-03-16T{at}Z\n");
        }
    }
    // Reported percentages: the mean of two. One sample of a counter says nothing.
    text += "cpu_percent,web-2,,80,2026-03-16T09:57:00Z\ncpu_percent,web-2,,90,2026-03-16T09:58:00Z\n";
    text += &format!("node_cpu_seconds_total,web-3,{idle},5,2026-03-16T09:58:00Z\n");
    // Without an idle part that is known, everything would seem busy.
    text += "system.cpu.time,web-5,\"{\"\"kind\"\":\"\"rest\"\"}\",5,2026-03-16T09:57:00Z\nsystem.cpu.time,web-5,\"{\"\"kind\"\":\"\"rest\"\"}\",9,2026-03-16T09:58:00Z\n";
    // Memory: what programs can have is not what is free.
    for (name, gigabytes) in [("MemTotal", 8), ("MemAvailable", 2), ("MemFree", 1)] {
        text += &format!("node_memory_{name}_bytes,web-1,{{}},{gigabytes}000000000,2026-03-16T09:58:00Z\n");
    }
    for (state, gigabytes) in [
        ("used", 3),
        ("free", 1),
        ("cached", 5),
        ("buffered", 1),
        ("slab_reclaimable", 2),
    ] {
        text += &format!(
            "system.memory.usage,web-4,\"{{\"\"state\"\":\"\"{state}\"\"}}\",{gigabytes}000000000,2026-03-16T09:58:00Z\n"
        );
    }
    let home = home(&[("host_metrics", &text)]);
    assert_eq!(
        readings(&home, "cpu_utilization"),
        ["web-1 160000000/200000000", "web-2 170000000/200000000"]
    );
    assert_eq!(
        readings(&home, "ram_utilization"),
        ["web-1 6000000/8000000", "web-4 3000000/10000000"]
    );
}

#[test]
fn services_tickets_and_answers_are_counted_by_their_rules() {
    let mut checks = "service,region,is_up,planned,checked_at\n".to_owned();
    for (at, is_up, planned) in [
        // Exactly 24 hours ago is outside; planned maintenance and what is yet to come count neither way.
        ("2026-03-15T10:00:00Z", 0, ""),
        ("2026-03-15T10:00:01Z", 0, ""),
        ("2026-03-16T08:00:00Z", 0, "false"),
        ("2026-03-16T09:00:00Z", 1, ""),
        ("2026-03-16T09:30:00Z", 0, "maintenance"),
        ("2026-03-16T10:00:00Z", 1, ""),
        ("2026-03-16T10:00:01Z", 0, ""),
    ] {
        checks += &format!("api,eu,{is_up},{planned},{at}\n");
    }
    checks += "api,us,0,,2026-03-16T09:59:00Z\n";
    let mut requests = "service,status,duration_us,error,requested_at\n".to_owned();
    // 20 requests of 1 to 20 ms: the nearest rank of 95 % is the 19th.
    for number in 1..=20 {
        let (status, error) = if number == 7 {
            (500, "")
        } else {
            (200, if number == 8 { "panic" } else { "" })
        };
        requests += &format!("api,{status},{number}000,{error},2026-03-16T09:58:{number:02}Z\n");
    }
    requests += "api,500,9999000,,2026-03-16T09:54:59Z\nfew,200,9000000,,2026-03-16T09:58:00Z\n";
    for (status, minute) in [(500, 50), (200, 55), (500, 56), (0, 57)] {
        requests += &format!("external:mail,{status},1,,2026-03-16T09:{minute}:00Z\n");
    }
    let tickets = "ticket_id,record_version,status,priority,tags,created_at,first_reply_at\n\
        waits,0,open,high,\"vip,needs_engineering\",2026-03-16T06:00:00Z,\n\
        was_answered,0,open,high,,2026-03-16T05:00:00Z,\n\
        was_answered,1,open,high,,2026-03-16T05:00:00Z,2026-03-16T05:10:00Z\n\
        solved,0,solved,high,needs_engineering_not,2026-03-16T05:00:00Z,\n";
    let mut answers = "response_id,survey,customer_id,score,answered_at\n".to_owned();
    // Ana's newer answer counts: two promoters, one passive, one detractor.
    for (id, who, score, day) in [
        (1, "ana", 2, 1),
        (2, "ana", 9, 2),
        (3, "bo", 10, 3),
        (4, "cy", 8, 4),
        (5, "di", 6, 5),
    ] {
        answers += &format!("{id},nps,{who},{score},2026-03-{day:02}T10:00:00Z\n");
    }
    answers += "6,nps,eve,0,2026-02-14T10:00:00Z\n7,csat,fay,0,2026-03-05T10:00:00Z\n";
    let home = home(&[
        ("uptime_checks", &checks),
        ("http_requests", &requests),
        ("tickets", tickets),
        ("survey_responses", &answers),
    ]);
    assert_eq!(readings(&home, "downtime_24h"), ["api 3/5"]);
    assert_eq!(readings(&home, "uptime_month_to_date"), ["api 2/6"]);
    assert_eq!(readings(&home, "failing_checks"), ["api/eu 0/1", "api/us 1/1"]);
    assert_eq!(readings(&home, "error_rate"), ["api 2/20", "few 0/1"]);
    assert_eq!(readings(&home, "response_time"), ["api 19000/1000000"]);
    assert_eq!(readings(&home, "consecutive_failures"), ["external:mail 2/1"]);
    assert_eq!(
        readings(&home, "tickets_without_reply"),
        ["import/waits 14400000000/1000000"]
    );
    assert_eq!(readings(&home, "tickets_for_engineering"), ["import/waits 1/1"]);
    assert_eq!(readings(&home, "nps_30d"), ["all 100/4"]);
    home.ok(&["verify"]);
    // What was known then is what is seen then.
    assert_eq!(
        home.ok(&[
            "signal",
            "downtime_24h",
            "--at",
            "2026-03-16T09:00:00Z",
            "--format",
            "csv"
        ])
        .lines()
        .count(),
        1
    );
}

#[test]
fn what_was_over_before_anybody_heard_of_it_is_told_once() {
    let mut home = home(&[(
        "incidents",
        "incident_id,incident_type,title,started_at,resolved_at\n\
         old,security_breach,Keys leaked,2026-03-10T10:00:00Z,2026-03-11T10:00:00Z\n\
         older,security_breach,Long over,2025-03-10T10:00:00Z,2025-03-11T10:00:00Z\n",
    )]);
    let looks = [("10:00", "1 firing"), ("10:01", "ok"), ("10:02", "ok")];
    for (at, found) in looks {
        home.now = Some(format!("2026-03-16T{at}:00Z"));
        home.ok(&["alerts", "run", "--once"]);
        let status = home.run(&["alerts", "status"]);
        assert!(
            status.err.contains(&format!("security_breach: {found}")),
            "{at}: {}",
            status.err
        );
    }
    let told = home.ok(&["alerts", "status", "--format", "csv"]);
    assert_eq!(told.matches("security_breach").count(), 1, "{told}");
    assert!(told.contains("Keys leaked"), "{told}");
}
