//! A drill: records that make every alert rule fire but those of falling revenue, and records that end it all.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Datelike, Days, Months, TimeDelta, Utc};

use crate::DemoError;

/// Whether a drill begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drill {
    /// Things go wrong.
    Begin,
    /// They are mended.
    End,
}

const VALUES: &str = "value_name,reported_on,part,amount,currency,number,words";
/// Customers who leave together.
const LEAVING: u32 = 400;
/// Minutes for which hosts and services are measured ahead: an import cannot go on measuring.
const MINUTES_AHEAD: i64 = 20;

/// Rows by kind: a header, and lines with the present filled in.
struct Sheets {
    now: DateTime<Utc>,
    sheets: BTreeMap<&'static str, (&'static str, Vec<String>)>,
}

impl Sheets {
    fn row(&mut self, kind: &'static str, header: &'static str, row: String) {
        self.sheets.entry(kind).or_insert((header, Vec::new())).1.push(row);
    }

    /// An instant so many minutes from now.
    fn at(&self, minutes: i64) -> String {
        instant(self.now + TimeDelta::minutes(minutes))
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Drill {
    /// Writes the files of a drill, each with its kind. `now` is its present; with it every byte is fixed.
    pub fn write(self, now: DateTime<Utc>, dir: &Path) -> Result<Vec<(PathBuf, &'static str)>, DemoError> {
        let mut sheets = Sheets {
            now,
            sheets: BTreeMap::new(),
        };
        let begins = self == Self::Begin;
        self.machines(&mut sheets);
        services(&mut sheets, begins);
        incidents(&mut sheets, begins);
        if begins {
            automation(&mut sheets);
        }
        tickets(&mut sheets, begins);
        backups(&mut sheets, begins);
        models(&mut sheets, begins);
        marketing(&mut sheets, begins);
        money(&mut sheets, begins);
        customers(&mut sheets, begins);
        let mut files = Vec::new();
        for (kind, (header, rows)) in sheets.sheets {
            let path = dir.join(format!("{kind}.csv"));
            let text = format!("{header}\n{}\n", rows.join("\n"));
            std::fs::write(&path, text).map_err(|source| DemoError::Io {
                path: path.clone(),
                source,
            })?;
            files.push((path, kind));
        }
        Ok(files)
    }

    fn machines(self, sheets: &mut Sheets) {
        let (cpu, ram) = match self {
            Self::Begin => ("95.5", "97"),
            Self::End => ("20", "40"),
        };
        for half_minute in -10..MINUTES_AHEAD * 2 {
            let at = instant(sheets.now + TimeDelta::seconds(30 * half_minute));
            for (name, value) in [("cpu_percent", cpu), ("ram_percent", ram)] {
                sheets.row(
                    "host_metrics",
                    "metric_name,host,value,sampled_at",
                    format!("{name},web-1,{value},{at}"),
                );
            }
        }
    }
}

fn services(sheets: &mut Sheets, begins: bool) {
    const CHECKS: &str = "record_key,record_version,service,region,is_up,reason,checked_at";
    const REQUESTS: &str = "service,route,method,status,duration_us,requested_at";
    // The end of the drill says that the probe was wrong: the same checks, passed.
    let began = drill_began(sheets.now, begins);
    for number in 0..120_i64 {
        let at = instant(began - TimeDelta::minutes(number));
        let fails = begins && number < 20;
        let (is_up, reason) = if fails { (0, "timeout after 10 s") } else { (1, "") };
        let version = i64::from(!begins);
        let row = format!("check-{number},{version},checkout,eu,{is_up},{reason},{at}");
        sheets.row("uptime_checks", CHECKS, row);
    }
    if !begins {
        for minute in 0..15 {
            let at = sheets.at(-minute);
            sheets.row(
                "uptime_checks",
                CHECKS,
                format!("check-over-{minute},0,checkout,eu,1,,{at}"),
            );
        }
    }
    for number in -100..MINUTES_AHEAD * 20 {
        let at = instant(sheets.now + TimeDelta::seconds(3 * number));
        let (status, duration_us) = match (begins, number % 10) {
            (true, 0) => (503, 3_200_000),
            (true, _) => (200, 2_500_000),
            (false, _) => (200, 120_000),
        };
        sheets.row(
            "http_requests",
            REQUESTS,
            format!("api,/v1/generate,POST,{status},{duration_us},{at}"),
        );
    }
    for minute in -4..0 {
        let (at, status) = (sheets.at(minute), if begins { 502 } else { 200 });
        sheets.row(
            "http_requests",
            REQUESTS,
            format!("external:payments,/charges,POST,{status},900000,{at}"),
        );
    }
    if begins {
        const RELEASES: &str = "release_id,project,name,revision,released_at,rolled_back_at";
        let (released, before, back) = (sheets.at(10), sheets.at(-30 * 60), sheets.at(-10));
        sheets.row("releases", RELEASES, format!("r-102,api,Release 102,f00d,{released},"));
        sheets.row(
            "releases",
            RELEASES,
            format!("r-101,api,Release 101,beef,{before},{back}"),
        );
    }
}

/// The end of a drill corrects what its beginning said: it is staged a day and an hour later.
fn drill_began(now: DateTime<Utc>, begins: bool) -> DateTime<Utc> {
    if begins { now } else { now - TimeDelta::hours(25) }
}

fn incidents(sheets: &mut Sheets, begins: bool) {
    let version = i64::from(!begins);
    let began = drill_began(sheets.now, begins);
    let over = if begins { String::new() } else { sheets.at(-1) };
    for (id, what, title, minutes) in [
        (
            "INC-1",
            "security_breach",
            "Admin token found in a public repository",
            5,
        ),
        ("INC-2", "outage", "Checkout is down", 120),
    ] {
        let at = instant(began - TimeDelta::minutes(minutes));
        sheets.row(
            "incidents",
            "incident_id,record_version,incident_type,title,severity,service,started_at,resolved_at",
            format!("{id},{version},{what},{title},critical,checkout,{at},{over}"),
        );
    }
    let at = instant(began - TimeDelta::minutes(30));
    sheets.row(
        "compliance_findings",
        "finding_id,record_version,finding_type,framework,title,severity,opened_at,closed_at",
        format!("F-7,{version},violation,GDPR,Consent is missing for 12 contacts,high,{at},{over}"),
    );
}

fn automation(sheets: &mut Sheets) {
    for (number, (automation, action, subject, before, after)) in [
        ("scaling", "add two servers", "web", "4", "6"),
        ("dynamic_pricing", "raise the list price", "plan pro", "49.00", "52.00"),
        ("budget_reallocation", "move spend", "search to social", "1000", "1400"),
        ("lead_routing", "assign to Ana", "lead 311", "", "ana"),
        ("ticket_routing", "route to tier 2", "ticket 88", "tier 1", "tier 2"),
        ("rollback_trigger", "error budget spent", "release 101", "", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let at = sheets.at(-1);
        sheets.row(
            "automations",
            "run_id,automation,action,subject_id,status,value_before,value_after,started_at",
            format!("run-{number},{automation},{action},{subject},succeeded,{before},{after},{at}"),
        );
    }
}

fn tickets(sheets: &mut Sheets, begins: bool) {
    let version = i64::from(!begins);
    let began = drill_began(sheets.now, begins);
    let (status, replied) = if begins {
        ("open", String::new())
    } else {
        ("solved", sheets.at(-1))
    };
    let created = instant(began - TimeDelta::days(2));
    let escalated = instant(began - TimeDelta::minutes(5));
    for (id, priority, subject) in [
        ("88", "critical", "Nobody can log in"),
        ("89", "high", "Exports are empty"),
        ("90", "normal", "How do I change my plan?"),
    ] {
        let tags = if id == "89" { "needs_engineering" } else { "" };
        let up = if id == "88" { escalated.as_str() } else { "" };
        sheets.row(
            "tickets",
            "ticket_id,record_version,subject,status,priority,assignee_id,tags,created_at,first_reply_at,escalated_at",
            format!("{id},{version},{subject},{status},{priority},ana,{tags},{created},{replied},{up}"),
        );
    }
}

fn backups(sheets: &mut Sheets, begins: bool) {
    const HEADER: &str = "backup_id,backup_type,system,status,recoverable_to_at,finished_at";
    let (full, point) = if begins { (-2 * 24 * 60, -60) } else { (-30, -2) };
    let prefix = if begins { "b" } else { "e" };
    let (full, point) = (sheets.at(full), sheets.at(point));
    sheets.row(
        "backups",
        HEADER,
        format!("{prefix}1,full,orders database,verified,,{full}"),
    );
    sheets.row(
        "backups",
        HEADER,
        format!("{prefix}2,recovery_point,orders database,verified,{point},{point}"),
    );
    let kind = if begins { "release" } else { "security_update" };
    if !begins {
        let at = sheets.at(-5);
        sheets.row(
            "backups",
            HEADER,
            format!("e3,recovery_test,orders database,verified,,{at}"),
        );
    }
    let at = sheets.at(-5);
    sheets.row(
        "deployments",
        "deployment_id,project,deployment_type,status,started_at",
        format!("{prefix}d,api,{kind},passed,{at}"),
    );
}

fn models(sheets: &mut Sheets, begins: bool) {
    let at = sheets.at(-2);
    let passed = if begins { 9_000 } else { 9_990 };
    sheets.row(
        "data_quality_checks",
        "table_name,check_name,rows_checked,rows_passed,checked_at",
        format!("orders,amount is there,10000,{passed},{at}"),
    );
    let (drift, accuracy) = if begins { (10, 85) } else { (1, 93) };
    for (measure, good) in [("feature_drift", drift), ("accuracy", accuracy)] {
        sheets.row(
            "model_evaluations",
            "model,model_version,measure,good,total,evaluated_at",
            format!("churn,v3,{measure},{good},100,{at}"),
        );
    }
    let scores = if begins {
        [
            ("health", "customer", "drill-health", 60, "outreach", "good"),
            ("churn", "customer", "drill-churn", 91, "high", "low"),
            ("support", "customer", "drill-support", 70, "likely", "low"),
            ("upsell", "customer", "drill-upsell", 88, "candidate", "low"),
            ("fraud", "payment", "pay-991", 97, "flagged", "clear"),
        ]
    } else {
        [
            ("health", "customer", "drill-health", 95, "good", "good"),
            ("churn", "customer", "drill-churn", 10, "low", "high"),
            ("support", "customer", "drill-support", 5, "low", "likely"),
            ("upsell", "customer", "drill-upsell", 5, "low", "candidate"),
            ("fraud", "payment", "pay-991", 3, "clear", "flagged"),
        ]
    };
    let version = i64::from(!begins);
    for (model, subject_type, subject, score, band, previous) in scores {
        sheets.row(
            "model_scores",
            "model,record_version,subject_type,subject_id,score,band,previous_band,scored_at",
            format!("{model},{version},{subject_type},{subject},{score},{band},{previous},{at}"),
        );
    }
}

fn marketing(sheets: &mut Sheets, begins: bool) {
    let at = sheets.at(-3);
    let (answers, score) = if begins { (40, 10) } else { (200, 5) };
    for number in 0..answers {
        sheets.row(
            "survey_responses",
            "response_id,survey,score,answered_at",
            format!("{begins}-{number},nps,{score},{at}"),
        );
    }
    let leads = if begins { 400 } else { 8_000 };
    let created = sheets.at(-10 * 24 * 60);
    for number in 0..leads {
        let converted = if begins { at.as_str() } else { "" };
        sheets.row(
            "leads",
            "lead_id,lead_source,created_at,converted_at",
            format!("{begins}-{number},drill,{created},{converted}"),
        );
    }
    let today = sheets.now.date_naive();
    if begins {
        sheets.row(
            "reported_values",
            VALUES,
            format!("market_opportunity,{today},dentists,,,,Dentists in Chile"),
        );
        sheets.row("reported_values", VALUES, format!("limit:stock_days,{today},all,,,45,"));
    }
    let days = if begins { 60 } else { 30 };
    sheets.row("reported_values", VALUES, format!("stock_days,{today},all,,,{days},"));
}

fn money(sheets: &mut Sheets, begins: bool) {
    let today = sheets.now.date_naive();
    let budget = if begins { 1 } else { 900_000_000 };
    sheets.row(
        "reported_values",
        VALUES,
        format!("infrastructure_budget,{today},all,{budget},USD,,"),
    );
    if begins {
        sheets.row(
            "expenses",
            "spent_on,category,amount,currency",
            format!("{today},cloud,25,USD"),
        );
        let paid = sheets.at(-60);
        sheets.row(
            "payments",
            "customer_id,payment_id,invoice_id,amount,currency,paid_at",
            format!("drill-1,pay-1,inv-lost,99,USD,{paid}"),
        );
    } else {
        let at = sheets.at(-26 * 60);
        sheets.row(
            "invoice_lines",
            "customer_id,invoice_id,line_id,amount,currency,issued_at",
            format!("drill-1,inv-lost,1,99,USD,{at}"),
        );
    }
    let operation = if begins { "upsert" } else { "delete" };
    let version = i64::from(!begins);
    let began = drill_began(sheets.now, begins);
    let yesterday = began.date_naive() - Days::new(2);
    // Much more than the demo company sells, on one day of the last week.
    sheets.row(
        "orders",
        "record_key,record_version,operation,customer_id,product,amount,currency,ordered_at",
        format!("drill-order,{version},{operation},drill-1,course,50000000,USD,{yesterday}T12:00:00Z"),
    );
    // The vendor gives advertising back: nothing was ever cheaper.
    let last_month = began.date_naive().with_day(1).unwrap_or_default() - Days::new(5);
    sheets.row(
        "ad_spend",
        "record_key,record_version,operation,spent_on,channel,amount,currency",
        format!("drill-credit,{version},{operation},{last_month},search,-50000000,USD"),
    );
}

fn customers(sheets: &mut Sheets, begins: bool) {
    const STATES: &str = "record_key,record_version,operation,customer_id,subscription_id,item_id,plan,status,unit_price,currency,interval,cancel_at,valid_from,first_paid_at";
    let began = drill_began(sheets.now, begins);
    let version = i64::from(!begins);
    let operation = if begins { "upsert" } else { "delete" };
    let (joined, left) = (
        instant(began - TimeDelta::days(60)),
        instant(began - TimeDelta::days(3)),
    );
    for number in 0..LEAVING {
        for (state, at) in [("active", &joined), ("canceled", &left)] {
            sheets.row(
                "subscriptions",
                STATES,
                format!("leave-{number}-{state},{version},{operation},leave-{number},leave-{number},leave-{number},pro,{state},29,USD,month,,{at},{joined}"),
            );
        }
    }
    let due = instant(began - TimeDelta::days(1));
    let status = if begins { "past_due" } else { "active" };
    sheets.row(
        "subscriptions",
        STATES,
        format!("late,{version},upsert,drill-late,drill-late,drill-late,pro,{status},29,USD,month,,{due},{due}"),
    );
    // A year will be over in twenty days.
    let anniversary = began + TimeDelta::days(20);
    let year_ago = anniversary
        .checked_sub_months(Months::new(12))
        .map(instant)
        .unwrap_or_default();
    let cancel_at = if begins { String::new() } else { instant(anniversary) };
    sheets.row(
        "subscriptions",
        STATES,
        format!("renews,{version},upsert,drill-renews,drill-renews,drill-renews,pro,active,290,USD,year,{cancel_at},{year_ago},{year_ago}"),
    );
    const EVENTS: &str = "event_type,event_name,user_id,group_id,happened_at";
    let (long_ago, lately) = (sheets.at(-40 * 24 * 60), sheets.at(-5));
    if begins {
        sheets.row(
            "product_events",
            EVENTS,
            format!("track,Signed in,drill-user,,{long_ago}"),
        );
    } else {
        sheets.row(
            "product_events",
            EVENTS,
            format!("track,Signed in,drill-user,,{lately}"),
        );
    }
    for number in 0..6 {
        let account = if begins && number > 0 {
            "drill-keen"
        } else {
            "drill-shy"
        };
        sheets.row(
            "product_events",
            EVENTS,
            format!("track,Drill feature {number},,{account},{lately}"),
        );
    }
    let won = instant(began - TimeDelta::days(31));
    let live = instant(began - TimeDelta::days(8));
    sheets.row(
        "opportunities",
        "opportunity_id,record_version,customer_id,status,created_at,closed_at",
        format!("drill-deal,{version},drill-won,won,{won},{won}"),
    );
    const STEPS: &str = "customer_id,record_version,step,due_at,completed_at";
    sheets.row(
        "onboarding_steps",
        STEPS,
        format!("drill-live,{version},go_live,{live},{live}"),
    );
    let done = if begins { String::new() } else { sheets.at(-1) };
    let missed = instant(began - TimeDelta::hours(30));
    sheets.row(
        "onboarding_steps",
        STEPS,
        format!("drill-new,{version},import contacts,{missed},{done}"),
    );
    let reached = instant(began - TimeDelta::hours(1));
    sheets.row(
        "onboarding_steps",
        STEPS,
        format!("drill-new,{version},first campaign,{reached},{reached}"),
    );
    if !begins {
        for (kind, customer) in [("closing_checkin", "drill-won"), ("launch_checkin", "drill-live")] {
            let at = sheets.at(-1);
            sheets.row(
                "success_interventions",
                "intervention_id,customer_id,intervention_type,due_at,held_at",
                format!("{kind},{customer},{kind},{at},{at}"),
            );
        }
    }
}
