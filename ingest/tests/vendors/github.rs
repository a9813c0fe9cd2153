//! GitHub: pages that are numbered, marks, and at most a thousand runs for a question.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
};

use atalaya_model::Kind;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Asked, Server, Vendor, start},
    kit::{Place, comply},
};

const KEY: &str = "ghp_do_not_print_me";

#[derive(Default)]
struct Repository {
    issues: Vec<Value>,
    releases: Vec<Value>,
    runs: Vec<Value>,
    /// Attempts before the last one of a run.
    earlier: Vec<Value>,
    /// Somebody edits an issue behind the question of this number.
    edits_after: Option<usize>,
}

pub struct Github(Mutex<Repository>);

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn time(object: &Value, name: &str) -> DateTime<Utc> {
    object[name].as_str().unwrap().parse().unwrap()
}

fn issue(number: usize, updated_at: DateTime<Utc>, labels: &[&str]) -> Value {
    let labels: Vec<Value> = labels.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "number": number, "title": format!("issue {number}"), "state": "open", "labels": labels, "user": { "login": "ana" },
        "created_at": "2026-01-02T10:00:00Z", "updated_at": iso(updated_at), "closed_at": null, "milestone": null,
    })
}

fn release(id: usize, name: &str) -> Value {
    json!({
        "id": id, "tag_name": format!("v{id}"), "name": name, "draft": false, "prerelease": false,
        "target_commitish": "main", "created_at": "2026-01-02T10:00:00Z", "published_at": "2026-01-03T10:00:00Z",
    })
}

fn run(id: usize, created_at: DateTime<Utc>, file: &str, conclusion: Option<&str>) -> Value {
    json!({
        "id": id, "run_attempt": 1, "name": "CI", "path": format!(".github/workflows/{file}"), "head_sha": "abc",
        "status": if conclusion.is_some() { "completed" } else { "in_progress" }, "conclusion": conclusion,
        "created_at": iso(created_at), "run_started_at": iso(created_at), "updated_at": iso(created_at + TimeDelta::minutes(5)),
    })
}

impl Github {
    fn new() -> Arc<Self> {
        let mut found = Repository::default();
        // More than a page, and more than a page within one second.
        for number in 1..=130 {
            found.issues.push(issue(
                number,
                start() - TimeDelta::days(40) + TimeDelta::minutes(number as i64),
                &[],
            ));
        }
        for number in 131..=370 {
            found
                .issues
                .push(issue(number, start() - TimeDelta::days(20), &["Bug", "severity: high"]));
        }
        let mut pull = issue(371, start() - TimeDelta::days(1), &["enhancement"]);
        pull["pull_request"] = json!({ "merged_at": "2026-03-09T08:00:00Z" });
        pull["state"] = json!("closed");
        pull["closed_at"] = json!("2026-03-09T08:00:00Z");
        found.issues.push(pull);
        for id in 1..=120 {
            found.releases.push(release(id, "first words"));
        }
        // More than are given for one question.
        for id in 1..=1_050 {
            let at = start() - TimeDelta::days(60) + TimeDelta::minutes(id as i64 * 60);
            found.runs.push(run(id, at, "test.yml", Some("success")));
        }
        found
            .runs
            .push(run(1_051, start() - TimeDelta::minutes(10), "deploy.yml", None));
        Arc::new(Self(Mutex::new(found)))
    }
}

impl Vendor for Github {
    fn connection(&self, url: &str) -> String {
        format!(
            "vendor = 'github'\nbase_url = '{url}'\n[connection.github]\nrepositories = ['acme/shop']\ndeploy_workflows = ['deploy.yml']\n"
        )
    }

    fn key(&self) -> String {
        KEY.to_owned()
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }

    fn kinds(&self) -> Vec<(Kind, &'static [&'static str])> {
        vec![
            (
                Kind::Issues,
                &[
                    "issue_id",
                    "issue_type",
                    "status",
                    "severity",
                    "resolved_at",
                    "merged_at",
                ],
            ),
            (Kind::Releases, &["release_id", "name", "released_at"]),
            (Kind::Deployments, &["deployment_id", "status"]),
            (Kind::TestRuns, &["test_run_id", "suite", "status"]),
        ]
    }

    fn break_one(&self, now: DateTime<Utc>) {
        let mut broken = issue(900, now, &[]);
        broken["created_at"] = json!("the day before yesterday");
        self.0.lock().unwrap().issues.push(broken);
    }

    fn answer(&self, asked: &Asked) -> Answer {
        if asked.header("authorization") != format!("Bearer {KEY}") {
            return Answer::error(401, "Bad credentials");
        }
        let mut found = self.0.lock().unwrap();
        let number = |name: &str, otherwise: usize| asked.query(name).map_or(otherwise, |text| text.parse().unwrap());
        let (size, page) = (number("per_page", 30).min(100), number("page", 1));
        let paged = |all: &[Value]| -> Vec<Value> { all.iter().skip((page - 1) * size).take(size).cloned().collect() };
        match asked.path.as_str() {
            "/repos/acme/shop" => Answer::ok(json!({ "full_name": "acme/shop" })),
            "/repos/acme/shop/issues" => {
                let since: Option<DateTime<Utc>> = asked.query("since").map(|text| text.parse().unwrap());
                let mut issues = found.issues.clone();
                issues.retain(|issue| since.is_none_or(|since| time(issue, "updated_at") >= since));
                assert_eq!(
                    (asked.query("state"), asked.query("sort")),
                    (Some("all"), Some("updated"))
                );
                issues.sort_by_key(|issue| (time(issue, "updated_at"), issue["number"].as_u64()));
                let answer = Answer::ok(paged(&issues).into());
                if let Some(left) = &mut found.edits_after {
                    *left = left.wrapping_sub(1);
                    if *left == usize::MAX {
                        found.edits_after = None;
                        // It was among the first of its second: the others move up.
                        found.issues[135]["updated_at"] = json!(iso(asked.now - TimeDelta::minutes(1)));
                    }
                }
                answer
            }
            "/repos/acme/shop/releases" => {
                let mut words = std::hash::DefaultHasher::new();
                found
                    .releases
                    .iter()
                    .for_each(|release| release.to_string().hash(&mut words));
                let mark = format!("\"{:x}\"", words.finish());
                if asked.header("if-none-match") == mark {
                    return Answer::ok(Value::Null).with("etag", mark).not_modified();
                }
                Answer::ok(paged(&found.releases).into()).with("etag", mark)
            }
            "/repos/acme/shop/actions/runs" => {
                let (from, to) = asked.query("created").unwrap().split_once("..").unwrap();
                let (from, to): (DateTime<Utc>, DateTime<Utc>) = (from.parse().unwrap(), to.parse().unwrap());
                let mut runs = found.runs.clone();
                runs.retain(|run| (from..=to).contains(&time(run, "created_at")));
                runs.sort_by_key(|run| std::cmp::Reverse(time(run, "created_at")));
                let total = runs.len();
                runs.truncate(1_000);
                Answer::ok(json!({ "total_count": total, "workflow_runs": paged(&runs) }))
            }
            "/repos/acme/shop/actions/runs/1051/attempts/1" => Answer::ok(found.earlier[0].clone()),
            other => Answer::error(404, &format!("no {other}")),
        }
    }
}

impl Answer {
    fn not_modified(mut self) -> Self {
        self.status = 304;
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn github_complies() {
    comply(&Server::start(Github::new()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_lands_and_what_changes_lands_again() {
    let vendor = Github::new();
    let server = Server::start(vendor.clone()).await;
    let place = Place::new(&server);
    place.sync().await.unwrap();
    let rows = place.rows().await;
    let count = |kind: Kind| rows[&kind].len();
    assert_eq!(
        (count(Kind::Issues), count(Kind::Releases), count(Kind::TestRuns)),
        (371, 120, 1_050)
    );
    assert_eq!(rows[&Kind::Deployments], ["acme/shop/runs/1051.1 running"]);
    assert!(rows[&Kind::Issues].contains(&"acme/shop#131 bug open high  ".to_owned()));
    let merged = "acme/shop#371 change closed  2026-03-09T08:00:00Z 2026-03-09T08:00:00Z";
    assert!(
        rows[&Kind::Issues].contains(&merged.to_owned()),
        "{:?}",
        rows[&Kind::Issues].last()
    );

    {
        let mut found = vendor.0.lock().unwrap();
        found.issues[0]["state"] = json!("closed");
        found.issues[0]["closed_at"] = json!("2026-03-10T09:01:00Z");
        found.issues[0]["updated_at"] = json!("2026-03-10T09:01:00Z");
        found.releases[7]["name"] = json!("other words");
        found.runs[1_050]["status"] = json!("completed");
        found.runs[1_050]["conclusion"] = json!("failure");
        found.runs[1_050]["updated_at"] = json!("2026-03-10T09:01:00Z");
        // Tried again before anybody looked: the list has the second attempt alone.
        let first = found.runs[1_050].clone();
        found.earlier.push(first);
        found.runs[1_050]["run_attempt"] = json!(2);
        found.runs[1_050]["conclusion"] = json!("success");
        found.runs[1_050]["path"] = json!(".github/workflows/deploy.yml@main");
    }
    server.clock.advance(TimeDelta::minutes(5));
    server.trouble(|_, _| None);
    let report = place.sync().await.unwrap();
    // Each with the vendor's own words beside.
    assert_eq!((report.rows, report.dead_letters), (8, 0), "{report:?}");
    let rows = place.rows().await;
    assert!(rows[&Kind::Issues].contains(&"acme/shop#1 task closed  2026-03-10T09:01:00Z ".to_owned()));
    assert!(rows[&Kind::Releases].contains(&"acme/shop@v8 other words 2026-01-03T10:00:00Z".to_owned()));
    assert_eq!(
        rows[&Kind::Deployments],
        ["acme/shop/runs/1051.1 failed", "acme/shop/runs/1051.2 passed"]
    );
    // Issues behind the last change, two pages of releases, the runs of three days, and an attempt.
    assert!(server.asked() < 8, "{}", server.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_issue_is_missed_when_pages_of_one_second_move() {
    // Behind each question in turn.
    for questions in 1..6 {
        let vendor = Github::new();
        vendor.0.lock().unwrap().edits_after = Some(questions);
        let server = Server::start(vendor.clone()).await;
        let place = Place::new(&server);
        place.sync().await.unwrap();
        assert_eq!(place.rows().await[&Kind::Issues].len(), 371, "{questions}");
    }
}
